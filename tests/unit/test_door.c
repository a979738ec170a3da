/* Keys at the door: strangers, names, and how much one key gets. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "proto/door.h"

#define KEY "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
#define OTHER "HelloWorldHelloWorldHelloWorldHelloWorld"

static uint64_t now = 1000000;

static int
up(void **state)
{
	struct door *d = NULL;

	assert_int_equal(door_new(&d), 0);
	*state = d;
	return 0;
}

static int
down(void **state)
{
	door_free(*state);
	return 0;
}

static void
test_strangers(void **state)
{
	struct door *d = *state;

	/* Put off for five seconds, in which a name may come; then refused. */
	assert_int_equal(door_knock(d, KEY, false, now), ZAP_WAIT);
	assert_int_equal(door_knock(d, KEY, false, now + 4999), ZAP_WAIT);
	assert_int_equal(door_knock(d, KEY, false, now + 5000), ZAP_NO);
	assert_int_equal(door_role(d, KEY), ROLE_NONE);
	assert_int_equal(door_name(d, KEY, ROLE_PUBLISHER, "team", now + 6000), 0);
	assert_int_equal(door_knock(d, KEY, false, now + 6000), ZAP_YES);
	assert_int_equal(door_role(d, KEY), ROLE_PUBLISHER);
	assert_string_equal(door_namespace(d, KEY), "team");
	assert_false(door_is_on_trial(d, KEY));
	door_set_on_trial(d, KEY, true);
	assert_true(door_is_on_trial(d, KEY));
	door_set_on_trial(d, KEY, false);
	assert_false(door_is_on_trial(d, KEY));
	assert_false(door_shares(d, KEY));
	door_set_shares(d, KEY, true);
	assert_true(door_shares(d, KEY));
	door_set_shares(d, KEY, false);
	assert_false(door_shares(d, KEY));
	door_set_shares(d, OTHER, true); /* nobody has named it */
	assert_false(door_shares(d, OTHER));
	door_set_on_trial(d, OTHER, true); /* nobody has named it */
	assert_false(door_is_on_trial(d, OTHER));
	assert_int_equal(door_knock(d, OTHER, false, now + 6000), ZAP_WAIT);
	/* A name holds for ten minutes; then it is a stranger again. */
	assert_int_equal(door_knock(d, KEY, false, now + 605999), ZAP_YES);
	assert_int_equal(door_knock(d, KEY, false, now + 606000), ZAP_WAIT);
	assert_int_equal(door_knock(d, KEY, true, now + 700000), ZAP_YES);
	assert_int_equal(door_knock(d, KEY, false, now + 611001), ZAP_NO);
	/* Away for a while, it is put off again. */
	assert_int_equal(door_knock(d, KEY, false, now + 700000), ZAP_WAIT);
}

static void
test_handshakes(void **state)
{
	struct door *d = *state;
	unsigned yes = 0;

	for (unsigned i = 0; i < 10000; i++)
		yes += door_knock(d, KEY, true, now) == ZAP_YES;
	assert_int_equal(yes, DOOR_HANDSHAKES);
	assert_int_equal(door_knock(d, OTHER, true, now), ZAP_YES);
	for (unsigned i = 0; i < 10000; i++)
		yes += door_knock(d, KEY, true, now + 1000) == ZAP_YES;
	assert_int_equal(yes, DOOR_HANDSHAKES + DOOR_HANDSHAKES_PER_S);
}

static void
test_connections(void **state)
{
	struct door *d = *state;

	for (unsigned i = 0; i < DOOR_CONNECTIONS_MAX; i++)
		assert_true(door_enter(d, KEY, now));
	assert_int_equal(door_knock(d, KEY, true, now), ZAP_LATER);
	assert_false(door_enter(d, KEY, now));
	assert_true(door_enter(d, OTHER, now));
	door_leave(d, KEY);
	door_leave(d, KEY);
	assert_int_equal(door_knock(d, KEY, true, now), ZAP_YES);
	/* Over ipc nobody counts. */
	for (unsigned i = 0; i < 2 * DOOR_CONNECTIONS_MAX; i++)
		assert_true(door_enter(d, "", now));
	door_leave(d, "");
}

static void
test_waste(void **state)
{
	struct door *d = *state;
	const uint64_t per_s = 1000 / DOOR_WASTE_PER_S;

	for (unsigned i = 0; i < DOOR_WASTE; i++)
		assert_int_equal(door_waste(d, KEY, now), 0);
	/* a debt is held against it for as long as it takes to go */
	for (unsigned i = 1; i <= 10; i++)
		assert_in_range(door_waste(d, KEY, now), i * per_s, i * (per_s + 1));
	assert_int_equal(door_waste(d, OTHER, now), 0);
	assert_int_equal(door_waste(d, "", now), 0);
	assert_int_equal(door_waste(d, KEY, now + 1000), 0);
	/* and for no more than a bound */
	for (unsigned i = 0; i < 100000; i++)
		door_waste(d, KEY, now + 1000);
	assert_int_equal(door_waste(d, KEY, now + 1000), DOOR_HOLD_MAX_MS);
	assert_int_equal(door_waste(d, KEY, now + 1000 + DOOR_HOLD_MAX_MS + 1000), 0);
}

static void
test_requests(void **state)
{
	struct door *d = *state;
	unsigned n = 0;

	while (door_take_request(d, KEY, now))
		n++;
	assert_int_equal(n, DOOR_REQUESTS);
	assert_true(door_take_request(d, OTHER, now));
	assert_false(door_take_request(d, KEY, now + 10));
	assert_true(door_take_request(d, KEY, now + 100));
	assert_true(door_take_request(d, "", now));
}

static void
test_unread(void **state)
{
	struct door *d = *state;

	assert_int_equal(door_unread(d, KEY, 5), 5);
	assert_int_equal(door_unread(d, KEY, -2), 3);
	assert_int_equal(door_unread(d, KEY, -9), 0);
	assert_int_equal(door_unread(d, "", 5), 0);
}

/* Any number of keys: those with something open stay, and memory is bounded. */
static void
test_many_keys(void **state)
{
	struct door *d = *state;
	char key[41];

	assert_int_equal(door_name(d, OTHER, ROLE_CLIENT, "", now), 0);
	assert_true(door_enter(d, OTHER, now));
	for (unsigned i = 0; i < DOOR_KEYS_MAX + 1000; i++) {
		snprintf(key, sizeof(key), "%040u", i);
		assert_int_equal(door_knock(d, key, false, now), ZAP_WAIT);
	}
	assert_int_equal(door_role(d, OTHER), ROLE_CLIENT);
	/* The first ones were forgotten, and begin anew. */
	snprintf(key, sizeof(key), "%040u", 0);
	assert_int_equal(door_knock(d, key, false, now + 5000), ZAP_WAIT);
	snprintf(key, sizeof(key), "%040u", DOOR_KEYS_MAX);
	assert_int_equal(door_knock(d, key, false, now + 5000), ZAP_NO);
}

#define T(name) cmocka_unit_test_setup_teardown(name, up, down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_strangers),
		T(test_handshakes),
		T(test_connections),
		T(test_requests),
		T(test_waste),
		T(test_unread),
		T(test_many_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
