/* trust_keys_parse and keys_object_read on any bytes, and on objects whose signature is right. */
#include "config.h"

#include "keys/trust.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
check(const struct trust_keys *k)
{
	for (size_t i = 0; i < k->n; i++) {
		const struct trust_key *v = &k->v[i];

		if (v->kind <= TRUST_NONE || v->kind >= TRUST_KINDS ||
			trust_keys_find(k, v->key) != v ||
			strnlen(v->name, sizeof(v->name)) == sizeof(v->name) ||
			strnlen(v->namespace, sizeof(v->namespace)) == sizeof(v->namespace))
			abort();
		if (i > 0 && memcmp(k->v[i - 1].key, v->key, SIGN_KEY_SIZE) >= 0)
			abort();
	}
}

static void
check_object(const uint8_t *p, size_t n, const struct trust_keys *admins)
{
	struct keys_object o = { .serial = 0 };

	if (keys_object_read(p, n, admins, 1, 0, &o) == 0) {
		if (o.serial == 0 || o.expires_s <= 1)
			abort();
		check(&o.keys);
		for (size_t i = 0; i < o.keys.n; i++)
			if (o.keys.v[i].kind == TRUST_ADMIN)
				abort();
	} else if (o.serial || o.keys.n) {
		abort();
	}
	keys_object_done(&o);
}

/* The bytes as what an admin signed. */
static void
check_signed(const uint8_t *p, size_t n)
{
	static struct identity id;
	static struct trust_key k;
	const struct trust_keys admins = { &k, 1 };
	struct buf b = BUF_INIT, text = BUF_INIT;
	uint8_t sig[SIGNATURE_SIZE];

	if (!k.kind) {
		if (identity_generate("fuzz", &id) < 0)
			abort();
		memcpy(k.key, id.sign_public, SIGN_KEY_SIZE);
		k.kind = TRUST_ADMIN;
	}
	if (buf_add(&text, p, n) < 0 || buf_adds(&text, "\n") < 0 ||
		buf_add(&b, "dray keys 1", 12) < 0 || buf_add(&b, text.p, text.n) < 0 ||
		identity_sign(&id, b.p, b.n, sig) < 0 || buf_adds(&text, "signature ") < 0)
		abort();
	for (size_t i = 0; i < SIGN_KEY_SIZE; i++)
		if (buf_addf(&text, "%02x", k.key[i]) < 0)
			abort();
	for (size_t i = 0; i < SIGNATURE_SIZE; i++)
		if (buf_addf(&text, "%s%02x", i ? "" : " ", sig[i]) < 0)
			abort();
	if (buf_adds(&text, "\n") < 0)
		abort();
	check_object(text.p, text.n, &admins);
	buf_done(&b);
	buf_done(&text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	const struct trust_keys nobody = { NULL, 0 };
	struct trust_keys k = { NULL, 0 };
	struct keys_fault fault = { .line = 0 };

	if (trust_keys_parse((const char *)p, n, &k, &fault) == 0)
		check(&k);
	else if (k.v || k.n || !fault.line)
		abort();
	trust_keys_done(&k);
	check_object(p, n, &nobody);
	check_signed(p, n);
	return 0;
}
