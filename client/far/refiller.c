/* Invariant: one at a time, of all halves of this user that have the same farm; and what waits
 * leaves the queue when a worker has compiled it, when somebody has, or when nobody ever will. */
#include "config.h"

#include "client/far/refiller.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache/entry.h"
#include "cache/shared.h"
#include "cache/variables.h"
#include "client/far/half_priv.h"
#include "client/far/refill.h"
#include "client/slots/slots.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/log/joblog.h"
#include "common/process/spawn.h"
#include "common/thread.h"
#include "rustc/call.h"

#define STACK_BYTES (1u << 20)
#define LOOK_MS 250
#define WAIT_MS 250 /* after one that could not be done now, and twice as long each time; up to */
#define WAIT_MAX_MS 60000
#define NICE 10 /* a build comes first */
#define STORE_MS 5000
#define DEATH_MS 2000 /* from SIGTERM to SIGKILL */
#define TEXT_MAX 512
#define SLOTS_MAX 4096
#define WHERE "refill" /* in the job log */

struct refiller {
	struct far_half *h;
	char *dir; /* of the queue */
	pthread_t thread;
	size_t at;	      /* the thread's: where it goes on in the queue */
	int wake;	      /* something below has changed */
	pthread_mutex_t lock; /* of all below */
	bool ends, quiet, busy;
	uint64_t wait_ms, wait_until; /* 0: none */
};

/* One that is being done. */
struct refill {
	struct refiller *r;
	struct queue_item item;
	struct refill_call as;
	struct result res; /* as it was made here */
	uint64_t start_us;
	char text[TEXT_MAX]; /* what is to be said of it */
};

static bool
has_ended(struct refiller *r)
{
	bool ends;

	pthread_mutex_lock(&r->lock);
	ends = r->ends;
	pthread_mutex_unlock(&r->lock);
	return ends;
}

/* Whether one may begin, or, with its compiler not running yet, go on. */
static bool
may_go_on(struct refiller *r)
{
	bool may;

	pthread_mutex_lock(&r->lock);
	may = r->quiet && !r->ends;
	pthread_mutex_unlock(&r->lock);
	return may;
}

static void
ring(struct refiller *r)
{
	const uint64_t one = 1;

	(void)!write(r->wake, &one, sizeof(one));
}

/* fd: -1, or what is waited for as well. Whether that has something. */
static bool
wait_for(struct refiller *r, int fd, int ms)
{
	struct pollfd p[] = { { r->wake, POLLIN, 0 }, { fd, POLLIN, 0 } };
	uint64_t n;

	if (poll(p, 2, ms) > 0 && p[0].revents)
		(void)!read(r->wake, &n, sizeof(n));
	return fd >= 0 && p[1].revents;
}

/* ---- whether somebody has it already */

static const struct input *
find_input(const struct inputs *s, const struct input *like)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].kind == like->kind && streq(s->v[i].name, like->name))
			return &s->v[i];
	return NULL;
}

/* Whether no input that both have says something else. Two tracers need not note the same
 * questions.
 */
static bool
is_of_same_state(const struct inputs *a, const struct inputs *b)
{
	for (size_t i = 0; i < a->n; i++) {
		const struct input *other = find_input(b, &a->v[i]);

		if (other && (other->value.n != a->v[i].value.n ||
				     (other->value.n && memcmp(other->value.p, a->v[i].value.p,
								other->value.n) != 0)))
			return false;
	}
	return true;
}

static bool
has_workers_result(struct refill *f, const struct shared_entry *e)
{
	struct believed_now *now = believed_get(f->r->h->believed);
	const struct shared_reader reader = { &now->trust, now->namespace };
	bool has = false;

	for (size_t i = 0; !has && i < e->n; i++) {
		_cleanup_(result_done) struct result res = RESULT_INIT;
		struct shared_seal seal;

		has = shared_open(e, i, &reader, &res, &seal, NULL) == 0 &&
		      seal.kind == TRUST_WORKER && is_of_same_state(&res.inputs, &f->res.inputs);
	}
	believed_put(f->r->h->believed, now);
	return has;
}

/* 1: a worker that is believed has made it; 0; -errno: the stores do not say. */
static int
is_there(struct refill *f)
{
	struct clerk_request get = { .what = CLERK_GET,
		.kind = STORE_ENTRY,
		.name = f->as.sought,
		.max = SHARED_MAX,
		.ms = STORE_MS };
	_cleanup_(shared_entry_done) struct shared_entry e = SHARED_ENTRY_INIT;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(closep) int fd = -1;
	struct store_reply reply;
	int r = stores_ask_now(f->r->h->stores, &get, &reply);

	if (r < 0)
		return r == -ENOENT || r == -EBADMSG || r == -EFBIG ? 0 : r;
	fd = reply.fd;
	r = buf_reserve(&b, (size_t)reply.size + 1);
	if (r == 0 && fs_read_at(fd, b.p, (size_t)reply.size, 0) != (ssize_t)reply.size)
		r = -EIO;
	if (r == 0)
		r = shared_entry_decode(b.p, (size_t)reply.size, &f->as.sought, &e);
	if (r < 0)
		return r == -EBADMSG ? 0 : r;
	return has_workers_result(f, &e);
}

static int
find_result(struct refill *f)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(entry_done) struct entry e = ENTRY_INIT;
	int r = keep_read_entry(f->r->h->keep, &f->item.key, &b);

	if (r == 0)
		r = entry_decode(b.p, b.n, &f->item.key, &e);
	for (size_t i = 0; r == 0 && i < e.n_results; i++) {
		struct digest d;

		r = digest_bytes(e.results[i].p, e.results[i].n, &d);
		if (r == 0 && digest_eq(&d, &f->item.result))
			return entry_result(&e, i, &f->res);
	}
	return r < 0 ? r : -ENOENT;
}

/* ---- its process */

static int
start(struct refill *f, int out, pid_t *ret)
{
	_cleanup_(strv_done) struct strv argv = STRV_INIT;
	char key[DIGEST_HEX_SIZE], result[DIGEST_HEX_SIZE];
	const struct spawn_fd fds[] = { { out, STDOUT_FILENO } };
	int r;

	digest_hex(&f->item.key, key);
	digest_hex(&f->item.result, result);
	r = strv_add(&argv, "dray-dispatch");
	if (r == 0)
		r = strv_add(&argv, REFILL_COMMAND);
	if (r == 0)
		r = strv_add(&argv, key);
	if (r == 0)
		r = strv_add(&argv, result);
	return r < 0 ? r
		     : spawn_start(&(struct spawn){ .path = "/proc/self/exe",
					   .argv = argv.v,
					   .fds = fds,
					   .n_fds = ARRAY_LEN(fds),
					   .only_fds = true },
			       ret);
}

/* Takes the lines that are whole. The last one counts. */
static void
take_lines(struct buf *b, bool *runs, char text[TEXT_MAX])
{
	uint8_t *nl;

	while (b->n > 0 && (nl = memchr(b->p, '\n', b->n))) {
		size_t n = (size_t)(nl - b->p);

		snprintf(text, TEXT_MAX, "%.*s", (int)MIN2(n, (size_t)TEXT_MAX - 1),
			(const char *)b->p);
		*runs |= streq(text, REFILL_RUNS);
		b->n -= n + 1;
		memmove(b->p, nl + 1, b->n);
	}
}

/* Reads what it says, to its end. It is told to end where it is not to go on, and killed if it does
 * not. */
static void
listen_to(struct refill *f, int fd, pid_t pid)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	uint64_t told_ms = 0;
	bool runs = false;

	for (;;) {
		bool more = wait_for(f->r, fd, LOOK_MS);
		char chunk[512];
		ssize_t n = more ? read(fd, chunk, sizeof(chunk)) : -1;

		if (more && (n == 0 || (n < 0 && errno != EINTR)))
			return;
		if (n > 0 && b.n < 2 * (size_t)TEXT_MAX && buf_add(&b, chunk, (size_t)n) == 0)
			take_lines(&b, &runs, f->text);
		if (!told_ms && (has_ended(f->r) || (!runs && !may_go_on(f->r)))) {
			kill(pid, SIGTERM);
			told_ms = clock_mono_ms();
		} else if (told_ms && clock_mono_ms() - told_ms > DEATH_MS) {
			kill(pid, SIGKILL);
			return;
		}
	}
}

static enum refill_end
run(struct refill *f)
{
	_cleanup_(closep) int rd = -1;
	_cleanup_(closep) int wr = -1;
	int fds[2], status, r;
	pid_t pid = -1;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return REFILL_LATER;
	rd = fds[0];
	wr = fds[1];
	r = start(f, wr, &pid);
	closep(&wr);
	if (r < 0)
		return REFILL_LATER;
	listen_to(f, rd, pid);
	status = spawn_wait(pid, NULL);
	/* what was ended may be done another time; what has died by itself would do so again */
	if (status == REFILL_DONE || status == REFILL_DROPPED)
		return (enum refill_end)status;
	if (status == REFILL_LATER || !may_go_on(f->r))
		return REFILL_LATER;
	snprintf(f->text, sizeof(f->text), "its process has died");
	return REFILL_DROPPED;
}

/* ---- one */

static const char *
variable(const struct strv *env, const char *name)
{
	const char *value = env->n ? variables_get(env->v, name) : NULL;

	return value ? value : "";
}

static void
write_log(const struct refill *f, bool done)
{
	const struct conf *conf = f->r->h->conf;
	struct rustc_call call = { .kind = CALL_UNKNOWN };
	_cleanup_(freep) char *package = NULL;
	char key[DIGEST_HEX_SIZE];
	struct joblog_entry e;

	if (!conf->client.job_log || !*conf->client.job_log || call_parse(f->as.argv.v, &call) < 0)
		return;
	if (asprintf(&package, "%s %s", variable(&f->as.env, "CARGO_PKG_NAME"),
		    variable(&f->as.env, "CARGO_PKG_VERSION")) < 0)
		package = NULL;
	digest_hex(&f->item.key, key);
	memset(&e, 0, sizeof(e));
	e.crate = call.crate_name ? call.crate_name : "";
	e.package = package;
	e.kind = call_kind_name(&call);
	e.where = WHERE;
	e.worker = done ? f->text : NULL;
	e.why = done ? NULL : f->text;
	e.key = key;
	e.half = (uint64_t)getpid();
	e.start_us = f->start_us;
	e.end_us = clock_mono_us();
	(void)joblog_append(conf->client.job_log, conf->client.job_log_max, &e);
	call_done(&call);
}

static enum refill_end
look_and_run(struct refill *f)
{
	_cleanup_(strv_done) struct strv words = STRV_INIT;
	int r = queue_read(f->r->dir, &f->item, &words);

	if (r == 0)
		r = refill_decode(&words, &f->as);
	if (r < 0)
		return r == -ENOMEM ? REFILL_LATER : REFILL_DROPPED;
	r = find_result(f);
	if (r < 0) {
		snprintf(f->text, sizeof(f->text), "its result is not in the cache any more");
		return r == -ENOMEM ? REFILL_LATER : REFILL_DROPPED;
	}
	r = is_there(f);
	if (r == 1) {
		snprintf(f->text, sizeof(f->text), "a worker's result is there already");
		return REFILL_DROPPED;
	}
	return r < 0 ? REFILL_LATER : run(f);
}

/* Whether the next one may follow at once. */
static bool
do_one(struct refiller *r, const struct queue_item *i)
{
	struct refill f = { .r = r, .item = *i, .res = RESULT_INIT, .start_us = clock_mono_us() };
	enum refill_end e = look_and_run(&f);

	if (e != REFILL_LATER) {
		if (f.as.argv.n)
			write_log(&f, e == REFILL_DONE);
		queue_remove(r->dir, i);
	}
	refill_call_done(&f.as);
	result_done(&f.res);
	return e != REFILL_LATER;
}

static void
set_busy(struct refiller *r, bool busy)
{
	pthread_mutex_lock(&r->lock);
	r->busy = busy;
	pthread_mutex_unlock(&r->lock);
}

static void
note(struct refiller *r, bool done)
{
	pthread_mutex_lock(&r->lock);
	r->wait_ms = done ? 0 : r->wait_ms ? MIN2(2 * r->wait_ms, (uint64_t)WAIT_MAX_MS) : WAIT_MS;
	r->wait_until = done ? 0 : clock_mono_ms() + r->wait_ms;
	pthread_mutex_unlock(&r->lock);
}

static int
note_holder(void *arg, unsigned slot, const struct notice *n)
{
	(void)slot;
	(void)n;
	*(bool *)arg = true;
	return 1;
}

/* Whether something of this user's has a local slot: a build that another half serves, say. */
static bool
is_built_here(const struct refiller *r)
{
	const struct conf *conf = r->h->conf;
	_cleanup_(slots_closep) struct slots *s = NULL;
	_cleanup_(freep) char *dir = path_join(conf->client.cache_dir, "slots");
	uint64_t n = conf->client.local_slots ? conf->client.local_slots : slots_cores();
	bool held = false;

	if (dir && slots_look(dir, (unsigned)MIN2(n, (uint64_t)SLOTS_MAX), &s) == 0)
		(void)slots_each(s, note_holder, &held);
	return held;
}

static bool
is_due(struct refiller *r)
{
	const struct far_farm *farm = r->h->farm;
	bool due;

	pthread_mutex_lock(&r->lock);
	due = r->quiet && !r->ends && clock_mono_ms() >= r->wait_until;
	pthread_mutex_unlock(&r->lock);
	return due && farm->takes_refills(farm->arg);
}

/* All that waits, until one cannot be done now. The next time begins behind that: it may be one
 * that can never be done. */
static void
do_queue(struct refiller *r)
{
	_cleanup_(freep) struct queue_item *v = NULL;
	_cleanup_(closep) int lock = -1;
	size_t n = 0;
	bool done = true;

	if (queue_list(r->dir, &v, &n) < 0 || n == 0)
		return;
	lock = queue_lock(r->dir);
	if (lock < 0)
		return;
	set_busy(r, true);
	if (r->at >= n)
		r->at = 0;
	for (size_t i = 0; done && i < n && is_due(r) && !is_built_here(r); i++) {
		done = do_one(r, &v[(r->at + i) % n]);
		note(r, done);
	}
	if (!done)
		r->at++;
	set_busy(r, false);
}

static void *
work(void *arg)
{
	struct refiller *r = arg;

	setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE);
	while (!has_ended(r)) {
		if (is_due(r))
			do_queue(r);
		wait_for(r, -1, LOOK_MS);
	}
	return NULL;
}

/* ---- its life */

static int
start_thread(struct refiller *r)
{
	return thread_start(THREAD_JOINED, STACK_BYTES, work, r, &r->thread);
}

static void
refiller_free(struct refiller *r)
{
	closep(&r->wake);
	pthread_mutex_destroy(&r->lock);
	free(r->dir);
	free(r);
}

int
refiller_open(struct far_half *h, struct refiller **ret)
{
	struct refiller *r;
	int e;

	if (!h->farm || !refill_is_wanted(h->conf))
		return 0;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->h = h;
	pthread_mutex_init(&r->lock, NULL);
	r->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	e = r->wake < 0 ? -errno : queue_refill_dir(h->conf, &r->dir);
	if (e == 0)
		e = start_thread(r);
	if (e < 0) {
		refiller_free(r);
		return e;
	}
	*ret = r;
	return 0;
}

void
refiller_closep(struct refiller **ret)
{
	struct refiller *r = *ret;

	*ret = NULL;
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	r->ends = true;
	pthread_mutex_unlock(&r->lock);
	ring(r);
	pthread_join(r->thread, NULL);
	refiller_free(r);
}

void
refiller_say_quiet(struct refiller *r, bool quiet)
{
	bool changed;

	pthread_mutex_lock(&r->lock);
	changed = r->quiet != quiet;
	r->quiet = quiet;
	pthread_mutex_unlock(&r->lock);
	if (changed)
		ring(r);
}

bool
refiller_is_busy(struct refiller *r)
{
	bool busy;

	pthread_mutex_lock(&r->lock);
	busy = r->busy;
	pthread_mutex_unlock(&r->lock);
	return busy;
}
