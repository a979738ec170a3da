/* Invariant: what stands here has run nothing of a job; what is taken, or found dead, is forgotten
 * here. A failure costs only that jobs start their own, and after some in a row nothing more is
 * tried for a while. */
#include "config.h"

#include "worker/sandbox/ready.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fs.h"
#include "common/log/log.h"
#include "common/text/why.h"
#include "worker/sandbox/compiler.h"
#include "worker/sandbox/launch.h"

#define IDLE_MS 60000
#define START_MS 20000 /* as long as bwrap may take (sandbox.c) */
#define FAILURES_MAX 3
#define REST_MS 60000
#define WANTED_MAX 64
#define OLD_MS 10000

struct entry {
	struct entry *next; /* younger */
	const struct toolchain *toolchain;
	const struct sysroot *sysroot;
	Dray__Unit unit; /* none: what launch.h asks for */
	char *path;
	struct ready made;
	uint64_t since_ms;
};

struct ready_pool {
	struct ready_conf conf;
	struct spare *spare; /* NULL: it could not be made */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t news, settled;
	struct entry *ready; /* the eldest first */
	unsigned n, count;   /* how many; how many were ever begun */
	struct entry *wanted[WANTED_MAX];
	unsigned n_wanted, failures, useless; /* in a row */
	uint64_t rest_until;		      /* where these are too many */
	struct entry *used;		      /* of jobs that have ended */
	unsigned n_used;		      /* with the one that is being removed */
	bool ending;
};

static void
clear(struct ready *r)
{
	sandbox_done(&r->box);
	limits_done(&r->limits);
	stage_done(&r->stage);
	job_users_give(r->user);
	if (r->watch > 0)
		close(r->watch);
	*r = (struct ready)READY_INIT;
}

static void
entry_free(struct entry *e)
{
	if (!e)
		return;
	clear(&e->made);
	free(e->path);
	free(e);
}

static bool
is_of(const struct entry *e, const struct ready_key *k)
{
	return e->toolchain == k->toolchain && e->sysroot == k->sysroot && streq(e->path, k->path);
}

static struct entry *
entry_new(const struct ready_key *k)
{
	static char out_dir[] = SANDBOX_AHEAD_OUT, cwd[] = SANDBOX_AHEAD_TREE, empty[] = "";
	struct entry *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->toolchain = k->toolchain;
	e->sysroot = k->sysroot;
	e->path = strdup(k->path);
	e->made = (struct ready)READY_INIT;
	dray__unit__init(&e->unit);
	e->unit.sysroot = e->path;
	e->unit.out_dir = out_dir;
	e->unit.cwd = cwd;
	e->unit.linker = empty;
	if (!e->path) {
		entry_free(e);
		return NULL;
	}
	return e;
}

/* ---- making one, in the thread */

static int
wait_until_ready(struct sandbox *box, char **ret_why)
{
	uint64_t deadline = clock_mono_ms() + START_MS;
	char said[256];
	ssize_t n;

	while (!box->ready) {
		struct pollfd p = { .fd = box->report, .events = POLLIN };
		uint64_t now = clock_mono_ms();

		if (now >= deadline)
			return why_set(ret_why, -ETIMEDOUT, "it does not start");
		if (poll(&p, 1, (int)(deadline - now)) < 0 && errno != EINTR)
			return -errno;
		if (sandbox_step(box) == 0 || box->ready)
			continue;
		if (*box->failure)
			return why_set(ret_why, -ENOEXEC, "%s", box->failure);
		n = read(box->err, said, sizeof(said)); /* bwrap's own */
		return why_set(ret_why, -ENOEXEC, "%.*s", n > 0 ? (int)n : 0, said);
	}
	return 0;
}

static int
make(struct ready_pool *p, const struct conf *conf, struct entry *e, const char *name,
	char **ret_why)
{
	const struct ready_conf *c = &p->conf;
	struct ready *m = &e->made;
	struct launch l = { .conf = conf,
		.stage = &m->stage,
		.unit = &e->unit,
		.sysroot = e->sysroot,
		.toolchain = e->toolchain,
		.filters = c->filters,
		.trace_socket = -1 };
	int r = 0;

	if (job_users_are(c->users) && !(m->user = job_users_take(c->users)))
		return -EBUSY; /* jobs have them all */
	r = stage_new(&(struct stage_spec){ .jobs = c->jobs_dir,
			      .job = name,
			      .tools = c->tools_dir,
			      .lib_dirs = e->sysroot->lib_dirs.v,
			      .unit = &e->unit,
			      .users = m->user ? c->users : NULL,
			      .spare = p->spare },
		&m->stage);
	if (r == 0)
		r = limits_begin(conf, c->cgroup, name, m->stage.out, &m->limits, ret_why);
	m->limits.next_ms = 0;
	m->limits.user = l.user = m->user;
	l.cgroup = limits_cgroup(&m->limits);
	if (r == 0)
		r = launch_ahead(&l, &m->box, ret_why);
	return r == 0 ? wait_until_ready(&m->box, ret_why) : r;
}

/* ---- the list; the lock is held */

static void
note(struct ready_pool *p, unsigned *row, bool well)
{
	*row = well ? 0 : *row + 1;
	if (*row >= FAILURES_MAX)
		p->rest_until = clock_mono_ms() + (p->conf.rest_ms ? p->conf.rest_ms : REST_MS);
}

static bool
rests(const struct ready_pool *p)
{
	return MAX2(p->failures, p->useless) >= FAILURES_MAX && clock_mono_ms() < p->rest_until;
}

static struct entry *
cut(struct ready_pool *p, struct entry **at)
{
	struct entry *e = *at;

	*at = e->next;
	e->next = NULL;
	p->n--;
	return e;
}

static void
add(struct ready_pool *p, struct entry *e)
{
	struct entry **at = &p->ready;

	while (*at)
		at = &(*at)->next;
	*at = e;
	e->since_ms = clock_mono_ms();
	p->n++;
}

static struct entry *
take_eldest(struct ready_pool *p)
{
	return p->ready ? cut(p, &p->ready) : NULL;
}

/* Where there are enough: the eldest of another key, if there is none of this one, or if that has
 * been of no use for long. */
static struct entry *
make_place(struct ready_pool *p, const struct ready_key *k)
{
	bool has = false;

	if (p->n < p->conf.max)
		return NULL;
	for (struct entry *e = p->ready; e; e = e->next)
		has = has || is_of(e, k);
	for (struct entry **at = &p->ready; *at; at = &(*at)->next)
		if (!is_of(*at, k) && (!has || clock_mono_ms() - (*at)->since_ms > OLD_MS))
			return cut(p, at);
	return NULL;
}

/* ---- the thread */

/* Called with the lock, which is left meanwhile. */
static void
make_one(struct ready_pool *p, struct entry *e)
{
	const struct ready_key k = { e->toolchain, e->sysroot, e->path };
	_cleanup_(conf_unrefp) const struct conf *conf = conf_ref(p->conf.conf);
	_cleanup_(freep) char *why = NULL;
	struct entry *old = make_place(p, &k);
	bool room = p->n < p->conf.max;
	char name[32];
	int r;

	snprintf(name, sizeof(name), READY_PREFIX "%u", p->count++);
	pthread_mutex_unlock(&p->lock);
	entry_free(old);
	r = room ? make(p, conf, e, name, &why) : -EBUSY;
	if (r < 0 && r != -EBUSY)
		log_warn("no sandbox stands ready: %s", why && *why ? why : strerror(-r));
	if (r < 0) {
		entry_free(e);
		e = NULL;
	}
	pthread_mutex_lock(&p->lock);
	/* for other limits: ready_use came meanwhile */
	if (e && conf != p->conf.conf) {
		pthread_mutex_unlock(&p->lock);
		entry_free(e);
		pthread_mutex_lock(&p->lock);
		return;
	}
	if (e)
		add(p, e);
	if (r != -EBUSY)
		note(p, &p->failures, r == 0);
}

/* False: nothing was wanted for a while. */
static bool
wait_for_news(struct ready_pool *p)
{
	uint64_t ms = p->conf.idle_ms ? p->conf.idle_ms : IDLE_MS;
	struct timespec until;

	if (!p->n) {
		pthread_cond_wait(&p->news, &p->lock);
		return true;
	}
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(ms / 1000);
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	return pthread_cond_timedwait(&p->news, &p->lock, &until) != ETIMEDOUT;
}

/* Called with the lock, which is left meanwhile. */
static void
clear_one(struct ready_pool *p)
{
	struct entry *e = p->used;

	p->used = e->next;
	pthread_mutex_unlock(&p->lock);
	entry_free(e);
	pthread_mutex_lock(&p->lock);
	p->n_used--;
	pthread_cond_broadcast(&p->settled);
}

static void
end_all(struct ready_pool *p)
{
	struct entry *e;

	while (p->used)
		clear_one(p);
	while ((e = take_eldest(p))) {
		pthread_mutex_unlock(&p->lock);
		entry_free(e);
		pthread_mutex_lock(&p->lock);
	}
}

static struct entry *
next_wanted(struct ready_pool *p)
{
	struct entry *e = p->wanted[0];

	memmove(p->wanted, p->wanted + 1, --p->n_wanted * sizeof(p->wanted[0]));
	return e;
}

static void *
thread_main(void *arg)
{
	struct ready_pool *p = arg;

	pthread_mutex_lock(&p->lock);
	while (!p->ending) {
		if (p->n_wanted && rests(p))
			entry_free(next_wanted(p));
		else if (p->n_wanted)
			make_one(p, next_wanted(p));
		else if (p->used)
			clear_one(p);
		else if (!wait_for_news(p))
			end_all(p);
	}
	end_all(p);
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

int
ready_open(const struct ready_conf *c, struct ready_pool **ret)
{
	struct ready_pool *p = calloc(1, sizeof(*p));
	pthread_condattr_t attr;
	int r;

	if (!p)
		return -ENOMEM;
	p->conf = *c;
	p->conf.conf = conf_ref(c->conf);
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->news, &attr);
	pthread_cond_init(&p->settled, NULL);
	pthread_condattr_destroy(&attr);
	r = spare_open(c->jobs_dir, &p->spare);
	if (r < 0)
		log_warn_errno(r, "%s-spare", c->jobs_dir);
	r = -pthread_create(&p->thread, NULL, thread_main, p);
	if (r < 0) {
		spare_freep(&p->spare);
		conf_unrefp(&p->conf.conf);
		free(p);
		return r;
	}
	*ret = p;
	return 0;
}

void
ready_freep(struct ready_pool **pp)
{
	struct ready_pool *p = *pp;

	*pp = NULL;
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->ending = true;
	pthread_cond_signal(&p->news);
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->thread, NULL);
	while (p->n_wanted)
		entry_free(p->wanted[--p->n_wanted]);
	pthread_cond_destroy(&p->news);
	pthread_cond_destroy(&p->settled);
	pthread_mutex_destroy(&p->lock);
	spare_freep(&p->spare);
	conf_unrefp(&p->conf.conf);
	free(p);
}

/* ---- for jobs */

struct spare *
ready_spare(struct ready_pool *p)
{
	return p ? p->spare : NULL;
}

/* A mount that the unit alone has, and that is made before others, or over the toolchain. */
bool
ready_fits(const struct ready_key *k, const Dray__Unit *u)
{
	return !path_is_below(u->sysroot, "/tmp") &&
	       !compiler_covers_linker(u, k->toolchain, k->sysroot->view);
}

bool
ready_take(struct ready_pool *p, const struct ready_key *k, struct ready *ret)
{
	struct entry **at, *e = NULL;

	if (!p)
		return false;
	pthread_mutex_lock(&p->lock);
	for (at = &p->ready; *at && !is_of(*at, k);)
		at = &(*at)->next;
	if (*at)
		e = cut(p, at);
	pthread_mutex_unlock(&p->lock);
	if (!e)
		return false;
	/* One that has died says so by the end of its reports. */
	if (sandbox_step(&e->made.box) != 0) {
		entry_free(e);
		return ready_take(p, k, ret);
	}
	*ret = e->made;
	e->made = (struct ready)READY_INIT;
	entry_free(e);
	return true;
}

void
ready_want(struct ready_pool *p, const struct ready_key *k)
{
	struct entry *e = p ? entry_new(k) : NULL;

	if (!e)
		return;
	pthread_mutex_lock(&p->lock);
	if (!rests(p) && p->n_wanted < MIN2(p->conf.max, WANTED_MAX)) {
		p->wanted[p->n_wanted++] = steal_ptr(e);
		pthread_cond_signal(&p->news);
	}
	pthread_mutex_unlock(&p->lock);
	entry_free(e);
}

static bool
end_first(struct ready_pool *p, const struct toolchain *t)
{
	struct entry *e = NULL;

	pthread_mutex_lock(&p->lock);
	for (struct entry **at = &p->ready; *at && !e;)
		if (!t || (*at)->toolchain == t)
			e = cut(p, at);
		else
			at = &(*at)->next;
	pthread_mutex_unlock(&p->lock);
	entry_free(e);
	return e;
}

bool
ready_end_one(struct ready_pool *p)
{
	return p && end_first(p, NULL);
}

void
ready_end_toolchain(struct ready_pool *p, const struct toolchain *t)
{
	while (p && end_first(p, t))
		;
}

void
ready_use(struct ready_pool *p, const struct conf *conf)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	conf_unrefp(&p->conf.conf);
	p->conf.conf = conf_ref(conf);
	pthread_mutex_unlock(&p->lock);
	ready_end_toolchain(p, NULL);
}

/* A client may begin its job again, under the same id, before this is removed. */
static bool
give_up_name(struct ready_pool *p, struct stage *s)
{
	char name[32];

	snprintf(name, sizeof(name), READY_PREFIX "%u", p->count++);
	return !s->dir || stage_rename(s, p->conf.jobs_dir, name) == 0;
}

void
ready_clear(struct ready_pool *p, struct ready *used)
{
	struct entry *e = p ? calloc(1, sizeof(*e)) : NULL;
	bool takes = false;

	if (e) {
		pthread_mutex_lock(&p->lock);
		takes = p->n_used < p->conf.max && give_up_name(p, &used->stage);
		if (takes) {
			struct entry **at = &p->used;

			while (*at)
				at = &(*at)->next;
			e->made = *used;
			*at = e;
			p->n_used++;
			pthread_cond_signal(&p->news);
		}
		pthread_mutex_unlock(&p->lock);
	}
	if (takes)
		*used = (struct ready)READY_INIT;
	else
		free(e);
	clear(used);
}

bool
ready_settle(struct ready_pool *p)
{
	bool any;

	if (!p)
		return false;
	pthread_mutex_lock(&p->lock);
	any = p->n_used > 0;
	while (p->n_used > 0)
		pthread_cond_wait(&p->settled, &p->lock);
	pthread_mutex_unlock(&p->lock);
	return any;
}

void
ready_told(struct ready_pool *p, bool well)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	note(p, &p->useless, well);
	pthread_mutex_unlock(&p->lock);
}

unsigned
ready_count(struct ready_pool *p)
{
	unsigned n;

	pthread_mutex_lock(&p->lock);
	n = p->n;
	pthread_mutex_unlock(&p->lock);
	return n;
}
