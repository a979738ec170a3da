/* Numbers of 4 bytes, as this machine has them: version, flags, jobs, umask, how many arguments and
 * variables; then two digests, where there are any, and these, each with its NUL. Invariant: what
 * is decoded has at least one argument, and nothing is left over. */
#include "config.h"

#include "client/half/request.h"

#include <errno.h>

#define MAGIC "DRAYHALF"
#define MAPPED 1u
#define ALIKE 2u

enum number { AT_VERSION, AT_FLAGS, AT_JOBS, AT_UMASK, AT_N_ARGV, AT_N_ENV, NUMBERS };

void
half_hello_make(const struct digest *key, enum half_purpose purpose, struct half_hello *ret)
{
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->magic, MAGIC, sizeof(ret->magic));
	ret->purpose = purpose;
	memcpy(ret->key, key->b, DIGEST_SIZE);
}

bool
half_hello_ok(const void *p, size_t n, const struct digest *key, enum half_purpose *ret_purpose)
{
	struct half_hello h;

	if (n != sizeof(h))
		return false;
	memcpy(&h, p, n);
	if (memcmp(h.magic, MAGIC, sizeof(h.magic)) != 0 || h.purpose >= HALF_PURPOSES ||
		memcmp(h.key, key->b, DIGEST_SIZE) != 0)
		return false;
	*ret_purpose = (enum half_purpose)h.purpose;
	return true;
}

void
half_ready_make(pid_t pid, struct half_ready *ret)
{
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->magic, MAGIC, sizeof(ret->magic));
	ret->pid = pid;
}

bool
half_ready_ok(const void *p, size_t n, pid_t *ret_pid)
{
	struct half_ready r;

	if (n != sizeof(r))
		return false;
	memcpy(&r, p, n);
	if (memcmp(r.magic, MAGIC, sizeof(r.magic)) != 0 || r.pid <= 1)
		return false;
	*ret_pid = r.pid;
	return true;
}

static uint32_t
count(char *const *v)
{
	uint32_t n = 0;

	while (v[n])
		n++;
	return n;
}

static int
add_strings(struct buf *b, char *const *v)
{
	int r = 0;

	for (; r == 0 && *v; v++)
		r = buf_add(b, *v, strlen(*v) + 1);
	return r;
}

int
half_request_encode(const struct half_request *q, struct buf *ret)
{
	uint32_t v[NUMBERS] = { [AT_VERSION] = HALF_VERSION,
		[AT_FLAGS] = (q->mapped ? MAPPED : 0) | (q->is_alike ? ALIKE : 0),
		[AT_JOBS] = q->jobs,
		[AT_UMASK] = q->umask,
		[AT_N_ARGV] = count(q->argv),
		[AT_N_ENV] = count(q->env) };
	int r = buf_add(ret, v, sizeof(v));

	if (r == 0 && q->is_alike)
		r = buf_add(ret, q->alike.sought.b, DIGEST_SIZE);
	if (r == 0 && q->is_alike)
		r = buf_add(ret, q->alike.called.b, DIGEST_SIZE);
	if (r == 0)
		r = add_strings(ret, q->argv);
	if (r == 0)
		r = add_strings(ret, q->env);
	return r == 0 && ret->n > HALF_REQUEST_MAX ? -E2BIG : r;
}

/* Takes n strings off *at. */
static int
take(const char **at, const char *end, uint32_t n, char ***ret)
{
	/* each has a NUL at least */
	if (n > (size_t)(end - *at))
		return -EBADMSG;
	*ret = calloc((size_t)n + 1, sizeof(**ret));
	if (!*ret)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		const char *nul = *at < end ? memchr(*at, '\0', (size_t)(end - *at)) : NULL;

		if (!nul)
			return -EBADMSG;
		(*ret)[i] = (char *)*at;
		*at = nul + 1;
	}
	return 0;
}

int
half_request_decode(const void *p, size_t n, struct half_request *ret)
{
	const char *at = p, *end = at + n;
	struct half_request q = { .argv = NULL };
	uint32_t v[NUMBERS];
	int r = 0;

	if (n < sizeof(v) || n > HALF_REQUEST_MAX)
		return -EBADMSG;
	memcpy(v, p, sizeof(v));
	at += sizeof(v);
	if (v[AT_VERSION] != HALF_VERSION || (v[AT_FLAGS] & ~(MAPPED | ALIKE)) ||
		v[AT_JOBS] > UINT16_MAX || (v[AT_UMASK] & ~0777u) || v[AT_N_ARGV] == 0)
		return -EBADMSG;
	q.mapped = v[AT_FLAGS] & MAPPED;
	q.is_alike = v[AT_FLAGS] & ALIKE;
	if (q.is_alike && (size_t)(end - at) < 2 * DIGEST_SIZE)
		return -EBADMSG;
	if (q.is_alike) {
		memcpy(q.alike.sought.b, at, DIGEST_SIZE);
		memcpy(q.alike.called.b, at + DIGEST_SIZE, DIGEST_SIZE);
		at += 2 * DIGEST_SIZE;
	}
	q.jobs = v[AT_JOBS];
	q.umask = v[AT_UMASK];
	r = take(&at, end, v[AT_N_ARGV], &q.argv);
	if (r == 0)
		r = take(&at, end, v[AT_N_ENV], &q.env);
	if (r == 0 && at != end)
		r = -EBADMSG;
	if (r < 0)
		half_request_done(&q);
	else
		*ret = q;
	return r;
}

void
half_request_done(struct half_request *q)
{
	free(q->argv);
	free(q->env);
	q->argv = q->env = NULL;
}
