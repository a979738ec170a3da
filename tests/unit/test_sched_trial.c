/* Slow start: what a key gets that has shown nothing, what it loses by waste, and what attackers
 * who know the rules take from others. */
#include "config.h"

#include "tests/unit/sched_fixture.h"

#define PENALTY 10000
#define WAKE 500 /* those who waited for the end of one are looked at so often */

/* A whole job, of which its client takes all. */
static void
ran_well(struct world *w, struct sched_worker *a, unsigned id, uint64_t ms)
{
	struct job_id j = jid(id);

	compiles(w, a, id);
	pass(w, ms);
	assert_int_equal(sched_job_ended(w->s, a, &j, true, 1000 * ms, w->now), 0);
	assert_int_equal(finished(w, id), 0);
}

/* Its client was silent for so long. */
static void
was_cut(struct world *w, struct sched_worker *a, unsigned id, uint64_t waited)
{
	struct job_id j = jid(id);

	sched_job_cut(w->s, a, &j, waited, w->now);
	assert_int_equal(sched_job_ended(w->s, a, &j, true, 1000, w->now), 0);
}

static void
ask_many(struct world *w, unsigned first, unsigned n, uint64_t account)
{
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(ask_for(w, first + i, account), 0);
}

static void
generous(struct world *w)
{
	struct sched_conf c;

	sched_free(w->s);
	sched_conf_default(&c);
	assert_int_equal(sched_new(&c, &w->s), 0);
}

/* A key that has shown nothing has one bare slot at a time while others wait; each that it feeds
 * makes room for the next at once, so that a key that feeds them is not slower for it. */
static void
test_fed_at_once(void **state)
{
	struct world *w = *state;
	struct sched_worker *a;

	generous(w);
	a = worker(w, "a", 8);
	ask_many(w, 1, 12, 7);
	assert_int_equal(placed_now(w), 4); /* half of the farm, as nobody else waits */
	started(w, a, 1);
	assert_int_equal(placed_now(w), 0); /* opened, but not fed */
	for (unsigned id = 1; id <= 4; id++) {
		compiles(w, a, id);
		assert_int_equal(placed_now(w), 1); /* in the same millisecond */
	}
	assert_int_equal(stats(w).used, 8);
}

/* Each job that ended as it should makes it one more. */
static void
test_width(void **state)
{
	struct world *w = *state;
	struct sched_worker *a;

	generous(w);
	a = worker(w, "a", 8);
	ask_many(w, 1, 3, 7);
	(void)placed_now(w);
	for (unsigned id = 1; id <= 3; id++)
		ran_well(w, a, id, 10);
	/* 8 fills the farm, and more of it waits */
	ask_many(w, 20, 12, 8);
	for (unsigned id = 20; id <= 27; id++)
		compiles(w, a, id);
	assert_int_equal(stats(w).used, 8);
	ask_many(w, 40, 8, 7);
	take(w);
	for (unsigned id = 20; id <= 27; id++)
		assert_int_equal(ended(w, a, id, true), 0);
	take(w);
	for (unsigned i = 0; i < w->n; i++)
		if (w->last[i].type == SCHED_PLACE && jnum(&w->last[i].job) >= 44)
			fail_msg("job %u", jnum(&w->last[i].job));
	compiles(w, a, 43);
}

/* A slot that is not opened soon goes to others that wait; a key that opens it late has that much
 * more time from then on, and nothing is held against it. */
static void
test_slow_to_open(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 1);
	struct job_id j = jid(1);

	assert_int_equal(ask_for(w, 1, 7), 0);
	assert_int_equal(placed_now(w), 1);
	assert_int_equal(ask_for(w, 20, 8), 0);
	pass(w, LIFE_TRIAL - 1);
	assert_int_equal(placed_now(w), 0);
	pass(w, 1);
	assert_int_equal(placed_now(w), 1);
	assert_int_equal(jnum(&w->last[w->n - 1].job), 20);
	compiles(w, a, 20);
	/* 500 ms after it was placed its client comes; the slot is another's. */
	pass(w, 200);
	assert_int_equal(sched_job_refused(w->s, a, &j, w->now), -ENOENT);
	assert_int_equal(retry(w, 1, "a", DRAY__VERDICT__VERDICT_FULL), 0);
	pass(w, 600);
	assert_int_equal(ask_for(w, 21, 8), 0);
	take(w);
	assert_int_equal(ended(w, a, 20, true), 0);
	assert_int_equal(take_place(w), 1);
	pass(w, 999); /* twice as much */
	assert_int_equal(placed_now(w), 0);
	compiles(w, a, 1);
}

/* Silence of a moment costs a key that has computed a while nothing but its width. */
static void
test_a_moment_is_forgiven(void **state)
{
	struct world *w = *state;
	struct sched_worker *a;

	generous(w);
	a = worker(w, "a", 8);
	for (unsigned id = 1; id <= 10; id++) {
		assert_int_equal(ask_for(w, id, 7), 0);
		assert_int_equal(placed_now(w), 1);
		ran_well(w, a, id, 500);
	}
	ask_many(w, 21, 20, 7);
	assert_int_equal(placed_now(w), 8);
	for (unsigned id = 21; id <= 28; id++)
		compiles(w, a, id);
	/* A laptop is closed for five seconds: eight slots, which is one waste. */
	pass(w, 5000);
	for (unsigned id = 21; id <= 28; id++)
		was_cut(w, a, id, 5000);
	assert_int_equal(placed_now(w), 4); /* half of the farm is bare: it is wide no more */
	compiles(w, a, 29);
	assert_int_equal(placed_now(w), 1);
}

/* Waste beyond what computing has earned: none for a while, then one at a time until the debt is
 * paid; each time twice as long. */
static void
test_penalty(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 2);

	ask_many(w, 1, 5, 7);
	assert_int_equal(placed_now(w), 1);
	started(w, a, 1);
	pass(w, 2001);
	was_cut(w, a, 1, 2001);
	assert_int_equal(placed_now(w), 0);
	pass(w, PENALTY - 1);
	assert_int_equal(placed_now(w), 0);
	pass(w, WAKE + 1);
	assert_int_equal(placed_now(w), 1);
	compiles(w, a, 2);
	assert_int_equal(placed_now(w), 0); /* one at a time, though it is fed */
	pass(w, 1001);
	was_cut(w, a, 2, 1001);
	pass(w, 2 * PENALTY - 1);
	assert_int_equal(placed_now(w), 0);
	pass(w, WAKE + 1);
	assert_int_equal(placed_now(w), 1);
	ran_well(w, a, 3, 500);
	assert_int_equal(placed_now(w), 1);
	ran_well(w, a, 4, 500); /* the debt is paid */
	assert_int_equal(placed_now(w), 1);
	compiles(w, a, 5);
	assert_int_equal(ask_for(w, 6, 7), 0);
	assert_int_equal(placed_now(w), 1);
}

/* What a worker fails, or loses, is not held against the client. */
static void
test_workers_doing(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 1), *b = worker(w, "b", 1);
	struct job_id j = jid(1);

	assert_int_equal(ask_for(w, 1, 7), 0);
	take(w);
	expect_place(w, 0, 1, a);
	started(w, a, 1);
	pass(w, 60000);
	sched_job_cut(w->s, a, &j, 0, w->now);
	assert_int_equal(sched_job_ended(w->s, a, &j, false, 0, w->now), 0);
	assert_int_equal(retry(w, 1, "a", FAULT), 0);
	take(w);
	expect_place(w, 0, 1, b);
	started(w, b, 1);
	pass(w, 60000);
	sched_worker_gone(w->s, b, w->now);
	assert_int_equal(ask_for(w, 2, 7), 0);
	take(w);
	expect_place(w, 0, 2, a);
}

/* ---- a farm of two slots, an honest key, and one that knows the rules */

enum leave { STAYS, CANCELS, SAYS_FULL, SAYS_LIMIT, SAYS_FINISHED };

static const struct move {
	const char *name;
	unsigned opens; /* ms after the placement; 0: never */
	unsigned feeds; /* after that; 0: never */
	unsigned runs;	/* for so long */
	bool takes;	/* what was made */
	enum leave leave;
	unsigned leaves;    /* ms after the placement */
	unsigned good;	    /* jobs that are as they should be, before each such one */
	unsigned good_runs; /* for so long; 20 */
	unsigned least;	    /* percent of its jobs alone that the honest key gets done */
} moves[] = {
	{ "nothing", .good = ~0u - 1, .least = 100 }, /* does not ask: the control */
	{ "never opens", .least = 85 },
	{ "opens in the last moment, and feeds nothing", .opens = LIFE_TRIAL - 20, .least = 75 },
	{ "opens at once, and feeds nothing", .opens = 10, .least = 75 },
	{ "opens what was taken back", .opens = 1400, .least = 75 },
	{ "opens what was taken back, just so", .opens = 350, .least = 75 },
	{ "cancels in the last moment", .leave = CANCELS, .leaves = LIFE_TRIAL - 20, .least = 75 },
	{ "says in the last moment that it is full", .leave = SAYS_FULL, .leaves = LIFE_TRIAL - 20,
		.least = 75 },
	{ "feeds nothing, and cancels in time", .opens = 10, .leave = CANCELS, .leaves = 900,
		.least = 75 },
	{ "feeds nothing, and wants another worker", .opens = 10, .leave = SAYS_LIMIT,
		.leaves = 900, .least = 75 },
	{ "feeds nothing, and says that it has its result", .opens = 10, .leave = SAYS_FINISHED,
		.leaves = 20, .least = 75 },
	{ "takes no results", .opens = 10, .feeds = 10, .runs = 50, .least = 75 },
	{ "takes no results, and cancels in time", .opens = 10, .feeds = 10, .runs = 50,
		.leave = CANCELS, .leaves = 900, .least = 66 },
	{ "a good one before each", .opens = 10, .good = 1, .least = 70 },
	{ "ten good ones before each", .opens = 10, .good = 10, .least = 66 },
	{ "ten good ones before each that is not opened", .good = 10, .least = 66 },
	/* One that works for half of its time has half, as other users. */
	{ "a second's work before each", .opens = 10, .good = 1, .good_runs = 1000, .least = 48 },
	{ "works", .opens = 10, .feeds = 10, .runs = 600, .takes = true, .least = 48 },
	{ "works for long", .opens = 10, .feeds = 10, .runs = 10000, .takes = true, .least = 48 },
};

#define STEP 10
#define LONG 30000
#define HONEST 1000000u
#define KEPT 6 /* jobs that a key has asked for at a time */

struct sim_job {
	unsigned id; /* 0: none */
	const struct move *m;
	bool there; /* at the worker */
	bool trial, fed, compiled, left;
	unsigned runs;
	uint64_t placed, opened, owed, waited;
};

struct sim {
	struct world *w;
	struct sched_worker *a;
	const struct move *m; /* of the one that knows */
	struct sim_job v[256];
	unsigned next[2], asked[2], done, at_worker;
};

static const struct move honest = { "honest", .opens = 10, .feeds = 20, .runs = 600,
	.takes = true },
			 small = { "good", .opens = 10, .feeds = 10, .runs = 20, .takes = true };

static struct sim_job *
sim_find(struct sim *s, unsigned id)
{
	for (unsigned i = 0; i < ARRAY_LEN(s->v); i++)
		if (s->v[i].id == id)
			return &s->v[i];
	return NULL;
}

/* The client's part is over; what is at the worker goes on. */
static void
sim_forget(struct sim *s, struct sim_job *j)
{
	if (!j->left)
		s->asked[j->m == &honest]--;
	j->left = true;
	if (!j->there)
		j->id = 0;
}

static void
sim_end(struct sim *s, struct sim_job *j, bool whole)
{
	struct job_id id = jid(j->id);

	if (j->owed)
		j->waited += s->w->now - j->owed;
	if (!whole)
		sched_job_cut(s->w->s, s->a, &id, j->waited, s->w->now);
	(void)sched_job_ended(
		s->w->s, s->a, &id, true, j->compiled ? 1000ull * j->runs : 0, s->w->now);
	j->there = false;
	s->at_worker--;
	if (!j->left)
		(void)sched_job_finished(s->w->s, 100 + j->id, &id, s->w->now);
	s->done += j->m == &honest;
	sim_forget(s, j);
	j->id = 0;
}

static void
sim_take(struct sim *s)
{
	const struct move *m = s->m;
	struct sched_action x;

	while (sched_next_action(s->w->s, &x)) {
		unsigned id = jnum(&x.job);
		struct sim_job *j = sim_find(s, id);

		if (x.type == SCHED_PLACE) {
			if (!j) {
				j = sim_find(s, 0);
				assert_non_null(j);
			}
			*j = (struct sim_job){ .id = id, .placed = s->w->now };
			j->m = id >= HONEST ? &honest : m->good && id % (m->good + 1) ? &small : m;
			j->runs = j->m == &small && m->good_runs ? m->good_runs : j->m->runs;
			j->trial = sched_job_on_trial(s->w->s, &x.job);
		} else if (x.type == SCHED_CANCEL && j && j->there) {
			sim_end(s, j, false);
		} else if (x.type == SCHED_DENY) {
			if (j)
				sim_forget(s, j);
			else
				s->asked[id >= HONEST]--;
		}
	}
}

static void
sim_open(struct sim *s, struct sim_job *j)
{
	struct job_id id = jid(j->id);

	if (s->at_worker == 2) {
		(void)sched_job_refused(s->w->s, s->a, &id, s->w->now);
		(void)retry(s->w, j->id, "a", DRAY__VERDICT__VERDICT_FULL);
		j->id = 0;
		return;
	}
	s->at_worker++;
	j->there = true;
	j->opened = j->owed = s->w->now;
	(void)sched_job_started(s->w->s, s->a, &id, s->w->now);
}

static void
sim_leave(struct sim *s, struct sim_job *j)
{
	struct job_id id = jid(j->id);

	if (j->m->leave == CANCELS)
		(void)sched_job_cancel(s->w->s, 100 + j->id, &id, s->w->now);
	else if (j->m->leave == SAYS_FINISHED)
		(void)sched_job_finished(s->w->s, 100 + j->id, &id, s->w->now);
	else
		(void)retry(s->w, j->id, "a",
			j->m->leave == SAYS_FULL ? DRAY__VERDICT__VERDICT_FULL
						 : DRAY__VERDICT__VERDICT_LIMIT);
	if (j->m->leave == CANCELS || j->m->leave == SAYS_FINISHED)
		sim_forget(s, j);
	else if (!j->there)
		j->id = 0;
}

static void
sim_job_step(struct sim *s, struct sim_job *j)
{
	const struct move *m = j->m;
	uint64_t now = s->w->now, patience = !sched_wanted(s->w->s) ? 30000
					     : j->trial		    ? 1000
								    : 5000;
	struct job_id id = jid(j->id);

	if (!j->there && !j->left && m->opens && now == j->placed + m->opens)
		sim_open(s, j);
	if (j->id && j->there && !j->fed && m->feeds && now >= j->opened + m->feeds) {
		j->fed = true;
		j->waited += now - j->owed;
		j->owed = 0;
		sched_job_compiles(s->w->s, s->a, &id, now);
	}
	if (j->id && j->fed && !j->compiled && now >= j->opened + m->feeds + j->runs) {
		j->compiled = true;
		j->owed = now;
	}
	if (j->id && j->compiled && m->takes)
		sim_end(s, j, true);
	else if (j->id && j->there && j->owed && now >= j->owed + patience)
		sim_end(s, j, false);
	else if (j->id && !j->left && m->leave && now >= j->placed + m->leaves)
		sim_leave(s, j);
}

static unsigned
sim_run(struct world *w, const struct move *m, bool attacks, uint64_t ms)
{
	struct sim *s = calloc(1, sizeof(*s));
	unsigned done;

	assert_non_null(s);
	generous(w);
	s->w = w;
	s->m = m;
	s->a = worker(w, "a", 2);
	s->next[0] = 1;
	s->next[1] = HONEST;
	for (uint64_t t = 0; t < ms; t += STEP) {
		for (unsigned k = attacks ? 0 : 1; k < 2; k++)
			while (s->asked[k] < KEPT) {
				assert_int_equal(ask_for(w, s->next[k]++, 7 + k), 0);
				s->asked[k]++;
				sim_take(s);
			}
		for (unsigned i = 0; i < ARRAY_LEN(s->v); i++)
			if (s->v[i].id) {
				sim_job_step(s, &s->v[i]);
				sim_take(s);
			}
		w->now += STEP;
		if (t % 1000 == 0)
			sched_worker_heard(w->s, s->a, s->at_worker, w->now);
		if (t % 100 == 0)
			sched_tick(w->s, w->now);
		sim_take(s);
	}
	done = s->done;
	free(s);
	return done;
}

static void
test_moves(void **state)
{
	struct world *w = *state;
	unsigned alone = sim_run(w, &moves[0], false, LONG);

	assert_in_range(alone, 90, 100);
	for (unsigned i = 1; i < ARRAY_LEN(moves); i++) {
		const struct move *m = &moves[i];
		/* long jobs take turns over a longer time */
		unsigned times = m->runs >= 1000 ? 10 : 1;
		unsigned n = sim_run(w, m, true, times * LONG);

		n = 100 * n / alone / times;
		print_message("%3u %%  %s\n", n, m->name);
		assert_in_range(n, m->least, 100);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_fed_at_once),
		T(test_width),
		T(test_slow_to_open),
		T(test_a_moment_is_forgiven),
		T(test_penalty),
		T(test_workers_doing),
		T(test_moves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
