/* Invariant: what a reader says is whole ends with the count of its items, and with zstd's checksum
 * of all before. */
#include "config.h"

#include "store/pack.h"

#include <errno.h>
#include <unistd.h>
#include <zstd.h>

#include "common/fs.h"

static const char magic[] = "draypck1";
#define MAGIC_SIZE (sizeof(magic) - 1)
#define MAGIC_NAME 7 /* without the version */
#define HEAD_SIZE (1 + DIGEST_SIZE + 8)
#define END 'z'
#define LEVEL 3
#define WINDOW_LOG 27 /* 128 MiB, the most that a reader takes by default */
#define THREADS 2

static const char kinds[STORE_N_KINDS] = { [STORE_BLOB] = 'b', [STORE_ENTRY] = 'e' };

static void
put_u64(uint8_t *p, uint64_t v)
{
	for (unsigned i = 0; i < 8; i++)
		p[i] = (uint8_t)(v >> (56 - 8 * i));
}

static uint64_t
get_u64(const uint8_t *p)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

/* ---- writing */

struct pack_writer {
	int fd, error;
	uint64_t items;
	ZSTD_CCtx *zstd;
	uint8_t *in, *out;
	size_t in_size, out_size;
};

void
pack_writer_freep(struct pack_writer **w)
{
	if (!*w)
		return;
	ZSTD_freeCCtx((*w)->zstd);
	free((*w)->in);
	free((*w)->out);
	free(*w);
	*w = NULL;
}

int
pack_writer_new(int fd, struct pack_writer **ret)
{
	_cleanup_(pack_writer_freep) struct pack_writer *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	w->fd = fd;
	w->in_size = ZSTD_CStreamInSize();
	w->out_size = ZSTD_CStreamOutSize();
	w->zstd = ZSTD_createCCtx();
	w->in = malloc(w->in_size);
	w->out = malloc(w->out_size);
	if (!w->zstd || !w->in || !w->out)
		return -ENOMEM;
	/* one that this libzstd does not know, threads mostly, is done without */
	(void)ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel, LEVEL);
	(void)ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_enableLongDistanceMatching, 1);
	(void)ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_windowLog, WINDOW_LOG);
	(void)ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_nbWorkers, THREADS);
	if (ZSTD_isError(ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_checksumFlag, 1)))
		return -EIO;
	r = fs_write_all(fd, magic, MAGIC_SIZE);
	if (r < 0)
		return r;
	*ret = steal_ptr(w);
	return 0;
}

static int
press(struct pack_writer *w, const void *p, size_t n, ZSTD_EndDirective how)
{
	ZSTD_inBuffer in = { p, n, 0 };
	size_t left = 1;

	while (w->error == 0 && (in.pos < in.size || (how == ZSTD_e_end && left > 0))) {
		ZSTD_outBuffer out = { w->out, w->out_size, 0 };

		left = ZSTD_compressStream2(w->zstd, &out, &in, how);
		w->error = ZSTD_isError(left) ? -EIO : fs_write_all(w->fd, w->out, out.pos);
	}
	return w->error;
}

static int
put_head(struct pack_writer *w, char kind, const struct digest *name, uint64_t size)
{
	uint8_t head[HEAD_SIZE] = { (uint8_t)kind };

	memcpy(head + 1, name->b, DIGEST_SIZE);
	put_u64(head + 1 + DIGEST_SIZE, size);
	return press(w, head, sizeof(head), ZSTD_e_continue);
}

int
pack_put(struct pack_writer *w, const struct pack_item *item, const void *p)
{
	w->items++;
	put_head(w, kinds[item->kind], &item->name, item->size);
	return press(w, p, (size_t)item->size, ZSTD_e_continue);
}

int
pack_put_fd(struct pack_writer *w, const struct pack_item *item, int fd)
{
	uint64_t left = item->size;

	w->items++;
	put_head(w, kinds[item->kind], &item->name, item->size);
	while (w->error == 0 && left > 0) {
		ssize_t n = read(fd, w->in, MIN2(left, w->in_size));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			w->error = n < 0 ? -errno : -ESTALE;
			break;
		}
		press(w, w->in, (size_t)n, ZSTD_e_continue);
		left -= (uint64_t)n;
	}
	return w->error;
}

int
pack_end(struct pack_writer *w)
{
	const struct digest none = { { 0 } };

	put_head(w, END, &none, w->items);
	return press(w, NULL, 0, ZSTD_e_end);
}

/* ---- reading */

struct pack_reader {
	int fd;
	uint64_t items, left; /* so far; of the last one's content */
	ZSTD_DCtx *zstd;
	uint8_t *raw, *out;
	size_t raw_size, out_size;
	ZSTD_inBuffer in;
	size_t at, n; /* of out */
	bool ended;   /* the frame */
};

void
pack_reader_freep(struct pack_reader **r)
{
	if (!*r)
		return;
	ZSTD_freeDCtx((*r)->zstd);
	free((*r)->raw);
	free((*r)->out);
	free(*r);
	*r = NULL;
}

static int
check_magic(int fd)
{
	char begin[MAGIC_SIZE];
	size_t n = 0;

	while (n < sizeof(begin)) {
		ssize_t k = read(fd, begin + n, sizeof(begin) - n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return k < 0 ? -errno : -EBADMSG;
		n += (size_t)k;
	}
	if (memcmp(begin, magic, MAGIC_NAME) != 0)
		return -EBADMSG;
	return memcmp(begin, magic, MAGIC_SIZE) == 0 ? 0 : -EPROTONOSUPPORT;
}

int
pack_reader_new(int fd, struct pack_reader **ret)
{
	_cleanup_(pack_reader_freep) struct pack_reader *r = calloc(1, sizeof(*r));
	int k;

	if (!r)
		return -ENOMEM;
	r->fd = fd;
	r->raw_size = ZSTD_DStreamInSize();
	r->out_size = ZSTD_DStreamOutSize();
	r->zstd = ZSTD_createDCtx();
	r->raw = malloc(r->raw_size);
	r->out = malloc(r->out_size);
	if (!r->zstd || !r->raw || !r->out)
		return -ENOMEM;
	if (ZSTD_isError(ZSTD_DCtx_setParameter(r->zstd, ZSTD_d_windowLogMax, WINDOW_LOG)))
		return -EIO;
	k = check_magic(fd);
	if (k < 0)
		return k;
	*ret = steal_ptr(r);
	return 0;
}

/* More bytes to out. 1; 0: the frame has ended, and so has the file; -EBADMSG; -errno. */
static int
fill(struct pack_reader *r)
{
	r->at = r->n = 0;
	while (r->n == 0) {
		ZSTD_outBuffer out = { r->out, r->out_size, 0 };
		size_t left;

		if (r->in.pos == r->in.size) {
			ssize_t k = read(r->fd, r->raw, r->raw_size);

			if (k < 0 && errno == EINTR)
				continue;
			if (k <= 0)
				return k < 0 ? -errno : r->ended ? 0 : -EBADMSG;
			r->in = (ZSTD_inBuffer){ r->raw, (size_t)k, 0 };
		}
		if (r->ended)
			return -EBADMSG;
		left = ZSTD_decompressStream(r->zstd, &out, &r->in);
		if (ZSTD_isError(left))
			return -EBADMSG;
		r->ended = left == 0;
		r->n = out.pos;
	}
	return 1;
}

/* The next bytes of the pack, at most `most`: *ret. How many; 0: at its end; or -errno. */
static ssize_t
next_bytes(struct pack_reader *r, uint64_t most, const uint8_t **ret)
{
	size_t n;

	if (r->at == r->n) {
		int k = fill(r);

		if (k <= 0)
			return k;
	}
	n = MIN2(r->n - r->at, most);
	*ret = r->out + r->at;
	r->at += n;
	return (ssize_t)n;
}

typedef int (*take_fn)(void *arg, const void *p, size_t n);

/* The item's content, to a function. */
static int
take(struct pack_reader *r, take_fn fn, void *arg)
{
	int k = 0;

	while (k == 0 && r->left > 0) {
		const uint8_t *p;
		ssize_t n = next_bytes(r, r->left, &p);

		if (n <= 0)
			return n < 0 ? (int)n : -EBADMSG;
		r->left -= (uint64_t)n;
		k = fn(arg, p, (size_t)n);
	}
	return k;
}

static int
take_none(void *arg, const void *p, size_t n)
{
	(void)arg;
	(void)p;
	(void)n;
	return 0;
}

static int
take_to_fd(void *arg, const void *p, size_t n)
{
	return fs_write_all(*(const int *)arg, p, n);
}

static int
take_to_buf(void *arg, const void *p, size_t n)
{
	return buf_add(arg, p, n);
}

int
pack_get_fd(struct pack_reader *r, int to)
{
	return take(r, take_to_fd, &to);
}

int
pack_get(struct pack_reader *r, struct buf *to)
{
	return take(r, take_to_buf, to);
}

static int
get_head(struct pack_reader *r, uint8_t head[HEAD_SIZE])
{
	size_t n = 0;

	while (n < HEAD_SIZE) {
		const uint8_t *p;
		ssize_t k = next_bytes(r, HEAD_SIZE - n, &p);

		if (k <= 0)
			return k < 0 ? (int)k : -EBADMSG;
		memcpy(head + n, p, (size_t)k);
		n += (size_t)k;
	}
	return 0;
}

/* Nothing may come behind. */
static int
check_end(struct pack_reader *r, uint64_t items)
{
	const uint8_t *p;
	ssize_t n;

	if (items != r->items)
		return -EBADMSG;
	n = next_bytes(r, 1, &p);
	return n < 0 ? (int)n : n > 0 ? -EBADMSG : 0;
}

int
pack_next(struct pack_reader *r, struct pack_item *ret)
{
	uint8_t head[HEAD_SIZE];
	uint64_t size;
	int k = take(r, take_none, NULL);

	if (k == 0)
		k = get_head(r, head);
	if (k < 0)
		return k;
	size = get_u64(head + 1 + DIGEST_SIZE);
	if (head[0] == END)
		return check_end(r, size);
	if (head[0] != kinds[STORE_BLOB] && head[0] != kinds[STORE_ENTRY])
		return -EBADMSG;
	ret->kind = head[0] == kinds[STORE_BLOB] ? STORE_BLOB : STORE_ENTRY;
	if (size > (ret->kind == STORE_BLOB ? PACK_BLOB_MAX : PACK_ENTRY_MAX))
		return -EBADMSG;
	memcpy(ret->name.b, head + 1, DIGEST_SIZE);
	ret->size = r->left = size;
	r->items++;
	return 1;
}
