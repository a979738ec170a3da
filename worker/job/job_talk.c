/* How every phase of a job waits and sends. This is the one place that sees a stop, a deadline, a
 * limit and the client's credit, in whatever phase the job waits. What comes for a file on demand
 * is handed to the job's `demand` (fetch.c), so that nothing here calls a phase. */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/log/log.h"
#include "worker/job/lead.h"

static uint64_t
waited_ms(const struct job *j)
{
	return j->waited_ms + (j->owed ? clock_mono_ms() - j->owed_ms : 0);
}

/* What the client owes, and did not move: since it was last heard, and before that beyond what its
 * bytes took. */
static uint64_t
wasted_ms(const struct job *j)
{
	uint64_t now = clock_mono_ms(), all = waited_ms(j),
		 silent = j->owed ? MIN2(now - MIN2(j->heard_ms, now), all) : 0,
		 before = all - silent;

	return silent + before - MIN2(before, j->moved / JOB_MOVES_PER_MS);
}

int
job_fail(struct job *j, int err, Dray__Verdict verdict, const char *fmt, ...)
{
	va_list ap;

	if (j->verdict == DRAY__VERDICT__VERDICT_NONE) {
		j->verdict = verdict;
		j->wasted_ms = wasted_ms(j);
		va_start(ap, fmt);
		vsnprintf(j->text, sizeof(j->text), fmt, ap);
		va_end(ap);
	}
	return err;
}

Dray__Verdict
job_blame(int err)
{
	switch (-err) {
	case ENOMEM:
	case EMFILE:
	case ENFILE:
	case ENOSPC:
	case EDQUOT:
	case EIO:
	case EROFS:
	case ESTALE:
	case EAGAIN:
		return DRAY__VERDICT__VERDICT_WORKER_FAULT;
	case EMSGSIZE:
	case E2BIG:
		return DRAY__VERDICT__VERDICT_LIMIT;
	default:
		return DRAY__VERDICT__VERDICT_BAD_UNIT;
	}
}

bool
job_keeps_back(const struct job *j, enum wire_type type)
{
	if (j->ownerless)
		return type != WIRE_WORKER_JOB_ENDED;
	return j->sample &&
	       (type == WIRE_JOB_TEXT || type == WIRE_OUTPUT_BEGIN || type == WIRE_OUTPUT_CHUNK);
}

int
job_send(struct job *j, enum wire_type type, const ProtobufCMessage *body, zmq_msg_t *payload)
{
	if (job_keeps_back(j, type))
		return 0;
	j->moved += payload ? zmq_msg_size(payload) : 0;
	for (;;) {
		zmq_pollitem_t item = { .socket = j->socket, .events = ZMQ_POLLOUT };
		int r = wire_send_job(j->socket, NULL, j->number, type, body, payload);

		if (r != -EAGAIN)
			return r;
		/* The main loop never waits for a job, so this wait ends. */
		if (zmq_poll(&item, 1, -1) < 0 && zmq_errno() != EINTR)
			return -zmq_errno();
	}
}

/* Its client has its last message now, if there is one. */
static int
lose_owner(struct job *j)
{
	Dray__JobResult m = DRAY__JOB_RESULT__INIT;
	static char text[] = "stopped; it goes on for others";
	int r;

	m.verdict = DRAY__VERDICT__VERDICT_CANCELLED;
	m.text = text;
	r = job_send(j, WIRE_JOB_RESULT, &m.base, NULL);
	log_info("job=%s goes on without its client", j->id);
	j->ownerless = true;
	job_owed(j, false);
	return r < 0 ? r : -EAGAIN;
}

/* Its client wants it no more, or nobody may have it. */
static int
stopped(struct job *j, const char *why)
{
	if (!__atomic_load_n(&j->killing, __ATOMIC_ACQUIRE)) {
		if (j->ownerless)
			return -EAGAIN;
		if (lead_is_wanted(j))
			return lose_owner(j);
	}
	j->stop = true;
	return job_fail(j, -ECANCELED, DRAY__VERDICT__VERDICT_CANCELLED, "stopped%s%.200s",
		*why ? ": " : "", why);
}

int
job_stopped(struct job *j)
{
	int r = stopped(j, "");

	return r == -EAGAIN ? job_fail(j, -ECANCELED, DRAY__VERDICT__VERDICT_CANCELLED, "stopped")
			    : r;
}

bool
job_is_stopped(void *arg)
{
	struct job *j = arg;

	if (!__atomic_load_n(&j->stopping, __ATOMIC_ACQUIRE))
		return false;
	return __atomic_load_n(&j->killing, __ATOMIC_ACQUIRE) ||
	       (!j->ownerless && !lead_is_wanted(j));
}

int
job_receive(struct job *j, struct wire_msg *ret)
{
	int r = wire_recv(j->socket, NULL, WIRE_FROM_CLIENT, ret);

	if (__atomic_load_n(&j->stopping, __ATOMIC_ACQUIRE) &&
		(r < 0 || ret->info->type != WIRE_JOB_STOP)) {
		wire_msg_done(ret);
		*ret = (struct wire_msg)WIRE_MSG_INIT;
		return stopped(j, "");
	}
	if (r == -EAGAIN)
		return r;
	if (r < 0)
		return job_fail(j, r, wire_verdict_of(r), "a message that cannot be read");
	j->heard_ms = clock_mono_ms();
	j->moved += ret->info->payload_max		  ? zmq_msg_size(&ret->payload)
		    : ret->info->type == WIRE_FILE_ANSWER ? JOB_ANSWER_BYTES
							  : 0;
	if (ret->info->type == WIRE_CREDIT) {
		const Dray__Credit *c = (const Dray__Credit *)ret->body;

		/* A credit above what can be in use is wrong, and the sum must not wrap. */
		j->credit = (uint32_t)MIN2((uint64_t)j->credit + c->n, (uint64_t)j->grant);
		wire_msg_done(ret);
		return -EAGAIN;
	}
	if (ret->info->type == WIRE_JOB_STOP) {
		const Dray__JobStop *s = (const Dray__JobStop *)ret->body;

		r = stopped(j, s->text);
		wire_msg_done(ret);
		return r;
	}
	if (j->ownerless) {
		/* it was on its way */
		wire_msg_done(ret);
		return -EAGAIN;
	}
	if (j->tracing &&
		(ret->info->type == WIRE_FILE_ANSWER || ret->info->type == WIRE_BLOB_CHUNK)) {
		r = j->demand->message(j, ret);
		wire_msg_done(ret);
		return r < 0 ? r : -EAGAIN;
	}
	return 0;
}

/* Each phase may take as long as a compile may: a client that stalls must not keep a slot for ever.
 */
void
job_set_deadline(struct job *j)
{
	uint64_t limit_s = j->conf->worker.job_time_s;

	j->deadline_ms = limit_s ? clock_mono_ms() + limit_s * 1000 : 0;
}

static long
time_left(const struct job *j)
{
	uint64_t now = clock_mono_ms();

	if (!j->deadline_ms)
		return -1;
	return now >= j->deadline_ms ? 0 : (long)(j->deadline_ms - now);
}

void
job_begin_alive(struct job *j)
{
	j->alive_ms = clock_mono_ms() + j->conf->worker.heartbeat_ms;
}

/* Sends a credit of 0 as a sign of life: clients of all versions accept it. */
static int
say_alive(struct job *j)
{
	Dray__Credit m = DRAY__CREDIT__INIT;

	if (!j->alive_ms || clock_mono_ms() < j->alive_ms)
		return 0;
	job_begin_alive(j);
	return job_send(j, WIRE_CREDIT, &m.base, NULL);
}

static long
sooner(long left, uint64_t at, uint64_t now)
{
	long wait = at > now ? (long)(at - now) : 0;

	return at == 0 ? left : left < 0 ? wait : MIN2(left, wait);
}

void
job_owed(struct job *j, bool owed)
{
	uint64_t now = clock_mono_ms();

	owed = owed && !j->ownerless;
	if (owed && !j->owed)
		j->heard_ms = j->owed_ms = now;
	else if (!owed && j->owed)
		j->waited_ms += now - j->owed_ms;
	if (owed != j->owed)
		tape_wait(j->tape, owed, now);
	j->owed = owed;
}

static bool
is_wanted(const struct job *j)
{
	return __atomic_load_n(&j->shared->wanted, __ATOMIC_RELAXED) || tape_is_read(j->tape);
}

static uint64_t
patience(const struct job *j)
{
	uint64_t most = j->shared->owed_ms ? j->shared->owed_ms : JOB_OWED_MS;

	if (!is_wanted(j))
		return most;
	return MIN2(most, __atomic_load_n(&j->on_trial, __ATOMIC_RELAXED)
				  ? (uint64_t)JOB_OWED_TRIAL_MS
				  : (uint64_t)JOB_OWED_WANTED_MS);
}

void
job_lay(struct job *j, bool on)
{
	uint64_t now = clock_mono_us();

	if (j->laying_us)
		j->staged_us += now - j->laying_us;
	j->laying_us = on ? now : 0;
}

static uint64_t
laid_ms(const struct job *j)
{
	return (j->staged_us + (j->laying_us ? clock_mono_us() - j->laying_us : 0)) / 1000;
}

static bool
is_too_long(struct job *j)
{
	return __atomic_load_n(&j->on_trial, __ATOMIC_RELAXED) && is_wanted(j) &&
	       laid_ms(j) >= JOB_LAID_TRIAL_MS && !lead_is_wanted(j);
}

bool
job_laying_ends(void *arg)
{
	return job_is_stopped(arg) || is_too_long(arg);
}

int
job_laying_ended(struct job *j)
{
	int r;

	if (job_is_stopped(j))
		return job_stopped(j);
	r = job_fail(j, -ECANCELED, DRAY__VERDICT__VERDICT_CANCELLED,
		"the unit's %zu directories and %zu files take long to lay out, while others wait",
		j->unit->n_dirs, j->unit->n_files);
	/* Its key has asked for it, and has computed nothing lately that would make up for it. */
	j->wasted_ms = MAX2(j->wasted_ms, laid_ms(j));
	return r;
}

/* Until when what the client owes is waited for: its next message moves the first of them. */
static uint64_t
patience_ends(const struct job *j)
{
	uint64_t silent = j->heard_ms + patience(j), in_all;

	if (!is_wanted(j))
		return silent;
	in_all = j->owed_ms + patience(j) + j->moved / JOB_OWED_PER_MS;
	in_all -= MIN2(j->waited_ms, in_all);
	return MIN2(silent, in_all);
}

static bool
is_silent(const struct job *j, uint64_t now)
{
	return j->owed && now >= patience_ends(j);
}

/* Until the first of: the deadline, the end of our patience with a client that owes something, the
 * next check of usage or tokens, the next sign of life. */
static long
poll_time(const struct job *j)
{
	uint64_t now = clock_mono_ms();
	long left = sooner(time_left(j), j->limits.next_ms, now);

	if (j->no_wait)
		return 0;
	if (j->ownerless || j->reader)
		left = sooner(left, now + TWIN_LOOK_MS, now);
	/* patience may end while it waits */
	left = sooner(left, j->owed ? MIN2(patience_ends(j), now + JOB_OWED_LOOK_MS) : 0, now);
	return sooner(sooner(left, j->tokens.next_ms, now), j->alive_ms, now);
}

int
job_fail_for(struct job *j, enum limits_verdict verdict, const char *text)
{
	switch (verdict) {
	case LIMITS_OVER:
		return job_fail(j, -EDQUOT, DRAY__VERDICT__VERDICT_LIMIT, "%s", text);
	case LIMITS_FULL:
		return job_fail(j, -ENOSPC, DRAY__VERDICT__VERDICT_WORKER_FAULT, "%s", text);
	default:
		return 0;
	}
}

static int
check_limits(struct job *j)
{
	char text[256];

	return job_fail_for(
		j, limits_check(&j->limits, &j->box, clock_mono_ms(), text, sizeof(text)), text);
}

int
job_poll(struct job *j, struct pollfd *fds, size_t n)
{
	zmq_pollitem_t items[1 + JOB_POLL_FDS + 2] = { { .socket = j->socket,
		.events = ZMQ_POLLIN } };
	int got, r, count = (int)n + 1, event = 0, found = 0;

	assert(n <= JOB_POLL_FDS);
	for (size_t i = 0; i < n; i++)
		items[i + 1] = (zmq_pollitem_t){ .fd = fds[i].fd, .events = ZMQ_POLLIN };
	if (j->tracing) {
		event = count++;
		items[event] = (zmq_pollitem_t){ .fd = trace_event_fd(j->trace),
			.events = ZMQ_POLLIN };
	}
	if (j->tracing && j->fetch.seek) {
		found = count++;
		items[found] = (zmq_pollitem_t){ .fd = seek_fd(j->fetch.seek),
			.events = ZMQ_POLLIN };
	}
	got = say_alive(j);
	if (got < 0)
		return job_fail(j, got, DRAY__VERDICT__VERDICT_WORKER_FAULT, "a sign of life: %s",
			strerror(-got));
	tokens_tick(&j->tokens, clock_mono_ms());
	got = zmq_poll(items, count, poll_time(j));
	if (got < 0 && zmq_errno() != EINTR)
		return job_fail(j, -zmq_errno(), DRAY__VERDICT__VERDICT_WORKER_FAULT, "poll: %s",
			zmq_strerror(zmq_errno()));
	for (size_t i = 0; i < n; i++)
		fds[i].revents = got > 0 && items[i + 1].revents ? POLLIN : 0;
	if (event && got > 0 && items[event].revents) {
		r = j->demand->event(j);
		if (r < 0)
			return r;
	}
	if (found && got > 0 && items[found].revents) {
		r = j->demand->found(j);
		if (r < 0)
			return r;
	}
	if (j->ownerless && lead_is_alone(j))
		return job_fail(j, -ECANCELED, DRAY__VERDICT__VERDICT_CANCELLED,
			"stopped: nobody wants it any more");
	if (is_silent(j, clock_mono_ms())) {
		if (lead_is_wanted(j)) {
			r = lose_owner(j);
			return r == -EAGAIN ? 0 : r;
		}
		j->silent = true;
		return job_fail(j, -ETIMEDOUT, DRAY__VERDICT__VERDICT_CANCELLED,
			"the client owes something, and was silent or slow: it was waited for for "
			"%llu ms in "
			"all",
			(unsigned long long)waited_ms(j));
	}
	if (time_left(j) == 0)
		return job_fail(j, -ETIMEDOUT, DRAY__VERDICT__VERDICT_LIMIT,
			"took longer than %llu s (worker.job_time_s)",
			(unsigned long long)j->conf->worker.job_time_s);
	return check_limits(j);
}

/* While the job waits for credit or for the compiler, only credit and a stop are valid messages. */
static int
drain_socket(struct job *j)
{
	for (;;) {
		struct wire_msg m = WIRE_MSG_INIT;
		int r = job_receive(j, &m);
		bool more;

		if (r == -EAGAIN) {
			uint32_t events = 0;
			size_t n = sizeof(events);

			more = zmq_getsockopt(j->socket, ZMQ_EVENTS, &events, &n) == 0 &&
			       (events & ZMQ_POLLIN);
			if (more)
				continue;
			return 0;
		}
		if (r == 0)
			r = job_fail(j, -EBADMSG, DRAY__VERDICT__VERDICT_MALFORMED,
				"%s is not expected now", m.info->name);
		wire_msg_done(&m);
		return r;
	}
}

int
job_take_credit(struct job *j)
{
	bool owed = j->owed;

	for (;;) {
		int r = drain_socket(j);

		if (r < 0)
			return r;
		if (j->credit > 0) {
			j->credit--;
			job_owed(j, owed);
			return 0;
		}
		if (j->ownerless || j->sample)
			return 0;
		job_owed(j, true);
		r = job_poll(j, NULL, 0);
		if (r < 0)
			return r;
	}
}

int
job_check_toolchain(struct job *j)
{
	if (offer_holds(j->offer))
		return 0;
	ready_end_toolchain(j->shared->ready, &j->offer->toolchain);
	return job_fail(j, -ESTALE, DRAY__VERDICT__VERDICT_NO_TOOLCHAIN,
		"this worker's toolchain was changed after it was offered");
}
