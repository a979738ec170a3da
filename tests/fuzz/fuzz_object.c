/* incoming.h: any object, under the name that its head says, in pieces of a size that the first
 * byte says, of at most 64 KiB. What is accepted has the length and the digest of its head. */
#include "config.h"

#include <unistd.h>

#include "store/incoming.h"

#define MAX ((uint64_t)64 << 10)

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
check(int fd, uint64_t size, const struct object_head *h)
{
	struct digest found;
	uint64_t length = 0;

	if (digest_fd(fd, &found, &length) < 0 || length != size || size != h->size || size > MAX ||
		!digest_eq(&found, &h->content))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	_cleanup_(incoming_freep) struct incoming *in = NULL;
	_cleanup_(closep) int fd = -1;
	struct object_head h = { .kind = STORE_BLOB };
	uint8_t head[OBJECT_HEAD_SIZE];
	uint64_t size = 0;
	size_t piece;

	if (n < 1)
		return 0;
	piece = (size_t)p[0] + 1;
	p++;
	n--;
	if (n >= OBJECT_HEAD_SIZE && object_head_read(p, &h) == 0) {
		object_head_write(&h, head);
		if (memcmp(head, p, sizeof(head)) != 0)
			abort();
	}
	if (incoming_new(NULL, h.kind, &h.name, MAX, &in) < 0)
		return 0;
	for (size_t i = 0; i < n; i += piece)
		(void)incoming_add(in, p + i, MIN2(piece, n - i));
	fd = incoming_end(in, &size);
	if (fd >= 0)
		check(fd, size, &h);
	return 0;
}
