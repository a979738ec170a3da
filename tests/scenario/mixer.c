/* A publisher that lies: mixer STORE IDENTITY NAMESPACE KEY OTHER. Seals the library of KEY anew,
 * with the rlib of OTHER beside its metadata. */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "cache/shared.h"
#include "keys/identity.h"
#include "store/place.h"

static struct identity id;
static const char *namespace;
static struct store *store;

struct library {
	struct digest key;
	struct shared_entry entry;
	struct result result;
	struct output *rlib;
};

static int
read_library(const char *hex, struct library *ret)
{
	struct trust_key key = { .kind = TRUST_PUBLISHER };
	struct trust trust = { .level = TRUST_PUBLISHERS };
	const struct shared_reader reader = { &trust, namespace };
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = digest_parse(hex, &ret->key);

	memcpy(key.key, id.sign_public, sizeof(key.key));
	trust.keys.v = &key;
	trust.keys.n = 1;
	if (r == 0)
		r = store_read_now(store, STORE_ENTRY, &ret->key, SHARED_MAX, &b);
	if (r == 0)
		r = shared_entry_decode(b.p, b.n, &ret->key, &ret->entry);
	if (r == 0)
		r = shared_open(&ret->entry, 0, &reader, &ret->result, NULL, NULL);
	for (size_t i = 0; r == 0 && i < ret->result.n_outputs; i++)
		if (ends_with(ret->result.outputs[i].name, ".rlib"))
			ret->rlib = &ret->result.outputs[i];
	return r == 0 && !ret->rlib ? -ENOENT : r;
}

static int
seal(struct library *l)
{
	static char *const none[] = { NULL };
	const struct shared_by by = { .id = &id,
		.kind = TRUST_PUBLISHER,
		.namespace = namespace,
		.env = none,
		.any_env = true };
	_cleanup_(buf_done) struct buf sealed = BUF_INIT, b = BUF_INIT;
	_cleanup_(freep) char *why = NULL;
	int r = shared_seal(&by, &l->key, &l->result, &sealed, &why);

	while (r == 0 && l->entry.n > 0)
		shared_entry_drop(&l->entry, 0);
	if (r == 0)
		r = shared_entry_add(&l->entry, &sealed);
	if (r == 0)
		r = shared_entry_encode(&l->entry, &b);
	return r < 0 ? r : store_put_entry_now(store, &l->key, b.p, b.n);
}

int
main(int argc, char **argv)
{
	const struct store_in in = { .tmp = "/tmp", .request_ms = 10000 };
	struct library a = { .rlib = NULL }, b = { .rlib = NULL };
	_cleanup_(freep) char *why = NULL;
	int r;

	if (argc != 6 || identity_load(argv[2], &id, NULL) < 0)
		return 2;
	namespace = argv[3];
	r = place_open(argv[1], &in, &store, &why);
	if (r == 0)
		r = read_library(argv[4], &a);
	if (r == 0)
		r = read_library(argv[5], &b);
	if (r == 0) {
		a.rlib->digest = b.rlib->digest;
		a.rlib->size = b.rlib->size;
		r = seal(&a);
	}
	if (r < 0)
		fprintf(stderr, "mixer: %s %s\n", strerror(-r), why ? why : "");
	store_closep(&store);
	return r < 0;
}
