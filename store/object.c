/* Objects: head and names. Invariant: a head that is accepted is the only one of its content: no
 * byte of it is free. */
#include "config.h"

#include "store/object.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

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
