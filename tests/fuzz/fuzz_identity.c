/* identity_load on any file: what it accepts has a name and whole keys. */
#include "config.h"

#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keys/identity.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static int fd = -1;
	static char path[48];
	struct identity id = { .has_secret = false };
	unsigned line = 0;

	if (fd < 0) {
		fd = memfd_create("identity", MFD_CLOEXEC);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		if (fd < 0 || fchmod(fd, 0600) < 0)
			abort();
	}
	if (ftruncate(fd, 0) < 0 || pwrite(fd, p, n, 0) != (ssize_t)n)
		abort();
	if (identity_load_unchecked(path, &id, &line) < 0)
		return 0;
	if (strnlen(id.name, sizeof(id.name)) == sizeof(id.name))
		abort();
	if (strnlen(id.curve_public, sizeof(id.curve_public)) != CURVE_KEY_SIZE - 1)
		abort();
	identity_done(&id);
	return 0;
}
