/* rlib_find_metadata on any file: bounded, and what it finds is the digest of bytes of the file. */
#include "config.h"

#include <sys/mman.h>

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
	return 0;
}
