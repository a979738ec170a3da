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

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static int fds[3] = { -1, -1, -1 };
	size_t k = n ? MIN2((size_t)p[n - 1], n) : 0, at = MIN2(n - k, (size_t)68);
	struct piece v = { .output = 1, .size = k };
	struct pieces all = { .watch = -1, .v = &v, .n = 1, .held = 1 };
	struct parts parts;

	for (size_t i = 0; fds[0] < 0 && i < ARRAY_LEN(fds); i++)
		fds[ARRAY_LEN(fds) - 1 - i] = memfd_create("piece", MFD_CLOEXEC);
	fill(fds[0], p, n);
	fill(fds[1], p + at, k);
	fill(fds[2], p + n - k, k);
	v.fd = fds[1];
	all.meta = (struct piece){ .size = k, .fd = k < 64 ? -1 : fds[2] };
	pieces_in(&all, fds[0], n, &parts);
	for (size_t i = 0; i < parts.n; i++)
		if (parts.v[i].n > n || parts.v[i].at > n - parts.v[i].n)
			abort();
	return 0;
}
