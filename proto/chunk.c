/* Chunks: one piece of content to one payload frame, and back.
 *
 * Invariant: what chunk_decode gives is exactly as long as the message claimed, never longer than
 * WIRE_CHUNK_MAX, whatever the payload says: zstd writes into a buffer of that size only. */
#include "config.h"

#include "proto/chunk.h"

#include <errno.h>
#include <zstd.h>

#include "proto/wire.h"

#define LEVEL 1
/* Below this a frame's header eats what is saved. */
#define WORTH_TRYING 64

struct chunk_coder {
	ZSTD_CCtx *cctx;
	ZSTD_DCtx *dctx;
	uint8_t *scratch; /* WIRE_CHUNK_MAX, made when first needed, as the contexts are */
};

int
chunk_coder_new(struct chunk_coder **ret)
{
	struct chunk_coder *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	*ret = c;
	return 0;
}

void
chunk_coder_rest(struct chunk_coder *c)
{
	ZSTD_freeCCtx(c->cctx);
	ZSTD_freeDCtx(c->dctx);
	free(c->scratch);
	*c = (struct chunk_coder){ .cctx = NULL };
}

void
chunk_coder_free(struct chunk_coder *c)
{
	if (!c)
		return;
	chunk_coder_rest(c);
	free(c);
}

void
chunk_coder_freep(struct chunk_coder **c)
{
	chunk_coder_free(*c);
	*c = NULL;
}

static int
need_scratch(struct chunk_coder *c)
{
	if (!c->scratch)
		c->scratch = malloc(WIRE_CHUNK_MAX);
	return c->scratch ? 0 : -ENOMEM;
}

/* Compresses into the scratch buffer; 0 when that makes it no shorter. */
static int
try_zstd(struct chunk_coder *c, const void *p, size_t n, size_t *ret_n)
{
	size_t r;

	*ret_n = 0;
	if (n < WORTH_TRYING)
		return 0;
	if (need_scratch(c) < 0)
		return -ENOMEM;
	if (!c->cctx)
		c->cctx = ZSTD_createCCtx();
	if (!c->cctx)
		return -ENOMEM;
	/* A room one byte short of n: zstd gives up by itself on what does not shrink. */
	r = ZSTD_compressCCtx(c->cctx, c->scratch, n - 1, p, n, LEVEL);
	if (!ZSTD_isError(r))
		*ret_n = r;
	return 0;
}

int
chunk_encode(struct chunk_coder *c, const void *p, size_t n, bool compress, zmq_msg_t *ret,
	bool *ret_zstd)
{
	size_t packed = 0;

	if (n > WIRE_CHUNK_MAX)
		return -EINVAL;
	if (compress) {
		int r = try_zstd(c, p, n, &packed);

		if (r < 0)
			return r;
	}
	if (zmq_msg_init_size(ret, packed ? packed : n) < 0)
		return -ENOMEM;
	if (packed)
		memcpy(zmq_msg_data(ret), c->scratch, packed);
	else if (n)
		memcpy(zmq_msg_data(ret), p, n);
	*ret_zstd = packed != 0;
	return 0;
}

int
chunk_decode(
	struct chunk_coder *c, zmq_msg_t *payload, bool zstd, size_t size, const uint8_t **ret_p)
{
	const uint8_t *p = zmq_msg_data(payload);
	size_t n = zmq_msg_size(payload), r;

	if (size > WIRE_CHUNK_MAX)
		return -EBADMSG;
	if (!zstd) {
		if (n != size)
			return -EBADMSG;
		*ret_p = p;
		return 0;
	}
	if (n > WIRE_PAYLOAD_MAX)
		return -EBADMSG;
	if (need_scratch(c) < 0)
		return -ENOMEM;
	if (!c->dctx)
		c->dctx = ZSTD_createDCtx();
	if (!c->dctx)
		return -ENOMEM;
	/* One frame and nothing behind it: zstd would go on with a second one. */
	if (ZSTD_findFrameCompressedSize(p, n) != n)
		return -EBADMSG;
	r = ZSTD_decompressDCtx(c->dctx, c->scratch, size, p, n);
	if (ZSTD_isError(r) || r != size)
		return -EBADMSG;
	*ret_p = c->scratch;
	return 0;
}
