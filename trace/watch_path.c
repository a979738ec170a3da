/* What a path means that a compile asks about: whether it was made, is the kernel's, or is an
 * input.
 *
 * Invariant: nothing is passed over for its name. The kernel's own is known by its file system;
 * what the compile made, by the record. */
#include "config.h"

#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/fs.h"
#include "trace/program.h"
#include "trace/runtime.h"
#include "trace/watch_priv.h"

void
watch_doubt(struct watch *w, const char *fmt, ...)
{
	va_list ap;

	if (w->doubt[0])
		return;
	va_start(ap, fmt);
	vsnprintf(w->doubt, sizeof(w->doubt), fmt, ap);
	va_end(ap);
}

bool
watch_below_any(const char *path, const struct strv *dirs)
{
	for (size_t i = 0; i < dirs->n; i++)
		if (path_is_below(path, dirs->v[i]))
			return true;
	return false;
}

/* A project may lie in a temporary directory, with its target directory: what is made there stays.
 */
static bool
is_of_project(const char *path, const char *temporary, const struct strv *dirs)
{
	size_t n = strlen(temporary);

	for (size_t i = 0; i < dirs->n; i++) {
		const char *dir = dirs->v[i];
		size_t k = n + 1;

		if (!path_is_below(dir, temporary))
			continue;
		if (!dir[n])
			return true;
		k += strcspn(dir + k, "/");
		if (strncmp(path, dir, k) == 0 && (!path[k] || path[k] == '/'))
			return true;
	}
	return false;
}

bool
watch_is_writable(const struct watch *w, const char *path)
{
	if (watch_below_any(path, &w->writable))
		return true;
	for (size_t i = 0; i < w->temporary.n; i++) {
		const char *dir = w->temporary.v[i];

		if (path_is_below(path, dir) && !is_of_project(path, dir, &w->project) &&
			!is_of_project(path, dir, &w->writable))
			return true;
	}
	return false;
}

const char *
watch_class(const struct watch *w, const char *path, enum program_form form)
{
	return watch_below_any(path, &w->project) || watch_below_any(path, &w->writable)
		       ? "all"
		       : program_class(path, form);
}

bool
watch_is_made(const struct watch *w, const char *path)
{
	char up[PATH_MAX];
	char *slash;

	if (!w->script.on && !watch_is_writable(w, path))
		return false;
	snprintf(up, sizeof(up), "%s", path);
	for (;;) {
		if (trace_set_get(&w->set, TRACE_PATHS, up) == TRACE_MADE)
			return true;
		slash = strrchr(up, '/');
		if (!slash || slash == up)
			return false;
		*slash = '\0';
	}
}

/* ---- links that were made here */

/* The place of a link in the path that was made here, of n bytes; 0: there is none. follows: the
 * whole path may be one. */
static size_t
find_made_link(const struct watch *w, const char *path, bool follows)
{
	char up[PATH_MAX];
	struct stat st;

	snprintf(up, sizeof(up), "%s", path);
	for (char *end = up + 1; *end;) {
		char was;

		end += strcspn(end, "/");
		was = *end;
		*end = '\0';
		if ((was || follows) && lstat(up, &st) == 0 && S_ISLNK(st.st_mode) &&
			watch_is_made(w, up))
			return (size_t)(end - up);
		*end = was;
		end += was != '\0';
	}
	return 0;
}

static bool
pass_link(const struct watch *w, char path[PATH_MAX], bool follows)
{
	_cleanup_(freep) char *above = NULL, *to = NULL;
	char text[PATH_MAX], rest[PATH_MAX];
	size_t n = find_made_link(w, path, follows);
	ssize_t k;

	if (n == 0)
		return false;
	snprintf(rest, sizeof(rest), "%s", path + n);
	path[n] = '\0';
	k = readlink(path, text, sizeof(text) - 1);
	above = path_dirname(path);
	text[MAX2(k, (ssize_t)0)] = '\0';
	to = above ? path_normalize(above, text) : NULL;
	path[n] = *rest;
	if (k <= 0 || !to || strlen(to) + strlen(rest) >= PATH_MAX)
		return false;
	n = streq(to, "/") && *rest ? 0 : strlen(to);
	memcpy(path, to, n);
	memcpy(path + n, rest, strlen(rest) + 1);
	return true;
}

void
watch_pass_links(struct watch *w, struct trace_call *c)
{
	for (unsigned i = 0; w->links && i < c->n_paths && c->op != TRACE_SAID; i++) {
		bool follows = c->op != TRACE_CHANGE && !c->nofollow && !c->asks_link &&
			       c->attributes != TRACE_ATTRIBUTES_OF_LINK && !c->fails_if_there;

		for (int links = 0; links < 8 && pass_link(w, c->path[i], follows); links++)
			;
	}
	w->links |= c->op == TRACE_CHANGE && c->from && c->fails_if_there;
}

/* ---- what the kernel makes up: known by the file system it is on, never by a name alone */

/* Whether files there hold what the kernel says when they are read. Each device is asked once; one
 * that is a disk's needs no asking. */
bool
watch_is_kernels(struct watch *w, const char *path, dev_t dev)
{
	static const uint32_t types[] = { PROC_SUPER_MAGIC, SYSFS_MAGIC, CGROUP_SUPER_MAGIC,
		CGROUP2_SUPER_MAGIC, DEBUGFS_MAGIC, TRACEFS_MAGIC, SECURITYFS_MAGIC, NSFS_MAGIC,
		BPF_FS_MAGIC, EFIVARFS_MAGIC, SELINUX_MAGIC };
	struct watch_device *d = &w->devices[w->n_devices % ARRAY_LEN(w->devices)];
	struct statfs fs;

	if (major(dev) != 0)
		return false;
	for (size_t i = 0; i < MIN2(w->n_devices, ARRAY_LEN(w->devices)); i++)
		if (w->devices[i].dev == dev)
			return w->devices[i].kernels;
	*d = (struct watch_device){ .dev = dev };
	w->n_devices++;
	if (statfs(path, &fs) == 0)
		for (size_t i = 0; i < ARRAY_LEN(types); i++)
			d->kernels |= (uint32_t)fs.f_type == types[i];
	return d->kernels;
}

bool
watch_is_systems(const struct watch *w, const char *path)
{
	static const char *const dirs[] = { "/bin", "/dev", "/lib", "/lib32", "/lib64", "/proc",
		"/sbin", "/sys", "/usr" };

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		if (path_is_below(path, dirs[i]))
			return !path_is_below(path, "/usr/local");
	return watch_below_any(path, &w->toolchain);
}

bool
watch_suits_machine(const struct watch *w, const char *path)
{
	return runtime_suits_machine(path) ||
	       (runtime_tool_suits_machine(path) && w->by(w->arg) != WATCH_BY_COMPILER);
}

/* The compile's own entry in /proc (trace_call.h has no link left in it). */
bool
watch_is_own_entry(const char *path)
{
	return starts_with(path, "/proc/self/");
}

/* How many processors there are may be in what a macro's program says. The compiler's allocator,
 * and a linker, only want to know how many threads to start. */
static void
note_cpus(struct watch *w, const char *path)
{
	enum watch_by who;

	if (w->script.on ||
		(!streq(path, "/proc/cpuinfo") && !path_is_below(path, "/sys/devices/system/cpu")))
		return;
	who = w->by(w->arg);
	if (who == WATCH_BY_OTHER || who == WATCH_BY_PYTHON)
		trace_set_add(&w->set, TRACE_GROUPS, "cpus", TRACE_GROUP);
}

/* Whether it is on a file system of the kernel's and no input; what cannot be one raises a doubt.
 */
static bool
is_told_by_kernel(struct watch *w, const char *path, const struct stat *st)
{
	if (!watch_is_kernels(w, path, st->st_dev))
		return false;
	if (watch_is_own_entry(path))
		return true;
	if (watch_suits_machine(w, path)) {
		note_cpus(w, path);
		return true;
	}
	if (S_ISDIR(st->st_mode))
		return false;
	watch_doubt(w, "it read what the kernel says in %s", path);
	return true;
}

/* The same of what is not there. */
static bool
is_absent_there(struct watch *w, const char *path)
{
	char up[PATH_MAX];
	struct stat st;
	char *slash;

	if (!watch_is_own_entry(path) && !runtime_suits_machine(path))
		return false;
	snprintf(up, sizeof(up), "%s", path);
	do {
		slash = strrchr(up, '/');
		if (slash == up)
			return false;
		*slash = '\0';
	} while (stat(up, &st) < 0);
	return watch_is_kernels(w, up, st.st_dev);
}

/* A character device where devices are. Elsewhere it stands in a file's place: sandboxes hide files
 * by /dev/null. */
static bool
is_device(const char *path, const struct stat *st)
{
	return S_ISCHR(st->st_mode) && path_is_below(path, "/dev");
}

static bool
is_null(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3);
}

void
watch_look(struct watch *w, const char *path, bool opens)
{
	enum trace_kind kind = trace_set_get(&w->set, TRACE_PATHS, path);
	struct stat st;

	if (opens && starts_with(path, "/proc/") && runtime_is(path, RUNTIME_FICKLE))
		watch_doubt(w, "it read %s", path);
	if (kind == TRACE_FILE && opens)
		trace_set_put(&w->set, TRACE_PATHS, path, TRACE_READ);
	if (kind != TRACE_NONE || watch_below_any(path, &w->toolchain) || watch_is_made(w, path) ||
		runtime_loading_reads(&w->loading, w->pid, path))
		return;
	if (stat(path, &st) < 0)
		kind = is_absent_there(w, path) ? TRACE_PASSED : TRACE_ABSENT;
	else if (is_device(path, &st) || is_told_by_kernel(w, path, &st))
		kind = TRACE_PASSED;
	else
		kind = opens && !S_ISDIR(st.st_mode) ? TRACE_READ : TRACE_FILE;
	if (kind == TRACE_READ && !S_ISREG(st.st_mode) && !is_null(&st))
		watch_doubt(w, "it read %s, which is no file", path);
	trace_set_add(&w->set, TRACE_PATHS, path, kind);
}
