/* Invariant: each part goes into a digest with its length, so no two results have one digest but
 * those that are the same. */
#include "config.h"

#include "cache/same.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define INPUTS_CONTEXT "dray same inputs 1"
#define MADE_CONTEXT "dray same made 1"
#define TEMPORARY "rustc"
#define TEMPORARY_N 11

static int
compare_buf(const struct buf *a, const struct buf *b)
{
	size_t n = MIN2(a->n, b->n);
	int r = n ? memcmp(a->p, b->p, n) : 0;

	return r ? r : (a->n > b->n) - (a->n < b->n);
}

static int
compare_inputs(const void *a, const void *b)
{
	const struct input *const *x = a, *const *y = b;
	int r = (int)(*x)->kind - (int)(*y)->kind;

	if (r == 0)
		r = strcmp((*x)->name, (*y)->name);
	return r ? r : compare_buf(&(*x)->value, &(*y)->value);
}

static bool
ends_name(char c)
{
	return c == '/' || c == '\0' || c == '\n';
}

/* rustc's directory for temporaries has another name in each run: "rustc", six letters. How long
 * that is at p, where a name begins; 0: it is none. */
static size_t
temporary_at(const char *p, size_t n)
{
	if (n < TEMPORARY_N || memcmp(p, TEMPORARY, strlen(TEMPORARY)) != 0 ||
		(n > TEMPORARY_N && !ends_name(p[TEMPORARY_N])))
		return 0;
	for (size_t i = strlen(TEMPORARY); i < TEMPORARY_N; i++)
		if (!isalnum((unsigned char)p[i]))
			return 0;
	return TEMPORARY_N;
}

static const char *
behind_temporary(const char *name)
{
	return name + temporary_at(name, strlen(name));
}

/* What a link is told, without that. */
static int
add_link_text(struct hasher *h, const void *text, size_t n)
{
	const char *p = text, *end = p + n;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	bool begins = true;
	int r = 0;

	while (r == 0 && p < end) {
		size_t skip = begins ? temporary_at(p, (size_t)(end - p)) : 0;

		begins = ends_name(*p);
		r = skip ? buf_adds(&b, TEMPORARY) : buf_add(&b, p, 1);
		p += skip ? skip : 1;
	}
	hasher_field(h, b.n ? (const void *)b.p : "", b.n);
	return r;
}

static int
compare_outputs(const void *a, const void *b)
{
	const struct output *const *x = a, *const *y = b;

	return strcmp(behind_temporary((*x)->name), behind_temporary((*y)->name));
}

static void
add_number(struct hasher *h, uint64_t n)
{
	uint8_t b[8];

	for (size_t i = 0; i < sizeof(b); i++)
		b[i] = (uint8_t)(n >> (56 - 8 * i));
	hasher_field(h, b, sizeof(b));
}

static void
add_buf(struct hasher *h, const struct buf *b)
{
	hasher_field(h, b->n ? (const void *)b->p : "", b->n);
}

static int
digest_inputs(const struct inputs *s, struct digest *ret)
{
	_cleanup_(hasher_freep) struct hasher *h = hasher_new();
	_cleanup_(freep) const struct input **v = calloc(s->n + 1, sizeof(*v));

	if (!h || !v)
		return -ENOMEM;
	for (size_t i = 0; i < s->n; i++)
		v[i] = &s->v[i];
	qsort(v, s->n, sizeof(*v), compare_inputs);
	hasher_field(h, INPUTS_CONTEXT, strlen(INPUTS_CONTEXT));
	for (size_t i = 0; i < s->n; i++) {
		add_number(h, v[i]->kind);
		hasher_field(h, v[i]->name, strlen(v[i]->name));
		add_buf(h, &v[i]->value);
	}
	hasher_final(h, ret);
	return 0;
}

static int
add_output(struct hasher *h, const struct output *o)
{
	struct digest d = o->digest;
	int r = o->is_blob ? 0
			   : digest_bytes(o->text.n ? (const void *)o->text.p : "", o->text.n, &d);

	if (r == 0)
		r = add_link_text(h, o->name, strlen(o->name));
	add_number(h, o->kind);
	add_number(h, o->mode);
	add_number(h, (uint64_t)o->mtime);
	add_number(h, o->size);
	hasher_field(h, d.b, DIGEST_SIZE);
	return r;
}

static int
add_outputs(struct hasher *h, const struct output *all, size_t n)
{
	_cleanup_(freep) const struct output **v = calloc(n + 1, sizeof(*v));
	int r = v ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < n; i++)
		v[i] = &all[i];
	if (r == 0)
		qsort(v, n, sizeof(*v), compare_outputs);
	add_number(h, n);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = add_output(h, v[i]);
	return r;
}

static int
digest_made(const struct result *r, struct digest *ret)
{
	_cleanup_(hasher_freep) struct hasher *h = hasher_new();
	int err = h ? 0 : -ENOMEM;

	if (err < 0)
		return err;
	hasher_field(h, MADE_CONTEXT, strlen(MADE_CONTEXT));
	err = add_outputs(h, r->outputs, r->n_outputs);
	if (err == 0)
		err = add_outputs(h, r->temporaries, r->n_temporaries);
	add_number(h, r->n_links);
	for (size_t i = 0; err == 0 && i < r->n_links; i++)
		err = add_link_text(h, r->links[i].p, r->links[i].n);
	add_buf(h, &r->tail);
	add_buf(h, &r->out);
	add_buf(h, &r->err);
	add_number(h, r->status);
	add_number(h, r->run);
	hasher_final(h, ret);
	return err;
}

int
same_of(const struct result *r, struct same *ret)
{
	int err = digest_inputs(&r->inputs, &ret->inputs);

	return err < 0 ? err : digest_made(r, &ret->made);
}

bool
same_eq(const struct same *a, const struct same *b)
{
	return digest_eq(&a->inputs, &b->inputs) && digest_eq(&a->made, &b->made);
}

static const char *
value_of(const struct strv *recipe, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < recipe->n; i++)
		if (starts_with(recipe->v[i], name) && recipe->v[i][n] == '=')
			return recipe->v[i] + n + 1;
	return "";
}

int
same_unit_of(const struct strv *recipe, struct same_unit *ret)
{
	memset(ret, 0, sizeof(*ret));
	snprintf(ret->crate, sizeof(ret->crate), "%s", value_of(recipe, "--crate-name"));
	snprintf(ret->source, sizeof(ret->source), "%s", value_of(recipe, "source"));
	return digest_parse(value_of(recipe, "toolchain"), &ret->toolchain) < 0 ? -ENOENT : 0;
}
