/* Invariant: a directory has the name of an id only if it has exactly the files that the id is made
 * of, as they were hashed here, and it compiled something in a job's sandbox. Its programs never
 * run outside of one. */
#include "config.h"

#include "worker/push/assembly.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fs.h"
#include "common/log/log.h"
#include "common/text/why.h"
#include "store/disk.h"
#include "worker/push/manifest.h"

#define NEW_PREFIX ".new-"
#define GONE_PREFIX ".gone-"
#define TREE_DIR "tree"
#define VERSION_FILE "version"
#define NAMES_FILE "names"
#define NAMES_MAX 512
#define TOUCH_MS 60000

struct assembly {
	const Dray__Unit *unit;
	char *state_dir, *job;
	char *dir, *tree;
	bool kept;
};

int
assembly_begin(const char *state_dir, const char *job, const Dray__Unit *u, struct assembly **ret)
{
	_cleanup_(assembly_freep) struct assembly *a = calloc(1, sizeof(*a));
	_cleanup_(freep) char *all = path_join(state_dir, ASSEMBLY_DIR);
	int r;

	if (!a || !all)
		return -ENOMEM;
	a->unit = u;
	a->state_dir = strdup(state_dir);
	a->job = strdup(job);
	if (!a->state_dir || !a->job || asprintf(&a->dir, "%s/" NEW_PREFIX "%s", all, job) < 0)
		return -ENOMEM;
	a->tree = path_join(a->dir, TREE_DIR);
	r = a->tree ? fs_rm_rf(a->dir) : -ENOMEM;
	if (r == 0)
		r = fs_mkdir_p(all, 0755);
	if (r == 0)
		r = fs_mkdir_p(a->tree, 0755);
	if (r == 0)
		*ret = steal_ptr(a);
	return r;
}

void
assembly_free(struct assembly *a)
{
	if (!a)
		return;
	if (a->dir && !a->kept)
		(void)fs_rm_rf(a->dir);
	free(a->state_dir);
	free(a->job);
	free(a->dir);
	free(a->tree);
	free(a);
}

void
assembly_freep(struct assembly **a)
{
	assembly_free(*a);
	*a = NULL;
}

/* ---- its files */

static int
copy_to(const char *from, const char *to, bool runs)
{
	_cleanup_(closep) int in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), out = -1;
	int r = in < 0 ? -errno : fs_mkdir_parent(to, 0755);

	if (r < 0)
		return r;
	/* one that an earlier call left, which found the blob gone half-way */
	if (unlink(to) < 0 && errno != ENOENT)
		return -errno;
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (out < 0)
		return -errno;
	r = fs_copy_fd(in, out);
	return r == 0 && fchmod(out, runs ? 0555 : 0444) < 0 ? -errno : r;
}

int
assembly_place(struct assembly *a, struct store *store, uint32_t blob)
{
	const Dray__PushedToolchain *t = a->unit->push;
	_cleanup_(freep) char *held = path_join(a->dir, "blob");
	struct digest d;
	struct stat st;
	int r;

	if (!held)
		return -ENOMEM;
	memcpy(d.b, a->unit->blobs[blob]->digest.data, DIGEST_SIZE);
	(void)unlink(held);
	/* it is here while it is copied, whatever the store does */
	r = disk_link(store, &d, held);
	/* of one that was here already, the size was the client's word alone until now */
	if (r == 0 && lstat(held, &st) < 0)
		r = -errno;
	if (r == 0 && (uint64_t)st.st_size != a->unit->blobs[blob]->size)
		r = -EBADMSG;
	for (size_t i = 0; r == 0 && i < t->n_file; i++) {
		_cleanup_(freep) char *to = NULL;

		if (t->file[i]->blob != blob)
			continue;
		to = path_join(a->tree, t->file[i]->path);
		r = to ? copy_to(held, to, manifest_runs(t->file[i]->path)) : -ENOMEM;
	}
	(void)unlink(held);
	return r;
}

/* ---- the proof */

struct proof {
	const struct trial_conf *c;
	const char *tree, *job;
	const struct digest *id;
	const char *driver, *host, *target;
	const struct buf *version;
	struct offer *offer;
};

/* Nothing beside the files that the id is made of: a compiler might look at them. */
static int
check_files(const struct proof *p, const struct strv *all, char **ret_why)
{
	_cleanup_(strv_done) struct strv own = STRV_INIT;
	int r = toolchain_list_own_files(&p->offer->toolchain, p->target, &own);

	if (r < 0)
		return r;
	strv_sort_unique(&own);
	for (size_t i = 0; i < all->n; i++)
		if (!strv_has_sorted(&own, all->v[i]))
			return why_set(ret_why, -EBADMSG,
				"the toolchain has a file that is no part of it: %.200s",
				all->v[i]);
	return all->n == own.n ? 0 : why_set(ret_why, -EBADMSG, "the toolchain is not whole");
}

/* All that is there. Links and other things are not allowed. */
static int
walk(const char *top, const char *below, unsigned depth, struct strv *ret)
{
	_cleanup_(freep) char *path = *below ? path_join(top, below) : strdup(top);
	_cleanup_(strv_done) struct strv names = STRV_INIT;
	int r = path ? fs_list_dir(path, &names) : -ENOMEM;

	if (depth == 0)
		return -ELOOP;
	for (size_t i = 0; r == 0 && i < names.n; i++) {
		_cleanup_(freep) char *name = *below ? path_join(below, names.v[i])
						     : strdup(names.v[i]);
		_cleanup_(freep) char *full = name ? path_join(top, name) : NULL;
		struct stat st;

		if (!full)
			return -ENOMEM;
		if (lstat(full, &st) < 0)
			return -errno;
		if (S_ISDIR(st.st_mode))
			r = walk(top, name, depth - 1, ret);
		else
			r = S_ISREG(st.st_mode) && !(st.st_mode & (S_ISUID | S_ISGID))
				    ? strv_add(ret, name)
				    : -EBADMSG;
	}
	return r;
}

static int
identify(struct proof *p, char **ret_why)
{
	_cleanup_(strv_done) struct strv all = STRV_INIT;
	struct toolchain *t = &p->offer->toolchain;
	int r = walk(p->tree, "", 16, &all);

	if (r == 0)
		r = toolchain_identify_as(p->tree, p->driver, p->target, p->version, t);
	if (r == -ENOENT)
		return why_set(
			ret_why, -EBADMSG, "the toolchain has no compiler, or no std for it");
	if (r < 0)
		return r;
	if (t->outside)
		return why_set(ret_why, -EBADMSG,
			"the toolchain needs libraries of its own that are not in it");
	if (!streq(t->host, p->host) || !streq(t->target, p->target) || !digest_eq(&t->id, p->id))
		return why_set(ret_why, -EBADMSG, "the toolchain is another one than its id says");
	return check_files(p, &all, ret_why);
}

/* What it says of itself went into its id by its client's word until here. */
static int
try_it(const struct proof *p, char **ret_why)
{
	const struct trial t = { .c = p->c,
		.sysroot = p->offer->sysroot,
		.driver = p->driver,
		.job = p->job,
		.target = streq(p->target, p->host) ? NULL : p->target,
		.foreign = true };
	_cleanup_(buf_done) struct buf said = BUF_INIT;
	int r = trial_version(&t, &said, ret_why);

	if (r < 0)
		return r;
	if (said.n != p->version->n || memcmp(said.p, p->version->p, said.n) != 0)
		return why_set(ret_why, -EBADMSG,
			"the compiler says of itself something else than its client said");
	return trial_compile(&t, ret_why);
}

static int
prove(struct proof *p, char **ret_why)
{
	struct sysroot *sys;
	int r = offer_new(&p->offer);

	if (r == 0)
		r = identify(p, ret_why);
	if (r < 0)
		return r;
	sys = calloc(1, sizeof(*sys));
	if (!sys)
		return -ENOMEM;
	p->offer->sysroot = p->offer->own_sysroot = sys;
	r = sysroot_prepare_foreign(p->c->conf->worker.state_dir, p->tree, sys, ret_why);
	if (r == 0)
		r = try_it(p, ret_why);
	if (r == 0)
		r = offer_name(p->offer);
	if (r == 0)
		r = buf_add(&p->offer->version, p->version->p, p->version->n);
	p->offer->pushed = true;
	return r;
}

/* ---- as a whole */

static int
write_beside(const struct assembly *a, const char *name, const void *p, size_t n)
{
	_cleanup_(freep) char *path = path_join(a->dir, name);

	return path ? fs_write_atomic(path, p, n, 0600) : -ENOMEM;
}

static int
write_words(const struct assembly *a)
{
	const Dray__PushedToolchain *t = a->unit->push;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = buf_addf(&b, "%s\n%s\n%s\n", t->driver, t->host, t->target);

	if (r == 0)
		r = write_beside(a, NAMES_FILE, b.p, b.n);
	return r < 0 ? r : write_beside(a, VERSION_FILE, t->version.data, t->version.len);
}

/* Its bytes are on the disk before its name is: after a crash it is looked at by stat alone. */
static int
give_name(struct assembly *a, const char *to)
{
	_cleanup_(closep) int fd = open(a->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || syncfs(fd) < 0)
		return -errno;
	return rename(a->dir, to) < 0 ? -errno : 0;
}

int
assembly_finish(struct assembly *a, const struct trial_conf *c, struct offer **ret, char **ret_why)
{
	char hex[DIGEST_HEX_SIZE];
	_cleanup_(freep) char *to = NULL;
	struct digest id;
	int r;

	memcpy(id.b, a->unit->toolchain.data, DIGEST_SIZE);
	digest_hex(&id, hex);
	if (asprintf(&to, "%s/" ASSEMBLY_DIR "/%s", a->state_dir, hex) < 0) {
		to = NULL;
		return -ENOMEM;
	}
	r = write_words(a);
	/* the proof is of the files where they stay: a compiler's sysroot is its path */
	if (r == 0)
		r = fs_rm_rf(to);
	if (r == 0)
		r = give_name(a, to);
	if (r < 0)
		return r;
	a->kept = true;
	r = assembly_prove(c, to, &id, a->job, ret, ret_why);
	if (r < 0)
		(void)fs_rm_rf(to);
	return r;
}

static int
read_names(const char *dir, struct buf *b, char *v[3])
{
	_cleanup_(freep) char *path = path_join(dir, NAMES_FILE);
	int r = path ? fs_read_file(path, NAMES_MAX, b) : -ENOMEM;
	char *rest;

	if (r == 0)
		r = buf_add(b, "", 1);
	if (r < 0)
		return r;
	rest = (char *)b->p;
	for (size_t i = 0; i < 3; i++) {
		v[i] = strsep(&rest, "\n");
		if (!v[i] || !rest || !path_is_name(v[i]))
			return -EBADMSG;
	}
	return *rest ? -EBADMSG : 0;
}

/* What was prepared for it goes, too. */
static void
forget(struct offer *o)
{
	_cleanup_(freep) char *base = NULL;

	if (o && o->own_sysroot && o->own_sysroot->lib_root)
		base = sysroot_base(o->own_sysroot);
	if (base)
		(void)fs_rm_rf(base);
	offer_free(o);
}

int
assembly_prove(const struct trial_conf *c, const char *dir, const struct digest *id,
	const char *job, struct offer **ret, char **ret_why)
{
	_cleanup_(freep) char *tree = path_join(dir, TREE_DIR),
			      *path = path_join(dir, VERSION_FILE);
	_cleanup_(buf_done) struct buf version = BUF_INIT, names = BUF_INIT;
	char *v[3] = { NULL, NULL, NULL };
	struct proof p = { .c = c, .tree = tree, .job = job, .id = id, .version = &version };
	struct stat st;
	int r = tree && path ? read_names(dir, &names, v) : -ENOMEM;

	if (r == 0)
		r = fs_read_file(path, MANIFEST_VERSION_MAX, &version);
	if (r < 0)
		return r;
	p.driver = v[0];
	p.host = v[1];
	p.target = v[2];
	r = prove(&p, ret_why);
	if (r == 0 && stat(path, &st) == 0)
		p.offer->used_ms = (uint64_t)st.st_mtim.tv_sec * 1000;
	if (r == 0)
		*ret = p.offer;
	else
		forget(p.offer);
	return r;
}

void
assembly_used(struct offer *o)
{
	uint64_t now = clock_wall_ms();
	_cleanup_(freep) char *dir = NULL, *path = NULL;

	if (!o->pushed || now - o->used_ms < TOUCH_MS)
		return;
	o->used_ms = now;
	dir = path_dirname(o->toolchain.sysroot);
	path = dir ? path_join(dir, VERSION_FILE) : NULL;
	if (path)
		(void)utimensat(AT_FDCWD, path, NULL, 0);
}

static void *
remove_main(void *arg)
{
	_cleanup_(freep) char *dir = arg;

	(void)fs_rm_rf(dir);
	return NULL;
}

void
assembly_remove(const char *state_dir, struct offer *o)
{
	static unsigned count;
	_cleanup_(freep) char *dir = path_dirname(o->toolchain.sysroot), *gone = NULL,
			      *base = sysroot_base(o->own_sysroot), *base_gone = NULL;
	pthread_t thread;
	char hex[DIGEST_HEX_SIZE];

	digest_hex(&o->toolchain.id, hex);
	if (!dir || asprintf(&gone, "%s/" ASSEMBLY_DIR "/" GONE_PREFIX "%.16s-%u", state_dir, hex,
			    count++) < 0) {
		gone = NULL;
		return;
	}
	if (rename(dir, gone) < 0) {
		log_warn("%s: the toolchain cannot be removed: %s", dir, strerror(errno));
		return;
	}
	/* under its name there may be another one by the time that it is gone */
	base_gone = path_join(gone, "base");
	if (!base || !base_gone || rename(base, base_gone) < 0)
		log_warn("%s: cannot be removed", base ? base : dir);
	/* hundreds of megabytes: the loop does not wait for that */
	if (pthread_create(&thread, NULL, remove_main, gone) == 0) {
		pthread_detach(thread);
		gone = NULL;
	} else {
		(void)fs_rm_rf(gone);
	}
}
