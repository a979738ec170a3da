/* What a worker keeps of the toolchains that clients gave it: so many, so many bytes, and for so
 * long; and what it registers of them. */
#include "config.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/fs.h"
#include "worker/push/assembly.h"
#include "worker/service_priv.h"

#define MOST 64
#define DAY UINT64_C(86400000)

struct room {
	char *dir;
	struct conf *conf;
	struct service s;
};

static int
setup(void **state)
{
	struct room *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	assert_int_equal(fs_make_temp_dir("/tmp", "dray-test-", &r->dir), 0);
	r->conf = calloc(1, sizeof(*r->conf));
	assert_non_null(r->conf);
	r->conf->worker.state_dir = r->dir;
	r->conf->worker.toolchains_max = 1u << 20;
	r->conf->worker.toolchains_days = 30;
	r->s.conf = r->conf;
	*state = r;
	return 0;
}

static bool
is_cleared(const char *dir)
{
	_cleanup_(strv_done) struct strv all = STRV_INIT;

	if (fs_list_dir(dir, &all) < 0)
		return true;
	for (size_t i = 0; i < all.n; i++)
		if (*all.v[i] == '.')
			return false;
	return true;
}

/* A thread removes what is dropped. */
static int
teardown(void **state)
{
	struct room *r = *state;
	_cleanup_(freep) char *all = path_join(r->dir, ASSEMBLY_DIR);
	uint64_t end = clock_mono_ms() + 20000;

	while (!is_cleared(all) && clock_mono_ms() < end)
		poll(NULL, 0, 5);
	offers_done(&r->s.offers);
	assert_int_equal(fs_rm_rf(r->dir), 0);
	free(r->dir);
	free(r->conf);
	free(r);
	return 0;
}

/* number is in its id, and in nothing else. It is the list's afterwards. */
static struct offer *
make(struct room *r, unsigned number, uint64_t bytes, uint64_t used_ms)
{
	struct digest id = { { (uint8_t)number, (uint8_t)(number >> 8) } };
	char hex[DIGEST_HEX_SIZE], base[32];
	struct offer *o = NULL;

	assert_int_equal(offer_new(&o), 0);
	digest_hex(&id, hex);
	o->toolchain.id = id;
	assert_true(
		asprintf(&o->toolchain.sysroot, "%s/" ASSEMBLY_DIR "/%s/tree", r->dir, hex) > 0);
	assert_int_equal(fs_mkdir_p(o->toolchain.sysroot, 0755), 0);
	o->own_sysroot = calloc(1, sizeof(*o->own_sysroot));
	assert_non_null(o->own_sysroot);
	snprintf(base, sizeof(base), "base-%u/root", number);
	o->own_sysroot->lib_root = path_join(r->dir, base);
	assert_int_equal(fs_mkdir_p(o->own_sysroot->lib_root, 0755), 0);
	o->text = strdup("9.9.9 rustc small");
	o->bytes = bytes;
	o->used_ms = used_ms;
	o->pushed = true;
	return o;
}

static struct offer *
put(struct room *r, unsigned number, uint64_t bytes, uint64_t used_ms)
{
	struct offer *o = make(r, number, bytes, used_ms);

	assert_int_equal(offers_add(&r->s.offers, o), 0);
	return o;
}

static bool
is_there(const struct offer *o)
{
	return !offer_is_withdrawn(o) && !o->removed && fs_exists(o->toolchain.sysroot);
}

static void
test_no_more_than_so_many(void **state)
{
	struct room *r = *state;
	struct offer *all[MOST];

	for (unsigned i = 0; i < MOST; i++)
		all[i] = put(r, i + 1, 1, 1000 + (i + 7) % MOST);
	/* of those that no job has the one used least recently goes: number 58 has the least time
	 */
	all[57]->users = 1;
	given_take(&r->s, make(r, 100, 1, 0));
	for (unsigned i = 0; i < MOST; i++)
		if (is_there(all[i]) != (i != 58))
			fail_msg("%u is%s there", i, is_there(all[i]) ? "" : " not");
	assert_int_equal(offers_count(&r->s.offers), MOST);
}

static void
test_no_more_bytes(void **state)
{
	struct room *r = *state;
	struct offer *old = put(r, 1, 500000, 1000), *young = put(r, 2, 500000, 2000);

	assert_true(given_has_room(&r->s, 1u << 20));
	assert_false(given_has_room(&r->s, (1u << 20) + 1));
	given_use(&r->s, old);
	assert_false(given_has_room(&r->s, 600000));
	given_take(&r->s, make(r, 3, 500000, 0));
	/* a job has the older one, so the other goes */
	assert_true(is_there(old));
	assert_false(is_there(young));
	given_leave(&r->s, old);
	assert_true(is_there(old));
}

static void
test_what_nobody_uses(void **state)
{
	struct room *r = *state;
	const uint64_t now = 100 * DAY;
	struct offer *old = put(r, 1, 1, now - 30 * DAY), *young = put(r, 2, 1, now - 30 * DAY + 1),
		     *used = put(r, 3, 1, now - 90 * DAY), *own = put(r, 4, 1, 0),
		     *ahead = put(r, 5, 1, now + DAY);

	own->pushed = false;
	used->users = 1;
	r->conf->worker.toolchains_days = 0;
	given_age(&r->s, now);
	assert_true(is_there(old));
	r->conf->worker.toolchains_days = 30;
	given_age(&r->s, now);
	assert_false(is_there(old));
	assert_true(is_there(young) && is_there(used) && is_there(own) && is_there(ahead));
}

static void
test_what_is_registered(void **state)
{
	struct room *r = *state;
	struct offer *given = put(r, 1, 1, 0), *gone = put(r, 2, 1, 0), *own = put(r, 3, 1, 0),
		     *last = put(r, 4, 1, 0);
	struct offer_said said[8];

	own->pushed = false;
	own->has_native = given->has_native = true;
	offer_withdraw(gone);
	assert_int_equal(offers_say(&r->s.offers, said, ARRAY_LEN(said)), 5);
	assert_true(said[0].offer == own && !said[0].native);
	assert_true(said[1].offer == own && said[1].native);
	assert_true(said[2].offer == given && said[3].offer == given && said[3].native);
	assert_ptr_equal(said[4].offer, last);
	/* its own first; and never more than the coordinator takes */
	for (size_t max = 0; max < 5; max++) {
		memset(said, 0, sizeof(said));
		assert_int_equal(offers_say(&r->s.offers, said, max), max);
		assert_null(said[max].offer);
		assert_true(max == 0 || said[0].offer == own);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_more_than_so_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_more_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_nobody_uses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_registered, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
