/* pieces_in on any file: bounded, and what it names is within the file. The last byte says how long
 * the pieces are, which are cut out of the file. */
#include "config.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "worker/job/job_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
fill(int fd, const uint8_t *p, size_t n)
{
	if (fd < 0 || ftruncate(fd, 0) < 0 || pwrite(fd, p, n, 0) != (ssize_t)n)
		abort();
}

/* One is too short, and then there is no metadata. */
static void
make(const uint8_t *p, size_t n, struct piece *ret)
{
	ret->size = n < PIECE_HEAD ? 0 : n;
	if (!ret->size)
		return;
	memcpy(ret->head, p, PIECE_HEAD);
	if (digest_bytes(p, n, &ret->digest) < 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static int fd = -1;
	size_t k = n ? MIN2((size_t)p[n - 1], n) : 0, at = MIN2(n - k, (size_t)68);
	struct piece v = { .output = 1, .size = k };
	struct pieces all = { .watch = -1, .v = &v, .n = 1 };
	struct parts parts;

	if (fd < 0)
		fd = memfd_create("library", MFD_CLOEXEC);
	fill(fd, p, n);
	make(p + at, k, &v);
	make(p + n - k, k, &all.meta);
	pieces_in(&all, fd, n, &parts);
	for (size_t i = 0; i < parts.n; i++)
		if (parts.v[i].n > n || parts.v[i].at > n - parts.v[i].n)
			abort();
	return 0;
}
