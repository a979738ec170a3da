/* What there is in the farm at one moment: each part of it, what is left out and counted, and that
 * it stands by itself when the server goes on. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "coordinator/server_priv.h"
#include "coordinator/view.h"

#define NOW 1000000

struct fixture {
	struct conf *conf;
	struct server s;
	struct allowed_key keys[3];
};

static void
add_key(struct fixture *f, const char *name, const char *namespace, enum role role)
{
	struct allowed_key *k = &f->keys[f->s.keys.n++];

	memset(k, 0, sizeof(*k));
	memset(k->curve_public, 'a' + (int)f->s.keys.n, CURVE_KEY_SIZE - 1);
	k->role = role;
	snprintf(k->name, sizeof(k->name), "%s", name);
	snprintf(k->namespace, sizeof(k->namespace), "%s", namespace);
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct sched_conf c;
	char *error = NULL;

	assert_int_equal(conf_parse("", 0, "none", &f->conf, &error), 0);
	if (conf_set(f->conf, "coordinator.cache=no", &error) < 0)
		fail_msg("%s", error);
	f->s.conf = f->conf;
	f->s.now = NOW;
	f->s.began_ms = NOW - 5000;
	f->s.keys.v = f->keys;
	snprintf(f->s.id.name, sizeof(f->s.id.name), "coord");
	assert_int_equal(peers_init(&f->s), 0);
	assert_int_equal(door_new(&f->s.door), 0);
	sched_conf_default(&c);
	assert_int_equal(sched_new(&c, &f->s.sched), 0);
	cache_start(&f->s);
	add_key(f, "alice", "red", ROLE_CLIENT);
	add_key(f, "bob", "", ROLE_ADMIN);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	cache_end(&f->s);
	standings_done(&f->s.standings);
	sched_free(f->s.sched);
	peers_done(&f->s);
	door_free(f->s.door);
	conf_free(f->conf);
	free(f);
	return 0;
}

static struct peer *
add_peer(struct fixture *f, uint8_t id, const char *curve, enum role role)
{
	struct wire_peer wire = { .id = { id }, .id_len = 5, .fd = -1 };
	struct peer *p;

	snprintf(wire.curve, sizeof(wire.curve), "%s", curve);
	p = peer_add(&f->s, &wire);
	assert_non_null(p);
	p->role = role;
	return p;
}

static struct peer *
add_worker(struct fixture *f, uint8_t id, const char *name, unsigned slots)
{
	struct peer *p = add_peer(f, id, "", ROLE_WORKER);
	struct sched_offer offer = { .text = "1.95.0 rustc" };
	struct sched_worker_info info = { .name = name,
		.endpoint = "tcp://127.0.0.1:9",
		.curve = "",
		.tag = p->serial,
		.offers = &offer,
		.n_offers = 1,
		.slots = slots,
		.cores = 2 * slots,
		.glibc = 36 };

	memset(offer.toolchain.b, 7, DIGEST_SIZE);
	assert_int_equal(sched_worker_set(f->s.sched, &info, f->s.now, &p->worker), 0);
	p->state = ADMIT_REGISTERED;
	p->heard_ms = f->s.now - 300;
	p->did.since_ms = f->s.now - 2000;
	return p;
}

static void
take_actions(struct fixture *f)
{
	struct sched_action a;

	while (sched_next_action(f->s.sched, &a))
		;
}

static struct job_id
add_job(struct fixture *f, struct peer *p, uint8_t n, char *crate)
{
	struct sched_job_info info = { .id = { { n } },
		.owner = p->serial,
		.account = peer_account(&f->s, p),
		.may_wait = true };
	Dray__JobRequest m;
	char kind[] = "lib";

	dray__job_request__init(&m);
	m.crate = crate;
	m.kind = kind;
	memset(info.toolchain.b, 7, DIGEST_SIZE);
	cache_job_asked(&f->s, p, &info.id, &m);
	assert_int_equal(sched_job_add(f->s.sched, &info, f->s.now), 0);
	take_actions(f);
	return info.id;
}

static struct view *
look(struct fixture *f, unsigned want)
{
	struct view *v = NULL;

	assert_int_equal(view_new(&f->s, want, &v), 0);
	return v;
}

#define ALL (VIEW_WORKERS | VIEW_OFFERS | VIEW_JOBS | VIEW_CLIENTS | VIEW_CACHES)

static void
test_empty(void **state)
{
	struct fixture *f = *state;
	_cleanup_(view_unrefp) struct view *v = look(f, ALL);

	assert_string_equal(v->name, "coord");
	assert_int_equal(v->up_ms, 5000);
	assert_int_equal(v->n_workers + v->n_jobs + v->n_clients + v->n_caches, 0);
	assert_false(v->has_cache || v->has_samples || v->shutting_down);
	assert_int_equal(v->queue_ms, 0);
}

static void
test_workers(void **state)
{
	struct fixture *f = *state;
	struct peer *b = add_worker(f, 1, "b", 4);
	_cleanup_(view_unrefp) struct view *v = NULL;

	add_worker(f, 2, "a", 2);
	b->did.ended = 9;
	b->did.cpu_us = 77;
	b->leaving = true;
	assert_int_equal(standings_set(&f->s.standings, "a", "", STANDING_DRAINED), 0);
	v = look(f, ALL);
	assert_int_equal(v->n_workers, 2);
	assert_string_equal(v->workers[0].name, "a");
	assert_string_equal(v->workers[1].name, "b");
	assert_int_equal(v->workers[1].slots, 4);
	assert_int_equal(v->workers[1].cores, 8);
	assert_int_equal(v->workers[1].heard_ms, 300);
	assert_int_equal(v->workers[1].up_ms, 2000);
	assert_int_equal(v->workers[1].ended, 9);
	assert_int_equal(v->workers[1].cpu_us, 77);
	assert_true(v->workers[1].leaving && !v->workers[0].leaving);
	assert_true(v->workers[0].drained && !v->workers[1].drained);
	assert_int_equal(v->workers[1].n_offers, 1);
	assert_int_equal(v->n_offers, 2);
	assert_string_equal(v->offers[v->workers[1].first_offer].text, "1.95.0 rustc");
	assert_int_equal(v->offers[v->workers[0].first_offer].toolchain.b[3], 7);
	assert_int_equal(v->sched.slots, 6);
	view_unref(v);
	/* their toolchains are not copied for those that count them */
	v = look(f, VIEW_WORKERS);
	assert_int_equal(v->workers[1].n_offers, 1);
	assert_int_equal(v->n_offers, 0);
}

static void
test_jobs(void **state)
{
	struct fixture *f = *state;
	struct peer *w = add_worker(f, 1, "w", 1);
	struct peer *p = add_peer(f, 2, f->keys[0].curve_public, ROLE_CLIENT);
	char evil[] = "se\033[2Jrde", plain[] = "log";
	struct job_id first = add_job(f, p, 1, evil);
	struct view *v;

	f->s.now += 400;
	add_job(f, p, 2, plain);
	f->s.now += 600;
	assert_int_equal(sched_job_started(f->s.sched, w->worker, &first, f->s.now), 0);
	v = look(f, ALL);
	/* it stands by itself */
	peer_remove(&f->s, p);
	take_actions(f);
	assert_int_equal(v->n_jobs, 2);
	assert_int_equal(v->more_jobs, 0);
	assert_string_equal(v->jobs[0].crate, "se?[2Jrde");
	assert_string_equal(v->jobs[0].kind, "lib");
	assert_string_equal(v->jobs[0].client, "alice");
	assert_string_equal(v->jobs[0].namespace, "red");
	assert_string_equal(v->jobs[0].worker, "w");
	assert_int_equal(v->jobs[0].state, SCHED_JOB_STARTED);
	assert_int_equal(v->jobs[0].age_ms, 1000);
	assert_true(v->jobs[0].held_ms > 0);
	assert_int_equal(v->jobs[1].state, SCHED_JOB_QUEUED);
	assert_string_equal(v->jobs[1].worker, "");
	assert_int_equal(v->jobs[1].age_ms, 600);
	assert_int_equal(v->queue_ms, 600);
	assert_int_equal(v->queue_oldest_ms, 600);
	assert_int_equal(v->n_clients, 1);
	assert_int_equal(v->clients[0].jobs, 2);
	assert_int_equal(v->clients[0].queued, 1);
	assert_int_equal(v->clients[0].slots, 1);
	view_unref(v);
	/* sums alone */
	v = look(f, 0);
	assert_null(v->jobs);
	assert_null(v->workers);
	view_unref(v);
}

/* What runs is listed even where most that there is waits. */
static void
test_many_jobs(void **state)
{
	struct fixture *f = *state;
	struct peer *p = add_peer(f, 2, f->keys[0].curve_public, ROLE_CLIENT);
	_cleanup_(view_unrefp) struct view *v = NULL;

	add_worker(f, 1, "w", 3);
	for (unsigned i = 0; i < VIEW_JOBS_MAX + 50; i++) {
		struct sched_job_info info = {
			.owner = p->serial, .account = 1 + i % 4, .may_wait = true
		};

		memcpy(info.id.b, &i, sizeof(i));
		memset(info.toolchain.b, 7, DIGEST_SIZE);
		assert_int_equal(sched_job_add(f->s.sched, &info, f->s.now), 0);
	}
	take_actions(f);
	v = look(f, VIEW_JOBS);
	assert_int_equal(v->n_jobs, VIEW_JOBS_MAX);
	assert_int_equal(v->more_jobs, 50);
	assert_true(v->sched.used > 0);
	for (size_t i = 0; i < v->sched.used; i++)
		assert_int_equal(v->jobs[i].state, SCHED_JOB_PLACED);
	assert_int_equal(v->jobs[v->sched.used].state, SCHED_JOB_QUEUED);
	assert_string_equal(v->jobs[0].crate, "");
}

static void
test_clients(void **state)
{
	struct fixture *f = *state;
	_cleanup_(view_unrefp) struct view *v = NULL;

	add_peer(f, 1, f->keys[1].curve_public, ROLE_ADMIN);
	add_peer(f, 2, f->keys[0].curve_public, ROLE_CLIENT);
	add_peer(f, 3, f->keys[0].curve_public, ROLE_CLIENT);
	add_peer(f, 4, f->keys[0].curve_public, ROLE_CLIENT)->state = ADMIT_DROPPED;
	/* over ipc each is one */
	add_peer(f, 5, "", ROLE_CLIENT);
	add_peer(f, 6, "", ROLE_CLIENT);
	add_worker(f, 7, "w", 1);
	v = look(f, VIEW_CLIENTS);
	assert_int_equal(v->n_clients, 4);
	assert_string_equal(v->clients[0].name, "");
	assert_int_equal(v->clients[1].connections, 1);
	assert_string_equal(v->clients[2].name, "alice");
	assert_int_equal(v->clients[2].connections, 2);
	assert_string_equal(v->clients[2].namespace, "red");
	assert_string_equal(v->clients[3].name, "bob");
	assert_int_equal(v->clients[3].role, ROLE_ADMIN);
	assert_int_equal(v->connections, 7);
}

static void
test_references(void **state)
{
	struct view *v = look(*state, ALL);

	assert_ptr_equal(view_ref(v), v);
	view_unref(v);
	assert_string_equal(v->name, "coord");
	view_unrefp(&v);
	assert_null(v);
	view_unref(NULL);
}

static void
test_names(void **state)
{
	assert_string_equal(view_state_name(SCHED_JOB_STARTED), "runs");
	assert_string_equal(view_state_name((enum sched_job_state)99), "-");
	assert_string_equal(view_trust_name(SCHED_SHUNNED), "shunned");
	assert_string_equal(view_trust_name((enum sched_trust)99), "-");
}

#define V(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		V(test_empty),
		V(test_workers),
		V(test_jobs),
		V(test_many_jobs),
		V(test_clients),
		V(test_references),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
