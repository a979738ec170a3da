/* What follows for a worker that was the odd one: nothing at all of one client's units but that
 * what it makes for that client is not taken, whatever that client has it compile. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "coordinator/cache/blame.h"

#define NOTES_MAX 64

struct room {
	struct judged_note notes[NOTES_MAX];
	struct judged j;
};

static void
room_open(struct room *r)
{
	memset(r, 0, sizeof(*r));
	r->j.notes = r->notes;
}

/* That worker was the odd one, for that client, in a package of this name and source. */
static void
odd(struct room *r, const char *worker, const char *client, const char *crate, const char *source,
	bool alike)
{
	struct judged_note *n = &r->notes[r->j.n_notes++];

	assert_true(r->j.n_notes <= NOTES_MAX);
	snprintf(n->worker, sizeof(n->worker), "%s", worker);
	snprintf(n->client, sizeof(n->client), "%s", client);
	snprintf(n->of.crate, sizeof(n->of.crate), "%s", crate);
	snprintf(n->of.source, sizeof(n->of.source), "%s", source);
	n->alike = alike;
}

/* So many packages, of names of its own. */
static void
odd_in(struct room *r, const char *worker, const char *client, unsigned n, bool alike)
{
	for (unsigned i = 0; i < n; i++) {
		char crate[32], source[64];

		snprintf(crate, sizeof(crate), "%s-%u", *client ? client : "nobody", i);
		snprintf(source, sizeof(source), "%s/src/lib.rs", crate);
		odd(r, worker, client, crate, source, alike);
	}
}

/* One client's key, whatever it does, has a worker shunned by nobody but itself. */
static void
test_one_client(void **state)
{
	struct room r;

	(void)state;
	room_open(&r);
	odd_in(&r, "w", "ann", BLAME_PACKAGES - 1, true);
	assert_false(blame_is_withheld(&r.j, "w", "ann"));
	odd(&r, "w", "ann", "one-more", "one-more/src/lib.rs", true);
	assert_true(blame_is_withheld(&r.j, "w", "ann"));
	odd_in(&r, "w", "ann", 20, true);
	assert_int_equal(blame_of(&r.j, "w"), BLAME_NONE);
	assert_false(blame_is_withheld(&r.j, "w", "bob"));
	assert_false(blame_is_withheld(&r.j, "w", ""));
	assert_false(blame_is_withheld(&r.j, "v", "ann"));
	/* those whose client is not known are none */
	odd_in(&r, "w", "", 20, true);
	assert_int_equal(blame_of(&r.j, "w"), BLAME_NONE);
	assert_true(blame_is_withheld(&r.j, "w", ""));
}

/* Two keys, each with enough packages. */
static void
test_two_clients(void **state)
{
	static const struct {
		unsigned ann, bob;
		bool ann_alike, bob_alike;
		enum blame is;
	} rows[] = {
		{ BLAME_PACKAGES, BLAME_PACKAGES, true, true, BLAME_SHUNNED },
		{ BLAME_PACKAGES, BLAME_PACKAGES - 1, true, true, BLAME_NONE },
		{ 5 * BLAME_PACKAGES, 1, true, true, BLAME_NONE },
		/* a machine of another kind than all others' */
		{ BLAME_PACKAGES, BLAME_PACKAGES, false, false, BLAME_UNLIKE },
		{ BLAME_PACKAGES, BLAME_PACKAGES, true, false, BLAME_UNLIKE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct room r;

		room_open(&r);
		odd_in(&r, "w", "ann", rows[i].ann, rows[i].ann_alike);
		odd_in(&r, "w", "bob", rows[i].bob, rows[i].bob_alike);
		odd_in(&r, "v", "bob", BLAME_PACKAGES, true);
		assert_int_equal(blame_of(&r.j, "w"), rows[i].is);
		assert_int_equal(blame_of(&r.j, "v"), BLAME_NONE);
	}
}

/* The same package for several clients, or under several names, is one. */
static void
test_packages(void **state)
{
	struct room r;

	(void)state;
	room_open(&r);
	odd_in(&r, "w", "ann", BLAME_PACKAGES, true);
	for (unsigned i = 0; i < BLAME_PACKAGES; i++) {
		char crate[32], source[32];

		/* as odd_in calls ann's */
		snprintf(crate, sizeof(crate), "ann-%u", i);
		snprintf(source, sizeof(source), "%u/src/lib.rs", i);
		odd(&r, "w", "bob", crate, source, true);
	}
	assert_int_equal(blame_of(&r.j, "w"), BLAME_NONE);
	room_open(&r);
	for (unsigned i = 0; i < 2 * BLAME_PACKAGES; i++) {
		char crate[32];

		snprintf(crate, sizeof(crate), "name-%u", i);
		odd(&r, "w", "ann", crate, "src/lib.rs", true);
	}
	assert_false(blame_is_withheld(&r.j, "w", "ann"));
}

static bool
is_kept_back(const struct room *r, const char *crate)
{
	const struct judged_package *v[NOTES_MAX + 1];
	size_t n = blame_packages(&r->j, v);

	for (size_t i = 0; i < n; i++)
		if (streq(v[i]->crate, crate))
			return true;
	return false;
}

/* A package that came out differently is not shared, until it is known whose doing that was. */
static void
test_kept_back(void **state)
{
	struct judged_package varies = { .crate = "random" };
	struct judged_worker shunned = { .curve = "w" };
	struct room r;

	(void)state;
	room_open(&r);
	r.j.packages = &varies;
	r.j.n_packages = 1;
	odd(&r, "w", "ann", "a", "a", true);
	odd(&r, "w", "bob", "b", "b", true);
	assert_true(is_kept_back(&r, "a"));
	odd_in(&r, "w", "ann", BLAME_PACKAGES - 1, true);
	assert_false(is_kept_back(&r, "a"));
	assert_true(is_kept_back(&r, "b"));
	r.j.workers = &shunned;
	r.j.n_workers = 1;
	assert_false(is_kept_back(&r, "b"));
	assert_true(is_kept_back(&r, "random"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_one_client),
		cmocka_unit_test(test_two_clients), cmocka_unit_test(test_packages),
		cmocka_unit_test(test_kept_back) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
