/* client/far: a wrapper that was given what it goes on with waits longer for the rest, and so does
 * its half. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/far/ask.h"
#include "client/far/half_priv.h"
#include "common/fs.h"
#include "store/store_row.h"

#define FIRST_MS                                                                        \
	100 /* what is waited for at first; twice as long where the machine is too busy \
	     */
#define FIRST_MAX_MS 3200
#define MORE_MS 20000 /* is waited for once the first one is here */

static const char *const content[] = { "metadata", "the rest" };
static int slow_ms; /* the second blob takes */

struct side {
	char *dir;
	struct conf *conf;
	struct memo_stay memo;
	struct far_farm farm;
	struct far_half *half;
	struct far_blob blobs[2];
	int conn;
	unsigned told;
};

/* ---- a place that gives the second blob slowly */

static void
get(struct store *s, enum store_kind kind, const struct digest *name, uint64_t max,
	store_done_fn done, void *arg)
{
	struct store_reply reply = { .name = *name, .fd = -1 };
	struct digest d;
	size_t i = 0;

	(void)s;
	(void)kind;
	(void)max;
	for (; i < ARRAY_LEN(content); i++)
		if (digest_bytes(content[i], strlen(content[i]), &d) == 0 && digest_eq(&d, name))
			break;
	if (i < ARRAY_LEN(content))
		reply.fd = memfd_create("blob", MFD_CLOEXEC);
	if (reply.fd < 0 || fs_write_all(reply.fd, content[i], strlen(content[i])) < 0) {
		closep(&reply.fd);
		store_answer_error(done, arg, -ENOENT);
		return;
	}
	if (i == 1)
		poll(NULL, 0, slow_ms);
	reply.size = strlen(content[i]);
	lseek(reply.fd, 0, SEEK_SET);
	done(arg, &reply);
}

static void
has(struct store *s, enum store_kind kind, const struct digest *name, store_done_fn done, void *arg)
{
	(void)s;
	(void)kind;
	(void)name;
	store_answer_error(done, arg, -ENOENT);
}

static void
place_close(struct store *s)
{
	free(s);
}

static const struct store_type type = {
	.name = "test", .close = place_close, .has = has, .get = get
};

static int
share(void *arg, bool read_only, const struct store_in *in, struct store **ret)
{
	struct store *s = calloc(1, sizeof(*s));

	(void)arg;
	(void)read_only;
	(void)in;
	if (!s)
		return -ENOMEM;
	*s = (struct store){ .type = &type, .fd = -1, .read_only = true };
	*ret = s;
	return 0;
}

static enum far_puts
puts_no(void *arg)
{
	(void)arg;
	return FAR_PUTS_NO;
}

static bool
never(void *arg)
{
	(void)arg;
	return false;
}

static void
end(void *arg)
{
	(void)arg;
}

/* ---- */

static int
up(void **state)
{
	struct side *s = calloc(1, sizeof(*s));
	_cleanup_(freep) char *option = NULL, *error = NULL;

	assert_int_equal(fs_make_temp_dir("/tmp", "dray-far-", &s->dir), 0);
	assert_int_equal(conf_parse("", 0, "none", &s->conf, &error), 0);
	assert_true(asprintf(&option, "client.cache_dir=%s", s->dir) > 0);
	assert_int_equal(conf_set(s->conf, option, &error), 0);
	memo_stay_init(&s->memo, s->conf->client.cache_dir);
	s->farm = (struct far_farm){ .arg = s,
		.share = share,
		.puts = puts_no,
		.will_vouch = never,
		.takes_refills = never,
		.end = end };
	assert_int_equal(far_half_open(s->conf, &s->memo, &s->farm, &s->half), 0);
	assert_non_null(s->half);
	for (size_t i = 0; i < ARRAY_LEN(content); i++) {
		struct digest d;

		assert_int_equal(digest_bytes(content[i], strlen(content[i]), &d), 0);
		memcpy(s->blobs[i].digest, d.b, DIGEST_SIZE);
		s->blobs[i].size = strlen(content[i]);
	}
	*state = s;
	return 0;
}

static int
down(void **state)
{
	struct side *s = *state;

	far_half_closep(&s->half);
	memo_stay_done(&s->memo);
	conf_free(s->conf);
	fs_rm_rf(s->dir);
	free(s->dir);
	free(s);
	return 0;
}

static void *
serve(void *arg)
{
	struct side *s = arg;

	far_serve(s->half, s->conn);
	close(s->conn);
	return NULL;
}

static unsigned
first_came(void *arg, const struct digest *blob)
{
	struct side *s = arg;

	return memcmp(blob->b, s->blobs[0].digest, DIGEST_SIZE) == 0 && s->told++ == 0 ? MORE_MS
										       : 0;
}

/* 0 or -errno, as of far_ask_bring. */
static int
bring(struct side *s, unsigned first_ms)
{
	struct far_answer answer;
	struct far_ask *a = NULL;
	pthread_t thread;
	int fds[2], r;

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	s->conn = fds[1];
	s->told = 0;
	slow_ms = 2 * (int)first_ms + 100;
	assert_int_equal(pthread_create(&thread, NULL, serve, s), 0);
	assert_int_equal(far_ask_over(fds[0], &a), 0);
	r = far_ask_bring(a, s->blobs, 2, first_ms, first_came, s, &answer);
	far_ask_closep(&a);
	pthread_join(thread, NULL);
	return r;
}

static void
test_the_rest_has_time(void **state)
{
	struct side *s = NULL;
	int r = -ETIMEDOUT;

	for (unsigned ms = FIRST_MS; r == -ETIMEDOUT && ms <= FIRST_MAX_MS; ms *= 2) {
		void *place = NULL;

		assert_int_equal(up(&place), 0);
		s = place;
		r = bring(s, ms);
		if (r == 0)
			assert_int_equal(s->told, 1);
		down(&place);
	}
	assert_int_equal(r, 0);
	(void)state;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_rest_has_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
