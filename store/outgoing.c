/* Objects that go out. Invariant: an object is handed on only with a head that is true of what was
 * written. */
#include "config.h"

#include "store/outgoing.h"

#include <errno.h>
#include <zstd.h>

#include "common/fs.h"
#include "store/url.h"

/* 507 MB/s on debug rlibs at a ratio of 4 (proto/chunk.h) */
#define LEVEL 1
#define CHUNK_SIZE ((size_t)256 << 10)

struct outgoing {
	struct store_writer base;
	struct object_head head;
	int fd;
	int error;	 /* the first one; nothing is written after it */
	uint64_t length; /* of the object so far */
	struct hasher *hasher;
	ZSTD_CCtx *zstd; /* NULL: raw */
	uint8_t *out;	 /* ZSTD_CStreamOutSize() bytes */
};

static void
free_outgoing(struct outgoing *o)
{
	if (o == NULL)
		return;
	closep(&o->fd);
	hasher_free(o->hasher);
	ZSTD_freeCCtx(o->zstd);
	free(o->out);
	free(o);
}

static void
free_outgoingp(struct outgoing **o)
{
	free_outgoing(*o);
	*o = NULL;
}

static int
new_outgoing(
	const char *tmp, enum object_coding coding, enum store_kind kind, struct outgoing **ret)
{
	static const uint8_t room[OBJECT_HEAD_SIZE];
	_cleanup_(free_outgoingp) struct outgoing *o = calloc(1, sizeof(*o));
	int r;

	if (o == NULL)
		return -ENOMEM;
	o->head.kind = kind;
	o->head.coding = coding;
	o->length = OBJECT_HEAD_SIZE;
	o->fd = object_temp(tmp);
	if (o->fd < 0)
		return o->fd;
	o->hasher = hasher_new();
	if (o->hasher == NULL)
		return -ENOMEM;
	if (coding == OBJECT_ZSTD) {
		o->zstd = ZSTD_createCCtx();
		o->out = malloc(ZSTD_CStreamOutSize());
		if (o->zstd == NULL || o->out == NULL)
			return -ENOMEM;
		ZSTD_CCtx_setParameter(o->zstd, ZSTD_c_compressionLevel, LEVEL);
	}
	r = fs_write_all(o->fd, room, sizeof(room));
	if (r < 0)
		return r;
	*ret = steal_ptr(o);
	return 0;
}

static int
add_out(struct outgoing *o, const void *p, size_t n)
{
	int r = fs_write_all(o->fd, p, n);

	o->length += n;
	return r;
}

/* All of p is taken; at the end, also what zstd holds back. */
static int
compress(struct outgoing *o, const void *p, size_t n, bool at_end)
{
	ZSTD_inBuffer from = { .src = p, .size = n };
	size_t left;
	int r;

	do {
		ZSTD_outBuffer to = { .dst = o->out, .size = ZSTD_CStreamOutSize() };

		left = ZSTD_compressStream2(
			o->zstd, &to, &from, at_end ? ZSTD_e_end : ZSTD_e_continue);
		if (ZSTD_isError(left))
			return -ENOMEM;
		r = add_out(o, o->out, to.pos);
		if (r < 0)
			return r;
	} while (at_end ? left > 0 : from.pos < from.size);
	return 0;
}

static int
write_out(struct outgoing *o, const void *p, size_t n)
{
	if (o->error == 0 && n > 0) {
		hasher_update(o->hasher, p, n);
		o->head.size += n;
		o->error = o->zstd != NULL ? compress(o, p, n, false) : add_out(o, p, n);
	}
	return o->error;
}

/* key: of an entry. */
static int
seal(struct outgoing *o, const struct digest *key, struct object *ret)
{
	uint8_t head[OBJECT_HEAD_SIZE];
	int r = o->error;

	if (r == 0 && o->zstd != NULL)
		r = compress(o, NULL, 0, true);
	if (r < 0)
		return r;
	hasher_final(o->hasher, &o->head.content);
	o->head.name = key != NULL ? *key : o->head.content;
	object_head_write(&o->head, head);
	if (lseek(o->fd, 0, SEEK_SET) < 0)
		return -errno;
	r = fs_write_all(o->fd, head, sizeof(head));
	if (r < 0)
		return r;
	if (lseek(o->fd, 0, SEEK_SET) < 0)
		return -errno;
	*ret = (struct object){ .head = o->head, .fd = steal_fd(&o->fd), .length = o->length };
	return 0;
}

int
outgoing_blob(const char *tmp, enum object_coding coding, int fd, struct object *ret)
{
	_cleanup_(free_outgoingp) struct outgoing *o = NULL;
	_cleanup_(freep) uint8_t *chunk = malloc(CHUNK_SIZE);
	ssize_t k;
	int r = chunk == NULL ? -ENOMEM : new_outgoing(tmp, coding, STORE_BLOB, &o);

	while (r == 0 && (k = read(fd, chunk, CHUNK_SIZE)) != 0) {
		if (k > 0)
			r = write_out(o, chunk, (size_t)k);
		else if (errno != EINTR)
			r = -errno;
	}
	return r < 0 ? r : seal(o, NULL, ret);
}

int
outgoing_entry(const char *tmp, enum object_coding coding, const struct digest *key, const void *p,
	size_t n, struct object *ret)
{
	_cleanup_(free_outgoingp) struct outgoing *o = NULL;
	int r = new_outgoing(tmp, coding, STORE_ENTRY, &o);

	if (r == 0)
		r = write_out(o, p, n);
	return r < 0 ? r : seal(o, key, ret);
}

void
outgoing_init(struct store *s, const struct store_type *type, const struct store_in *in)
{
	const char *mode = in->url != NULL ? store_url_get(in->url, STORE_PARAM_MODE) : NULL;

	*s = (struct store){ .type = type,
		.fd = -1,
		.tmp = in->tmp,
		.coding = OBJECT_ZSTD,
		.read_only = mode != NULL && streq(mode, "ro") };
}

static void
hand_on(struct store *s, int r, struct object *o, store_done_fn done, void *arg)
{
	if (r < 0)
		store_answer_error(done, arg, r);
	else
		s->type->put(s, o, done, arg);
}

int
outgoing_write_begin(struct store *s, struct store_writer **ret)
{
	struct outgoing *o;
	int r = s->read_only ? -EROFS : new_outgoing(s->tmp, s->coding, STORE_BLOB, &o);

	if (r < 0)
		return r;
	o->base.store = s;
	*ret = &o->base;
	return 0;
}

int
outgoing_write(struct store_writer *w, const void *p, size_t n)
{
	return write_out((struct outgoing *)w, p, n);
}

void
outgoing_write_abort(struct store_writer *w)
{
	free_outgoing((struct outgoing *)w);
}

void
outgoing_write_commit(struct store_writer *w, const struct digest *expected, uint64_t size,
	store_done_fn done, void *arg)
{
	struct store *s = w->store;
	struct object object = { .fd = -1 };
	int r = seal((struct outgoing *)w, NULL, &object);

	outgoing_write_abort(w);
	if (r == 0 && expected != NULL &&
		(object.head.size != size || !digest_eq(&object.head.name, expected))) {
		object_done(&object);
		r = -EBADMSG;
	}
	hand_on(s, r, &object, done, arg);
}

void
outgoing_put_fd(struct store *s, int fd, store_done_fn done, void *arg)
{
	struct object object = { .fd = -1 };
	int r = s->read_only ? -EROFS : outgoing_blob(s->tmp, s->coding, fd, &object);

	hand_on(s, r, &object, done, arg);
}

void
outgoing_put_entry(struct store *s, const struct digest *key, const void *p, size_t n,
	store_done_fn done, void *arg)
{
	struct object object = { .fd = -1 };
	int r = s->read_only ? -EROFS : outgoing_entry(s->tmp, s->coding, key, p, n, &object);

	hand_on(s, r, &object, done, arg);
}
