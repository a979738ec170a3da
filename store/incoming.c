/* Objects that come in. Invariant: a byte is counted against its bound before it is written. */
#include "config.h"

#include "store/incoming.h"

#include <errno.h>
#include <fcntl.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "common/fs.h"
#include "common/strv.h"

/* A frame that asks for a larger window is refused: ours ask for 2 MiB at most, and level 19 for
 * 8. */
#define WINDOW_LOG_MAX 23

struct incoming {
	enum store_kind kind;
	struct digest name;
	uint64_t max;
	char *tmp;
	int fd;	   /* -1: no content has come */
	int error; /* the first one */
	uint8_t head_bytes[OBJECT_HEAD_SIZE];
	size_t head_n; /* of them */
	struct object_head head;
	uint64_t came;	  /* bytes of the object */
	uint64_t written; /* of the content */
	bool frame_ended;
	struct hasher *hasher;
	ZSTD_DCtx *zstd; /* made when needed */
	uint8_t *out;	 /* ZSTD_DStreamOutSize() bytes, the same */
};

void
incoming_free(struct incoming *in)
{
	if (in == NULL)
		return;
	closep(&in->fd);
	free(in->tmp);
	hasher_free(in->hasher);
	ZSTD_freeDCtx(in->zstd);
	free(in->out);
	free(in);
}

void
incoming_freep(struct incoming **in)
{
	incoming_free(*in);
	*in = NULL;
}

int
incoming_new(const char *tmp, enum store_kind kind, const struct digest *name, uint64_t max,
	struct incoming **ret)
{
	_cleanup_(incoming_freep) struct incoming *in = calloc(1, sizeof(*in));

	if (in == NULL)
		return -ENOMEM;
	in->kind = kind;
	in->name = *name;
	in->max = max;
	in->fd = -1;
	in->hasher = hasher_new();
	if (in->hasher == NULL || str_copy(tmp, &in->tmp) < 0)
		return -ENOMEM;
	*ret = steal_ptr(in);
	return 0;
}

int
incoming_restart(struct incoming *in)
{
	struct digest none;

	if (in->fd >= 0 && (ftruncate(in->fd, 0) < 0 || lseek(in->fd, 0, SEEK_SET) < 0))
		return -errno;
	hasher_final(in->hasher, &none);
	if (in->zstd != NULL)
		ZSTD_DCtx_reset(in->zstd, ZSTD_reset_session_only);
	in->error = 0;
	in->head_n = 0;
	in->came = in->written = 0;
	in->frame_ended = false;
	return 0;
}

int
incoming_error(const struct incoming *in)
{
	return in->error;
}

static int
need_file(struct incoming *in)
{
	int fd = in->fd < 0 ? object_temp(in->tmp) : in->fd;

	if (fd < 0)
		return fd;
	in->fd = fd;
	return 0;
}

static int
add_content(struct incoming *in, const void *p, size_t n)
{
	int r;

	if (n > in->head.size - in->written)
		return -EBADMSG;
	r = need_file(in);
	if (r == 0)
		r = fs_write_all(in->fd, p, n);
	if (r < 0)
		return r;
	hasher_update(in->hasher, p, n);
	in->written += n;
	return 0;
}

static int
need_zstd(struct incoming *in)
{
	if (in->zstd != NULL)
		return 0;
	in->out = malloc(ZSTD_DStreamOutSize());
	if (in->out == NULL)
		return -ENOMEM;
	in->zstd = ZSTD_createDCtx();
	if (in->zstd == NULL)
		return -ENOMEM;
	ZSTD_DCtx_setParameter(in->zstd, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
	return 0;
}

static int
add_zstd(struct incoming *in, const uint8_t *p, size_t n)
{
	ZSTD_inBuffer from = { .src = p, .size = n };
	int r = need_zstd(in);

	if (r < 0)
		return r;
	for (;;) {
		ZSTD_outBuffer to = { .dst = in->out, .size = ZSTD_DStreamOutSize() };
		size_t left;

		/* nothing comes after the one frame */
		if (in->frame_ended)
			return from.pos < from.size ? -EBADMSG : 0;
		left = ZSTD_decompressStream(in->zstd, &to, &from);
		if (ZSTD_isError(left))
			return ZSTD_getErrorCode(left) == ZSTD_error_memory_allocation ? -ENOMEM
										       : -EBADMSG;
		r = add_content(in, in->out, to.pos);
		if (r < 0)
			return r;
		in->frame_ended = left == 0;
		/* room was left: it has nothing more to give for now */
		if (from.pos == from.size && to.pos < to.size)
			return 0;
	}
}

static int
read_head(struct incoming *in)
{
	int r = object_head_read(in->head_bytes, &in->head);

	if (r < 0)
		return r;
	if (in->head.kind != in->kind || !digest_eq(&in->head.name, &in->name))
		return -EBADMSG;
	return in->head.size > in->max ? -EFBIG : 0;
}

static int
add(struct incoming *in, const uint8_t *p, size_t n)
{
	size_t k;
	int r;

	in->came += n;
	if (in->head_n < OBJECT_HEAD_SIZE) {
		k = MIN2(n, OBJECT_HEAD_SIZE - in->head_n);
		memcpy(in->head_bytes + in->head_n, p, k);
		in->head_n += k;
		p += k;
		n -= k;
		if (in->head_n < OBJECT_HEAD_SIZE)
			return 0;
		r = k > 0 ? read_head(in) : 0;
		if (r < 0)
			return r;
	}
	if (n == 0)
		return 0;
	/* a frame may have any number of blocks with nothing in them */
	if (in->came > in->head.size + OBJECT_OVERHEAD(in->head.size))
		return -EBADMSG;
	return in->head.coding == OBJECT_RAW ? add_content(in, p, n) : add_zstd(in, p, n);
}

int
incoming_add(struct incoming *in, const void *p, size_t n)
{
	if (in->error == 0 && n > 0)
		in->error = add(in, p, n);
	return in->error;
}

static int
end(struct incoming *in)
{
	struct digest found;
	int r;

	if (in->head_n < OBJECT_HEAD_SIZE || in->written != in->head.size)
		return -EBADMSG;
	if (in->head.coding == OBJECT_ZSTD && !in->frame_ended)
		return -EBADMSG;
	hasher_final(in->hasher, &found);
	if (!digest_eq(&found, &in->head.content))
		return -EBADMSG;
	r = need_file(in);
	if (r < 0)
		return r;
	return lseek(in->fd, 0, SEEK_SET) < 0 ? -errno : 0;
}

int
incoming_end(struct incoming *in, uint64_t *ret_size)
{
	if (in->error == 0)
		in->error = end(in);
	if (in->error < 0)
		return in->error;
	if (ret_size != NULL)
		*ret_size = in->head.size;
	in->error = -EBADF; /* it was handed over */
	return steal_fd(&in->fd);
}
