/* Invariant: the file is read with pread, into memory of a fixed size; what lies about itself has
 * no such section. */
#include "config.h"

#include "client/script/packed.h"

#include <ar.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base.h"

#define SECTIONS_MAX 65536
#define MEMBERS_MAX 100000
#define PART 128 /* sections that are read at once */

static bool
read_at(int fd, void *to, size_t n, uint64_t at)
{
	return at <= INT64_MAX && pread(fd, to, n, (off_t)at) == (ssize_t)n;
}

/* A number of n bytes, as the file has them. */
static uint64_t
number(const uint8_t *p, size_t n, bool big)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v = v << 8 | p[big ? i : n - 1 - i];
	return v;
}

#define FIELD(p, wide, big, type, field)                                                          \
	((wide) ? number((p) + offsetof(Elf64_##type, field), sizeof(((Elf64_##type *)0)->field), \
			  big)                                                                    \
		: number((p) + offsetof(Elf32_##type, field), sizeof(((Elf32_##type *)0)->field), \
			  big))

static bool
has_packed_section(int fd, uint64_t at)
{
	uint8_t e[sizeof(Elf64_Ehdr)], part[PART * sizeof(Elf64_Shdr)];
	bool wide, big;
	uint64_t table, n;
	size_t size;

	if (!read_at(fd, e, sizeof(Elf32_Ehdr), at) || memcmp(e, ELFMAG, SELFMAG) != 0)
		return false;
	wide = e[EI_CLASS] == ELFCLASS64;
	big = e[EI_DATA] == ELFDATA2MSB;
	size = wide ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr);
	if (wide && !read_at(fd, e, sizeof(e), at))
		return false;
	table = at + FIELD(e, wide, big, Ehdr, e_shoff);
	n = FIELD(e, wide, big, Ehdr, e_shnum);
	if (FIELD(e, wide, big, Ehdr, e_shentsize) != size || table == at)
		return false;
	/* of more than fit, the first one has the number */
	if (n == 0 && read_at(fd, part, size, table))
		n = FIELD(part, wide, big, Shdr, sh_size);
	n = MIN2(n, (uint64_t)SECTIONS_MAX);
	for (uint64_t i = 0; i < n; i += PART) {
		size_t k = (size_t)MIN2(n - i, (uint64_t)PART);

		if (!read_at(fd, part, k * size, table + i * size))
			return false;
		for (size_t j = 0; j < k; j++)
			if (FIELD(part + j * size, wide, big, Shdr, sh_flags) & SHF_COMPRESSED)
				return true;
	}
	return false;
}

static bool
has_packed_member(int fd)
{
	uint64_t at = SARMAG;
	struct ar_hdr h;

	for (unsigned i = 0; i < MEMBERS_MAX && read_at(fd, &h, sizeof(h), at); i++) {
		char size[sizeof(h.ar_size) + 1] = "";

		if (memcmp(h.ar_fmag, ARFMAG, sizeof(h.ar_fmag)) != 0)
			return false;
		memcpy(size, h.ar_size, sizeof(h.ar_size));
		at += sizeof(h);
		if (has_packed_section(fd, at))
			return true;
		at += strtoull(size, NULL, 10);
		at += at & 1;
	}
	return false;
}

int
packed_file(const char *path)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	char begin[SARMAG];

	if (fd < 0)
		return -errno;
	if (!read_at(fd, begin, sizeof(begin), 0))
		return 0;
	return memcmp(begin, ARMAG, SARMAG) == 0 ? has_packed_member(fd)
						 : has_packed_section(fd, 0);
}
