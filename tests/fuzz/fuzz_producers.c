/* Whom a coordinator vouches for: believed_read on any bytes that decode. What comes out are whole,
 * distinct keys of the namespace that it names; of a refusal there is nothing. */
#include "config.h"

#include <errno.h>

#include "client/far/believed.h"
#include "proto/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
check(const struct trust_keys *k, const char *namespace)
{
	for (size_t i = 0; i < k->n; i++) {
		const struct trust_key *v = &k->v[i];

		if ((v->kind != TRUST_WORKER && v->kind != TRUST_PUBLISHER) ||
			trust_keys_find(k, v->key) != v || !streq(v->namespace, namespace) ||
			strnlen(v->name, sizeof(v->name)) == sizeof(v->name))
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	_cleanup_(trust_keys_done) struct trust_keys k = { NULL, 0 };
	char namespace[KEYS_NAME_MAX + 1] = "";
	ProtobufCMessage *body = NULL;
	int r = wire_unpack(
		&dray__producers__descriptor, p, n, wire_info(WIRE_PRODUCERS)->body_max, &body);

	if (r < 0)
		return 0;
	r = believed_read((const Dray__Producers *)body, namespace, &k);
	if (r == 0)
		check(&k, namespace);
	else if (r != -EBADMSG || k.n || *namespace)
		abort();
	protobuf_c_message_free_unpacked(body, NULL);
	return 0;
}
