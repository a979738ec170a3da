/* Invariant: nothing is waited for beyond its time, or after a signal; and a connection on which an
 * answer is owed is not asked again. */
#include "config.h"

#include "client/far/ask.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>

#include "client/half/meet.h"
#include "common/process/child.h"
#include "common/clock.h"
#include "common/process/spawn.h"
#include "store/chain/list.h"

#define GRACE_MS 50 /* for an answer that was sent in the last instant */
#define LOOK_MS 200 /* for a signal that came just before poll() */

struct far_ask {
	struct half_meet m;
	char *program;
	bool lost;
};

static bool
is_set(const char *v)
{
	return v && *v;
}

bool
far_has_farm(const struct conf *conf)
{
	return is_set(conf->client.coordinator) && conf->client.farm_half;
}

bool
far_may_read(const struct conf *conf)
{
	return (is_set(conf->client.store) || far_has_farm(conf)) && conf->client.cache_dir &&
	       conf->client.remote_mode != REMOTE_OFF && conf->client.cache == CACHE_ON;
}

static bool
any_is_written(const char *stores)
{
	_cleanup_(chain_list_done) struct chain_list list = { .n = 0 };
	_cleanup_(freep) char *why = NULL;

	if (chain_list_parse(stores, &list, &why) < 0)
		return false;
	for (size_t i = 0; i < list.n; i++)
		if (!list.read_only[i])
			return true;
	return false;
}

bool
far_may_write(const struct conf *conf)
{
	return far_may_read(conf) && conf->client.remote_mode == REMOTE_READWRITE &&
	       is_set(conf->client.identity) &&
	       (far_has_farm(conf) || any_is_written(conf->client.store));
}

static void
ask_free(struct far_ask *a)
{
	half_meet_done(&a->m);
	free(a->program);
	free(a);
}

void
far_ask_closep(struct far_ask **a)
{
	if (*a)
		ask_free(*a);
	*a = NULL;
}

int
far_ask_open(const struct conf *conf, struct far_ask **ret)
{
	_cleanup_(far_ask_closep) struct far_ask *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return -ENOMEM;
	a->m = (struct half_meet)HALF_MEET_INIT;
	a->program = spawn_find_program("dray-dispatch");
	if (!a->program)
		return -ENOENT;
	a->m.conf = conf;
	a->m.program = a->program;
	a->m.purpose = HALF_FOR_STORES;
	r = half_meet(&a->m);
	if (r == 0)
		*ret = steal_ptr(a);
	return r;
}

int
far_ask_over(int conn, struct far_ask **ret)
{
	struct far_ask *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->m = (struct half_meet)HALF_MEET_INIT;
	a->m.conn = conn;
	*ret = a;
	return 0;
}

static int
fail(struct far_ask *a, int r, struct far_answer *answer)
{
	a->lost = true;
	if (!*answer->why)
		snprintf(answer->why, sizeof(answer->why), "%s",
			r == -ETIMEDOUT	   ? "no answer in time"
			: r == -ECONNRESET ? "the farm half has ended"
			: r == -EINTR	   ? "it was interrupted"
					   : strerror(-r));
	return r;
}

/* The next message, of these kinds. */
static int
wait_message(
	struct far_ask *a, uint64_t until, unsigned kinds, struct far_message *ret, int *ret_fd)
{
	struct pollfd p = { a->m.conn, POLLIN, 0 };

	for (;;) {
		uint64_t now = clock_mono_ms();
		int r = far_receive(a->m.conn, kinds, ret, ret_fd);

		if (r != -EAGAIN)
			return r;
		if (child_signal())
			return -EINTR;
		if (now >= until)
			return -ETIMEDOUT;
		if (poll(&p, 1, (int)MIN2(until - now, (uint64_t)LOOK_MS)) < 0 && errno != EINTR)
			return -errno;
	}
}

static int
begin(struct far_ask *a, const struct far_message *m, int fd, struct far_answer *answer)
{
	memset(answer, 0, sizeof(*answer));
	return a->lost ? -ECONNRESET : far_send(a->m.conn, m, fd);
}

static int
take_answer(const struct far_message *m, struct far_answer *answer)
{
	memcpy(answer->store, m->store, sizeof(answer->store));
	memcpy(answer->why, m->why, sizeof(answer->why));
	answer->bytes = m->bytes;
	answer->refused = m->refused;
	answer->publishers = m->publishers;
	return m->error;
}

void
far_ask_build(struct far_ask *a, const struct digest *list)
{
	struct far_message m = { .what = FAR_BUILD };

	memcpy(m.list, list->b, DIGEST_SIZE);
	if (!a->lost && far_send(a->m.conn, &m, -1) < 0)
		a->lost = true;
}

int
far_ask_find(struct far_ask *a, const struct digest *key, const struct digest *list, unsigned ms,
	struct buf *ret, struct far_answer *answer)
{
	struct far_message m = { .what = FAR_FIND, .ms = ms };
	uint64_t until = clock_mono_ms() + ms + GRACE_MS;
	_cleanup_(closep) int fd = -1;
	int r;

	memcpy(m.digest, key->b, DIGEST_SIZE);
	if (list)
		memcpy(m.list, list->b, DIGEST_SIZE);
	r = begin(a, &m, -1, answer);
	if (r == 0)
		r = wait_message(a, until, 1u << FAR_FOUND, &m, &fd);
	if (r < 0)
		return fail(a, r, answer);
	r = take_answer(&m, answer);
	if (r < 0)
		return r;
	r = fd < 0 ? -EBADMSG : far_file_read(fd, FAR_ENTRY_MAX, ret);
	return r < 0 ? fail(a, r, answer) : 0;
}

int
far_ask_bring(struct far_ask *a, const struct far_blob *blobs, size_t n, unsigned ms,
	far_here_fn fn, void *arg, struct far_answer *answer)
{
	struct far_message m = { .what = FAR_BRING, .ms = ms }, on = { .what = FAR_WAIT };
	uint64_t until = clock_mono_ms() + ms + GRACE_MS;
	_cleanup_(closep) int list = far_file_make(blobs, n * sizeof(*blobs));
	int r;

	r = begin(a, &m, list, answer);
	if (list < 0)
		r = list;
	while (r == 0) {
		_cleanup_(closep) int none = -1;
		struct digest d;

		r = wait_message(a, until, (1u << FAR_HERE) | (1u << FAR_ALL), &m, &none);
		if (r < 0 || m.what == FAR_ALL)
			break;
		memcpy(d.b, m.digest, DIGEST_SIZE);
		on.ms = fn ? fn(arg, &d) : 0;
		if (on.ms > 0) {
			until = clock_mono_ms() + on.ms + GRACE_MS;
			r = far_send(a->m.conn, &on, -1);
		}
	}
	return r < 0 ? fail(a, r, answer) : take_answer(&m, answer);
}

int
far_ask_flush(struct far_ask *a, unsigned ms, uint64_t *ret_left, struct far_answer *answer)
{
	struct far_message m = { .what = FAR_FLUSH, .ms = ms };
	_cleanup_(closep) int none = -1;
	int r = begin(a, &m, -1, answer);

	if (r == 0)
		r = wait_message(a, clock_mono_ms() + ms, 1u << FAR_LEFT, &m, &none);
	if (r < 0)
		return fail(a, r, answer);
	r = take_answer(&m, answer);
	if (r == 0)
		*ret_left = m.bytes;
	return r;
}
