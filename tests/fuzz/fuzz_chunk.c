/* chunk_decode: any payload, any claim about its size. The first four bytes are the claim, the
 * lowest bit of the fifth says zstd. What is accepted must be readable to its last byte. */
#include "config.h"

#include "proto/chunk.h"
#include "proto/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct chunk_coder *coder;
	static volatile uint8_t sum;
	const uint8_t *content;
	zmq_msg_t payload;
	size_t size;

	if (n < 5 || (!coder && chunk_coder_new(&coder) < 0))
		return 0;
	size = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
	/* Most claims should be possible ones. */
	if (!(p[4] & 2))
		size %= WIRE_CHUNK_MAX + 2;
	if (zmq_msg_init_size(&payload, n - 5) < 0)
		return 0;
	memcpy(zmq_msg_data(&payload), p + 5, n - 5);
	if (chunk_decode(coder, &payload, p[4] & 1, size, &content) == 0) {
		if (size > WIRE_CHUNK_MAX)
			abort();
		for (size_t i = 0; i < size; i++)
			sum = (uint8_t)(sum + content[i]);
	}
	zmq_msg_close(&payload);
	return 0;
}
