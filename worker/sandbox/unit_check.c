/* Checks a unit before anything of it touches the disk.
 *
 * Invariant: once a unit was accepted, every path in it is absolute and normal; no file is above,
 * below or at another; none is where the sandbox mounts something (kernel file systems, the
 * toolchain, system libraries, dray's own, the out-dir); every index and digest is in range;
 * arguments and environment fit an execve. */
#include "config.h"

#include "worker/sandbox/unit_check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/digest.h"
#include "common/fs.h"
#include "trace/runtime.h"
#include "worker/sandbox/compiler.h"

struct check {
	const Dray__Unit *u;
	char *const *reserved;
	char **ret_error;
};

struct named_path {
	const char *path;
	bool file;
};

static int _printf_(2, 3) bad(const struct check *c, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = vasprintf(c->ret_error, fmt, ap);
	va_end(ap);
	if (r < 0) {
		*c->ret_error = NULL;
		return -ENOMEM;
	}
	return -EINVAL;
}

int
unit_path_cmp(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	if (*a == *b)
		return 0;
	if (!*a || !*b)
		return *a ? 1 : -1;
	/* '/' before all else, so that "a/b" comes before "a-b". */
	if (*a == '/' || *b == '/')
		return *a == '/' ? -1 : 1;
	return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
}

static bool
strictly_below(const char *path, const char *dir)
{
	return path_is_below(path, dir) && !streq(path, dir);
}

/* A path of the client: normal, and in no place of the sandbox's own. */
static int
check_path(const struct check *c, const char *what, const char *path)
{
	const struct runtime_row *row;

	if (!path_is_normal(path))
		return bad(c, "%s '%.200s' is not an absolute, normal path", what, path);
	if (path_is_below(path, "/.dray") || runtime_is(path, RUNTIME_KERNEL))
		return bad(c, "%s '%.200s' is below %.*s, which the sandbox has for itself", what,
			path, (int)(1 + strcspn(path + 1, "/")), path);
	for (size_t i = 0; (row = runtime_row(i)); i++) {
		if ((row->what & RUNTIME_FIRST) && path_is_below(path, row->path))
			return bad(c, "%s '%.200s' is what a job's own loader or allocator reads",
				what, path);
	}
	for (char *const *r = c->reserved; r && *r; r++) {
		if (path_is_below(path, *r))
			return bad(c,
				"%s '%.200s' is below %s, where this worker's own libraries are",
				what, path, *r);
	}
	return 0;
}

static int
check_mount_point(const struct check *c, const char *what, const char *path)
{
	int r = check_path(c, what, path);

	if (r < 0)
		return r;
	if (streq(path, "/") || streq(path, "/tmp"))
		return bad(c, "%s is %s", what, path);
	return 0;
}

static int
check_places(const struct check *c)
{
	const Dray__Unit *u = c->u;
	int r;

	r = check_mount_point(c, "the sysroot", u->sysroot);
	if (r == 0)
		r = check_mount_point(c, "the output directory", u->out_dir);
	if (r == 0)
		r = check_path(c, "the working directory", u->cwd);
	if (r < 0)
		return r;
	if (path_is_below(u->sysroot, u->out_dir) || path_is_below(u->out_dir, u->sysroot))
		return bad(c, "the output directory %s and the sysroot %s lie in each other",
			u->out_dir, u->sysroot);
	for (char *const *p = c->reserved; p && *p; p++) {
		if (path_is_below(*p, u->out_dir))
			return bad(c, "the output directory %s holds this worker's libraries (%s)",
				u->out_dir, *p);
	}
	if (strictly_below(u->cwd, u->out_dir))
		return bad(c, "the working directory %s is below the output directory", u->cwd);
	return 0;
}

static int
check_driver(const struct check *c)
{
	const Dray__Unit *u = c->u;

	if (u->toolchain.len != DIGEST_SIZE)
		return bad(
			c, "the toolchain id has %zu bytes, not %d", u->toolchain.len, DIGEST_SIZE);
	if (!streq(u->driver, "rustc") && !streq(u->driver, "clippy-driver"))
		return bad(c, "'%.60s' is no compiler that this worker runs", u->driver);
	if (strlen(u->crate) > 255)
		return bad(c, "the crate's name is too long");
	return 0;
}

static int
check_linker(const struct check *c)
{
	const char *l = c->u->linker;

	if (!*l)
		return 0;
	if (*l == '/')
		return check_mount_point(c, "the linker", l);
	if (!path_is_name(l) || strlen(l) > 255)
		return bad(c, "the linker '%.200s' is neither a name nor an absolute path", l);
	if (streq(l, "dray-exec"))
		return bad(c, "the linker is called dray-exec");
	return 0;
}

static int
check_args(const struct check *c)
{
	const Dray__Unit *u = c->u;
	size_t sum = 0;
	bool in_file;

	if (u->n_argv > UNIT_ARGS_MAX || u->n_env > UNIT_ENV_MAX)
		return bad(c, "%zu arguments and %zu variables are too many", u->n_argv, u->n_env);
	in_file = compiler_needs_arg_file(u);
	for (size_t i = 0; i < u->n_argv; i++) {
		if (in_file && strchr(u->argv[i], '\n'))
			return bad(
				c, "an argument has a line's end in it, and they go into a file");
		sum += strlen(u->argv[i]) + 1 + sizeof(char *);
	}
	if (sum > UNIT_ARG_FILE_MAX)
		return bad(c, "arguments of %zu bytes are too many", sum);
	if (in_file)
		sum = 0;
	for (size_t i = 0; i < u->n_env; i++) {
		const Dray__EnvVar *e = u->env[i];
		size_t n = strlen(e->name) + e->value.len;

		if (!*e->name || strchr(e->name, '='))
			return bad(c, "'%.60s' is no name of a variable", e->name);
		if (e->value.len && memchr(e->value.data, '\0', e->value.len))
			return bad(c, "the variable %.60s has a NUL byte in it", e->name);
		if (n + 1 >= UNIT_STRING_MAX)
			return bad(c, "the variable %.60s is too long", e->name);
		sum += n + 2 + sizeof(char *);
	}
	if (sum > UNIT_ARG_BYTES_MAX)
		return bad(c, "arguments and environment have %zu bytes, the system takes %u", sum,
			UNIT_ARG_BYTES_MAX);
	return 0;
}

static int
check_blobs(const struct check *c, uint64_t max_bytes)
{
	const Dray__Unit *u = c->u;
	uint64_t sum = 0;

	if (u->n_blobs > UNIT_FILES_MAX || u->n_files > UNIT_FILES_MAX || u->n_dirs > UNIT_DIRS_MAX)
		return bad(c, "%zu files and %zu directories are too many", u->n_files, u->n_dirs);
	for (size_t i = 0; i < u->n_blobs; i++) {
		if (u->blobs[i]->digest.len != DIGEST_SIZE)
			return bad(c, "blob %zu has a digest of %zu bytes, not %d", i,
				u->blobs[i]->digest.len, DIGEST_SIZE);
		if (u->blobs[i]->size > UINT64_MAX - sum)
			return bad(c, "the files' sizes overflow");
		sum += u->blobs[i]->size;
	}
	if (max_bytes && sum > max_bytes)
		return bad(c, "the unit's files have %llu bytes, this worker takes %llu",
			(unsigned long long)sum, (unsigned long long)max_bytes);
	return 0;
}

/* A directory in which the loader looks for every library, mounted or not: what a client has there
 * would be code in the compiler. */
static bool
is_loaders(const char *path)
{
	static const char *const tops[] = { "/lib", "/lib32", "/lib64", "/libx32", "/usr/lib",
		"/usr/lib32", "/usr/lib64", "/usr/libx32" };

	for (size_t i = 0; i < ARRAY_LEN(tops); i++) {
		const char *name = path + strlen(tops[i]) + 1, *slash;

		if (!strictly_below(path, tops[i]))
			continue;
		/* /lib/x86_64-linux-gnu */
		slash = strchr(name, '/');
		if (slash && memmem(name, (size_t)(slash - name), "-linux-", strlen("-linux-")))
			name = slash + 1;
		return !strchr(name, '/') || starts_with(name, "glibc-hwcaps/");
	}
	return false;
}

static int
check_files(const struct check *c)
{
	const Dray__Unit *u = c->u;
	int r;

	for (size_t i = 0; i < u->n_files; i++) {
		const char *path = u->files[i]->path;

		if (u->files[i]->blob >= u->n_blobs)
			return bad(c, "'%.200s' names blob %u of %zu", path, u->files[i]->blob,
				u->n_blobs);
		r = check_path(c, "the file", path);
		if (r < 0)
			return r;
		if (streq(path, "/") || streq(path, "/tmp"))
			return bad(c, "a file is %s", path);
		if (is_loaders(path))
			return bad(
				c, "the file '%.200s' is where a loader looks for libraries", path);
		if (path_is_below(path, u->sysroot))
			return bad(c, "the file '%.200s' is below the sysroot", path);
		if (path_is_below(path, u->out_dir))
			return bad(c, "the file '%.200s' is in the output directory", path);
	}
	for (size_t i = 0; i < u->n_dirs; i++) {
		r = check_path(c, "the directory", u->dirs[i]);
		if (r < 0)
			return r;
		if (path_is_below(u->dirs[i], u->sysroot) && !streq(u->dirs[i], u->sysroot))
			return bad(c, "the directory '%.200s' is below the sysroot", u->dirs[i]);
		if (strictly_below(u->dirs[i], u->out_dir))
			return bad(c, "the directory '%.200s' is below the output directory",
				u->dirs[i]);
	}
	if (strictly_below(u->cwd, u->sysroot))
		return bad(c, "the working directory is below the sysroot");
	if (u->linker[0] == '/' &&
		(path_is_below(u->linker, u->sysroot) || path_is_below(u->linker, u->out_dir)))
		return bad(c, "the linker %.200s is below the sysroot or the output directory",
			u->linker);
	return 0;
}

/* At the same path a file comes first, so that only neighbours need to be compared. */
static int
compare_places(const void *a, const void *b)
{
	const struct named_path *x = a, *y = b;
	int r = unit_path_cmp(x->path, y->path);

	return r ? r : (int)y->file - (int)x->file;
}

static size_t
gather(const struct check *c, struct named_path *v)
{
	static const char *const own[] = { "/proc", "/dev", "/tmp", "/.dray" };
	const Dray__Unit *u = c->u;
	size_t n = 0;

	for (size_t i = 0; i < u->n_files; i++)
		v[n++] = (struct named_path){ u->files[i]->path, true };
	if (u->linker[0] == '/')
		v[n++] = (struct named_path){ u->linker, true };
	for (size_t i = 0; i < u->n_dirs; i++)
		v[n++] = (struct named_path){ u->dirs[i], false };
	v[n++] = (struct named_path){ u->cwd, false };
	v[n++] = (struct named_path){ u->sysroot, false };
	v[n++] = (struct named_path){ u->out_dir, false };
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		v[n++] = (struct named_path){ own[i], false };
	for (char *const *r = c->reserved; r && *r; r++)
		v[n++] = (struct named_path){ *r, false };
	return n;
}

/* How many directories the sorted paths need: of each those that the one before does not have. */
static size_t
count_dirs(const struct named_path *v, size_t n)
{
	size_t sum = 0;

	for (size_t i = 0; i < n; i++) {
		const char *p = v[i].path, *before = i > 0 ? v[i - 1].path : "";

		while (*p && *p == *before) {
			p++;
			before++;
		}
		/* What follows the common part; a file's own name is no directory. */
		if (i > 0 && *p == '/' && !*before)
			p++;
		for (; *p; p++)
			sum += *p == '/';
		sum += !v[i].file;
	}
	return sum;
}

/* No file may be where a directory is needed, or twice. */
static int
check_overlap(const struct check *c)
{
	_cleanup_(freep) struct named_path *v = NULL;
	size_t n = c->u->n_files + c->u->n_dirs + 16;

	for (char *const *r = c->reserved; r && *r; r++)
		n++;
	v = calloc(n, sizeof(*v));
	if (!v)
		return -ENOMEM;
	n = gather(c, v);
	qsort(v, n, sizeof(*v), compare_places);
	if (count_dirs(v, n) > UNIT_DIRS_MAX)
		return bad(c, "the unit's files are in more than %d directories", UNIT_DIRS_MAX);
	for (size_t i = 0; i + 1 < n; i++) {
		if (v[i].file && path_is_below(v[i + 1].path, v[i].path))
			return bad(c, "the file '%.200s' is also a directory, or there twice",
				v[i].path);
	}
	return 0;
}

uint32_t
unit_umask(const Dray__Unit *u)
{
	return u->umask > 0 && u->umask - 1 <= 077 ? u->umask : 0;
}

int
unit_check(const Dray__Unit *u, char *const *reserved, uint64_t max_bytes, char **ret_error)
{
	const struct check c = { u, reserved, ret_error };
	int r;

	*ret_error = NULL;
	r = check_driver(&c);
	if (r == 0)
		r = check_places(&c);
	if (r == 0)
		r = check_linker(&c);
	if (r == 0)
		r = check_args(&c);
	if (r == 0)
		r = check_blobs(&c, max_bytes);
	if (r == 0)
		r = check_files(&c);
	if (r == 0)
		r = check_overlap(&c);
	return r;
}
