/* shared_entry_decode and shared_open over arbitrary bytes, and over results that a trusted
 * producer signed, whatever they hold: what is opened may be put in place, and names nothing that
 * it may not. */
#include "config.h"

#include "cache/attributes.h"
#include "cache/shared.h"
#include "common/fs.h"
#include "proto/shared.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct identity id;
static struct trust trust = { .level = TRUST_PUBLISHERS };

static void
make_producer(void)
{
	static struct trust_key k;

	if (k.kind)
		return;
	if (identity_generate("fuzz", &id) < 0)
		abort();
	memcpy(k.key, id.sign_public, SIGN_KEY_SIZE);
	k.kind = TRUST_PUBLISHER;
	trust.keys = (struct trust_keys){ &k, 1 };
}

static void
add_field(struct buf *b, const void *p, size_t n)
{
	uint8_t length[8];

	for (unsigned i = 0; i < 8; i++)
		length[i] = (uint8_t)((uint64_t)n >> (56 - 8 * i));
	if (buf_add(b, length, 8) < 0 || (n && buf_add(b, p, n) < 0))
		abort();
}

/* A publisher's, for no namespace. */
static void
seal(struct digest *key, const uint8_t *data, size_t size, struct buf *ret)
{
	struct buf b = BUF_INIT;
	Dray__SharedResult m = DRAY__SHARED_RESULT__INIT;
	uint8_t sig[SIGNATURE_SIZE];

	if (buf_add(&b, "dray shared result 1", 21) < 0)
		abort();
	add_field(&b, NULL, 0);
	add_field(&b, key->b, DIGEST_SIZE);
	add_field(&b, "publisher", 9);
	add_field(&b, id.sign_public, SIGN_KEY_SIZE);
	add_field(&b, "\0\0\0\0\0\0\0\0", 8);
	add_field(&b, data, size);
	if (identity_sign(&id, b.p, b.n, sig) < 0)
		abort();
	m.key = (ProtobufCBinaryData){ DIGEST_SIZE, key->b };
	m.kind = TRUST_PUBLISHER;
	m.producer = (ProtobufCBinaryData){ SIGN_KEY_SIZE, id.sign_public };
	m.result = (ProtobufCBinaryData){ size, (uint8_t *)data };
	m.signature = (ProtobufCBinaryData){ SIGNATURE_SIZE, sig };
	if (buf_reserve(ret, dray__shared_result__get_packed_size(&m)) < 0)
		abort();
	ret->n = dray__shared_result__pack(&m, ret->p);
	buf_done(&b);
}

static void
look_at_inputs(const struct inputs *s)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct input *in = &s->v[i];
		struct attributes a;

		switch (in->kind) {
		case INPUT_FILE:
		case INPUT_METADATA:
		case INPUT_GIT_INDEX:
			if (in->value.n != DIGEST_SIZE || path_is_below(in->name, "/proc") ||
				path_is_below(in->name, "/sys") ||
				(!input_is_marked(in->name) && !path_is_normal(in->name)))
				abort();
			break;
		case INPUT_ENV:
			if (in->value.n && in->value.n != DIGEST_SIZE)
				abort();
			break;
		case INPUT_STAT:
		case INPUT_LSTAT:
			if (attributes_decode(&in->value, &a) < 0)
				abort();
			break;
		default:
			break;
		}
	}
}

static void
look_at(const struct result *r)
{
	uint64_t bytes = 0;

	if (!r->producer || !result_is_producer(r->producer) || !streq(r->from, "shared") ||
		r->argv.n || r->env.n || r->cwd)
		abort();
	for (size_t i = 0; i < r->n_outputs; i++) {
		const struct output *o = &r->outputs[i];

		bytes += o->size;
		if (o->size > SHARED_BYTES_MAX || bytes > SHARED_BYTES_MAX ||
			(!r->run && o->mode != 0666 && o->mode != 0777) || strstr(o->name, "../") ||
			*o->name == '/' ||
			(o->kind == OUTPUT_LINK && !input_is_marked((char *)o->text.p) &&
				*o->text.p == '/'))
			abort();
	}
	look_at_inputs(&r->inputs);
}

static void
open_all(struct shared_entry *e)
{
	const struct shared_reader reader = { &trust, "" };

	for (size_t i = 0; i < e->n; i++) {
		struct result r = RESULT_INIT;
		char *why = NULL;
		int k = shared_open(e, i, &reader, &r, NULL, &why);

		if (k == 0)
			look_at(&r);
		else if (r.n_outputs || r.inputs.n || !why)
			abort();
		result_done(&r);
		free(why);
	}
}

/* As an admin's commands look: what is opened is right, and says the same. */
static void
look_all(struct shared_entry *e)
{
	const struct shared_reader reader = { &trust, "" };

	for (size_t i = 0; i < e->n; i++) {
		struct result r = RESULT_INIT, opened = RESULT_INIT;
		struct shared_seal seal;
		struct shared_said said;
		int k = shared_look(e, i, &said, &r);

		if (k < 0 && (r.n_outputs || r.inputs.n))
			abort();
		if (shared_open(e, i, &reader, &opened, &seal, NULL) == 0 &&
			(k < 0 || !said.right || *said.namespace || said.seal.kind != seal.kind ||
				r.n_outputs != opened.n_outputs))
			abort();
		result_done(&r);
		result_done(&opened);
	}
}

/* What was decoded goes out and comes in as it was. */
static void
again(const struct shared_entry *e)
{
	struct shared_entry got = SHARED_ENTRY_INIT;
	struct buf b = BUF_INIT;

	if (shared_entry_encode(e, &b) < 0 || shared_entry_decode(b.p, b.n, &e->key, &got) < 0 ||
		got.n != e->n || got.recipe.n != e->recipe.n)
		abort();
	shared_entry_done(&got);
	buf_done(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct shared_entry e = SHARED_ENTRY_INIT;
	struct buf b = BUF_INIT;
	struct digest key;

	make_producer();
	if (size < DIGEST_SIZE || size > (1u << 20))
		return 0;
	/* the key is what the message says it is */
	memcpy(key.b, size > 2 + DIGEST_SIZE ? data + 2 : data, DIGEST_SIZE);
	if (buf_adds(&b, "drayshr1") < 0 || buf_add(&b, data, size) < 0)
		abort();
	if (shared_entry_decode(b.p, b.n, &key, &e) == 0) {
		open_all(&e);
		look_all(&e);
		again(&e);
	}
	/* a result, signed */
	buf_done(&b);
	seal(&key, data, size, &b);
	shared_entry_done(&e);
	e.key = key;
	if (shared_entry_add(&e, &b) == 0) {
		open_all(&e);
		look_all(&e);
		again(&e);
	}
	shared_entry_done(&e);
	buf_done(&b);
	return 0;
}
