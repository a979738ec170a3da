/* Sends blobs. Invariant: there are never more chunks under way than the worker gave credit for.
 * The content is not checked here: the worker compares it with the digest. */
#include "config.h"

#include "client/dispatch/upload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "common/fs.h"
#include "proto/wire.h"

#define STEP_CHUNKS 16
#define CREDIT_MAX (1u << 20)

struct upload {
	struct unit *unit;
	struct chunk_coder *coder;
	bool compress;
	uint32_t credit;
	uint8_t *packed; /* the unit, until it was sent */
	size_t packed_n, packed_at;
	uint32_t *need;
	size_t n, next;
	int fd;		   /* of need[next], -1: not open yet */
	struct strv extra; /* paths of blobs on demand */
	uint64_t *extra_size;
	uint8_t *asked; /* of each blob: it was asked for */
	size_t n_asked;
	uint64_t offset;
	uint64_t sent;
	uint8_t *chunk; /* made when first needed */
};

int
upload_new(struct unit *u, struct chunk_coder *coder, bool compress, struct upload **ret)
{
	struct upload *up = calloc(1, sizeof(*up));

	if (!up)
		return -ENOMEM;
	up->unit = u;
	up->coder = coder;
	up->compress = compress;
	up->fd = -1;
	*ret = up;
	return 0;
}

void
upload_free(struct upload *up)
{
	if (!up)
		return;
	closep(&up->fd);
	free(up->packed);
	free(up->need);
	strv_done(&up->extra);
	free(up->extra_size);
	free(up->asked);
	free(up->chunk);
	free(up);
}

void
upload_rest(struct upload *up)
{
	if (up->packed_at == up->packed_n) {
		free(up->packed);
		up->packed = NULL;
	}
	if (up->next == up->n) {
		free(up->chunk);
		up->chunk = NULL;
	}
}

int
upload_offer(struct upload *up, const char *path, uint64_t size)
{
	uint64_t *v = reallocarray(up->extra_size, up->extra.n + 1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	up->extra_size = v;
	v[up->extra.n] = size;
	return strv_add(&up->extra, path);
}

static uint64_t
blob_size(const struct upload *up, uint32_t blob)
{
	const Dray__Unit *u = unit_message(up->unit);

	return blob < u->n_blobs ? u->blobs[blob]->size : up->extra_size[blob - u->n_blobs];
}

/* Each blob is sent once: else a worker could have a client send for as long as it likes. */
static int
note_asked(struct upload *up, const Dray__BlobNeed *m, size_t n_blobs)
{
	if (up->n_asked < n_blobs) {
		uint8_t *v = reallocarray(up->asked, n_blobs, 1);

		if (!v)
			return -ENOMEM;
		memset(v + up->n_asked, 0, n_blobs - up->n_asked);
		up->asked = v;
		up->n_asked = n_blobs;
	}
	for (size_t i = 0; i < m->n_blob; i++) {
		if (m->blob[i] >= n_blobs || up->asked[m->blob[i]])
			return -EBADMSG;
		up->asked[m->blob[i]] = 1;
	}
	return 0;
}

int
upload_need(struct upload *up, const Dray__BlobNeed *m)
{
	size_t n_blobs = unit_message(up->unit)->n_blobs + up->extra.n;
	int r;

	if (up->next < up->n || m->n_blob > n_blobs)
		return -EBADMSG;
	r = note_asked(up, m, n_blobs);
	if (r < 0)
		return r;
	free(up->need);
	up->n = up->next = 0;
	up->need = calloc(m->n_blob + 1, sizeof(*up->need));
	if (!up->need)
		return -ENOMEM;
	if (m->n_blob)
		memcpy(up->need, m->blob, m->n_blob * sizeof(*up->need));
	up->n = m->n_blob;
	return 0;
}

int
upload_begin(struct upload *up, uint32_t *ret_n)
{
	const Dray__Unit *u = unit_message(up->unit);
	size_t n = dray__unit__get_packed_size(u);

	if (n > WIRE_UNIT_MAX)
		return -EMSGSIZE;
	up->packed = malloc(n ? n : 1);
	if (!up->packed)
		return -ENOMEM;
	up->packed_n = dray__unit__pack(u, up->packed);
	up->credit = WIRE_UNIT_AHEAD;
	*ret_n = (uint32_t)n;
	return 0;
}

int
upload_credit(struct upload *up, uint32_t n)
{
	if (n > CREDIT_MAX - up->credit)
		return -EBADMSG;
	up->credit += n;
	return 0;
}

const char *
upload_file(const struct upload *up)
{
	size_t n_blobs = unit_message(up->unit)->n_blobs;
	uint32_t blob;

	if (!up->need || up->next >= up->n)
		return NULL;
	blob = up->need[up->next];
	return blob < n_blobs ? unit_blob_path(up->unit, blob) : up->extra.v[blob - n_blobs];
}

uint64_t
upload_bytes(const struct upload *up)
{
	return up->sent;
}

void
upload_progress(const struct upload *up, uint64_t *ret_done, uint64_t *ret_of)
{
	*ret_done = *ret_of = 0;
	for (size_t i = 0; up->need && i < up->n; i++) {
		uint64_t size = blob_size(up, up->need[i]);

		*ret_of += size;
		*ret_done += i < up->next ? size : 0;
	}
	if (up->fd >= 0)
		*ret_done += up->offset;
}

static int
read_chunk(struct upload *up, size_t want)
{
	ssize_t k;

	if (!up->chunk)
		up->chunk = malloc(WIRE_CHUNK_MAX);
	if (!up->chunk)
		return -ENOMEM;
	k = fs_read_at(up->fd, up->chunk, want, up->offset);
	return k < 0 ? (int)k : (size_t)k < want ? -ESTALE : 0;
}

static int
send_chunk(struct upload *up, void *socket, size_t n, bool last)
{
	Dray__BlobChunk m;
	bool zstd = false;
	zmq_msg_t payload;
	size_t wire;
	int r = chunk_encode(up->coder, up->chunk, n, up->compress, &payload, &zstd);

	dray__blob_chunk__init(&m);
	if (r < 0)
		return r;
	wire = zmq_msg_size(&payload);
	m.blob = up->need[up->next];
	m.offset = up->offset;
	m.last = last;
	m.zstd = zstd;
	m.size = (uint32_t)n;
	r = wire_send_msg(socket, NULL, WIRE_BLOB_CHUNK, &m.base, &payload);
	zmq_msg_close(&payload);
	if (r < 0)
		return r;
	up->sent += wire;
	up->credit--;
	up->offset += n;
	return 0;
}

static int
step_one(struct upload *up, void *socket)
{
	uint64_t size = blob_size(up, up->need[up->next]);
	size_t n;
	bool last;
	int r;

	if (up->fd < 0) {
		up->fd = open(upload_file(up), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
		if (up->fd < 0)
			return errno == ENOENT ? -ESTALE : -errno;
		up->offset = 0;
	}
	n = (size_t)MIN2(size - up->offset, (uint64_t)WIRE_CHUNK_MAX);
	last = up->offset + n == size;
	r = read_chunk(up, n);
	if (r == 0)
		r = send_chunk(up, socket, n, last);
	if (r == 0 && last) {
		closep(&up->fd);
		up->next++;
	}
	return r;
}

/* The next piece of the unit. */
static int
step_unit(struct upload *up, void *socket)
{
	size_t n = MIN2(up->packed_n - up->packed_at, (size_t)WIRE_CHUNK_MAX);
	Dray__JobUnit m;
	bool zstd = false;
	zmq_msg_t payload;
	size_t wire;
	int r = chunk_encode(
		up->coder, up->packed + up->packed_at, n, up->compress, &payload, &zstd);

	if (r < 0)
		return r;
	dray__job_unit__init(&m);
	wire = zmq_msg_size(&payload);
	m.offset = (uint32_t)up->packed_at;
	m.zstd = zstd;
	m.size = (uint32_t)n;
	r = wire_send_msg(socket, NULL, WIRE_JOB_UNIT, &m.base, &payload);
	zmq_msg_close(&payload);
	if (r < 0)
		return r;
	up->sent += wire;
	up->credit--;
	up->packed_at += n;
	return 0;
}

int
upload_step(struct upload *up, void *socket)
{
	while (up->packed_at < up->packed_n && up->credit > 0) {
		int r = step_unit(up, socket);

		if (r < 0)
			return r;
	}
	for (int i = 0; up->need && up->next < up->n && up->credit > 0; i++) {
		int r;

		if (i == STEP_CHUNKS)
			return 1;
		r = step_one(up, socket);
		if (r < 0)
			return r;
	}
	return 0;
}
