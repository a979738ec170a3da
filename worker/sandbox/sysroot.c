/* Invariant: of the system's libraries a job sees only those that the toolchain is linked with, and
 * those that a proc-macro's std needs beside libc. It never sees an archive, a header or anything
 * else of this machine that a compile could take in place of the client's. */
#include "config.h"

#include "worker/sandbox/sysroot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/digest.h"
#include "common/fs.h"
#include "common/process/spawn.h"
#include "toolchain/toolchain.h"
#include "common/text/why.h"
#include "toolchain/elf.h"

#define LDD_MAX (256u * 1024)

/* The absolute path in one line of the dynamic loader's list: "NAME => PATH (ADDRESS)" or
 * "PATH (ADDRESS)"; *line is cut. NULL: none (the vdso). */
static char *
path_in_line(char *line)
{
	char *arrow = strstr(line, " => ");
	char *path = arrow ? arrow + 4 : line + strspn(line, " \t");
	char *end = strstr(path, " (0x");

	if (*path != '/' || !end)
		return NULL;
	*end = '\0';
	return path;
}

/* The loader itself says what it would load, so its search order is not imitated here. */
static int
list_libraries(const char *program, struct strv *ret)
{
	_cleanup_(strv_done) struct strv argv = STRV_INIT;
	_cleanup_(buf_done) struct buf out = BUF_INIT;
	char trace[] = "LD_TRACE_LOADED_OBJECTS=1";
	char *env[] = { trace, NULL }, *line, *save = NULL;
	int status, r = strv_add(&argv, program);

	if (r == 0)
		r = spawn_capture(argv.v, env, SPAWN_ASK_MS, LDD_MAX, &out, &status);
	if (r < 0)
		return r;
	if (status != 0 || !out.n)
		return -ENOEXEC;
	for (line = strtok_r((char *)out.p, "\n", &save); r == 0 && line;
		line = strtok_r(NULL, "\n", &save)) {
		_cleanup_(freep) char *normal = NULL;
		const char *path = path_in_line(line);

		if (!path)
			continue;
		normal = path_normalize("/", path);
		r = normal ? strv_add(ret, normal) : -ENOMEM;
	}
	return r;
}

/* A proc-macro is linked with these on the client, whether or not rustc is. */
static int
add_beside_libc(struct strv *libs)
{
	static const char *const names[] = { "libm.so.6", "libdl.so.2", "librt.so.1",
		"libpthread.so.0", "libgcc_s.so.1", "libutil.so.1", "libresolv.so.2" };
	_cleanup_(freep) char *dir = NULL;
	int r = 0;

	for (size_t i = 0; i < libs->n && !dir; i++)
		if (streq(path_basename(libs->v[i]), "libc.so.6"))
			dir = path_dirname(libs->v[i]);
	for (size_t i = 0; dir && r == 0 && i < ARRAY_LEN(names); i++) {
		_cleanup_(freep) char *path = path_join(dir, names[i]);

		if (!path)
			return -ENOMEM;
		if (fs_exists(path) && !strv_has(libs, path))
			r = strv_add(libs, path);
	}
	return r;
}

static int
copy_file(const char *from, const char *to)
{
	_cleanup_(closep) int in = open(from, O_RDONLY | O_CLOEXEC), out = -1;
	struct stat st;
	int r;

	if (in < 0 || fstat(in, &st) < 0)
		return -errno;
	r = fs_mkdir_parent(to, 0755);
	if (r < 0)
		return r;
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	if (out < 0)
		return errno == EEXIST ? 0 : -errno;
	r = fs_copy_fd(in, out);
	if (r == 0 && fchmod(out, st.st_mode & 0111 ? 0555 : 0444) < 0)
		r = -errno;
	return r;
}

static int
add_dir(struct strv *dirs, const char *path)
{
	_cleanup_(freep) char *dir = path_dirname(path);

	if (!dir)
		return -ENOMEM;
	return strv_has(dirs, dir) ? 0 : strv_add(dirs, dir);
}

/* A toolchain in a directory of its own is mounted as it is. One that is spread over /usr is not,
 * since all of the machine's /usr would be mounted with it. */
static bool
is_shared_prefix(const char *sysroot)
{
	return streq(sysroot, "/usr") || streq(sysroot, "/usr/local") || streq(sysroot, "/");
}

static int
view_files(const char *sysroot, const char *view, const char *driver, const struct strv *targets)
{
	int r = 0;

	for (size_t t = 0; r == 0 && t < targets->n; t++) {
		_cleanup_(strv_done) struct strv files = STRV_INIT;

		r = toolchain_list_files(sysroot, driver, targets->v[t], &files);
		if (r == -ENOENT)
			return 0; /* that driver is not installed */
		for (size_t i = 0; r == 0 && i < files.n; i++) {
			_cleanup_(freep) char *from = path_join(sysroot, files.v[i]);
			_cleanup_(freep) char *to = path_join(view, files.v[i]);

			r = from && to ? copy_file(from, to) : -ENOMEM;
		}
	}
	return r;
}

static int
make_view(const struct sysroot *s)
{
	static const char *const drivers[] = { "rustc", "clippy-driver" };
	_cleanup_(strv_done) struct strv targets = STRV_INIT;
	int r = toolchain_list_targets(s->path, &targets);

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(drivers); i++)
		r = view_files(s->path, s->view, drivers[i], &targets);
	return r;
}

/* Whether a job's loader looks there by default or by the compiler's run path. A job has no
 * ld.so.cache, by which this machine's loader finds libraries elsewhere. */
static bool
loader_finds(const struct sysroot *s, const char *lib, const char *libc_dir)
{
	static const char *const usual[] = { "/lib", "/usr/lib", "/lib64", "/usr/lib64" };
	_cleanup_(freep) char *dir = path_dirname(lib), *own = path_join(s->path, "lib");

	if (!dir || !own)
		return false;
	if (starts_with(path_basename(lib), "ld-"))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(usual); i++)
		if (streq(dir, usual[i]))
			return true;
	/* /lib/<multiarch> and /usr/lib/<multiarch> are both searched */
	return streq(dir, own) || streq(dir, libc_dir) ||
	       (starts_with(dir, "/usr/lib/") && streq(dir + 4, libc_dir)) ||
	       (starts_with(dir, "/lib/") && starts_with(libc_dir, "/usr/") &&
		       streq(dir, libc_dir + 4));
}

/* Puts the library `from` where jobs see it at the path `to`: below the sysroot in its view,
 * elsewhere below lib_root. */
static int
place_library(struct sysroot *s, const char *from, const char *to)
{
	_cleanup_(freep) char *below = NULL;
	int r;

	if (path_is_below(to, s->path)) {
		_cleanup_(freep) char *in_view = path_join(s->view, to + strlen(s->path) + 1);

		/* one in a directory of its own is mounted as it is */
		if (streq(s->view, s->path))
			return 0;
		return in_view ? copy_file(from, in_view) : -ENOMEM;
	}
	below = path_join(s->lib_root, to + 1);
	r = below ? copy_file(from, below) : -ENOMEM;
	return r < 0 ? r : add_dir(&s->lib_dirs, to);
}

/* Where a job is to see a library. A compiler finds its sysroot by the real path of its driver's
 * library, and a job has no links. So a library of this machine's /lib, where that is a link to
 * /usr/lib, is in the job's /usr/lib. The loader stays where it is, since programs name its path.
 */
static char *
job_path(const struct sysroot *s, const char *lib)
{
	_cleanup_(freep) char *dir = path_dirname(lib), *real = NULL;

	if (!dir)
		return NULL;
	real = realpath(dir, NULL);
	if (!real || starts_with(path_basename(lib), "ld-") || !path_is_below(real, s->path))
		return strdup(lib);
	return path_join(real, path_basename(lib));
}

/* A job's loader looks in /lib/<multiarch> before /usr/lib/<multiarch>. The job has an empty one,
 * so that the client is not asked for its own, and cannot put files there. */
static int
add_twin(struct sysroot *s, const char *lib)
{
	const char *twin = lib + strlen("/usr");
	_cleanup_(freep) char *dir = NULL, *empty = NULL;
	int r;

	if (!starts_with(lib, "/usr/lib") || !path_is_below(lib, s->path))
		return 0;
	dir = path_dirname(twin);
	empty = dir ? path_join(s->lib_root, dir + 1) : NULL;
	r = empty ? fs_mkdir_p(empty, 0755) : -ENOMEM;
	return r < 0 ? r : add_dir(&s->lib_dirs, twin);
}

static int
place_one(struct sysroot *s, const char *lib, const char *libc_dir)
{
	_cleanup_(freep) char *to = job_path(s, lib), *beside = NULL;
	int r = to ? strv_add(&s->lib_names, path_basename(lib)) : -ENOMEM;

	if (r == 0)
		r = place_library(s, lib, to);
	if (r == 0)
		r = add_twin(s, to);
	if (r < 0 || loader_finds(s, to, libc_dir))
		return r;
	beside = path_join(libc_dir, path_basename(lib));
	return beside ? place_library(s, lib, beside) : -ENOMEM;
}

static int
place_libraries(struct sysroot *s, const struct strv *libs)
{
	_cleanup_(freep) char *libc = NULL, *libc_dir = NULL;
	int r = 0;

	for (size_t i = 0; i < libs->n && !libc; i++)
		if (streq(path_basename(libs->v[i]), "libc.so.6"))
			libc = job_path(s, libs->v[i]);
	libc_dir = libc ? path_dirname(libc) : strdup("/lib");
	if (!libc_dir)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < libs->n; i++)
		r = place_one(s, libs->v[i], libc_dir);
	strv_sort_unique(&s->lib_names);
	return r;
}

static int
set_paths(struct sysroot *s, const char *state_dir, const char *path, char **ret_base)
{
	char hex[DIGEST_HEX_SIZE];
	struct digest d;
	int r = digest_bytes(path, strlen(path), &d);

	if (r < 0)
		return r;
	digest_hex(&d, hex);
	if (asprintf(ret_base, "%s/base/%.16s", state_dir, hex) < 0) {
		*ret_base = NULL;
		return -ENOMEM;
	}
	s->path = strdup(path);
	s->lib_root = path_join(*ret_base, "lib");
	s->view = is_shared_prefix(path) ? path_join(*ret_base, "view") : strdup(path);
	return s->path && s->lib_root && s->view ? 0 : -ENOMEM;
}

/* ---- of a toolchain that is not run */

#define FOREIGN_DEPTH 16
#define FOREIGN_NEEDED_MAX 1024 /* names, each once */
#define FOREIGN_ASKED_MAX 16384 /* the same with repetitions */

/* What its files are called, and what those of bin and lib ask for. */
struct foreign {
	struct strv names, needed;
	size_t asked;
};

/* Adds what that file asks for. -E2BIG: that makes too many. */
static int
add_needed(struct foreign *f, const char *path)
{
	_cleanup_(strv_done) struct strv all = STRV_INIT;
	unsigned machine;
	int r = elf_needed(path, &machine, &all);

	if (r < 0)
		return r;
	f->asked += all.n;
	if (f->asked > FOREIGN_ASKED_MAX)
		return -E2BIG;
	for (size_t i = 0; r == 0 && i < all.n; i++)
		if (!strv_has(&f->needed, all.v[i]))
			r = f->needed.n < FOREIGN_NEEDED_MAX ? strv_add(&f->needed, all.v[i])
							     : -E2BIG;
	return r;
}

static int
look_at(struct foreign *f, const char *path, const char *name)
{
	int r = strv_add(&f->names, name);

	if (r < 0 || strstr(path, "/bin/self-contained/") || ends_with(name, ".rlib"))
		return r;
	r = add_needed(f, path);
	return r == -ENOMEM || r == -E2BIG ? r : 0;
}

static int
look_below(struct foreign *f, const char *dir, unsigned depth)
{
	_cleanup_(strv_done) struct strv names = STRV_INIT;
	int r = depth ? fs_list_dir(dir, &names) : -ELOOP;

	for (size_t i = 0; r == 0 && i < names.n; i++) {
		_cleanup_(freep) char *path = path_join(dir, names.v[i]);
		struct stat st;

		if (!path)
			return -ENOMEM;
		if (lstat(path, &st) < 0)
			return -errno;
		if (S_ISDIR(st.st_mode))
			r = look_below(f, path, depth - 1);
		else if (S_ISREG(st.st_mode))
			r = look_at(f, path, names.v[i]);
	}
	return r;
}

/* The path of the system's library of that name: beside libc, or as this program has it. NULL: it
 * has none. */
static char *
find_system_library(const struct strv *ours, const char *libc_dir, const char *name)
{
	_cleanup_(freep) char *beside = path_join(libc_dir, name);

	if (beside && fs_exists(beside))
		return steal_ptr(beside);
	for (size_t i = 0; i < ours->n; i++)
		if (streq(path_basename(ours->v[i]), name))
			return strdup(ours->v[i]);
	return NULL;
}

/* This program's own loader and libc are the system's; where they are the others are. */
static int
list_foreign(const char *path, struct strv *ret, char **ret_why)
{
	_cleanup_(strv_done) struct strv ours = STRV_INIT;
	struct foreign f = { STRV_INIT, STRV_INIT, 0 };
	_cleanup_(freep) char *libc_dir = NULL;
	int r = list_libraries("/proc/self/exe", &ours);

	for (size_t i = 0; r == 0 && i < ours.n; i++) {
		const char *name = path_basename(ours.v[i]);

		if (streq(name, "libc.so.6"))
			libc_dir = path_dirname(ours.v[i]);
		if (streq(name, "libc.so.6") || starts_with(name, "ld-"))
			r = strv_add(ret, ours.v[i]);
	}
	if (r == 0 && !libc_dir)
		r = why_set(ret_why, -ENOTSUP, "this worker's own libc cannot be found");
	if (r == 0)
		r = look_below(&f, path, FOREIGN_DEPTH);
	strv_sort_unique(&f.names);
	/* what those of the system need comes behind */
	for (size_t i = 0; r == 0 && i < f.needed.n; i++) {
		_cleanup_(freep) char *lib = NULL;
		const char *name = f.needed.v[i];

		if (!path_is_name(name))
			r = why_set(ret_why, -EBADMSG,
				"the toolchain needs libraries that make no sense");
		else if (!strv_has_sorted(&f.names, name) && !starts_with(name, "ld-"))
			lib = find_system_library(&ours, libc_dir, name);
		else
			continue;
		if (r == 0 && !lib)
			r = why_set(ret_why, -ENOENT,
				"the toolchain needs %.100s, which this worker's system lacks",
				name);
		if (r == 0 && !strv_has(ret, lib)) {
			r = strv_add(ret, lib);
			if (r == 0)
				r = add_needed(&f, lib);
		}
	}
	if (r == -E2BIG)
		r = why_set(ret_why, -EBADMSG, "the toolchain needs too many libraries");
	strv_done(&f.names);
	strv_done(&f.needed);
	return r;
}

static int
list_own(const char *path, struct strv *ret, char **ret_why)
{
	_cleanup_(freep) char *rustc = path_join(path, "bin/rustc");
	int r = rustc ? list_libraries(rustc, ret) : -ENOMEM;

	return r < 0 ? why_set(ret_why, r, "the libraries of %s cannot be listed: %s", rustc,
			       strerror(-r))
		     : 0;
}

static int
prepare(const char *state_dir, const char *path,
	int (*list)(const char *path, struct strv *ret, char **ret_why), struct sysroot *ret,
	char **ret_why)
{
	_cleanup_(strv_done) struct strv libs = STRV_INIT;
	_cleanup_(freep) char *base = NULL;
	struct sysroot s = { NULL, NULL, NULL, STRV_INIT, STRV_INIT };
	int r = set_paths(&s, state_dir, path, &base);

	/* Made anew at each start: the system's libraries may have been upgraded. */
	if (r == 0)
		r = fs_rm_rf(base);
	if (r == 0)
		r = fs_mkdir_p(s.lib_root, 0755);
	if (r == 0)
		r = list(path, &libs, ret_why);
	if (r == 0)
		r = add_beside_libc(&libs);
	if (r == 0)
		r = place_libraries(&s, &libs);
	if (r == 0 && !streq(s.view, s.path))
		r = make_view(&s);
	if (r < 0) {
		if (!*ret_why)
			why_set(ret_why, r, "%s: %s", path, strerror(-r));
		if (base)
			(void)fs_rm_rf(base);
		sysroot_done(&s);
		return r;
	}
	*ret = s;
	return 0;
}

int
sysroot_prepare(const char *state_dir, const char *path, struct sysroot *ret, char **ret_why)
{
	return prepare(state_dir, path, list_own, ret, ret_why);
}

int
sysroot_prepare_foreign(
	const char *state_dir, const char *path, struct sysroot *ret, char **ret_why)
{
	return prepare(state_dir, path, list_foreign, ret, ret_why);
}

char *
sysroot_base(const struct sysroot *s)
{
	return path_dirname(s->lib_root);
}

void
sysroot_done(struct sysroot *s)
{
	free(s->path);
	free(s->view);
	free(s->lib_root);
	strv_done(&s->lib_dirs);
	strv_done(&s->lib_names);
	*s = (struct sysroot){ NULL, NULL, NULL, STRV_INIT, STRV_INIT };
}
