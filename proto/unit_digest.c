/* Invariant: each field of a unit is in the digest or is named in the header; lists have their
 * length before them, so that no field runs into the next one. */
#include "config.h"

#include "proto/unit_digest.h"

#include <errno.h>
#include <stdlib.h>

#define CONTEXT "dray unit 1"
#define CONTEXT_ALIKE "dray alike 1"

static void
add_text(struct hasher *h, const char *s)
{
	hasher_field(h, s, strlen(s));
}

static void
add_number(struct hasher *h, uint64_t n)
{
	hasher_field(h, &n, sizeof(n));
}

static void
add_list(struct hasher *h, char *const *v, size_t n)
{
	add_number(h, n);
	for (size_t i = 0; i < n; i++)
		add_text(h, v[i]);
}

static void
add_env(struct hasher *h, const Dray__Unit *u)
{
	add_number(h, u->n_env);
	for (size_t i = 0; i < u->n_env; i++) {
		add_text(h, u->env[i]->name);
		hasher_field(h, u->env[i]->value.data, u->env[i]->value.len);
	}
}

static int
compare(const void *a, const void *b)
{
	const Dray__UnitFile *const *x = a, *const *y = b;

	return strcmp((*x)->path, (*y)->path);
}

/* A link is what it leads to, and the job ends if it asks which it is. */
static int
add_file(struct hasher *h, const Dray__Unit *u, const Dray__UnitFile *f)
{
	const Dray__Blob *b = f->blob < u->n_blobs ? u->blobs[f->blob] : NULL;

	if (!b || b->digest.len != DIGEST_SIZE)
		return -EINVAL;
	add_text(h, f->path);
	hasher_field(h, b->digest.data, b->digest.len);
	add_number(h, b->size);
	add_number(
		h, f->times ? 1u + (f->times->link ? 2u : 0u) + (f->times->behind ? 4u : 0u) : 0u);
	return 0;
}

static int
add_files(struct hasher *h, const Dray__Unit *u)
{
	const Dray__UnitFile **v = calloc(u->n_files + 1, sizeof(const Dray__UnitFile *));
	int r = 0;

	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < u->n_files; i++)
		v[i] = u->files[i];
	qsort(v, u->n_files, sizeof(*v), compare);
	add_number(h, u->n_files);
	for (size_t i = 0; r == 0 && i < u->n_files; i++)
		r = add_file(h, u, v[i]);
	free(v);
	return r;
}

int
unit_digest(const Dray__Unit *u, struct digest *ret)
{
	_cleanup_(hasher_freep) struct hasher *h = hasher_new();
	int r;

	/* it is no compile, and like nothing */
	if (u->push)
		return -EINVAL;
	if (!h)
		return -ENOMEM;
	add_text(h, CONTEXT);
	hasher_field(h, u->toolchain.data, u->toolchain.len);
	add_text(h, u->sysroot);
	add_text(h, u->driver);
	add_list(h, u->argv, u->n_argv);
	add_text(h, u->cwd);
	add_text(h, u->out_dir);
	add_env(h, u);
	r = add_files(h, u);
	add_list(h, u->dirs, u->n_dirs);
	add_text(h, u->linker);
	add_text(h, u->crate);
	add_list(h, u->walked, u->n_walked);
	add_list(h, u->withheld, u->n_withheld);
	add_list(h, u->links, u->n_links);
	add_number(h, u->umask);
	if (r == 0)
		hasher_final(h, ret);
	return r;
}

static int
compare_digests(const void *a, const void *b)
{
	return memcmp(a, b, DIGEST_SIZE);
}

int
unit_alike(const Dray__Unit *u, const struct digest *called, struct digest *ret)
{
	_cleanup_(freep) struct digest *v = calloc(u->n_blobs + 1, sizeof(*v));
	_cleanup_(hasher_freep) struct hasher *h = hasher_new();

	if (!v || !h)
		return -ENOMEM;
	for (size_t i = 0; i < u->n_blobs; i++) {
		if (u->blobs[i]->digest.len != DIGEST_SIZE)
			return -EINVAL;
		memcpy(v[i].b, u->blobs[i]->digest.data, DIGEST_SIZE);
	}
	qsort(v, u->n_blobs, sizeof(*v), compare_digests);
	add_text(h, CONTEXT_ALIKE);
	hasher_field(h, called->b, DIGEST_SIZE);
	add_number(h, u->n_blobs);
	for (size_t i = 0; i < u->n_blobs; i++)
		hasher_field(h, v[i].b, DIGEST_SIZE);
	hasher_final(h, ret);
	return 0;
}
