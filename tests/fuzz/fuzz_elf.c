/* elf_needed on any file: bounded, and the names that it gives can be names of libraries. */
#include "config.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "toolchain/elf.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static int fd = -1;
	static char path[48];
	_cleanup_(strv_done) struct strv names = STRV_INIT;
	unsigned machine = 0;

	if (fd < 0) {
		fd = memfd_create("elf", MFD_CLOEXEC);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	if (fd < 0 || ftruncate(fd, 0) < 0 || pwrite(fd, p, n, 0) != (ssize_t)n)
		abort();
	elf_uses_symbol(path, "environ");
	if (elf_needed(path, &machine, &names) < 0)
		return 0;
	for (size_t i = 0; i < names.n; i++)
		if (strlen(names.v[i]) >= n)
			abort();
	return 0;
}
