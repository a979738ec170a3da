/* Units that are the same wherever they lie: one job makes it, and requests for others like it are
 * kept back until the shared cache has its result (proto/client.proto, Alike units).
 *
 *   asked ─▶ ASKED ─▶ the scheduler places it ─▶ LEADS ─▶ ended, a result is on its way ─▶ ENDED
 *     │        │ another one leads
 *     ╰────────┴─────▶ KEPT_BACK ─▶ MADE, or asked again as if it came now
 *
 * Nobody leads by a claim alone: only who has a slot does, at a worker that shares what it makes.
 * From when it compiles that worker says by itself what unit it is.
 *
 * Invariant: nothing but a wait follows from what clients say of their units, and only for those
 * who say the same in the same namespace. Each wait has an end: the result; the end of that job,
 * or grace_ms after it where a result is on its way; unproved_ms in all behind jobs of which no
 * worker has said yet that they are the same; wait_max_ms in any case. */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "coordinator/server_priv.h"

#define MADE_MS 5000   /* so long one may have looked into the cache before it asks for a worker */
#define REST_MS 600000 /* so long it is remembered that what a unit makes is not shared */
#define RESTING_MAX 4096
#define JOBS_MAX 8192
#define JOBS_OF_PEER_MAX 1024
#define REQUEST_MAX 4096 /* bytes */

enum alike_state { ASKED, KEPT_BACK, LEADS, ENDED };

struct alike_job {
	struct table_node node; /* by id */
	TAILQ_ENTRY(alike_job) link;
	struct alike_unit *unit;
	struct job_id id;
	char text[JOB_ID_HEX_SIZE]; /* the same */
	uint64_t client;	    /* serial */
	enum alike_state state;
	uint8_t *request; /* packed */
	size_t n;
	struct digest hint; /* of units at the same place: they are twins. Zeros: none */
	/* kept back: */
	uint64_t first_ms, held_ms, said_ms; /* since when in all; behind this one; last told so */
	uint64_t unproved_ms;		     /* of the time before */
	/* it leads: */
	uint64_t worker; /* serial */
	bool proved;	 /* the worker says that it is this unit */
	uint64_t ended_ms;
};

TAILQ_HEAD(alike_jobs, alike_job);

struct alike_limits alike_limits = {
	.unproved_ms = 5000, .grace_ms = 5000, .wait_max_ms = 120000, .say_ms = 1000
};

struct alike_unit {
	struct table_node node; /* by namespace and sought */
	TAILQ_ENTRY(alike_unit) link;
	char namespace[KEYS_NAME_MAX + 1];
	struct digest sought, id;
	struct alike_jobs jobs;
	struct alike_job *leader; /* of these, or NULL */
	uint64_t made_ms;	  /* when the cache got its result; 0: it did not */
	uint64_t vain_ms;  /* when it came out that what is made is not shared; 0: it did not */
	uint64_t rests_ms; /* since when it has no jobs; 0: it has */
};

TAILQ_HEAD(alike_units, alike_unit);

struct alikes {
	struct table units, jobs;
	struct alike_units active, resting; /* with jobs, and without */
	size_t n_resting;
	handler_fn ask;
};

static uint64_t
hash_of(const struct server *s, const char *namespace, const struct digest *sought)
{
	uint8_t b[KEYS_NAME_MAX + 1 + DIGEST_SIZE] = { 0 };

	memcpy(b, namespace, strlen(namespace));
	memcpy(b + KEYS_NAME_MAX + 1, sought->b, DIGEST_SIZE);
	return table_hash(s->hash_key, b, sizeof(b));
}

/* The next one of that key; NULL begins. */
static struct alike_unit *
next_of(const struct server *s, const char *namespace, const struct digest *sought,
	struct alike_unit *prev)
{
	struct table_node *node = prev ? table_find_next(&prev->node)
				       : table_find(
						 &s->alikes->units, hash_of(s, namespace, sought));

	for (; node; node = table_find_next(node)) {
		struct alike_unit *u = table_entry(node, struct alike_unit, node);

		if (streq(u->namespace, namespace) && digest_eq(&u->sought, sought))
			return u;
	}
	return NULL;
}

static struct alike_unit *
unit_find(const struct server *s, const char *namespace, const struct digest *sought,
	const struct digest *id)
{
	struct alike_unit *u = next_of(s, namespace, sought, NULL);

	while (u && !digest_eq(&u->id, id))
		u = next_of(s, namespace, sought, u);
	return u;
}

static struct alike_unit *
unit_new(struct server *s, const char *namespace, const struct digest *sought,
	const struct digest *id)
{
	struct alike_unit *u = calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	snprintf(u->namespace, sizeof(u->namespace), "%s", namespace);
	u->sought = *sought;
	u->id = *id;
	TAILQ_INIT(&u->jobs);
	table_put(&s->alikes->units, &u->node, hash_of(s, namespace, sought));
	TAILQ_INSERT_TAIL(&s->alikes->active, u, link);
	return u;
}

static void
unit_wake(struct server *s, struct alike_unit *u)
{
	struct alikes *a = s->alikes;

	if (!u->rests_ms)
		return;
	u->rests_ms = 0;
	TAILQ_REMOVE(&a->resting, u, link);
	a->n_resting--;
	TAILQ_INSERT_TAIL(&a->active, u, link);
}

static void
unit_free(struct server *s, struct alike_unit *u)
{
	struct alikes *a = s->alikes;

	TAILQ_REMOVE(u->rests_ms ? &a->resting : &a->active, u, link);
	a->n_resting -= u->rests_ms != 0;
	table_del(&a->units, &u->node);
	free(u);
}

/* At the end of each input: one without jobs rests, if there is something to remember. */
static void
unit_settle(struct server *s, struct alike_unit *u)
{
	struct alikes *a = s->alikes;

	if (!TAILQ_EMPTY(&u->jobs) || u->rests_ms)
		return;
	if (!u->made_ms && !u->vain_ms) {
		unit_free(s, u);
		return;
	}
	TAILQ_REMOVE(&a->active, u, link);
	u->rests_ms = s->now;
	TAILQ_INSERT_TAIL(&a->resting, u, link);
	if (++a->n_resting > RESTING_MAX)
		unit_free(s, TAILQ_FIRST(&a->resting));
}

static uint64_t
job_hash(const struct server *s, const struct job_id *id)
{
	return table_hash(s->hash_key, id->b, sizeof(id->b));
}

static struct alike_job *
job_find(const struct server *s, const struct job_id *id)
{
	struct table_node *node = s->alikes ? table_find(&s->alikes->jobs, job_hash(s, id)) : NULL;

	for (; node; node = table_find_next(node)) {
		struct alike_job *j = table_entry(node, struct alike_job, node);

		if (memcmp(&j->id, id, sizeof(*id)) == 0)
			return j;
	}
	return NULL;
}

/* NULL: there is no room for it, or no memory. */
static struct alike_job *
job_new(struct server *s, struct peer *p, struct alike_unit *u, const Dray__JobRequest *m,
	const struct job_id *id)
{
	size_t n = dray__job_request__get_packed_size(m);
	struct alike_job *j;

	if (s->alikes->jobs.n >= JOBS_MAX || p->n_alike >= JOBS_OF_PEER_MAX || n > REQUEST_MAX ||
		!(j = calloc(1, sizeof(*j))))
		return NULL;
	j->request = malloc(n);
	if (!j->request) {
		free(j);
		return NULL;
	}
	j->n = dray__job_request__pack(m, j->request);
	j->id = *id;
	snprintf(j->text, sizeof(j->text), "%s", m->job);
	if (m->hint.len == DIGEST_SIZE)
		memcpy(j->hint.b, m->hint.data, DIGEST_SIZE);
	j->client = p->serial;
	j->unit = u;
	p->n_alike++;
	unit_wake(s, u);
	TAILQ_INSERT_TAIL(&u->jobs, j, link);
	table_put(&s->alikes->jobs, &j->node, job_hash(s, id));
	return j;
}

/* Its unit is to be settled afterwards. */
static void
job_drop(struct server *s, struct alike_job *j)
{
	struct peer *p = peer_by_serial(s, j->client);

	if (p)
		p->n_alike--;
	if (j->unit->leader == j)
		j->unit->leader = NULL;
	TAILQ_REMOVE(&j->unit->jobs, j, link);
	table_del(&s->alikes->jobs, &j->node);
	free(j->request);
	free(j);
}

/* NULL: it is gone, or nothing can be sent to it. */
static struct peer *
client_of(struct server *s, const struct alike_job *j)
{
	struct peer *p = peer_by_serial(s, j->client);

	return p && !p->doomed && p->state != ADMIT_DROPPED ? p : NULL;
}

static void
say_made(struct server *s, struct peer *p, const char *job)
{
	send_denied(s, p, job, DRAY__VERDICT__VERDICT_MADE,
		"another job has made it, and the shared cache has it");
}

static void
say_waits(struct server *s, struct peer *p, struct alike_job *j)
{
	Dray__JobQueued m = DRAY__JOB_QUEUED__INIT;

	j->said_ms = s->now;
	m.job = j->text;
	m.made = true;
	server_send(s, p, WIRE_JOB_QUEUED, &m.base);
}

static void
keep_back(struct server *s, struct peer *p, struct alike_job *j)
{
	j->state = KEPT_BACK;
	j->held_ms = s->now;
	if (!j->first_ms)
		j->first_ms = s->now;
	log_info("job=%s waits: job=%s makes the same", j->text, j->unit->leader->text);
	say_waits(s, p, j);
}

/* Of one that is kept back: it has waited too long. */
static bool
is_overdue(const struct server *s, const struct alike_job *j)
{
	const struct alike_job *leader = j->unit->leader;
	uint64_t unproved = j->unproved_ms;

	if (leader && !leader->proved)
		unproved += s->now - j->held_ms;
	return s->draining || unproved >= alike_limits.unproved_ms ||
	       s->now - j->first_ms >= alike_limits.wait_max_ms;
}

/* Whether j is to wait for the one that leads. One at the same place is its twin, and gets more of
 * it sooner. */
static bool
is_to_wait(const struct server *s, const struct alike_job *j)
{
	static const struct digest none;
	const struct alike_job *leader = j->unit->leader;

	if (!leader || leader == j ||
		(!digest_eq(&j->hint, &none) && digest_eq(&j->hint, &leader->hint)))
		return false;
	return j->unproved_ms < alike_limits.unproved_ms &&
	       (!j->first_ms || s->now - j->first_ms < alike_limits.wait_max_ms);
}

/* As if it came now; alone: and waits for nobody. */
static void
ask_again(struct server *s, struct alike_job *j, bool alone)
{
	struct peer *p = client_of(s, j);
	Dray__JobRequest *m = p ? dray__job_request__unpack(NULL, j->n, j->request) : NULL;

	log_debug("job=%s is kept back no more", j->text);
	if (p && !m)
		send_denied(s, p, j->text, DRAY__VERDICT__VERDICT_QUEUE_FULL,
			"the coordinator is out of memory");
	if (!m || alone)
		job_drop(s, j);
	else
		j->state = ASKED;
	if (!m)
		return;
	if (alone)
		m->alike.len = 0;
	s->alikes->ask(s, p, &p->wire, &m->base);
	dray__job_request__free_unpacked(m, NULL);
}

/* Nothing comes of the one that leads. unshared: nor of another one. */
static void
in_vain(struct server *s, struct alike_unit *u, bool unshared)
{
	const struct alike_job *leader = u->leader;
	struct alike_job *j, *next;

	if (unshared)
		u->vain_ms = s->now;
	TAILQ_FOREACH(j, &u->jobs, link)
	if (j->state == KEPT_BACK && !leader->proved)
		j->unproved_ms += s->now - j->held_ms;
	job_drop(s, u->leader);
	for (j = TAILQ_FIRST(&u->jobs); j; j = next) {
		next = TAILQ_NEXT(j, link);
		if (j->state == KEPT_BACK)
			ask_again(s, j, unshared || s->draining);
	}
}

/* A request that is there already comes over another connection, or once more. */
static bool
asked_before(struct server *s, struct peer *p, struct alike_job *j)
{
	struct peer *old = peer_by_serial(s, j->client);

	if (old != p) {
		if (!old || !peer_is_same_client(s, old, p))
			return false;
		old->n_alike--;
		p->n_alike++;
		j->client = p->serial;
	}
	if (j->state != KEPT_BACK)
		return false;
	say_waits(s, p, j);
	return true;
}

static bool
may_take_part(const struct server *s, const Dray__JobRequest *m)
{
	return s->alikes && s->desk && !s->draining && m->may_wait && m->n_failed == 0 &&
	       m->alike.len == DIGEST_SIZE && m->sought.len == DIGEST_SIZE;
}

bool
alike_asked(struct server *s, struct peer *p, const Dray__JobRequest *m, const struct job_id *id)
{
	const char *namespace = peer_namespace(s, p);
	struct alike_job *j = job_find(s, id);
	struct digest sought, alike;
	struct alike_unit *u;
	bool waits;

	if (j)
		return asked_before(s, p, j);
	if (!may_take_part(s, m))
		return false;
	memcpy(sought.b, m->sought.data, DIGEST_SIZE);
	memcpy(alike.b, m->alike.data, DIGEST_SIZE);
	u = unit_find(s, namespace, &sought, &alike);
	if (u && u->made_ms && s->now - u->made_ms < MADE_MS) {
		say_made(s, p, m->job);
		return true;
	}
	if (u && u->vain_ms && s->now - u->vain_ms < REST_MS)
		return false;
	if (!u && !(u = unit_new(s, namespace, &sought, &alike)))
		return false;
	j = job_new(s, p, u, m, id);
	waits = j && is_to_wait(s, j);
	if (waits)
		keep_back(s, p, j);
	unit_settle(s, u);
	return waits;
}

bool
alike_placed(struct server *s, struct peer *p, const struct sched_action *a)
{
	struct alike_job *j = job_find(s, &a->job);
	struct alike_unit *u = j ? j->unit : NULL;
	struct sched_worker_view view;
	struct peer *worker;

	if (!j || j->client != p->serial)
		return false;
	if (!a->twin && is_to_wait(s, j)) {
		keep_back(s, p, j);
		return true;
	}
	sched_worker_get(a->worker, &view);
	worker = peer_by_serial(s, view.tag);
	/* one that has led before has failed there */
	if (u->leader == j) {
		in_vain(s, u, false);
		unit_settle(s, u);
		return false;
	}
	if (a->twin || u->leader || !worker || !worker->tells_alike ||
		!samples_take(s, worker, p->wire.curve)) {
		job_drop(s, j);
		unit_settle(s, u);
		return false;
	}
	j->state = LEADS;
	j->worker = worker->serial;
	j->proved = false;
	u->leader = j;
	return false;
}

bool
alike_left(struct server *s, const struct peer *p, const char *job)
{
	struct alike_unit *u;
	struct alike_job *j;
	struct job_id id;

	if (sched_job_id_parse(job, &id) < 0 || !(j = job_find(s, &id)) || j->client != p->serial ||
		j->state != KEPT_BACK)
		return false;
	u = j->unit;
	job_drop(s, j);
	unit_settle(s, u);
	return true;
}

/* The job, if it leads and that worker has it. */
static struct alike_job *
led_by(const struct server *s, const struct peer *worker, const struct job_id *id)
{
	struct alike_job *j = job_find(s, id);

	return j && j->state == LEADS && j->worker == worker->serial ? j : NULL;
}

void
alike_compiles(struct server *s, const struct peer *worker, const struct job_id *id,
	const Dray__WorkerJobStarted *m)
{
	struct alike_job *j = led_by(s, worker, id), *other;
	struct alike_unit *u = j ? j->unit : NULL;

	if (!j || j->proved)
		return;
	if (m->alike.len != DIGEST_SIZE || memcmp(m->alike.data, u->id.b, DIGEST_SIZE) != 0) {
		log_debug("job=%s is not what its client says, or not shared", j->text);
		in_vain(s, u, false);
		unit_settle(s, u);
		return;
	}
	TAILQ_FOREACH(other, &u->jobs, link)
	if (other->state == KEPT_BACK)
		other->unproved_ms += s->now - other->held_ms;
	j->proved = true;
}

void
alike_ended(struct server *s, const struct peer *worker, const struct job_id *id,
	const Dray__WorkerJobEnded *m)
{
	struct alike_job *j = led_by(s, worker, id);
	struct alike_unit *u = j ? j->unit : NULL;

	if (!j)
		return;
	if (j->proved && m->ok && m->shares) {
		j->state = ENDED;
		j->ended_ms = s->now;
		return;
	}
	in_vain(s, u, j->proved && m->ok && m->end == DRAY__JOB_END__END_WHOLE);
	unit_settle(s, u);
}

static void
tell_made(struct server *s, struct alike_job *j)
{
	struct peer *p = client_of(s, j);

	if (p && j->state == ASKED)
		sched_job_cancel(s->sched, j->client, &j->id, s->now);
	if (p && (j->state == ASKED || j->state == KEPT_BACK))
		say_made(s, p, j->text);
	job_drop(s, j);
}

static struct alike_unit *
active_of(const struct server *s, const char *namespace, const struct digest *key)
{
	struct alike_unit *u = next_of(s, namespace, key, NULL);

	while (u && u->rests_ms)
		u = next_of(s, namespace, key, u);
	return u;
}

void
alike_made(struct server *s, const char *namespace, const struct digest *key)
{
	struct alike_unit *u;
	struct alike_job *j;

	if (!s->alikes)
		return;
	for (u = next_of(s, namespace, key, NULL); u; u = next_of(s, namespace, key, u)) {
		u->made_ms = s->now;
		u->vain_ms = 0;
	}
	/* to settle one may end others that rest */
	while ((u = active_of(s, namespace, key))) {
		while ((j = TAILQ_FIRST(&u->jobs)))
			tell_made(s, j);
		unit_settle(s, u);
	}
}

static bool
leader_is_lost(struct server *s, const struct alike_job *leader)
{
	struct peer *p;

	if (leader->state == ENDED)
		return s->now - leader->ended_ms >= alike_limits.grace_ms;
	p = peer_by_serial(s, leader->worker);
	return !p || !p->worker || !sched_job_has_slot(s->sched, p->worker, &leader->id);
}

static void
look_at_job(struct server *s, struct alike_job *j)
{
	struct peer *p = client_of(s, j);

	if (j->state == ASKED && sched_job_owner(s->sched, &j->id) != j->client)
		job_drop(s, j);
	else if (j->state == KEPT_BACK && (!p || is_overdue(s, j)))
		ask_again(s, j, true);
	else if (j->state == KEPT_BACK && s->now - j->said_ms >= alike_limits.say_ms)
		say_waits(s, p, j);
}

static void
look_at_unit(struct server *s, struct alike_unit *u)
{
	struct alike_job *j, *next;

	if (u->leader && leader_is_lost(s, u->leader))
		in_vain(s, u, false);
	for (j = TAILQ_FIRST(&u->jobs); j; j = next) {
		next = TAILQ_NEXT(j, link);
		look_at_job(s, j);
	}
	unit_settle(s, u);
}

void
alike_tick(struct server *s)
{
	struct alike_unit *u, *next;

	if (!s->alikes)
		return;
	for (u = TAILQ_FIRST(&s->alikes->active); u; u = next) {
		next = TAILQ_NEXT(u, link);
		look_at_unit(s, u);
	}
	while ((u = TAILQ_FIRST(&s->alikes->resting)) && s->now - u->rests_ms >= REST_MS)
		unit_free(s, u);
}

int
alike_start(struct server *s, handler_fn ask)
{
	struct alikes *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return -ENOMEM;
	TAILQ_INIT(&a->active);
	TAILQ_INIT(&a->resting);
	a->ask = ask;
	s->alikes = a;
	r = table_init(&a->units);
	return r < 0 ? r : table_init(&a->jobs);
}

void
alike_end(struct server *s)
{
	struct alike_unit *u;
	struct alike_job *j;

	if (!s->alikes)
		return;
	TAILQ_CONCAT(&s->alikes->active, &s->alikes->resting, link);
	while ((u = TAILQ_FIRST(&s->alikes->active))) {
		u->rests_ms = 0;
		while ((j = TAILQ_FIRST(&u->jobs)))
			job_drop(s, j);
		unit_free(s, u);
	}
	table_done(&s->alikes->units);
	table_done(&s->alikes->jobs);
	free(s->alikes);
	s->alikes = NULL;
}
