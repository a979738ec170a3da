/* Reads the dynamic section of an ELF file, what its relocations name, and the names of its
 * sections.
 *
 * Invariant: the file is read with pread at offsets that were checked, into memory bounded by the
 * limits below; a file that lies about itself gives an error, never a wild read. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>

#include "toolchain/elf.h"

#define PHDRS_MAX 512
#define DYN_MAX 4096 /* entries of the dynamic section; librustc_driver has about 40 */
#define SONAME_MAX 256
#define NAMES_MAX (4u << 20)
#define SYMBOLS_MAX (1u << 20)
#define RELOCATIONS_MAX (16u << 20) /* a dynamic library of rustc's own has some 100,000 */

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define OUR_DATA ELFDATA2LSB
#else
#define OUR_DATA ELFDATA2MSB
#endif
#define OUR_CLASS (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32)

/* Exactly n bytes at offset, else -EBADMSG. */
static int
read_at(int fd, void *p, size_t n, uint64_t offset)
{
	size_t done = 0;

	if (offset > (uint64_t)INT64_MAX - n)
		return -EBADMSG;
	while (done < n) {
		ssize_t r = pread(fd, (char *)p + done, n - done, (off_t)(offset + done));

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			return -EBADMSG;
		done += (size_t)r;
	}
	return 0;
}

static int
read_header(int fd, ElfW(Ehdr) * h)
{
	int r = read_at(fd, h, sizeof(*h), 0);

	if (r == -EBADMSG)
		return -ENOEXEC; /* too short to be one */
	if (r < 0)
		return r;
	if (memcmp(h->e_ident, ELFMAG, SELFMAG) != 0 || h->e_ident[EI_CLASS] != OUR_CLASS ||
		h->e_ident[EI_DATA] != OUR_DATA)
		return -ENOEXEC;
	if (h->e_phentsize != sizeof(ElfW(Phdr)) || h->e_phnum > PHDRS_MAX)
		return -EBADMSG;
	return 0;
}

/* Where in the file the byte is that is loaded at vaddr. */
static int
offset_of(const ElfW(Phdr) * ph, size_t n, uint64_t vaddr, uint64_t *ret)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (ph[i].p_type == PT_LOAD && vaddr >= ph[i].p_vaddr &&
			vaddr - ph[i].p_vaddr < ph[i].p_filesz) {
			*ret = ph[i].p_offset + (vaddr - ph[i].p_vaddr);
			return 0;
		}
	}
	return -EBADMSG;
}

/* The string at offset of the string table, which starts at strtab and has size bytes. */
static int
add_name(int fd, uint64_t strtab, uint64_t size, uint64_t offset, struct strv *ret)
{
	char name[SONAME_MAX];
	size_t n, len;
	int r;

	if (offset >= size || strtab > UINT64_MAX - offset)
		return -EBADMSG;
	n = (size_t)MIN2((uint64_t)sizeof(name), size - offset);
	r = read_at(fd, name, n, strtab + offset);
	if (r < 0)
		return r;
	len = strnlen(name, n);
	if (len == n || len == 0)
		return -EBADMSG;
	return strv_add(ret, name);
}

struct dynamic {
	ElfW(Phdr) * ph;
	size_t n_ph;
	ElfW(Dyn) * dyn;
	size_t n;
	uint64_t strtab, size; /* the strings, in the file */
	bool have_strtab;
};

static void
dynamic_done(struct dynamic *d)
{
	free(d->ph);
	free(d->dyn);
}

static int
read_dynamic(int fd, const ElfW(Phdr) * ph, size_t n_ph, const ElfW(Phdr) * at, struct dynamic *ret)
{
	size_t n = at->p_filesz / sizeof(ElfW(Dyn)), i;
	int r;

	if (n == 0 || n > DYN_MAX)
		return -EBADMSG;
	ret->dyn = calloc(n, sizeof(*ret->dyn));
	if (ret->dyn == NULL)
		return -ENOMEM;
	r = read_at(fd, ret->dyn, n * sizeof(*ret->dyn), at->p_offset);
	if (r < 0)
		return r;
	for (i = 0; i < n && ret->dyn[i].d_tag != DT_NULL; i++) {
		if (ret->dyn[i].d_tag == DT_STRSZ) {
			ret->size = ret->dyn[i].d_un.d_val;
		} else if (ret->dyn[i].d_tag == DT_STRTAB) {
			r = offset_of(ph, n_ph, ret->dyn[i].d_un.d_ptr, &ret->strtab);
			if (r < 0)
				return r;
			ret->have_strtab = true;
		}
	}
	ret->n = i;
	return 0;
}

/* 1: it has a dynamic section, and *ret is to be released by dynamic_done; 0: it has none. */
static int
open_dynamic(int fd, unsigned *ret_machine, struct dynamic *ret)
{
	ElfW(Phdr) * ph;
	ElfW(Ehdr) h;
	int r = read_header(fd, &h);

	if (r < 0)
		return r;
	*ret_machine = h.e_machine;
	if (h.e_phnum == 0)
		return 0;
	ret->ph = ph = calloc(h.e_phnum, sizeof(*ph));
	if (ph == NULL)
		return -ENOMEM;
	ret->n_ph = h.e_phnum;
	r = read_at(fd, ph, h.e_phnum * sizeof(*ph), h.e_phoff);
	for (size_t i = 0; r == 0 && i < h.e_phnum; i++) {
		if (ph[i].p_type != PT_DYNAMIC)
			continue;
		r = read_dynamic(fd, ph, h.e_phnum, &ph[i], ret);
		return r < 0 ? r : 1;
	}
	return r;
}

int
elf_needed(const char *path, unsigned *ret_machine, struct strv *ret)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	_cleanup_(dynamic_done) struct dynamic d = { .dyn = NULL };
	int r = fd < 0 ? -errno : open_dynamic(fd, ret_machine, &d);

	if (r > 0)
		r = 0;
	for (size_t i = 0; r == 0 && i < d.n; i++)
		if (d.dyn[i].d_tag == DT_NEEDED)
			r = d.have_strtab ? add_name(fd, d.strtab, d.size, d.dyn[i].d_un.d_val, ret)
					  : -EBADMSG;
	return r;
}

/* The dynamic string table, NUL-terminated; NULL: it has none. */
static int
read_strings(int fd, const struct dynamic *d, char **ret)
{
	_cleanup_(freep) char *strings = NULL;
	int r;

	*ret = NULL;
	if (!d->have_strtab)
		return 0;
	if (d->size > NAMES_MAX)
		return -EBADMSG;
	strings = malloc(d->size + 1);
	if (strings == NULL)
		return -ENOMEM;
	r = read_at(fd, strings, d->size, d->strtab);
	if (r < 0)
		return r;
	strings[d->size] = '\0';
	*ret = steal_ptr(strings);
	return 0;
}

static bool
get_dynamic(const struct dynamic *d, int64_t tag, uint64_t *ret)
{
	for (size_t i = 0; i < d->n; i++) {
		if (d->dyn[i].d_tag == tag) {
			*ret = d->dyn[i].d_un.d_val;
			return true;
		}
	}
	return false;
}

#define SYMBOL_OF(info) (OUR_CLASS == ELFCLASS64 ? (uint64_t)(info) >> 32 : (uint64_t)(info) >> 8)

/* Marks in used, a bit for each symbol, those that the table of relocations at vaddr names. */
static int
mark_used(int fd, const struct dynamic *d, uint64_t vaddr, uint64_t bytes, size_t entry,
	uint8_t *used)
{
	_cleanup_(freep) uint8_t *p = NULL;
	uint64_t offset;
	int r = offset_of(d->ph, d->n_ph, vaddr, &offset);

	if (r < 0 || bytes == 0)
		return bytes == 0 ? 0 : r;
	if (bytes > RELOCATIONS_MAX || bytes % entry != 0)
		return -EBADMSG;
	p = malloc(bytes);
	if (p == NULL)
		return -ENOMEM;
	r = read_at(fd, p, bytes, offset);
	for (size_t i = 0; r == 0 && i < bytes; i += entry) {
		ElfW(Rel) rel; /* what Rel and Rela have in common */
		uint64_t symbol;

		memcpy(&rel, p + i, sizeof(rel));
		symbol = SYMBOL_OF(rel.r_info);
		if (symbol >= SYMBOLS_MAX)
			return -EBADMSG;
		used[symbol / 8] |= (uint8_t)(1u << symbol % 8);
	}
	return r;
}

static int
mark_all_used(int fd, const struct dynamic *d, uint8_t *used)
{
	static const struct {
		int64_t at, size;
		size_t entry; /* 0: as DT_PLTREL says */
	} tables[] = { { DT_RELA, DT_RELASZ, sizeof(ElfW(Rela)) },
		{ DT_REL, DT_RELSZ, sizeof(ElfW(Rel)) }, { DT_JMPREL, DT_PLTRELSZ, 0 } };
	uint64_t at, size, kind;
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(tables); i++) {
		size_t entry = tables[i].entry;

		if (!get_dynamic(d, tables[i].at, &at))
			continue;
		if (!get_dynamic(d, tables[i].size, &size))
			return -EBADMSG;
		if (entry == 0 && !get_dynamic(d, DT_PLTREL, &kind))
			return -EBADMSG;
		if (entry == 0)
			entry = kind == DT_RELA ? sizeof(ElfW(Rela)) : sizeof(ElfW(Rel));
		r = mark_used(fd, d, at, size, entry, used);
	}
	return r;
}

/* Whether a symbol that is used has this name or one that ends with it. */
static int
find_used(
	int fd, const struct dynamic *d, const char *strings, const char *name, const uint8_t *used)
{
	uint64_t vaddr, symtab;
	size_t len = strlen(name);
	int r;

	if (!get_dynamic(d, DT_SYMTAB, &vaddr))
		return -EBADMSG;
	r = offset_of(d->ph, d->n_ph, vaddr, &symtab);
	for (uint64_t i = 1; r == 0 && i < SYMBOLS_MAX; i++) {
		ElfW(Sym) sym;
		size_t n;

		if (!(used[i / 8] & 1u << i % 8))
			continue;
		r = read_at(fd, &sym, sizeof(sym), symtab + i * sizeof(sym));
		if (r == 0 && sym.st_name >= d->size)
			return -EBADMSG;
		if (r < 0)
			return r;
		n = strlen(strings + sym.st_name);
		if (n >= len && streq(strings + sym.st_name + n - len, name))
			return 1;
	}
	return r;
}

int
elf_uses_symbol(const char *path, const char *name)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	_cleanup_(dynamic_done) struct dynamic d = { .dyn = NULL };
	_cleanup_(freep) char *strings = NULL;
	_cleanup_(freep) uint8_t *used = NULL;
	unsigned machine;
	int r = fd < 0 ? -errno : open_dynamic(fd, &machine, &d);

	if (r > 0)
		r = read_strings(fd, &d, &strings);
	/* few files have the name at all */
	if (r < 0 || !strings || !memmem(strings, d.size, name, strlen(name) + 1))
		return r;
	used = calloc(SYMBOLS_MAX / 8, 1);
	if (used == NULL)
		return -ENOMEM;
	r = mark_all_used(fd, &d, used);
	return r < 0 ? r : find_used(fd, &d, strings, name, used);
}

int
elf_has_dynamic_part(const char *path, const char *part)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	_cleanup_(dynamic_done) struct dynamic d = { .dyn = NULL };
	_cleanup_(freep) char *strings = NULL;
	unsigned machine;
	int r = fd < 0 ? -errno : open_dynamic(fd, &machine, &d);

	if (r > 0)
		r = read_strings(fd, &d, &strings);
	if (r < 0 || !strings)
		return r;
	return memmem(strings, d.size, part, strlen(part)) != NULL;
}

/* The table of the sections' names, NUL-terminated. */
static int
read_names(int fd, const ElfW(Shdr) * table, char **ret)
{
	_cleanup_(freep) char *names = NULL;
	int r;

	if (table->sh_type != SHT_STRTAB || table->sh_size > NAMES_MAX)
		return -EBADMSG;
	names = malloc(table->sh_size + 1);
	if (names == NULL)
		return -ENOMEM;
	r = read_at(fd, names, table->sh_size, table->sh_offset);
	if (r < 0)
		return r;
	names[table->sh_size] = '\0';
	*ret = steal_ptr(names);
	return 0;
}

int
elf_has_section(const char *path, const char *name)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	_cleanup_(freep) ElfW(Shdr) *sh = NULL;
	_cleanup_(freep) char *names = NULL;
	ElfW(Ehdr) h;
	size_t i;
	int r;

	if (fd < 0)
		return -errno;
	r = read_header(fd, &h);
	if (r < 0)
		return r;
	if (h.e_shnum == 0)
		return 0;
	if (h.e_shentsize != sizeof(ElfW(Shdr)) || h.e_shstrndx >= h.e_shnum)
		return -EBADMSG;
	sh = calloc(h.e_shnum, sizeof(*sh));
	if (sh == NULL)
		return -ENOMEM;
	r = read_at(fd, sh, h.e_shnum * sizeof(*sh), h.e_shoff);
	if (r == 0)
		r = read_names(fd, &sh[h.e_shstrndx], &names);
	if (r < 0)
		return r;
	for (i = 0; i < h.e_shnum; i++) {
		if (sh[i].sh_name < sh[h.e_shstrndx].sh_size && streq(names + sh[i].sh_name, name))
			return 1;
	}
	return 0;
}

const char *const elf_variants[] = { "glibc-hwcaps", "tls", "haswell", "avx512_1", "x86_64",
	"xeon_phi", "aarch64", "atomics", NULL };

bool
elf_is_variant(const char *name, size_t n)
{
	for (size_t i = 0; elf_variants[i]; i++)
		if (strlen(elf_variants[i]) == n && memcmp(elf_variants[i], name, n) == 0)
			return true;
	return false;
}
