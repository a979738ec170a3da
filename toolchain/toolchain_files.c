/* Which files of a sysroot a compile depends on.
 *
 * Invariant: nothing is guessed by name alone. The compiler's libraries are the ones its driver
 * asks for, looked up in the sysroot; a sysroot of /usr is full of others. Of lib/rustlib, only the
 * two targets' lib and bin are walked. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "toolchain/elf.h"
#include "common/fs.h"
#include "toolchain/toolchain_priv.h"

#define DEPTH_MAX 8	 /* rustlib has 2 levels; links to directories could make a circle */
#define FILES_MAX 20000u /* a std has about 70 */
#define LIBS_MAX 64u

int
tc_entries_add(struct tc_entries *e, const char *name, const struct stat *st)
{
	char *copy;

	if (e->n == e->cap) {
		size_t cap = e->cap == 0 ? 64 : e->cap * 2;
		struct tc_entry *v = reallocarray(e->v, cap, sizeof(*v));

		if (v == NULL)
			return -ENOMEM;
		e->v = v;
		e->cap = cap;
	}
	copy = strdup(name);
	if (copy == NULL)
		return -ENOMEM;
	e->v[e->n++] = (struct tc_entry){ copy, *st };
	return 0;
}

void
tc_entries_done(struct tc_entries *e)
{
	size_t i;

	for (i = 0; i < e->n; i++)
		free(e->v[i].name);
	free(e->v);
	*e = (struct tc_entries){ NULL, 0, 0 };
}

/* Opens dir below the sysroot and says what it is like before it is read. */
static int
open_dir(const char *sysroot, const char *dir, DIR **ret, struct stat *ret_st)
{
	_cleanup_(freep) char *path = path_join(sysroot, dir);
	DIR *d;

	if (path == NULL)
		return -ENOMEM;
	d = opendir(path);
	if (d == NULL)
		return -errno;
	if (fstat(dirfd(d), ret_st) < 0) {
		closedir(d);
		return -EIO;
	}
	*ret = d;
	return 0;
}

/* The next name that is not "." or ".."; NULL at the end or on an error, which *ret_r tells. */
static const char *
next_name(DIR *d, int *ret_r)
{
	struct dirent *e;

	do {
		errno = 0;
		e = readdir(d);
	} while (e != NULL && (streq(e->d_name, ".") || streq(e->d_name, "..")));
	*ret_r = e == NULL && errno != 0 ? -errno : 0;
	return e != NULL ? e->d_name : NULL;
}

static int
walk(const char *sysroot, const char *dir, unsigned depth, struct strv *files,
	struct tc_entries *dirs)
{
	_cleanup_(closedirp) DIR *d = NULL;
	const char *name;
	struct stat st;
	int r;

	if (depth > DEPTH_MAX)
		return -ELOOP;
	r = open_dir(sysroot, dir, &d, &st);
	if (r < 0)
		return r;
	r = tc_entries_add(dirs, dir, &st);
	while (r == 0 && (name = next_name(d, &r)) != NULL) {
		_cleanup_(freep) char *path = path_join(dir, name);

		if (path == NULL)
			return -ENOMEM;
		/* a link that leads nowhere is as good as no file */
		if (fstatat(dirfd(d), name, &st, 0) < 0)
			r = errno == ENOENT || errno == ELOOP ? 0 : -errno;
		else if (S_ISDIR(st.st_mode))
			r = walk(sysroot, path, depth + 1, files, dirs);
		else if (S_ISREG(st.st_mode))
			r = files->n < FILES_MAX ? strv_add(files, path) : -E2BIG;
	}
	return r;
}

bool
tc_target_ok(const char *target)
{
	return path_is_name(target) && strlen(target) <= 128;
}

/* std's core, of which a target without std has at least this. */
bool
tc_has_std(const char *sysroot, const char *target)
{
	_cleanup_(closedirp) DIR *d = NULL;
	_cleanup_(freep) char *dir = NULL;
	const char *name;
	struct stat st;
	int r;

	if (!tc_target_ok(target) || asprintf(&dir, "lib/rustlib/%s/lib", target) < 0)
		return false;
	if (open_dir(sysroot, dir, &d, &st) < 0)
		return false;
	while ((name = next_name(d, &r)) != NULL) {
		if (starts_with(name, "libcore-") && ends_with(name, ".rlib"))
			return true;
	}
	return false;
}

bool
tc_has_rust_src(const char *sysroot)
{
	_cleanup_(freep) char *path = path_join(sysroot, "lib/rustlib/src/rust/library");

	return path != NULL && fs_exists(path);
}

/* Where a compiler's libraries can be: the places of rustup, Debian, Fedora, and Debian's LLVM. */
static int
library_dirs(const char *sysroot, struct strv *ret)
{
	_cleanup_(closedirp) DIR *d = NULL;
	const char *name;
	struct stat st;
	int r;

	r = strv_add(ret, "lib");
	if (r == 0)
		r = strv_add(ret, "lib64");
	if (r == 0)
		r = open_dir(sysroot, "lib", &d, &st);
	while (r == 0 && (name = next_name(d, &r)) != NULL) {
		if (starts_with(name, "llvm-"))
			r = strv_addf(ret, "lib/%s/lib", name);
		else if (strstr(name, "-linux-") != NULL)
			r = strv_addf(ret, "lib/%s", name);
	}
	/* the order of a directory is the file system's, and must not choose the library */
	if (r == 0)
		strv_sort_unique(ret);
	return r;
}

/* Whether a library is part of the compiler; libc and its like are the machine's. */
static bool
is_compiler_library(const char *soname)
{
	return path_is_name(soname) &&
	       (starts_with(soname, "librustc") || starts_with(soname, "libLLVM") ||
		       starts_with(soname, "libstd-"));
}

/* Finds a library built for machine, and what it needs itself. */
static int
find_library(const char *sysroot, const struct strv *dirs, const char *soname, unsigned machine,
	char **ret, struct strv *ret_needed)
{
	size_t i;

	for (i = 0; i < dirs->n; i++) {
		_cleanup_(strv_done) struct strv needed = STRV_INIT;
		_cleanup_(freep) char *name = path_join(dirs->v[i], soname);
		_cleanup_(freep) char *path = name != NULL ? path_join(sysroot, name) : NULL;
		unsigned theirs = 0;
		int r;

		if (path == NULL)
			return -ENOMEM;
		if (!fs_exists(path))
			continue;
		r = elf_needed(path, &theirs, &needed);
		if (r == -ENOMEM)
			return r;
		if (r < 0 || theirs != machine)
			continue;
		r = strv_add_all(ret_needed, needed.v);
		if (r < 0)
			return r;
		*ret = steal_ptr(name);
		return 0;
	}
	return -ENOENT;
}

/* The driver and, in turn, the compiler's libraries that it and they ask for. */
static int
collect_driver(const char *sysroot, const char *driver, struct strv *files, struct strv *outside)
{
	_cleanup_(strv_done) struct strv dirs = STRV_INIT, wanted = STRV_INIT, seen = STRV_INIT;
	_cleanup_(freep) char *name = path_join("bin", driver);
	_cleanup_(freep) char *path = name != NULL ? path_join(sysroot, name) : NULL;
	unsigned machine = 0;
	size_t i;
	int r;

	if (path == NULL)
		return -ENOMEM;
	r = elf_needed(path, &machine, &wanted);
	/* a script in the driver's place does what we cannot know */
	if (r == -ENOEXEC || r == -EBADMSG)
		return -ENOENT;
	if (r == 0)
		r = strv_take(files, steal_ptr(name));
	if (r == 0)
		r = library_dirs(sysroot, &dirs);
	for (i = 0; r == 0 && i < wanted.n; i++) {
		_cleanup_(freep) char *found = NULL;

		if (!is_compiler_library(wanted.v[i]) || strv_has(&seen, wanted.v[i]))
			continue;
		if (seen.n == LIBS_MAX)
			return -E2BIG;
		r = strv_add(&seen, wanted.v[i]);
		if (r == 0)
			r = find_library(sysroot, &dirs, wanted.v[i], machine, &found, &wanted);
		if (r == 0)
			r = strv_take(files, steal_ptr(found));
		else if (r == -ENOENT)
			r = strv_add(outside, wanted.v[i]);
	}
	return r;
}

static int
collect_target(const char *sysroot, const char *target, struct strv *files, struct tc_entries *dirs)
{
	_cleanup_(freep) char *top = NULL, *lib = NULL, *bin = NULL, *path = NULL;
	struct stat st;
	int r;

	if (!tc_has_std(sysroot, target))
		return -ENOENT;
	if (asprintf(&top, "lib/rustlib/%s", target) < 0)
		return -ENOMEM;
	lib = path_join(top, "lib");
	bin = path_join(top, "bin");
	path = path_join(sysroot, top);
	if (lib == NULL || bin == NULL || path == NULL)
		return -ENOMEM;
	/* its stat tells when a bin comes later */
	if (stat(path, &st) < 0)
		return -errno;
	r = tc_entries_add(dirs, top, &st);
	if (r == 0)
		r = walk(sysroot, lib, 0, files, dirs);
	if (r == 0) {
		r = walk(sysroot, bin, 0, files, dirs);
		if (r == -ENOENT)
			r = 0;
	}
	return r;
}

int
tc_collect(const char *sysroot, const char *driver, const char *host, const char *target,
	struct strv *files, struct tc_entries *dirs, struct strv *outside)
{
	int r;

	r = collect_driver(sysroot, driver, files, outside);
	if (r == 0)
		r = collect_target(sysroot, host, files, dirs);
	if (r == 0 && !streq(host, target))
		r = collect_target(sysroot, target, files, dirs);
	if (r == 0)
		strv_sort_unique(files);
	if (r == 0)
		strv_sort_unique(outside);
	return r;
}
