/* A worker that lies: linked of the worker's own objects, but for what it makes of a compile, which
 * it alters before it seals it (ld's --wrap). Everything else of it is a worker's. LIE=CRATE: of
 * that crate alone. GIVES=…: it makes nothing of the sort, but other workers have from it blobs
 * with a wrong byte ("garbage"), nothing without a word ("nothing"), nothing after the first chunk
 * ("a-part"), or a refusal ("no"). */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "cache/keep/keep.h"
#include "keys/ticket.h"
#include "worker/peers/serve.h"

int __real_keep_make(struct keep *k, const struct keep_made *m, struct result *ret);
int __wrap_keep_make(struct keep *k, const struct keep_made *m, struct result *ret);

static const char lie[] = "{\"$message_type\":\"diagnostic\",\"message\":\"a lie\",\"code\":null,"
			  "\"level\":\"warning\",\"spans\":[],\"children\":[],"
			  "\"rendered\":\"warning: a lie\\n\\n\"}\n";

int
__wrap_keep_make(struct keep *k, const struct keep_made *m, struct result *ret)
{
	int r = __real_keep_make(k, m, ret);
	const char *of = getenv("LIE");

	if (r == 0 && !getenv("GIVES") && (!of || streq(of, k->call->crate_name)))
		r = buf_adds(&ret->err, lie);
	return r;
}

static bool
gives(const char *what)
{
	const char *is = getenv("GIVES");

	return is && streq(is, what);
}

int __real_serve_get(struct serve *s, const struct wire_peer *peer, uint32_t number,
	const char *owner, const Dray__SharedGet *m);
int __wrap_serve_get(struct serve *s, const struct wire_peer *peer, uint32_t number,
	const char *owner, const Dray__SharedGet *m);

int
__wrap_serve_get(struct serve *s, const struct wire_peer *peer, uint32_t number, const char *owner,
	const Dray__SharedGet *m)
{
	return gives("nothing") ? 0 : __real_serve_get(s, peer, number, owner, m);
}

bool __real_serve_next(struct serve *s, struct serve_word *ret);
bool __wrap_serve_next(struct serve *s, struct serve_word *ret);

bool
__wrap_serve_next(struct serve *s, struct serve_word *ret)
{
	static bool gave;

	while (__real_serve_next(s, ret)) {
		size_t n = zmq_msg_size(&ret->frames[1]);

		if (ret->data && n > 0 && gives("garbage"))
			((uint8_t *)zmq_msg_data(&ret->frames[1]))[n - 1] ^= 1;
		if (!gives("a-part") || !gave) {
			gave = true;
			return true;
		}
		zmq_msg_close(&ret->frames[0]);
		zmq_msg_close(&ret->frames[1]);
	}
	return false;
}

int __real_ticket_check_blobs(const uint8_t *ticket, size_t n, const uint8_t *sig, size_t sig_n,
	const uint8_t signer[SIGN_KEY_SIZE], const char *client_curve, const char *worker_curve,
	uint64_t now_ms, char ret_owner[CURVE_KEY_SIZE]);
int __wrap_ticket_check_blobs(const uint8_t *ticket, size_t n, const uint8_t *sig, size_t sig_n,
	const uint8_t signer[SIGN_KEY_SIZE], const char *client_curve, const char *worker_curve,
	uint64_t now_ms, char ret_owner[CURVE_KEY_SIZE]);

int
__wrap_ticket_check_blobs(const uint8_t *ticket, size_t n, const uint8_t *sig, size_t sig_n,
	const uint8_t signer[SIGN_KEY_SIZE], const char *client_curve, const char *worker_curve,
	uint64_t now_ms, char ret_owner[CURVE_KEY_SIZE])
{
	return gives("no") ? -EKEYREJECTED
			   : __real_ticket_check_blobs(ticket, n, sig, sig_n, signer, client_curve,
				     worker_curve, now_ms, ret_owner);
}
