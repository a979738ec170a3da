/* Objects: head and names. Invariant: a head that is accepted is the only one of its content: no
 * byte of it is free. */
#include "config.h"

#include "store/object.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <zstd.h>

#include "common/fs.h"

#define SKIPPED_FRAME 0x184D2A5Du
#define TEXT "drayobj1"

static const char *const kinds[STORE_N_KINDS] = {
	[STORE_BLOB] = "blobs", [STORE_ENTRY] = "entries"
};

void
object_done(struct object *o)
{
	closep(&o->fd);
}

static void
put_le32(uint8_t *out, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		out[i] = (uint8_t)(v >> (8 * i));
}

void
object_head_write(const struct object_head *h, uint8_t out[OBJECT_HEAD_SIZE])
{
	memset(out, 0, OBJECT_HEAD_SIZE);
	put_le32(out, SKIPPED_FRAME);
	put_le32(out + 4, OBJECT_HEAD_SIZE - 8);
	memcpy(out + 8, TEXT, 8);
	out[16] = (uint8_t)h->kind;
	out[17] = (uint8_t)h->coding;
	for (unsigned i = 0; i < 8; i++)
		out[24 + i] = (uint8_t)(h->size >> (8 * (7 - i)));
	memcpy(out + 32, h->name.b, DIGEST_SIZE);
	memcpy(out + 64, h->content.b, DIGEST_SIZE);
}

int
object_head_read(const uint8_t in[OBJECT_HEAD_SIZE], struct object_head *ret)
{
	struct object_head h = { .kind = (enum store_kind)in[16],
		.coding = (enum object_coding)in[17] };
	uint8_t same[OBJECT_HEAD_SIZE];

	if (in[16] >= STORE_N_KINDS || in[17] >= OBJECT_N_CODINGS)
		return -EBADMSG;
	for (unsigned i = 0; i < 8; i++)
		h.size = h.size << 8 | in[24 + i];
	memcpy(h.name.b, in + 32, DIGEST_SIZE);
	memcpy(h.content.b, in + 64, DIGEST_SIZE);
	object_head_write(&h, same);
	if (memcmp(in, same, OBJECT_HEAD_SIZE) != 0)
		return -EBADMSG;
	if (h.kind == STORE_BLOB && !digest_eq(&h.name, &h.content))
		return -EBADMSG;
	*ret = h;
	return 0;
}

void
object_path(enum store_kind kind, const struct digest *name, char out[OBJECT_PATH_SIZE])
{
	char hex[DIGEST_HEX_SIZE];

	digest_hex(name, hex);
	snprintf(out, OBJECT_PATH_SIZE, "v1/%s/%.2s/%s", kinds[kind], hex, hex);
}

int
object_temp(const char *dir)
{
	_cleanup_(freep) char *path = NULL;
	int fd;

	if (dir == NULL)
		fd = memfd_create("dray-object", MFD_CLOEXEC);
	else
		fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0)
		return fd;
	if (dir == NULL || (errno != EOPNOTSUPP && errno != EISDIR))
		return -errno;
	/* a file system that has no such files, as NFS */
	path = path_join(dir, ".dray-object-XXXXXX");
	if (path == NULL)
		return -ENOMEM;
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	unlink(path);
	return fd;
}

struct object_reader {
	const struct object *o;
	uint64_t at;	 /* in the object */
	ZSTD_DCtx *zstd; /* NULL: raw */
	uint8_t *in;	 /* ZSTD_DStreamInSize() bytes */
	size_t n, used;
};

int
object_reader_new(const struct object *o, struct object_reader **ret)
{
	struct object_reader *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return -ENOMEM;
	r->o = o;
	r->at = OBJECT_HEAD_SIZE;
	if (o->head.coding == OBJECT_ZSTD) {
		r->zstd = ZSTD_createDCtx();
		r->in = malloc(ZSTD_DStreamInSize());
		if (r->zstd == NULL || r->in == NULL) {
			object_reader_free(r);
			return -ENOMEM;
		}
	}
	*ret = r;
	return 0;
}

void
object_reader_free(struct object_reader *r)
{
	if (r == NULL)
		return;
	ZSTD_freeDCtx(r->zstd);
	free(r->in);
	free(r);
}

static int
refill(struct object_reader *r)
{
	ssize_t k = fs_read_at(r->o->fd, r->in, ZSTD_DStreamInSize(), (off_t)r->at);

	if (k <= 0)
		return k < 0 ? (int)k : -EIO;
	r->at += (uint64_t)k;
	r->n = (size_t)k;
	r->used = 0;
	return 0;
}

int
object_reader_read(struct object_reader *r, void *p, size_t n)
{
	ZSTD_outBuffer to = { .dst = p, .size = n };
	ssize_t k;

	if (r->zstd == NULL) {
		k = fs_read_at(r->o->fd, p, n, (off_t)r->at);
		if (k != (ssize_t)n)
			return k < 0 ? (int)k : -EIO;
		r->at += n;
		return 0;
	}
	while (to.pos < to.size) {
		ZSTD_inBuffer from = { .src = r->in, .size = r->n, .pos = r->used };
		size_t before = to.pos, left = ZSTD_decompressStream(r->zstd, &to, &from);

		if (ZSTD_isError(left))
			return -EIO;
		r->used = from.pos;
		if (to.pos == before && r->used == r->n) {
			int e = refill(r);

			if (e < 0)
				return e;
		}
	}
	return 0;
}
