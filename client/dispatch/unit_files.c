/* A unit's files: where the job sees each, and the digest of its content. Invariant: paths and
 * blobs are unique; a blob's local path had the content of its digest when it was read (the worker
 * checks again). */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "client/dispatch/unit_priv.h"
#include "common/fs.h"
#include "common/text/why.h"

/* An open-addressed table, by the first bytes of the digest, which are as good as random. */
struct blob_table {
	uint32_t *slot; /* index + 1 */
	size_t cap;
};

struct filler {
	struct unit *u;
	struct memo *memo;
	struct blob_table table;
	size_t n_files, n_blobs;
};

static int
table_make(struct blob_table *t, size_t n)
{
	t->cap = 64;
	while (t->cap < 2 * n)
		t->cap *= 2;
	t->slot = calloc(t->cap, sizeof(*t->slot));
	return t->slot ? 0 : -ENOMEM;
}

static uint32_t *
table_find(const struct filler *f, const struct digest *d)
{
	uint64_t h;
	size_t i;

	memcpy(&h, d->b, sizeof(h));
	i = h & (f->table.cap - 1);
	while (f->table.slot[i] && !digest_eq(&f->u->digests[f->table.slot[i] - 1], d))
		i = (i + 1) & (f->table.cap - 1);
	return &f->table.slot[i];
}

static int
blob_index(struct filler *f, const struct digest *d, const char *path, uint64_t size, uint32_t *ret)
{
	struct unit *u = f->u;
	uint32_t *slot = table_find(f, d);
	int r;

	if (!*slot) {
		r = strv_add(&u->blob_paths, path);
		if (r < 0)
			return r;
		u->digests[f->n_blobs] = *d;
		dray__blob__init(&u->blobs[f->n_blobs]);
		u->blobs[f->n_blobs].digest.data = u->digests[f->n_blobs].b;
		u->blobs[f->n_blobs].digest.len = DIGEST_SIZE;
		u->blobs[f->n_blobs].size = size;
		u->blobs_p[f->n_blobs] = &u->blobs[f->n_blobs];
		*slot = (uint32_t)++f->n_blobs;
	}
	*ret = *slot - 1;
	return 0;
}

/* -ENOENT, -EACCES and the like: the file cannot be read now. */
static int
add_file(struct filler *f, const char *path, bool aliased)
{
	struct unit *u = f->u;
	struct digest d;
	struct stat st;
	uint32_t blob;
	char *name;
	int r = memo_digest_file(f->memo, path, &d, &st);

	if (r < 0)
		return r;
	r = blob_index(f, &d, path, (uint64_t)st.st_size, &blob);
	if (r < 0)
		return r;
	name = aliased ? unit_job_path(u->out_dir, path) : strdup(path);
	r = strv_take(&u->names, name);
	if (r < 0)
		return r;
	dray__unit_file__init(&u->files[f->n_files]);
	u->files[f->n_files].path = u->names.v[f->n_files];
	u->files[f->n_files].blob = blob;
	/* Only cargo looks at an artifact's times. */
	if (!aliased && files_times(path, &u->times[f->n_files]))
		u->files[f->n_files].times = &u->times[f->n_files];
	u->files_p[f->n_files] = &u->files[f->n_files];
	f->n_files++;
	return 0;
}

static int
add_sources(struct filler *f, const struct unit_paths *p, char **ret_home)
{
	const struct unit *u = f->u;

	for (size_t i = 0; i < p->sources->n; i++) {
		const char *path = p->sources->v[i];
		int r;

		/* The job's out-dir begins empty, as far as this unit is concerned. Artifacts have
		 * a list of their own, and dray-ld stands in the linker's place. */
		if (path_is_below(path, u->out_dir) || strv_has_sorted(p->artifacts, path) ||
			(u->linker && streq(path, u->linker)))
			continue;
		r = add_file(f, path, false);
		if (r == -ENOMEM)
			return r;
		if (r < 0 && streq(path, u->source))
			return why_set(
				ret_home, -ENOTSUP, "the source cannot be read: %s", strerror(-r));
		if (r < 0) {
			r = strv_add(p->withheld, path);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

static int
add_artifacts(struct filler *f, const struct unit_paths *p, char **ret_home)
{
	for (size_t i = 0; i < p->artifacts->n; i++) {
		const char *path = p->artifacts->v[i];
		int r = add_file(f, path, true);

		if (r == -ENOMEM)
			return r;
		if (r < 0 && strv_has_sorted(p->required, path))
			return why_set(ret_home, -ENOTSUP, "an extern cannot be read: %s: %s",
				path_basename(path), strerror(-r));
	}
	return 0;
}

int
unit_fill_files(struct unit *u, struct memo *memo, const struct unit_paths *paths, char **ret_home)
{
	struct filler f = { .u = u, .memo = memo };
	size_t n = paths->sources->n + paths->artifacts->n;
	int r;

	u->files = calloc(n + 1, sizeof(*u->files));
	u->files_p = calloc(n + 1, sizeof(*u->files_p));
	u->times = calloc(n + 1, sizeof(*u->times));
	u->digests = calloc(n + 1, sizeof(*u->digests));
	u->blobs = calloc(n + 1, sizeof(*u->blobs));
	u->blobs_p = calloc(n + 1, sizeof(*u->blobs_p));
	if (!u->files || !u->files_p || !u->times || !u->digests || !u->blobs || !u->blobs_p)
		return -ENOMEM;
	r = table_make(&f.table, n);
	if (r == 0)
		r = add_sources(&f, paths, ret_home);
	if (r == 0)
		r = add_artifacts(&f, paths, ret_home);
	free(f.table.slot);
	u->msg.files = u->files_p;
	u->msg.n_files = f.n_files;
	u->msg.blobs = u->blobs_p;
	u->msg.n_blobs = f.n_blobs;
	return r;
}
