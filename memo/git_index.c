/* Documentation/gitformat-index.txt of git. Invariant: whatever is not understood is -EBADMSG: then
 * the file counts byte for byte. */
#include "config.h"

#include "memo/git_index.h"

#include <errno.h>
#include <unistd.h>

#include "common/fs.h"

#define INDEX_MAX (512u << 20)
#define HEAD 12 /* "DIRC", version, number of entries */
#define STAT 40 /* times, device, inode, mode (at 24), owner, size */
#define MODE 24
#define HASH 20
#define EXTENDED 0x4000

static uint32_t
be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Of version 4: how much is cut off the end of the name before (git's varint). */
static int
read_cut(const uint8_t **at, const uint8_t *end, size_t *ret)
{
	size_t v = 0;
	uint8_t byte;

	do {
		if (*at == end || v > SIZE_MAX >> 9)
			return -EBADMSG;
		byte = *(*at)++;
		v = (v << 7) | (byte & 0x7f);
		if (byte & 0x80)
			v++;
	} while (byte & 0x80);
	*ret = v;
	return 0;
}

/* One entry at *at; its name is put together in *name. */
static int
read_entry(const uint8_t **at, const uint8_t *end, uint32_t version, struct buf *name,
	struct hasher *h)
{
	const uint8_t *begin = *at, *flags = begin + STAT + HASH, *nul;
	size_t fixed = STAT + HASH + 2, cut = 0;

	if ((size_t)(end - begin) < fixed + 2)
		return -EBADMSG;
	if (flags[0] & EXTENDED >> 8) {
		if (version < 3)
			return -EBADMSG;
		fixed += 2;
	}
	*at = begin + fixed;
	if (version == 4 && read_cut(at, end, &cut) < 0)
		return -EBADMSG;
	nul = memchr(*at, '\0', (size_t)(end - *at));
	if (!nul || (version == 4 && cut > name->n))
		return -EBADMSG;
	name->n = version == 4 ? name->n - cut : 0;
	if (buf_add(name, *at, (size_t)(nul - *at)) < 0)
		return -ENOMEM;
	hasher_field(h, begin + MODE, 4);
	hasher_field(h, begin + STAT, fixed - STAT);
	hasher_field(h, name->p, name->n);
	*at = nul + 1;
	if (version < 4) {
		size_t size = ((size_t)(nul - begin) + 8) & ~(size_t)7;

		if (size > (size_t)(end - begin))
			return -EBADMSG;
		*at = begin + size;
	}
	return 0;
}

/* What is not derived from the entries. Upper case: may be left out. *ret_untracked is set where
 * one says which files are untracked. */
static int
check_extensions(const uint8_t *at, const uint8_t *end, bool *ret_untracked)
{
	while (at < end) {
		if (end - at < 8 || at[0] < 'A' || at[0] > 'Z' ||
			be32(at + 4) > (size_t)(end - at - 8))
			return -EBADMSG;
		*ret_untracked |= memcmp(at, "UNTR", 4) == 0;
		at += 8 + be32(at + 4);
	}
	return 0;
}

static int
read_index(const struct buf *b, struct hasher *h, bool *ret_untracked)
{
	_cleanup_(buf_done) struct buf name = BUF_INIT;
	const uint8_t *at = b->p + HEAD, *end = b->p + b->n - HASH;
	uint32_t version, n;
	int r = 0;

	if (b->n < HEAD + HASH || memcmp(b->p, "DIRC", 4) != 0)
		return -EBADMSG;
	version = be32(b->p + 4);
	n = be32(b->p + 8);
	if (version < 2 || version > 4)
		return -EBADMSG;
	hasher_field(h, b->p + 8, 4);
	for (uint32_t i = 0; r == 0 && i < n; i++)
		r = read_entry(&at, end, version, &name, h);
	return r < 0 ? r : check_extensions(at, end, ret_untracked);
}

static int
read_file(const char *path, struct digest *ret, bool *ret_untracked)
{
	_cleanup_(hasher_freep) struct hasher *h = hasher_new();
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = h ? fs_read_file(path, INDEX_MAX, &b) : -ENOMEM;

	*ret_untracked = false;
	if (r == 0)
		r = read_index(&b, h, ret_untracked);
	if (r == 0)
		hasher_final(h, ret);
	return r;
}

int
git_index_digest(const char *path, struct digest *ret)
{
	bool untracked;

	return read_file(path, ret, &untracked);
}

bool
git_index_has_untracked(const char *path)
{
	struct digest d;
	bool untracked;

	return read_file(path, &d, &untracked) < 0 || untracked;
}

int
git_index_digest_memo(struct memo *memo, const char *path, struct digest *ret)
{
	char note[sizeof("git index ") + DIGEST_HEX_SIZE] = "git index ";
	_cleanup_(buf_done) struct buf known = BUF_INIT;
	struct digest whole, again;
	int r = memo_digest_file(memo, path, &whole, NULL);

	if (r < 0)
		return r;
	digest_hex(&whole, note + strlen(note));
	if (memo_get_note(memo, note, &known) == 0 && known.n == DIGEST_SIZE) {
		memcpy(ret->b, known.p, DIGEST_SIZE);
		return 0;
	}
	r = git_index_digest(path, ret);
	if (r < 0)
		return r;
	/* what was read is what was hashed */
	if (memo_digest_file(memo, path, &again, NULL) == 0 && digest_eq(&whole, &again))
		memo_set_note(memo, note, ret->b, DIGEST_SIZE);
	return 0;
}
