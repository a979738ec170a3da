/* Compares what is shared with what a client has kept of the same units: entries SHARED-DIR
 * CACHE-DIR NAMESPACE. SHARED-DIR has entries of a store, a file each. Of each result it prints a
 * line: "same KEY KIND SIGN-KEY CRATE" if it has the inputs, outputs and texts of one that the
 * client has; "differs KEY WHAT"; or "lacks KEY CRATE" if the client has no such entry. Exit 0; 1:
 * a file is no entry, or a result is not what its seal says. */
#include "config.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/entry.h"
#include "cache/shared.h"
#include "proto/shared.pb-c.h"
#include "common/fs.h"
#include "store/depot.h"

static struct depot *depot;
static const char *namespace;
static int failed;

static const char *const kinds[] = { "none", "file", "absent", "exists", "listing", "env",
	"program", "out-dir", "width", "link", "metadata", "form", "library", "environ", "stat",
	"lstat", "variables", "git-index", "real", "extended", "umask", "runs", "not-above",
	"not-from" };

static void
say_input(const char *how, const struct input *in)
{
	const char *name = in->name;

	printf(" %s %s ", how, (size_t)in->kind < ARRAY_LEN(kinds) ? kinds[in->kind] : "?");
	for (; *name; name++)
		if (*name < ' ')
			printf("<%d>", *name);
		else
			putchar(*name);
	putchar('=');
	for (size_t i = 0; i < in->value.n && i < 8; i++)
		printf("%02x", in->value.p[i]);
}

static bool
has_input(const struct inputs *s, const struct input *in)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].kind == in->kind && streq(s->v[i].name, in->name) &&
			s->v[i].value.n == in->value.n &&
			(in->value.n == 0 ||
				memcmp(s->v[i].value.p, in->value.p, in->value.n) == 0))
			return true;
	return false;
}

static bool
same_buf(const struct buf *a, const struct buf *b)
{
	return a->n == b->n && (a->n == 0 || memcmp(a->p, b->p, a->n) == 0);
}

static bool
same_outputs(const struct output *a, size_t n_a, const struct output *b, size_t n_b)
{
	if (n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++)
		if (!streq(a[i].name, b[i].name) || a[i].mode != b[i].mode ||
			a[i].size != b[i].size || a[i].is_blob != b[i].is_blob ||
			(a[i].is_blob && !digest_eq(&a[i].digest, &b[i].digest)) ||
			(!a[i].is_blob && !same_buf(&a[i].text, &b[i].text)))
			return false;
	return true;
}

static bool
same(const struct result *a, const struct result *b)
{
	if (!inputs_equal(&a->inputs, &b->inputs) || a->n_links != b->n_links ||
		!same_buf(&a->out, &b->out) || !same_buf(&a->err, &b->err) ||
		!same_buf(&a->tail, &b->tail))
		return false;
	for (size_t i = 0; i < a->n_links; i++)
		if (!same_buf(&a->links[i], &b->links[i]))
			return false;
	return same_outputs(a->outputs, a->n_outputs, b->outputs, b->n_outputs) &&
	       same_outputs(a->temporaries, a->n_temporaries, b->temporaries, b->n_temporaries);
}

static void
say_difference(const char *hex, const struct result *shared, const struct result *own)
{
	printf("differs %s", hex);
	for (size_t i = 0; i < shared->inputs.n; i++)
		if (!has_input(&own->inputs, &shared->inputs.v[i]))
			say_input("shared", &shared->inputs.v[i]);
	for (size_t i = 0; i < own->inputs.n; i++)
		if (!has_input(&shared->inputs, &own->inputs.v[i]))
			say_input("own", &own->inputs.v[i]);
	if (!same_buf(&shared->err, &own->err))
		printf(" stderr");
	if (!same_outputs(shared->outputs, shared->n_outputs, own->outputs, own->n_outputs))
		printf(" outputs");
	if (!same_outputs(shared->temporaries, shared->n_temporaries, own->temporaries,
		    own->n_temporaries))
		printf(" temporaries");
	printf("\n");
}

static const char *
crate_of(const struct strv *recipe)
{
	for (size_t i = 0; i < recipe->n; i++)
		if (starts_with(recipe->v[i], "--crate-name="))
			return recipe->v[i] + strlen("--crate-name=");
	return "-";
}

static int
compare(const char *hex, const struct shared_entry *e, size_t i, const struct entry *own)
{
	_cleanup_(result_done) struct result shared = RESULT_INIT;
	_cleanup_(freep) char *why = NULL;
	struct trust trust = { .level = TRUST_PUBLISHERS };
	struct trust_key key = { .kind = TRUST_WORKER };
	Dray__SharedResult *m = dray__shared_result__unpack(NULL, e->sealed[i].n, e->sealed[i].p);
	struct shared_reader reader = { &trust, namespace };
	struct shared_seal seal;
	bool found = false;
	char text[2 * SIGN_KEY_SIZE + 1];
	int r;

	if (!m || m->producer.len != SIGN_KEY_SIZE)
		return -EBADMSG;
	/* anybody who says so is believed: the seal alone is looked at */
	memcpy(key.key, m->producer.data, SIGN_KEY_SIZE);
	key.kind = (enum trust_kind)m->kind;
	trust.keys.v = &key;
	trust.keys.n = 1;
	dray__shared_result__free_unpacked(m, NULL);
	r = shared_open(e, i, &reader, &shared, &seal, &why);
	if (r < 0) {
		fprintf(stderr, "entries: %s: %s\n", hex, why ? why : strerror(-r));
		return r;
	}
	for (size_t k = 0; !found && k < own->n_results; k++) {
		_cleanup_(result_done) struct result res = RESULT_INIT;

		if (entry_result(own, k, &res) < 0)
			continue;
		found = same(&shared, &res);
		if (!found && k + 1 == own->n_results)
			say_difference(hex, &shared, &res);
	}
	for (size_t k = 0; k < SIGN_KEY_SIZE; k++)
		snprintf(text + 2 * k, 3, "%02x", seal.producer[k]);
	if (found)
		printf("same %s %s %s %s\n", hex, trust_kind_name(seal.kind), text,
			crate_of(&e->recipe));
	else if (own->n_results == 0)
		printf("lacks %s %s\n", hex, crate_of(&e->recipe));
	return 0;
}

static int
look_at(const char *path, const struct digest *key, const char *hex)
{
	_cleanup_(shared_entry_done) struct shared_entry e = SHARED_ENTRY_INIT;
	_cleanup_(entry_done) struct entry own = ENTRY_INIT;
	_cleanup_(buf_done) struct buf b = BUF_INIT, o = BUF_INIT;
	int r = fs_read_file(path, SHARED_MAX, &b);

	if (r == 0)
		r = shared_entry_decode(b.p, b.n, key, &e);
	if (r == 0 && depot_read_entry(depot, key, &o) == 0)
		r = entry_decode(o.p, o.n, key, &own);
	for (size_t i = 0; r == 0 && i < e.n; i++)
		r = compare(hex, &e, i, &own);
	if (r < 0)
		fprintf(stderr, "entries: %s: %s\n", path, strerror(-r));
	return r;
}

static int
visit(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	const char *name = path_basename(path), *above = path;
	char hex[DIGEST_HEX_SIZE];
	struct digest key;

	(void)st;
	(void)at;
	if (kind != FTW_F)
		return 0;
	/* the first digits may be a directory's */
	if (strlen(name) == DIGEST_HEX_SIZE - 3 && name - path > 3) {
		above = name - 3;
		snprintf(hex, sizeof(hex), "%.2s%s", above, name);
	} else {
		snprintf(hex, sizeof(hex), "%s", name);
	}
	if (digest_parse(hex, &key) == 0 && look_at(path, &key, hex) < 0)
		failed = 1;
	return 0;
}

int
main(int argc, char **argv)
{
	struct depot_in in = { .read_only = true };

	if (argc != 4)
		return 2;
	in.dir = argv[2];
	namespace = argv[3];
	if (depot_open(&in, &depot) < 0) {
		fprintf(stderr, "entries: %s is no cache\n", argv[2]);
		return 1;
	}
	if (nftw(argv[1], visit, 16, FTW_PHYS) < 0)
		failed = 1;
	depot_close(depot);
	return failed;
}
