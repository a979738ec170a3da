/* Lays out a job. Invariant: everything it makes is below the job's own directory: the tree holds
 * no symlink while it is built, and unit_check has seen every path. Nothing of a blob is copied. */
#include "config.h"

#include "worker/sandbox/stage.h"
#include "store/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "common/fs.h"
#include "proto/alias.h"
#include "worker/sandbox/unit_check.h"

#define TMP_NAMES_MAX 512 /* each is a mount */
#define REMOVE_TRIES 50

static bool
is_stopped(const struct stage *s)
{
	return s->is_stopped && s->is_stopped(s->arg);
}

/* The path on the host of a path in the job. */
static int
inside(const struct stage *s, const char *path, char out[PATH_MAX])
{
	int n = snprintf(out, PATH_MAX, "%s%s", s->root, streq(path, "/") ? "" : path);

	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

/* Also those above it, up to the tree's own. */
static int
make_host_dir(const struct stage *s, char *host)
{
	int r = spare_make(s->spare, host);
	char *slash;

	if (r != -ENOENT)
		return r;
	slash = strrchr(host + strlen(s->root), '/');
	if (!slash)
		return r;
	*slash = '\0';
	r = make_host_dir(s, host);
	*slash = '/';
	return r < 0 ? r : spare_make(s->spare, host);
}

static int
make_dir(const struct stage *s, const char *path)
{
	char host[PATH_MAX];
	int r = inside(s, path, host);

	return r < 0 ? r : make_host_dir(s, host);
}

static int
compare_paths(const void *a, const void *b)
{
	return unit_path_cmp(*(const char *const *)a, *(const char *const *)b);
}

/* The directories of all files, sorted, so that each is made once and in order. */
static int
make_file_dirs(const struct stage *s)
{
	const Dray__Unit *u = s->unit;
	_cleanup_(freep) const char **paths = NULL;
	const char *last = "";
	size_t last_n = 0;
	char dir[PATH_MAX];

	paths = calloc(u->n_files + 1, sizeof(*paths));
	if (!paths)
		return -ENOMEM;
	for (size_t i = 0; i < u->n_files; i++)
		paths[i] = u->files[i]->path;
	qsort(paths, u->n_files, sizeof(*paths), compare_paths);
	for (size_t i = 0; i < u->n_files; i++) {
		size_t n = (size_t)(strrchr(paths[i], '/') - paths[i]);
		int r;

		if (n == 0 || (n == last_n && memcmp(paths[i], last, n) == 0))
			continue;
		memcpy(dir, paths[i], n);
		dir[n] = '\0';
		r = is_stopped(s) ? -ECANCELED : make_dir(s, dir);
		if (r < 0)
			return r;
		last = paths[i];
		last_n = n;
	}
	return 0;
}

/* Those that every job of the toolchain has. */
static int
make_own_dirs(const struct stage *s, char *const *lib_dirs)
{
	/* the alias, which stands for the out-dir, is there even if it holds no artifact */
	static const char *const own[] = { "/proc", "/dev", "/tmp", JOB_ALIAS, SANDBOX_BIN };
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(own) && r == 0; i++)
		r = make_dir(s, own[i]);
	for (char *const *d = lib_dirs; d && *d && r == 0; d++) {
		/* Below the sysroot the toolchain's own directory must have it. */
		if (!path_is_below(*d, s->unit->sysroot))
			r = make_dir(s, *d);
	}
	return r == 0 ? make_dir(s, s->unit->sysroot) : r;
}

static int
make_unit_dirs(const struct stage *s)
{
	const Dray__Unit *u = s->unit;
	int r = make_dir(s, u->out_dir);

	if (r == 0)
		r = make_dir(s, u->cwd);
	for (size_t i = 0; i < u->n_dirs && r == 0; i++)
		r = is_stopped(s) ? -ECANCELED : make_dir(s, u->dirs[i]);
	return r == 0 ? make_file_dirs(s) : r;
}

static int
link_tool(const char *tools, const char *tool, const char *to)
{
	_cleanup_(freep) char *from = path_join(tools, tool);

	if (!from)
		return -ENOMEM;
	return link(from, to) < 0 ? -errno : 0;
}

static int
make_tools(const struct stage *s)
{
	static const char *const tools[] = { "dray-exec", "dray-env.so" };
	char to[PATH_MAX];
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(tools); i++) {
		if (snprintf(to, sizeof(to), "%s/%s", s->bin, tools[i]) >= (int)sizeof(to))
			return -ENAMETOOLONG;
		r = link_tool(s->tools, tools[i], to);
	}
	return r;
}

static int
make_linker(const struct stage *s)
{
	const char *linker = s->unit->linker;
	char to[PATH_MAX];
	int r = 0;

	if (!*linker)
		return 0;
	if (linker[0] == '/') {
		r = inside(s, linker, to);
		if (r == 0)
			r = fs_mkdir_parent(to, 0755);
	} else if (snprintf(to, sizeof(to), "%s/%s", s->bin, linker) >= (int)sizeof(to)) {
		r = -ENAMETOOLONG;
	}
	return r < 0 ? r : link_tool(s->tools, "dray-ld", to);
}

struct order {
	uint32_t blob, file;
};

static int
compare_order(const void *a, const void *b)
{
	const struct order *x = a, *y = b;

	return x->blob < y->blob ? -1 : x->blob > y->blob;
}

static int
order_by_blob(struct stage *s)
{
	const Dray__Unit *u = s->unit;
	_cleanup_(freep) struct order *v = calloc(u->n_files + 1, sizeof(*v));

	s->by_blob = calloc(u->n_files + 1, sizeof(*s->by_blob));
	if (!v || !s->by_blob)
		return -ENOMEM;
	for (size_t i = 0; i < u->n_files; i++)
		v[i] = (struct order){ u->files[i]->blob, (uint32_t)i };
	qsort(v, u->n_files, sizeof(*v), compare_order);
	for (size_t i = 0; i < u->n_files; i++)
		s->by_blob[i] = v[i].file;
	return 0;
}

/* The first component below /tmp of a path, if it is there. */
static int
add_tmp_name(struct strv *names, const char *path)
{
	size_t n;

	if (!starts_with(path, "/tmp/"))
		return 0;
	path += strlen("/tmp/");
	n = strcspn(path, "/");
	for (size_t i = names->n; i > 0; i--) { /* mostly the one before */
		if (strlen(names->v[i - 1]) == n && memcmp(names->v[i - 1], path, n) == 0)
			return 0;
	}
	return names->n >= TMP_NAMES_MAX ? -E2BIG : strv_addn(names, path, n);
}

static int
gather_tmp(struct stage *s)
{
	const Dray__Unit *u = s->unit;
	int r = add_tmp_name(&s->tmp, u->sysroot);

	if (r == 0)
		r = add_tmp_name(&s->tmp, u->out_dir);
	if (r == 0)
		r = add_tmp_name(&s->tmp, u->cwd);
	if (r == 0)
		r = add_tmp_name(&s->tmp, u->linker);
	for (size_t i = 0; i < u->n_dirs && r == 0; i++)
		r = add_tmp_name(&s->tmp, u->dirs[i]);
	for (size_t i = 0; i < u->n_files && r == 0; i++)
		r = add_tmp_name(&s->tmp, u->files[i]->path);
	return r;
}

static int
set_paths(struct stage *s, const char *jobs, const char *job)
{
	s->dir = path_join(jobs, job);
	s->root = s->dir ? path_join(s->dir, "root") : NULL;
	s->out = s->dir ? path_join(s->dir, "out") : NULL;
	s->bin = s->dir ? path_join(s->dir, "bin") : NULL;
	return s->root && s->out && s->bin ? 0 : -ENOMEM;
}

static int
make_empty(const struct stage_spec *spec, struct stage *s)
{
	int r;

	r = set_paths(s, spec->jobs, spec->job);
	if (r == 0)
		r = fs_rm_rf(s->dir);
	/* the out-dir is the job's, so it is none that another one had */
	if (r == 0 && (mkdir(s->dir, 0700) < 0 || mkdir(s->out, 0755) < 0))
		r = -errno;
	if (r == 0)
		r = spare_make(s->spare, s->root);
	if (r == 0)
		r = spare_make(s->spare, s->bin);
	/* s->dir keeps out all others */
	if (r == 0 && job_users_are(spec->users) && chmod(s->out, 0777) < 0)
		r = -errno;
	if (r == 0)
		r = make_own_dirs(s, spec->lib_dirs);
	return r == 0 ? make_tools(s) : r;
}

int
stage_fill(struct stage *s, const Dray__Unit *unit)
{
	int r;

	s->unit = unit;
	/* of the unit before, where one was filled in for what all have */
	free(steal_ptr(s->by_blob));
	strv_done(&s->tmp);
	r = gather_tmp(s);
	if (r == 0)
		r = order_by_blob(s);
	if (r == 0)
		r = make_unit_dirs(s);
	return r == 0 ? make_linker(s) : r;
}

static void
free_paths(struct stage *s)
{
	free(s->dir);
	free(s->root);
	free(s->out);
	free(s->bin);
}

int
stage_rename(struct stage *s, const char *jobs, const char *job)
{
	struct stage to = { 0 };
	int r = set_paths(&to, jobs, job);

	if (r == 0 && rename(s->dir, to.dir) < 0)
		r = -errno;
	if (r < 0) {
		free_paths(&to);
		return r;
	}
	free_paths(s);
	s->dir = to.dir;
	s->root = to.root;
	s->out = to.out;
	s->bin = to.bin;
	return 0;
}

int
stage_begin(const struct stage_spec *spec, struct stage *ret)
{
	struct stage s = { .unit = spec->unit,
		.users = spec->users,
		.tools = spec->tools,
		.spare = spec->spare,
		.is_stopped = spec->is_stopped,
		.arg = spec->arg };
	int r = make_empty(spec, &s);

	if (r < 0) {
		stage_done(&s);
		return r;
	}
	*ret = s;
	return 0;
}

int
stage_new(const struct stage_spec *spec, struct stage *ret)
{
	struct stage s = { 0 };
	int r = stage_begin(spec, &s);

	if (r == 0)
		r = stage_fill(&s, spec->unit);
	if (r < 0) {
		stage_done(&s);
		return r;
	}
	*ret = s;
	return 0;
}

/* The first of the blob's files in by_blob. */
static size_t
find_first(const struct stage *s, uint32_t blob)
{
	size_t lo = 0, hi = s->unit->n_files;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->unit->files[s->by_blob[mid]]->blob < blob)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* The file system takes no more links to the blob: this file has none. */
static bool
is_copy(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && st.st_nlink == 1;
}

int
stage_link_blob(struct stage *s, struct store *store, uint32_t blob)
{
	const Dray__Unit *u = s->unit;
	struct digest d;
	char host[PATH_MAX], copy[PATH_MAX] = "";

	memcpy(d.b, u->blobs[blob]->digest.data, DIGEST_SIZE);
	for (size_t i = find_first(s, blob); i < u->n_files; i++) {
		const Dray__UnitFile *f = u->files[s->by_blob[i]];
		int r;

		if (f->blob != blob)
			break;
		r = is_stopped(s) ? -ECANCELED : inside(s, f->path, host);
		if (r == 0 && *copy && link(copy, host) == 0)
			continue;
		if (r == 0)
			r = disk_link(store, &d, host);
		if (r == 0 && is_copy(host))
			memcpy(copy, host, sizeof(copy));
		if (r == -EEXIST) /* left by an earlier call, which found the blob gone half-way */
			r = 0;
		if (r < 0)
			return r;
	}
	return 0;
}

static int
add_mount(struct strv *keep, struct sandbox_mount *v, size_t *n, bool writable,
	const char *from_dir, const char *from_name, const char *to)
{
	int r = strv_addf(keep, "%s%s", from_dir, from_name);

	if (r == 0)
		r = strv_add(keep, to);
	if (r < 0)
		return r;
	v[(*n)++] = (struct sandbox_mount){ keep->v[keep->n - 2], keep->v[keep->n - 1], writable };
	return 0;
}

int
stage_mounts(const struct stage *s, const char *sysroot_from, const char *lib_root,
	char *const *lib_dirs, struct strv *keep, struct sandbox_mount **ret, size_t *ret_n)
{
	_cleanup_(freep) struct sandbox_mount *v = NULL;
	size_t n = s->tmp.n + 2, at = 0;
	int r = 0;

	for (char *const *d = lib_dirs; d && *d; d++)
		n++;
	v = calloc(n, sizeof(*v));
	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < s->tmp.n && r == 0; i++) {
		char path[NAME_MAX + 8];

		/* A component that is too long was refused when its directory was made. */
		snprintf(path, sizeof(path), "/tmp/%s", s->tmp.v[i]);
		r = add_mount(keep, v, &at, false, s->root, path, path);
	}
	if (r == 0)
		r = add_mount(keep, v, &at, false, sysroot_from, "", s->unit->sysroot);
	for (char *const *d = lib_dirs; d && *d && r == 0; d++)
		r = add_mount(keep, v, &at, false, lib_root, *d, *d);
	if (r == 0)
		r = add_mount(keep, v, &at, true, s->out, "", s->unit->out_dir);
	if (r < 0)
		return r;
	*ret = steal_ptr(v);
	*ret_n = at;
	return 0;
}

/* What a job made deep in its out-dir is the job's. */
static int
remove_tree(const char *dir, struct job_users *users)
{
	int r = fs_rm_rf(dir);

	return r < 0 && users ? job_users_remove(users, dir) : r;
}

/* What the job has seen read-only. What is left of it goes with all else. */
static void
take_back(const struct stage *s)
{
	if (!s->spare || !s->dir)
		return;
	(void)spare_take_back(s->spare, s->root);
	(void)spare_take_back(s->spare, s->bin);
}

void
stage_done(struct stage *s)
{
	take_back(s);
	for (unsigned i = 0; s->dir && i < REMOVE_TRIES; i++) {
		/* A process that was killed a moment ago may still have made a file. */
		if (remove_tree(s->dir, s->users) == 0)
			break;
		nanosleep(&(struct timespec){ .tv_nsec = 10 * 1000 * 1000 }, NULL);
	}
	free_paths(s);
	free(s->by_blob);
	strv_done(&s->tmp);
	*s = (struct stage){ 0 };
}

int
stage_clean(const char *jobs, struct job_users *users)
{
	int r = remove_tree(jobs, users);

	return r < 0 ? r : fs_mkdir_p(jobs, 0700);
}
