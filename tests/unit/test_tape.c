/* Tapes: what a job says, for its twins. */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "worker/job/tape.h"

#define JOB "0123456789abcdef0123456789abcdef"
#define NOW 5000000u

static struct digest
key(uint8_t n)
{
	struct digest d = { { n } };

	return d;
}

static int
enter_as(struct tapes *t, const char *client, uint8_t n, bool may_join, bool may_lead, uint64_t now,
	struct tape **ret, struct tape_reader **ret_reader)
{
	struct digest d = key(n);
	struct tape_way way = {
		.key = &d, .job = JOB, .client = client, .may_join = may_join, .may_lead = may_lead
	};

	return tapes_enter(t, &way, now, ret, ret_reader);
}

static int
enter(struct tapes *t, uint8_t n, bool may_join, bool may_lead, uint64_t now, struct tape **ret,
	struct tape_reader **ret_reader)
{
	static unsigned number;
	char client[16];

	/* each is another one */
	snprintf(client, sizeof(client), "%u", number++);
	return enter_as(t, client, n, may_join, may_lead, now, ret, ret_reader);
}

static struct tape *
lead(struct tapes *t, uint8_t n)
{
	struct tape *tape = NULL;
	struct tape_reader *none = NULL;

	assert_int_equal(enter(t, n, true, true, NOW, &tape, &none), 0);
	assert_non_null(tape);
	assert_null(none);
	return tape;
}

static struct tape_reader *
join(struct tapes *t, uint8_t n, uint64_t now)
{
	struct tape *none = NULL;
	struct tape_reader *r = NULL;

	assert_int_equal(enter(t, n, true, true, now, &none, &r), 1);
	assert_null(none);
	assert_string_equal(tape_reader_job(r), JOB);
	return r;
}

static const struct tape_entry *
next(struct tape_reader *r)
{
	const struct tape_entry *e = NULL;

	assert_int_equal(tape_next(r, &e), TAPE_ENTRY);
	return e;
}

static void
expect(struct tape_reader *r, enum tape_next what)
{
	const struct tape_entry *e = NULL;

	assert_int_equal(tape_next(r, &e), what);
}

static bool
rings(const struct tape_reader *r)
{
	struct pollfd p = { .fd = tape_reader_fd(r), .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static void
say_result(struct tape *t)
{
	Dray__JobResult m = DRAY__JOB_RESULT__INIT;

	m.outputs = 3;
	tape_result(t, &m);
}

static int
begin(void **state)
{
	return tapes_new((struct tapes **)state);
}

static int
end(void **state)
{
	tapes_freep((struct tapes **)state);
	return 0;
}

static int
made_file(const char *text)
{
	FILE *f = tmpfile();
	int fd;

	assert_non_null(f);
	fputs(text, f);
	fflush(f);
	fd = dup(fileno(f));
	fclose(f);
	return fd;
}

/* One that comes in the middle gets it from the beginning, and after the job's end, too. */
static void
test_from_the_beginning(void **state)
{
	struct tape *t = lead(*state, 1);
	struct tape_reader *a = join(*state, 1, NOW), *b;
	Dray__FileTimes times = DRAY__FILE_TIMES__INIT;
	struct digest d = key(9);
	const struct tape_entry *e;
	Dray__JobResult *m;
	char got[4] = "";
	int fd = made_file("abc");

	times.modified = 7;
	assert_false(tape_has_begun(t));
	expect(a, TAPE_QUIET);
	assert_false(rings(a));
	tape_started(t);
	assert_true(tape_has_begun(t) && rings(a));
	assert_int_equal(next(a)->kind, TAPE_STARTED);
	tape_file(t, "/f", DRAY__FILE_KIND__FILE_REGULAR, &d, 12, &times);
	tape_variable(t, "NAME");
	b = join(*state, 1, NOW);
	assert_true(rings(b));
	tape_attributes(t, "/g", &times);
	tape_text(t, true, "text", 4);
	tape_output(t, "libx.rmeta", DRAY__OUTPUT_KIND__OUTPUT_FILE, 0644, &d, 3, fd);
	close(fd);
	say_result(t);
	tape_leave(&t, true, NOW);
	assert_null(t);
	assert_int_equal(next(b)->kind, TAPE_STARTED);
	e = next(b);
	assert_int_equal(e->kind, TAPE_FILE);
	assert_string_equal(e->name, "/f");
	assert_true(digest_eq(&e->digest, &d) && e->size == 12 && e->has_times);
	assert_int_equal(e->times.modified, 7);
	e = next(b);
	assert_int_equal(e->kind, TAPE_VARIABLE);
	assert_string_equal(e->name, "NAME");
	e = next(b);
	assert_int_equal(e->kind, TAPE_ATTRIBUTES);
	assert_string_equal(e->name, "/g");
	e = next(b);
	assert_true(e->kind == TAPE_TEXT && e->out && e->n == 4 && memcmp(e->p, "text", 4) == 0);
	e = next(b);
	assert_int_equal(e->kind, TAPE_OUTPUT);
	assert_int_equal(pread(e->fd, got, 3, 0), 3);
	assert_string_equal(got, "abc");
	e = next(b);
	assert_int_equal(e->kind, TAPE_RESULT);
	m = dray__job_result__unpack(NULL, e->n, e->p);
	assert_non_null(m);
	assert_int_equal(m->outputs, 3);
	dray__job_result__free_unpacked(m, NULL);
	expect(b, TAPE_QUIET);
	tape_reader_closep(&b);
	/* the other one has its own pace */
	assert_int_equal(next(a)->kind, TAPE_FILE);
	tape_reader_closep(&a);
}

static void
test_who_may(void **state)
{
	struct tape *t = lead(*state, 1), *other = NULL;
	struct tape_reader *r = NULL;

	/* another key */
	other = lead(*state, 2);
	tape_leave(&other, true, NOW);
	/* one that may not join does not lead what another one does */
	assert_int_equal(enter(*state, 1, false, true, NOW, &other, &r), 0);
	assert_true(!other && !r);
	/* one that may neither */
	assert_int_equal(enter(*state, 3, false, false, NOW, &other, &r), 0);
	assert_true(!other && !r);
	tape_leave(&t, true, NOW);
}

/* A twin may come before the job that it is a twin of. */
static void
test_before_its_leader(void **state)
{
	struct tape *t = NULL, *none = NULL;
	struct tape_reader *a = NULL, *b = NULL, *no = NULL;

	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(enter(*state, 1, true, false, NOW, &none, &a), 1);
		assert_int_equal(enter(*state, 1, true, false, NOW, &none, &b), 1);
		assert_false(tape_reader_is_led(a));
		assert_string_equal(tape_reader_job(a), "");
		expect(a, TAPE_QUIET);
		expect(a, TAPE_QUIET);
		/* they leave in vain; then it comes */
		if (i == 0) {
			tape_reader_closep(&a);
			tape_reader_closep(&b);
		}
	}
	assert_int_equal(enter(*state, 1, true, true, NOW, &t, &no), 0);
	assert_true(t && !no);
	assert_true(tape_reader_is_led(a) && tape_reader_is_led(b));
	assert_string_equal(tape_reader_job(a), JOB);
	tape_started(t);
	assert_int_equal(next(a)->kind, TAPE_STARTED);
	say_result(t);
	assert_true(tape_leave(&t, true, NOW));
	assert_int_equal(next(b)->kind, TAPE_STARTED);
	assert_true(tape_reader_is_led(b));
	tape_reader_closep(&a);
	tape_reader_closep(&b);
	/* or its client lets it fail */
	assert_int_equal(enter(*state, 2, true, false, NOW, &none, &a), 1);
	t = lead(*state, 2);
	assert_false(tape_leave(&t, false, NOW));
	expect(a, TAPE_VOID);
	tape_reader_closep(&a);
}

/* Without a result nobody gets anything, and the next one leads anew. */
static void
test_void(void **state)
{
	struct tape *t = lead(*state, 1), *again;
	struct tape_reader *r = join(*state, 1, NOW);

	tape_started(t);
	assert_true(tape_is_read(t));
	tape_leave(&t, true, NOW);
	assert_true(rings(r));
	expect(r, TAPE_VOID);
	again = lead(*state, 1);
	tape_void(again);
	/* of what was lost on the way nothing is given either */
	t = lead(*state, 1);
	tape_leave(&again, true, NOW);
	tape_leave(&t, true, NOW);
	tape_reader_closep(&r);
}

static void
test_linger(void **state)
{
	struct tape *t = lead(*state, 1);
	struct tape_reader *r;

	say_result(t);
	tape_leave(&t, true, NOW);
	r = join(*state, 1, NOW + TAPE_LINGER_MS - 1);
	tapes_tick(*state, NOW + TAPE_LINGER_MS);
	/* who reads it goes on */
	assert_int_equal(next(r)->kind, TAPE_RESULT);
	tape_reader_closep(&r);
	t = lead(*state, 1);
	/* a compile that failed is no news for those who come after it */
	r = join(*state, 1, NOW);
	say_result(t);
	tape_leave(&t, false, NOW);
	assert_int_equal(next(r)->kind, TAPE_RESULT);
	tape_reader_closep(&r);
	t = lead(*state, 1);
	tape_leave(&t, true, NOW);
}

/* A client that asks again for what it has got wants it compiled again. */
static void
test_asks_again(void **state)
{
	struct tape *t = NULL, *again = NULL;
	struct tape_reader *r = NULL, *no = NULL;

	assert_int_equal(enter_as(*state, "me", 1, true, true, NOW, &t, &no), 0);
	/* while it runs it is the same */
	assert_int_equal(enter_as(*state, "me", 1, true, true, NOW, &again, &r), 1);
	say_result(t);
	/* its thread is not done yet */
	assert_int_equal(enter_as(*state, "me", 1, true, true, NOW, &again, &no), 0);
	assert_true(again && !no);
	tape_leave(&t, true, NOW);
	assert_int_equal(next(r)->kind, TAPE_RESULT);
	tape_reader_closep(&r);
	say_result(again);
	tape_leave(&again, true, NOW);
	assert_int_equal(enter_as(*state, "me", 1, true, true, NOW, &again, &no), 0);
	assert_true(again && !no);
	say_result(again);
	tape_leave(&again, true, NOW);
	r = join(*state, 1, NOW);
	tape_reader_closep(&r);
}

static void
test_waits(void **state)
{
	struct tape *t = lead(*state, 1);
	struct tape_reader *a, *b;

	tape_wait(t, true, NOW);
	a = join(*state, 1, NOW + 10);
	assert_int_equal(tape_reader_waited_ms(a, NOW + 30), 20);
	tape_wait(t, false, NOW + 40);
	b = join(*state, 1, NOW + 50);
	assert_int_equal(tape_reader_waited_ms(a, NOW + 90), 30);
	tape_wait(t, true, NOW + 100);
	tape_wait(t, true, NOW + 110);
	assert_int_equal(tape_reader_waited_ms(a, NOW + 120), 50);
	assert_int_equal(tape_reader_waited_ms(b, NOW + 120), 20);
	assert_true(tape_is_read(t));
	tape_reader_closep(&a);
	tape_reader_closep(&b);
	assert_false(tape_is_read(t));
	tape_leave(&t, true, NOW);
}

/* What a job may make of it is bounded: then it is void, and the job goes on. */
static void
test_bounds(void **state)
{
	static char much[1 << 20];
	struct digest d = key(9);
	struct tape *t = lead(*state, 1);
	struct tape_reader *r = join(*state, 1, NOW);
	int fd = made_file("x");
	unsigned n = 0;

	for (unsigned i = 0; i < TAPE_TEXT_MAX / sizeof(much) - 1; i++)
		tape_text(t, false, much, sizeof(much));
	assert_true(tape_is_read(t));
	tape_text(t, false, much, sizeof(much));
	assert_false(tape_is_read(t));
	expect(r, TAPE_VOID);
	tape_reader_closep(&r);
	tape_leave(&t, true, NOW);
	t = lead(*state, 1);
	r = join(*state, 1, NOW);
	/* many small ones take memory, too */
	while (n < TAPE_TEXT_MAX && tape_is_read(t)) {
		tape_variable(t, "A");
		n++;
	}
	assert_true(n > 4096 && n < TAPE_TEXT_MAX / 32);
	tape_reader_closep(&r);
	tape_leave(&t, true, NOW);
	/* files: a quarter of what this process may open, in all */
	t = lead(*state, 1);
	r = join(*state, 1, NOW);
	for (unsigned i = 0; i <= TAPE_FILES_MAX; i++)
		tape_output(t, "o", DRAY__OUTPUT_KIND__OUTPUT_LINK_INPUT, 0644, &d, 1, fd);
	assert_false(tape_is_read(t));
	tape_reader_closep(&r);
	tape_leave(&t, true, NOW);
	close(fd);
	/* much that nobody reads any more goes first */
	for (unsigned i = 0; i < 3; i++) {
		t = lead(*state, (uint8_t)(10 + i));
		tape_output(t, "o", DRAY__OUTPUT_KIND__OUTPUT_FILE, 0644, &d, 600u << 20, 0);
		say_result(t);
		assert_true(tape_leave(&t, true, NOW));
	}
	t = lead(*state, 10);
	tape_leave(&t, true, NOW);
	r = join(*state, 12, NOW);
	tape_reader_closep(&r);
	t = lead(*state, 13);
	tape_output(t, "o", DRAY__OUTPUT_KIND__OUTPUT_FILE, 0644, &d, 2048ull << 20, 0);
	say_result(t);
	assert_false(tape_leave(&t, true, NOW));
	/* nothing is kept of them */
	t = lead(*state, 1);
	r = join(*state, 1, NOW);
	tape_output(t, "o", DRAY__OUTPUT_KIND__OUTPUT_FILE, 0644, &d, 1, 0);
	assert_true(tape_is_read(t));
	tape_reader_closep(&r);
	tape_leave(&t, true, NOW);
}

/* A job that has none does not mind. */
static void
test_none(void **state)
{
	struct tape *t = NULL;
	struct digest d = key(1);

	(void)state;
	tape_started(NULL);
	tape_file(NULL, "/f", DRAY__FILE_KIND__FILE_ABSENT, &d, 0, NULL);
	tape_variable(NULL, "A");
	tape_attributes(NULL, "/f", NULL);
	tape_text(NULL, false, "", 0);
	tape_output(NULL, "o", DRAY__OUTPUT_KIND__OUTPUT_FILE, 0, &d, 0, -1);
	say_result(NULL);
	tape_void(NULL);
	tape_wait(NULL, true, NOW);
	assert_false(tape_is_read(NULL) || tape_has_begun(NULL));
	tape_leave(&t, true, NOW);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_from_the_beginning),
		T(test_who_may),
		T(test_before_its_leader),
		T(test_void),
		T(test_linger),
		T(test_asks_again),
		T(test_waits),
		T(test_bounds),
		cmocka_unit_test(test_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
