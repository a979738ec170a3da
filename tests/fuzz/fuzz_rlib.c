/* rlib_find_metadata on any file: bounded, and what it finds is the digest of bytes of the file;
 * rlib_agrees likewise. */
#include "config.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cache/rlib.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* Whether some run of the bytes behind a header has this digest. */
static bool
is_of(const uint8_t *p, size_t n, const struct digest *d)
{
	for (size_t at = 0; at + 60 <= n; at++) {
		struct digest one;
		size_t size;

		if (memcmp(p + at, "lib.rmeta/", 10) != 0)
			continue;
		size = (size_t)strtoull(
			(char[11]){ (char)p[at + 48], (char)p[at + 49], (char)p[at + 50],
				(char)p[at + 51], (char)p[at + 52], (char)p[at + 53],
				(char)p[at + 54], (char)p[at + 55], (char)p[at + 56],
				(char)p[at + 57], '\0' },
			NULL, 10);
		if (size <= n - at - 60 && digest_bytes(p + at + 60, size, &one) == 0 &&
			digest_eq(&one, d))
			return true;
	}
	return false;
}

/* The file's last bytes, as many as its last one says, as the rmeta: what agrees is in the rlib. */
static void
check_agrees(const uint8_t *p, size_t n)
{
	char rlib[] = "/tmp/dray-fuzz-rlib-XXXXXX", rmeta[] = "/tmp/dray-fuzz-rmeta-XXXXXX";
	size_t k = n ? MIN2((size_t)p[n - 1], n) : 0;
	int a = mkstemp(rlib), b = mkstemp(rmeta);

	if (a < 0 || b < 0 || pwrite(a, p, n - k, 0) != (ssize_t)(n - k) ||
		pwrite(b, p + n - k, k, 0) != (ssize_t)k)
		abort();
	if (rlib_agrees(rlib, rmeta) == 0 && k > 0 && !memmem(p, n - k, p + n - k, k))
		abort();
	unlink(rlib);
	unlink(rmeta);
	close(a);
	close(b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static int fd = -1;
	struct digest d;

	if (fd < 0)
		fd = memfd_create("rlib", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, 0) < 0 || pwrite(fd, p, n, 0) != (ssize_t)n)
		abort();
	if (rlib_find_metadata(fd, n, &d) == 0 && !is_of(p, n, &d))
		abort();
	check_agrees(p, n);
	return 0;
}
