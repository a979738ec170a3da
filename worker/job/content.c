/* Sends the content of outputs, and makes its digest on the way.
 *
 * Invariant: a chunk names an earlier output in place of its content only where the two are equal
 * by their digests (pieces.c); what was begun with a size has that size, whatever the job does to
 * its file. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/fs.h"
#include "worker/job/job_priv.h"

struct sending {
	struct job *j;
	Dray__OutputChunk m;
	struct hasher *hasher; /* NULL: the digest is known */
	uint8_t *chunk;
};

int
content_begin(struct job *j, const char *name, Dray__OutputKind kind, unsigned mode, uint64_t size,
	const struct digest *d, const struct piece *same, uint32_t *ret)
{
	Dray__OutputBegin m = DRAY__OUTPUT_BEGIN__INIT;
	int r;

	if (j->n_outputs >= JOB_OUTPUTS_MAX)
		return job_fail(j, -E2BIG, DRAY__VERDICT__VERDICT_LIMIT, "too many outputs");
	m.output = j->n_outputs;
	m.name = (char *)name;
	m.kind = kind;
	m.size = size;
	if (d) {
		m.digest.data = (uint8_t *)d->b;
		m.digest.len = DIGEST_SIZE;
	}
	m.mode = mode & 0111 ? 0755 : 0644;
	m.same = same ? same->output + 1 : 0;
	r = job_send(j, WIRE_OUTPUT_BEGIN, &m.base, NULL);
	if (r < 0)
		return r;
	if (ret)
		*ret = m.output;
	j->n_outputs++;
	return 0;
}

/* n bytes of the chunk; none: they are those of the part. */
static int
send_chunk(struct sending *s, size_t n, const struct part *part)
{
	struct digest d;
	bool zstd = false;
	zmq_msg_t payload;
	int r;

	if (job_keeps_back(s->j, WIRE_OUTPUT_CHUNK)) {
		if (s->hasher)
			hasher_update(s->hasher, s->chunk, n);
		return 0;
	}
	r = chunk_encode(s->j->coder, s->chunk, part ? 0 : n, s->j->compress, &payload, &zstd);
	if (r < 0)
		return r;
	s->m.zstd = zstd;
	s->m.size = (uint32_t)n;
	s->m.from = part ? part->output + 1 : 0;
	s->m.from_offset = part ? s->m.offset - part->at : 0;
	if (s->hasher)
		hasher_update(s->hasher, s->chunk, n);
	if (s->hasher && s->m.last) {
		hasher_peek(s->hasher, &d);
		s->m.digest.data = d.b;
		s->m.digest.len = DIGEST_SIZE;
	}
	r = job_take_credit(s->j);
	if (r == 0)
		r = job_send(s->j, WIRE_OUTPUT_CHUNK, &s->m.base, &payload);
	zmq_msg_close(&payload);
	return r;
}

/* The next part that ends behind this place. */
static const struct part *
part_at(const struct parts *p, uint64_t at)
{
	for (size_t i = 0; p && i < p->n; i++)
		if (at < p->v[i].at + p->v[i].n)
			return &p->v[i];
	return NULL;
}

/* The compiler runs, and waits for what it asks. */
static int
look(struct job *j)
{
	int r;

	j->no_wait = true;
	r = job_poll(j, NULL, 0);
	j->no_wait = false;
	return r;
}

static int
send_all(struct sending *s, int fd, uint64_t size, const struct parts *parts, bool *ret_cut)
{
	int r = 0;

	do {
		const struct part *part = part_at(parts, s->m.offset);
		uint64_t end = part ? part->at : size;
		size_t n;
		ssize_t got;

		if (part && part->at <= s->m.offset)
			end = part->at + part->n;
		else
			part = NULL;
		n = (size_t)MIN2(MIN2(end, size) - s->m.offset, (uint64_t)WIRE_CHUNK_MAX);
		got = fs_read_at(fd, s->chunk, n, s->m.offset);
		if (got < 0)
			return (int)got;
		if ((size_t)got < n) {
			if (!ret_cut)
				return -EIO;
			*ret_cut = true;
			memset(s->chunk + got, 0, n - (size_t)got);
		}
		s->m.last = s->m.offset + n == size;
		r = ret_cut ? look(s->j) : 0;
		if (r == 0)
			r = send_chunk(s, n, part);
		s->m.offset += n;
	} while (r == 0 && s->m.offset < size);
	return r;
}

int
content_send(struct job *j, uint32_t output, int fd, uint64_t size, const struct parts *parts,
	struct digest *ret, bool *ret_cut)
{
	_cleanup_(hasher_freep) struct hasher *hasher = ret ? hasher_new() : NULL;
	_cleanup_(freep) uint8_t *chunk = malloc(WIRE_CHUNK_MAX);
	struct sending s = { .j = j, .hasher = hasher, .chunk = chunk };
	int r;

	if (!chunk || (ret && !hasher))
		return -ENOMEM;
	dray__output_chunk__init(&s.m);
	s.m.output = output;
	r = send_all(&s, fd, size, parts, ret_cut);
	if (r == 0 && ret)
		hasher_final(hasher, ret);
	return r;
}
