/* Invariant: the digest is of a whole member, in a file that did not change while it was read. */
#include "config.h"

#include "cache/rlib.h"

#include <errno.h>
#include <stdio.h>

#include "common/fs.h"

#define MAGIC "!<arch>\n"
#define MAGIC_SIZE (sizeof(MAGIC) - 1)
#define MEMBER "lib.rmeta/"
#define MEMBERS_MAX 65536 /* a crate has some hundreds of objects */
#define CHUNK_SIZE ((size_t)256 << 10)

/* System V, as GNU ar and LLVM write it; text, padded with blanks. */
struct header {
	char name[16], date[12], uid[6], gid[6], mode[8], size[10], end[2];
};

static int
read_at(int fd, void *p, size_t n, uint64_t at)
{
	for (uint8_t *to = p; n > 0;) {
		ssize_t k = pread(fd, to, n, (off_t)at);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return k < 0 ? -errno : -EBADMSG;
		to += k;
		at += (uint64_t)k;
		n -= (size_t)k;
	}
	return 0;
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
is_metadata(const struct header *h)
{
	size_t n = strlen(MEMBER);

	if (memcmp(h->name, MEMBER, n) != 0)
		return false;
	while (n < sizeof(h->name) && h->name[n] == ' ')
		n++;
	return n == sizeof(h->name);
}

static int
digest_range(int fd, uint64_t at, uint64_t n, struct digest *ret)
{
	_cleanup_(hasher_freep) struct hasher *h = hasher_new();
	_cleanup_(freep) uint8_t *chunk = malloc(CHUNK_SIZE);

	if (!h || !chunk)
		return -ENOMEM;
	while (n > 0) {
		size_t k = (size_t)MIN2(n, (uint64_t)CHUNK_SIZE);
		int r = read_at(fd, chunk, k, at);

		if (r < 0)
			return r;
		hasher_update(h, chunk, k);
		at += k;
		n -= k;
	}
	hasher_final(h, ret);
	return 0;
}

int
rlib_find_metadata(int fd, uint64_t size, struct digest *ret)
{
	uint64_t at = MAGIC_SIZE, n = 0;
	char magic[MAGIC_SIZE];
	struct header h;
	int r;

	if (size < MAGIC_SIZE || read_at(fd, magic, MAGIC_SIZE, 0) < 0 ||
		memcmp(magic, MAGIC, MAGIC_SIZE) != 0)
		return -EBADMSG;
	for (unsigned i = 0; i < MEMBERS_MAX && size - at >= sizeof(h); i++) {
		r = read_at(fd, &h, sizeof(h), at);
		if (r == 0)
			r = parse_size(&h, &n);
		if (r < 0)
			return r;
		at += sizeof(h);
		if (n > size - at)
			return -EBADMSG;
		if (is_metadata(&h))
			return digest_range(fd, at, n, ret);
		/* each begins at an even place */
		n += n & 1;
		if (n > size - at)
			break;
		at += n;
	}
	return -EBADMSG;
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
