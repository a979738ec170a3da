/* Invariant: the digest is of a whole member, in a file that did not change while it was read. */
#include "config.h"

#include "cache/rlib.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>

#include "common/fs.h"

#define MAGIC "!<arch>\n"
#define MAGIC_SIZE (sizeof(MAGIC) - 1)
#define MEMBER "lib.rmeta/"
#define MEMBERS_MAX 65536 /* a crate has some hundreds of objects */
#define CHUNK_SIZE ((size_t)256 << 10)
/* What an object file that holds the metadata has besides: about 600 bytes. The metadata of an
 * empty crate is longer than that. */
#define WRAPPED_MAX 1024u
#define SECTION ".rmeta"
#define SECTIONS_MAX 16
#define METADATA_BEGINS "rust\0\0\0" /* rustc_metadata::rmeta::METADATA_HEADER */

/* System V, as GNU ar and LLVM write it; text, padded with blanks. */
struct header {
	char name[RLIB_NAME_SIZE], date[12], uid[6], gid[6], mode[8], size[10], end[2];
};

/* All of it. */
static int
read_at(int fd, void *p, size_t n, uint64_t at)
{
	ssize_t k = fs_read_at(fd, p, n, at);

	return k < 0 ? (int)k : (size_t)k < n ? -EBADMSG : 0;
}

static int
parse_size(const struct header *h, uint64_t *ret)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < sizeof(h->size) && h->size[i] >= '0' && h->size[i] <= '9'; i++)
		n = n * 10 + (uint64_t)(h->size[i] - '0');
	if (i == 0 || memcmp(h->end, "`\n", 2) != 0)
		return -EBADMSG;
	for (; i < sizeof(h->size); i++)
		if (h->size[i] != ' ')
			return -EBADMSG;
	*ret = n;
	return 0;
}

static bool
is_metadata(const char name[RLIB_NAME_SIZE])
{
	size_t n = strlen(MEMBER);

	if (memcmp(name, MEMBER, n) != 0)
		return false;
	while (n < RLIB_NAME_SIZE && name[n] == ' ')
		n++;
	return n == RLIB_NAME_SIZE;
}

struct range {
	uint64_t at, n;
};

/* Whether a reader of archives may know this member by another name than the one in its header:
 * BSD's long names follow it, GNU's are in a member of their own. */
static bool
is_renamed(int fd, const char given[RLIB_NAME_SIZE], const struct range *names)
{
	char digits[RLIB_NAME_SIZE] = "", name[sizeof(MEMBER) - 1] = "";
	uint64_t at;

	if (memcmp(given, "#1/", 3) == 0)
		return true;
	if (given[0] != '/' || given[1] < '0' || given[1] > '9')
		return false;
	memcpy(digits, given + 1, RLIB_NAME_SIZE - 1);
	at = strtoull(digits, NULL, 10);
	if (at > names->n || names->n - at < sizeof(name))
		return at > names->n;
	return read_at(fd, name, sizeof(name), names->at + at) < 0 ||
	       memcmp(name, MEMBER, sizeof(name) - 1) == 0;
}

int
rlib_members(int fd, uint64_t size, struct rlib_members *ret)
{
	char magic[MAGIC_SIZE];

	*ret = (struct rlib_members){ .fd = fd, .size = size, .next = MAGIC_SIZE };
	return size < MAGIC_SIZE || read_at(fd, magic, MAGIC_SIZE, 0) < 0 ||
			       memcmp(magic, MAGIC, MAGIC_SIZE) != 0
		       ? -EBADMSG
		       : 0;
}

int
rlib_next(struct rlib_members *m)
{
	struct header h;
	int r;

	if (m->size - m->next < sizeof(h))
		return 0;
	if (m->count++ == MEMBERS_MAX)
		return -EBADMSG;
	r = read_at(m->fd, &h, sizeof(h), m->next);
	if (r == 0)
		r = parse_size(&h, &m->n);
	if (r < 0)
		return r;
	m->at = m->next + sizeof(h);
	if (m->n > m->size - m->at)
		return -EBADMSG;
	memcpy(m->name, h.name, sizeof(m->name));
	/* each begins at an even place */
	m->next = MIN2(m->at + m->n + (m->n & 1), m->size);
	return 1;
}

/* Where that member's content is. strictly: no other may be taken for it. */
static int
find_member(int fd, uint64_t size, bool strictly, uint64_t *ret_at, uint64_t *ret_size)
{
	struct range names = { 0, 0 };
	struct rlib_members m;
	int r = rlib_members(fd, size, &m);

	while (r == 0 && (r = rlib_next(&m)) > 0) {
		if (memcmp(m.name, "// ", 3) == 0)
			names = (struct range){ m.at, m.n };
		if (strictly && is_renamed(fd, m.name, &names))
			return -EBADMSG;
		if (is_metadata(m.name)) {
			*ret_at = m.at;
			*ret_size = m.n;
			return 0;
		}
		r = 0;
	}
	return r < 0 ? r : -EBADMSG;
}

int
rlib_find_metadata(int fd, uint64_t size, struct digest *ret)
{
	uint64_t at = 0, n = 0;
	int r = find_member(fd, size, false, &at, &n);

	return r < 0 ? r : digest_range(fd, at, n, ret);
}

/* ---- whether it is what an rmeta holds */

/* Within an object of ELF, in `in`: the section that rustc reads. */
static int
find_section(int fd, struct range in, const Elf64_Ehdr *e, struct range *ret)
{
	Elf64_Shdr s[SECTIONS_MAX];
	char names[256] = "";
	const Elf64_Shdr *strings;
	unsigned found = 0;
	int r;

	if (e->e_shentsize != sizeof(s[0]) || e->e_shnum > ARRAY_LEN(s) ||
		e->e_shstrndx >= e->e_shnum || e->e_shoff > in.n ||
		e->e_shnum * sizeof(s[0]) > in.n - e->e_shoff)
		return -EBADMSG;
	r = read_at(fd, s, e->e_shnum * sizeof(s[0]), in.at + e->e_shoff);
	if (r < 0)
		return r;
	strings = &s[e->e_shstrndx];
	if (strings->sh_size >= sizeof(names) || strings->sh_offset > in.n ||
		strings->sh_size > in.n - strings->sh_offset)
		return -EBADMSG;
	r = read_at(fd, names, strings->sh_size, in.at + strings->sh_offset);
	for (size_t i = 0; r == 0 && i < e->e_shnum; i++) {
		if (s[i].sh_name >= strings->sh_size || !streq(names + s[i].sh_name, SECTION))
			continue;
		if (++found > 1 || s[i].sh_type != SHT_PROGBITS || s[i].sh_offset > in.n ||
			s[i].sh_size > in.n - s[i].sh_offset)
			return -EBADMSG;
		*ret = (struct range){ in.at + s[i].sh_offset, s[i].sh_size };
	}
	return r < 0 ? r : found ? 0 : -EBADMSG;
}

/* Within the member: all of it with old compilers; with others a part of an object file, whose
 * format is the target's. */
static int
find_wrapped(int fd, struct range in, uint64_t want, struct range *ret)
{
	uint8_t head[WRAPPED_MAX + sizeof(METADATA_BEGINS)];
	size_t n = (size_t)MIN2(in.n, (uint64_t)sizeof(head));
	const uint8_t *begins;
	Elf64_Ehdr e;
	int r = read_at(fd, head, n, in.at);

	if (r < 0)
		return r;
	if (n >= sizeof(e) && memcmp(head, ELFMAG, SELFMAG) == 0 && head[EI_CLASS] == ELFCLASS64 &&
		head[EI_DATA] == ELFDATA2LSB && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__) {
		memcpy(&e, head, sizeof(e));
		return find_section(fd, in, &e, ret);
	}
	begins = memmem(head, n, METADATA_BEGINS, sizeof(METADATA_BEGINS) - 1);
	if (!begins || want > in.n - (uint64_t)(begins - head))
		return -EBADMSG;
	/* how long it is there is not known */
	*ret = (struct range){ in.at + (uint64_t)(begins - head), want };
	return 0;
}

static int
compare(int a, struct range in, int b)
{
	_cleanup_(freep) uint8_t *one = malloc(CHUNK_SIZE);
	_cleanup_(freep) uint8_t *other = malloc(CHUNK_SIZE);

	if (!one || !other)
		return -ENOMEM;
	for (uint64_t done = 0; done < in.n;) {
		size_t k = (size_t)MIN2(in.n - done, (uint64_t)CHUNK_SIZE);
		int r = read_at(a, one, k, in.at + done);

		if (r == 0)
			r = read_at(b, other, k, done);
		if (r < 0)
			return r;
		if (memcmp(one, other, k) != 0)
			return -EBADMSG;
		done += k;
	}
	return 0;
}

int
rlib_agrees(const char *rlib, const char *rmeta)
{
	_cleanup_(closep) int a = -1, b = -1;
	struct stat rlib_st, rmeta_st;
	struct range in = { 0, 0 }, at = { 0, 0 };
	int r;

	a = fs_open_regular(rlib, &rlib_st);
	if (a < 0)
		return a;
	b = fs_open_regular(rmeta, &rmeta_st);
	if (b < 0)
		return b;
	r = find_member(a, (uint64_t)rlib_st.st_size, true, &in.at, &in.n);
	if (r == 0)
		r = find_wrapped(a, in, (uint64_t)rmeta_st.st_size, &at);
	if (r == 0 && in.n - at.n > WRAPPED_MAX)
		r = -EBADMSG;
	if (r < 0)
		return r == -EBADMSG ? -ENOTSUP : r;
	return at.n == (uint64_t)rmeta_st.st_size ? compare(a, at, b) : -EBADMSG;
}

static bool
is_changed(const struct stat *a, const struct stat *b)
{
	return a->st_size != b->st_size || a->st_mtim.tv_sec != b->st_mtim.tv_sec ||
	       a->st_mtim.tv_nsec != b->st_mtim.tv_nsec;
}

int
rlib_metadata_digest(struct memo *memo, const char *path, struct digest *ret)
{
	_cleanup_(buf_done) struct buf known = BUF_INIT;
	_cleanup_(closep) int fd = -1;
	char note[sizeof("metadata in ") + DIGEST_HEX_SIZE] = "metadata in ";
	struct stat before, st, after;
	struct digest whole, d;
	int r;

	fd = fs_open_regular(path, &before);
	if (fd < 0)
		return fd;
	r = memo_digest_fd(memo, fd, false, &whole, &st);
	if (r < 0)
		return r;
	digest_hex(&whole, note + strlen(note));
	if (memo_get_note(memo, note, &known) == 0 && known.n == DIGEST_SIZE) {
		memcpy(ret->b, known.p, DIGEST_SIZE);
		return 0;
	}
	r = rlib_find_metadata(fd, (uint64_t)st.st_size, &d);
	if (r < 0)
		return r;
	if (fstat(fd, &after) < 0 || is_changed(&before, &after))
		return -EAGAIN;
	memo_set_note(memo, note, d.b, DIGEST_SIZE);
	*ret = d;
	return 0;
}
