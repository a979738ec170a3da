/* Invariant: a path that the compile made is no input, though it was looked for before; everything
 * else that it looked at is, wherever it lies, unless it belongs to the toolchain, is a character
 * device, or is an entry of the compile's own in /proc. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/fs.h"
#include "common/git_index.h"
#include "trace/paths.h"
#include "trace/runtime.h"
#include "trace/watch_priv.h"

void
watch_done(struct watch *w)
{
	strv_done(&w->toolchain);
	strv_done(&w->writable);
	strv_done(&w->temporary);
	strv_done(&w->caches);
	for (size_t i = 0; i < w->n_indexes; i++)
		free(w->indexes[i].path);
	free(w->indexes);
	trace_set_done(&w->set);
}

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

static bool
is_writable(const struct watch *w, const char *path)
{
	return watch_below_any(path, &w->writable) || watch_below_any(path, &w->temporary);
}

/* git puts a new index in place of the old one (index.lock, then a rename), also where it was only
 * asked whether anything changed: the times in it are others then. What it says is compared in the
 * end. Whether the path is part of that. */
static bool
is_index(const struct watch *w, const char *path)
{
	for (size_t i = 0; i < w->n_indexes; i++) {
		size_t n = strlen(w->indexes[i].path);

		if (strncmp(w->indexes[i].path, path, n) == 0 &&
			(!path[n] || streq(path + n, ".lock")))
			return true;
	}
	return false;
}

static bool
note_index(struct watch *w, const char *path)
{
	struct watch_index *v, one;
	size_t n = strlen(path);

	if (is_index(w, path))
		return true;
	if (ends_with(path, "/index.lock"))
		n -= strlen(".lock");
	one.path = strndup(path, n);
	v = reallocarray(w->indexes, w->n_indexes + 1, sizeof(*v));
	if (v)
		w->indexes = v;
	if (!v || !one.path || git_index_digest(one.path, &one.before) < 0) {
		free(one.path);
		return false;
	}
	v[w->n_indexes++] = one;
	return true;
}

/* What is neither read for a result nor made as one: the counts of instrumented code, which a macro
 * writes wherever it runs; what drivers and Python keep for themselves. A driver's settings may lie
 * there too. */
static bool
is_aside(const struct watch *w, const char *path, watch_by_fn by, void *arg)
{
	bool mine = watch_below_any(path, &w->caches) && !ends_with(path, ".conf");

	if (ends_with(path, ".profraw") || (ends_with(path, "/index.lock") && is_index(w, path)))
		return true;
	return (mine || strstr(path, "/__pycache__")) && by(arg) != WATCH_BY_COMPILER;
}

static bool
is_made(const struct watch *w, const char *path)
{
	char up[PATH_MAX];
	char *slash;

	if (!is_writable(w, path))
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

/* ---- what the kernel makes up: known by the file system it is on, never by a name alone */

/* Whether files there hold what the kernel says when they are read. Each device is asked once; one
 * that is a disk's needs no asking. */
static bool
is_kernels(struct watch *w, const char *path, dev_t dev)
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

static bool
suits_machine(const struct watch *w, const char *path)
{
	return runtime_suits_machine(path) ||
	       (runtime_tool_suits_machine(path) && w->by(w->arg) != WATCH_BY_COMPILER);
}

/* The compile's own entry in /proc (trace_call.h has no link left in it). */
static bool
is_own_entry(const char *path)
{
	return starts_with(path, "/proc/self/");
}

/* Whether it is on a file system of the kernel's and no input; what cannot be one raises a doubt.
 */
static bool
is_told_by_kernel(struct watch *w, const char *path, const struct stat *st)
{
	if (!is_kernels(w, path, st->st_dev))
		return false;
	if (is_own_entry(path))
		return true;
	if (suits_machine(w, path))
		return true;
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

	if (!is_own_entry(path) && !runtime_suits_machine(path))
		return false;
	snprintf(up, sizeof(up), "%s", path);
	do {
		slash = strrchr(up, '/');
		if (slash == up)
			return false;
		*slash = '\0';
	} while (stat(up, &st) < 0);
	return is_kernels(w, up, st.st_dev);
}

/* ---- what each call means */

/* What the kernel says another thing of each time. */
static bool
is_fickle(const char *path)
{
	static const char *const files[] = { "/proc/diskstats", "/proc/interrupts", "/proc/loadavg",
		"/proc/stat", "/proc/sys/kernel/random/uuid", "/proc/uptime", "/proc/vmstat" };

	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		if (streq(path, files[i]))
			return true;
	return false;
}

void
watch_look(struct watch *w, const char *path, bool opens)
{
	enum trace_kind kind = trace_set_get(&w->set, TRACE_PATHS, path);
	struct stat st;

	if (opens && starts_with(path, "/proc/") && is_fickle(path))
		watch_doubt(w, "it read %s", path);
	if (kind == TRACE_FILE && opens)
		trace_set_put(&w->set, TRACE_PATHS, path, TRACE_READ);
	if (kind != TRACE_NONE || watch_below_any(path, &w->toolchain) || is_made(w, path) ||
		runtime_loading_reads(&w->loading, w->pid, path))
		return;
	if (stat(path, &st) < 0)
		kind = is_absent_there(w, path) ? TRACE_PASSED : TRACE_ABSENT;
	else if (S_ISCHR(st.st_mode) || is_told_by_kernel(w, path, &st))
		kind = TRACE_PASSED;
	else
		kind = opens && !S_ISDIR(st.st_mode) ? TRACE_READ : TRACE_FILE;
	if (kind == TRACE_READ && !S_ISREG(st.st_mode))
		watch_doubt(w, "it read %s, which is no file", path);
	trace_set_add(&w->set, TRACE_PATHS, path, kind);
}

/* What a macro asks of a file may be in what it makes. */
static void
stat_by_macro(struct watch *w, const struct trace_call *c, const char *path)
{
	bool link = c->attributes == TRACE_ATTRIBUTES_OF_LINK;

	if (c->attributes == TRACE_ATTRIBUTES_NONE || c->who != TRACE_BY_MACRO ||
		watch_below_any(path, &w->toolchain) || is_made(w, path) ||
		trace_set_get(&w->set, TRACE_PATHS, path) == TRACE_PASSED)
		return;
	trace_set_add(&w->set, link ? TRACE_LINK_STATS : TRACE_STATS, path,
		link ? TRACE_STATED_LINK : TRACE_STATED);
}

/* Opened to be written, or moved: of a file that was there before, and is not emptied, something
 * may be in what is made. */
static bool
is_read_as_well(const struct trace_call *c, const char *path)
{
	struct stat st;

	return (c->op == TRACE_OPEN ? c->keeps : c->moved && path == c->path[0]) &&
	       lstat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static void
list(struct watch *w, const char *path, watch_by_fn by, void *arg)
{
	struct stat st;

	if (trace_set_get(&w->set, TRACE_LISTINGS, path) != TRACE_NONE ||
		is_aside(w, path, by, arg) || watch_below_any(path, &w->toolchain) ||
		is_made(w, path))
		return;
	if (stat(path, &st) == 0 && is_kernels(w, path, st.st_dev)) {
		if (!is_own_entry(path) && !suits_machine(w, path))
			watch_doubt(w, "it listed what the kernel says in %s", path);
		return;
	}
	trace_set_add(&w->set, TRACE_LISTINGS, path, TRACE_DIR);
}

static void
change(struct watch *w, const struct trace_call *c, const char *path, watch_by_fn by, void *arg)
{
	struct stat st;
	bool there = lstat(path, &st) == 0, dir = there && S_ISDIR(st.st_mode);

	/* an output to nowhere; a setting of its own process */
	if ((there && (S_ISCHR(st.st_mode) ||
			      (is_own_entry(path) && is_kernels(w, path, st.st_dev)))) ||
		is_aside(w, path, by, arg))
		return;
	if ((ends_with(path, "/index") || ends_with(path, "/index.lock")) &&
		by(arg) == WATCH_BY_GIT && note_index(w, path))
		return;
	if (!(dir && c->makes_dir) && !is_writable(w, path))
		watch_doubt(w, "it wrote %s", path);
	/* A mkdir of what is there: what lies below was not made by it. */
	if (dir) {
		watch_look(w, path, false);
		return;
	}
	/* A temporary file is one that it made itself. */
	if (there && !watch_below_any(path, &w->writable) && !is_made(w, path))
		watch_doubt(w, "it changed %s", path);
	/* What it was then can be found out no more. (A linker opens what it is to replace.) */
	if (trace_set_get(&w->set, TRACE_PATHS, path) == TRACE_READ && by(arg) != WATCH_BY_LINKER)
		watch_doubt(w, "it read and then wrote %s", path);
	trace_set_put(&w->set, TRACE_PATHS, path, TRACE_MADE);
}

static void
take_said(struct watch *w, const char *said)
{
	bool macro = *said == TRACE_ENV_MACRO;

	if (streq(said, TRACE_ENV_HELLO))
		w->env_seen = true;
	else if (strlen(said) > strlen(TRACE_ENV_PREFIX))
		trace_set_add(&w->set, macro ? TRACE_MACRO_VARS : TRACE_RUSTC_VARS,
			said + strlen(TRACE_ENV_PREFIX),
			macro ? TRACE_ENV_OF_MACRO : TRACE_ENV_OF_RUSTC);
}

void
watch_call(struct watch *w, const struct trace_call *c, watch_by_fn by, void *arg)
{
	w->calls++;
	w->by = by;
	w->arg = arg;
	w->pid = c->pid;
	if (c->op == TRACE_SOCKET)
		watch_doubt(w, "it used the network");
	/* nobody listens where there is no socket: glibc asks for its name service so */
	if (c->op == TRACE_CONNECT && (c->n_paths == 0 || access(c->path[0], F_OK) == 0))
		watch_doubt(w, "it asked another process, by a socket");
	if (c->op == TRACE_UNSEEN)
		watch_doubt(w, "it opened files by io_uring or handles");
	if (c->op == TRACE_REMOUNT)
		watch_doubt(w, "it changed where paths lead: mount, chroot or setns");
	if (c->error == -EREMOTE)
		watch_doubt(
			w, "one of its paths cannot be resolved: /proc does not say where it is");
	/* A bad pointer is the caller's affair; memory that we may not read is ours. */
	if (c->error && c->error != -EFAULT && c->error != -EBADF)
		watch_doubt(w, "its calls cannot be read: %s", strerror(-c->error));
	for (unsigned i = 0; i < c->n_paths && c->op != TRACE_OTHER; i++) {
		const char *path = c->path[i];

		w->environ |= trace_is_environ(path);
		if (c->op == TRACE_SAID)
			take_said(w, path);
		else if (c->op == TRACE_LIST)
			list(w, path, by, arg);
		else if (c->op == TRACE_EXEC)
			watch_run(w, c, path);
		else if (c->op == TRACE_CHANGE || (c->op == TRACE_OPEN && c->write)) {
			bool source = c->from && i == 0;

			if (((source && !c->moved) || is_read_as_well(c, path)) &&
				!is_aside(w, path, by, arg))
				watch_look(w, path, true);
			if (!source || c->moved)
				change(w, c, path, by, arg);
		} else if (!is_aside(w, path, by, arg)) {
			watch_look(w, path, c->op == TRACE_OPEN);
			stat_by_macro(w, c, path);
		}
	}
}

void
watch_end(struct watch *w)
{
	if (w->set.lost)
		watch_doubt(w, "it looked at too many files");
	if (!w->ran || w->calls < 2)
		watch_doubt(w, "its calls were not seen");
	else if (!w->env_seen && !w->linker)
		watch_doubt(w, "the variables that it asked for were not seen");
}

static char
letter(enum trace_kind kind)
{
	switch (kind) {
	case TRACE_FILE:
	case TRACE_READ:
		return 'f';
	case TRACE_ABSENT:
		return 'a';
	case TRACE_DIR:
		return 'd';
	case TRACE_ENV_OF_MACRO:
		return 'm';
	case TRACE_ENV_OF_RUSTC:
		return 'r';
	case TRACE_STATED:
		return 's';
	case TRACE_STATED_LINK:
		return 'l';
	case TRACE_MADE:
		return 'w';
	case TRACE_RAN:
		return 'x';
	default:
		return '\0';
	}
}

static int
item(struct buf *ret, char kind, const char *name)
{
	int r = buf_add(ret, &kind, 1);

	return r < 0 ? r : buf_add(ret, name, strlen(name) + 1);
}

static int
index_item(struct buf *ret, const struct watch_index *in)
{
	char hex[DIGEST_HEX_SIZE];

	digest_hex(&in->before, hex);
	return buf_addf(ret, "g%s %s", hex, in->path) < 0 ? -ENOMEM : buf_add(ret, "", 1);
}

int
watch_record(const struct watch *w, struct buf *ret)
{
	char calls[16];
	int r = 0;

	for (size_t i = 0; r == 0 && i < w->set.n; i++) {
		char kind = letter(w->set.v[i].kind);

		if (kind)
			r = item(ret, kind, w->set.v[i].name);
	}
	if (r == 0 && w->environ)
		r = item(ret, 'v', "environ");
	for (size_t i = 0; r == 0 && i < w->n_indexes; i++)
		r = index_item(ret, &w->indexes[i]);
	if (r == 0 && w->doubt[0])
		r = item(ret, '!', w->doubt);
	snprintf(calls, sizeof(calls), "%u", w->calls);
	return r < 0 ? r : item(ret, 'e', calls);
}
