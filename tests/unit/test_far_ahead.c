/* client/far/ahead: a list may be anybody's, so what is fetched because of it has a bound; and of
 * many builds those count that were used last. */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/shared.h"
#include "client/far/half_priv.h"
#include "common/clock.h"
#include "common/fs.h"
#include "store/store_row.h"

#define LIMIT_MS 20000
#define PLACES 8u /* for builds */
#define LISTS 40u
#define KEYS_MOST 200u
#define MIB_EACH 8u
#define LIVES 1000u
#define LEAST (256u / MIB_EACH) /* to the bound */
#define MOST (LEAST + 32)	/* with those that may be under way then */

struct side {
	char *dir;
	struct conf *conf;
	struct memo_stay memo;
	struct far_farm farm;
	struct far_half *half;
	/* what a list names, and how large that is: */
	atomic_uint keys;
	atomic_ullong size;
	atomic_uint entries, lists[LISTS]; /* how often they were asked for */
};

static struct digest
key(unsigned i)
{
	struct digest d;

	assert_int_equal(digest_bytes(&i, sizeof(i), &d), 0);
	return d;
}

/* ---- a place: each list names keys of its own */

struct place {
	struct store base;
	struct side *side;
};

static bool
is_list(const struct digest *name, unsigned *ret)
{
	for (*ret = 0; *ret < LISTS; ++*ret) {
		struct digest d = key(*ret);

		if (digest_eq(&d, name))
			return true;
	}
	return false;
}

static int
make_list(struct side *side, unsigned which, struct store_reply *reply)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct list l = { NULL, 0 };
	int r = 0;

	for (unsigned i = 0; r == 0 && i < side->keys; i++) {
		struct digest d = key(LISTS + which * KEYS_MOST + i);

		r = list_add(&l, &d);
	}
	if (r == 0)
		r = list_encode(&l, &b);
	list_done(&l);
	if (r == 0)
		r = fs_write_all(reply->fd, b.p, b.n);
	reply->size = b.n;
	return r;
}

static void
get(struct store *s, enum store_kind kind, const struct digest *name, uint64_t max,
	store_done_fn done, void *arg)
{
	struct side *side = ((struct place *)s)->side;
	struct store_reply reply = { .name = *name, .fd = memfd_create("entry", MFD_CLOEXEC) };
	unsigned which;
	int r = reply.fd < 0 ? -errno : 0;

	if (r == 0 && is_list(name, &which)) {
		r = make_list(side, which, &reply);
		atomic_fetch_add(&side->lists[which], 1);
	} else if (r == 0) {
		reply.size = side->size;
		r = ftruncate(reply.fd, (off_t)reply.size) < 0 ? -errno : 0;
		atomic_fetch_add(&side->entries, 1);
	}
	if (r < 0 || kind != STORE_ENTRY || reply.size > max) {
		closep(&reply.fd);
		store_answer_error(done, arg, -EIO);
		return;
	}
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

/* ---- a farm that has it */

static int
share(void *arg, bool read_only, const struct store_in *in, struct store **ret)
{
	struct place *p = calloc(1, sizeof(*p));

	(void)read_only;
	(void)in;
	if (!p)
		return -ENOMEM;
	p->base = (struct store){ .type = &type, .fd = -1, .read_only = true };
	p->side = arg;
	*ret = &p->base;
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

static void
wait_for(const atomic_uint *n, unsigned least)
{
	uint64_t until = clock_mono_ms() + LIMIT_MS;

	while (atomic_load(n) < least) {
		assert_true(clock_mono_ms() < until);
		poll(NULL, 0, 1);
	}
}

/* Begins a build, again while there is no place for it, until its list was asked for so often. */
static void
begin(struct side *s, unsigned which, unsigned least)
{
	uint64_t until = clock_mono_ms() + LIMIT_MS;
	struct digest name = key(which);

	ahead_begin(s->half->ahead, &name);
	while (atomic_load(&s->lists[which]) < least) {
		assert_true(clock_mono_ms() < until);
		poll(NULL, 0, 1);
		ahead_begin(s->half->ahead, &name);
	}
}

/* Lists are asked for whatever came. Before each the thread asks for all the entries that it may:
 * so many rounds would have asked for all. */
static void
test_entries_have_a_bound(void **state)
{
	struct side *s = *state;

	s->keys = KEYS_MOST;
	s->size = MIB_EACH << 20;
	begin(s, 0, 1);
	wait_for(&s->entries, LEAST);
	s->keys = 0;
	for (unsigned i = 1; i < PLACES; i++)
		begin(s, i, 1);
	assert_in_range(atomic_load(&s->entries), LEAST, MOST);
}

/* A list that comes later has a bound of its own. */
static void
test_the_next_list_is_not_the_worse_for_it(void **state)
{
	struct side *s = *state;

	s->keys = KEYS_MOST;
	s->size = MIB_EACH << 20;
	for (unsigned i = 0; i < 3; i++) {
		begin(s, i, 1);
		wait_for(&s->entries, (i + 1) * LEAST);
	}
	assert_true(atomic_load(&s->entries) > MOST);
}

static void
test_a_list_that_is_done_makes_room(void **state)
{
	struct side *s = *state;

	s->keys = 3;
	s->size = 100;
	for (unsigned i = 0; i < LISTS; i++) {
		begin(s, i, 1);
		wait_for(&s->entries, 3 * (i + 1));
	}
	/* of one that has lost its place all is asked for again */
	begin(s, 0, 2);
	wait_for(&s->entries, 3 * (LISTS + 1));
	for (unsigned i = 1; i < LISTS; i++)
		assert_int_equal(atomic_load(&s->lists[i]), 1);
}

static void
test_the_last_used_stay(void **state)
{
	struct side *s = *state;

	s->keys = 3;
	s->size = 100;
	/* a list that has come is known: then its entries are asked for */
	for (unsigned i = 0; i < PLACES; i++) {
		begin(s, i, 1);
		wait_for(&s->entries, 3 * (i + 1));
	}
	begin(s, 0, 1);
	begin(s, PLACES, 1);
	wait_for(&s->entries, 3 * (PLACES + 1));
	begin(s, 0, 1);
	begin(s, 1, 2);
	wait_for(&s->entries, 3 * (PLACES + 2));
	assert_int_equal(atomic_load(&s->lists[0]), 1);
	for (unsigned i = 2; i <= PLACES; i++)
		assert_int_equal(atomic_load(&s->lists[i]), 1);
}

/* However soon after its beginning: else its thread would be waited for in vain. */
static void
test_its_end_is_heard(void **state)
{
	struct side *s = *state;

	alarm(LIMIT_MS / 1000);
	for (unsigned i = 0; i < LIVES; i++) {
		struct ahead *a = NULL;

		assert_int_equal(ahead_open(s->half, &a), 0);
		for (volatile unsigned n = i % 64 * 256; n > 0; n--)
			;
		ahead_closep(&a);
	}
	alarm(0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_its_end_is_heard, up, down),
		cmocka_unit_test_setup_teardown(test_entries_have_a_bound, up, down),
		cmocka_unit_test_setup_teardown(
			test_the_next_list_is_not_the_worse_for_it, up, down),
		cmocka_unit_test_setup_teardown(test_a_list_that_is_done_makes_room, up, down),
		cmocka_unit_test_setup_teardown(test_the_last_used_stay, up, down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
