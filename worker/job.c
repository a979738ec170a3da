/* A job's thread: open, fetch, lay out, compile, relay, send back. One order, one thread; only the
 * waiting is shared (job_poll), so that a stop, a deadline and the client's credit are seen
 * wherever the job happens to wait.
 *
 * Invariant: whatever happens, the client gets exactly one last word (JobRejected before anything
 * ran, or JobResult), the job's directory is gone, its sandbox is reaped, and WorkerJobEnded is
 * sent. */
#include "config.h"

#include "worker/job.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/log.h"
#include "proto/socket.h"
#include "worker/job_priv.h"
#include "worker/launch.h"
#include "worker/unit_check.h"

int
job_fail(struct job *j, int err, Dray__Verdict verdict, const char *fmt, ...)
{
	va_list ap;

	if (j->verdict == DRAY__VERDICT__VERDICT_NONE) {
		j->verdict = verdict;
		va_start(ap, fmt);
		vsnprintf(j->text, sizeof(j->text), fmt, ap);
		va_end(ap);
	}
	return err;
}

int
job_send(struct job *j, enum wire_type type, const ProtobufCMessage *body, zmq_msg_t *payload)
{
	for (;;) {
		zmq_pollitem_t item = { .socket = j->socket, .events = ZMQ_POLLOUT };
		int r = wire_send_msg(j->socket, NULL, type, body, payload);

		if (r != -EAGAIN)
			return r;
		/* The main loop never waits for a job, so this ends. */
		if (zmq_poll(&item, 1, -1) < 0 && zmq_errno() != EINTR)
			return -zmq_errno();
	}
}

int
job_receive(struct job *j, struct wire_msg *ret)
{
	int r = wire_recv(j->socket, NULL, WIRE_FROM_CLIENT, ret);

	if (r == -EAGAIN)
		return r;
	if (r < 0)
		return job_fail(j, r, wire_verdict_of(r), "a message that cannot be read");
	if (ret->info->type == WIRE_CREDIT) {
		const Dray__Credit *c = (const Dray__Credit *)ret->body;

		/* More than could ever be in use is nonsense, and must not wrap. */
		j->credit = (uint32_t)MIN2((uint64_t)j->credit + c->n, (uint64_t)UINT16_MAX);
		wire_msg_done(ret);
		return -EAGAIN;
	}
	if (ret->info->type == WIRE_JOB_STOP) {
		const Dray__JobStop *s = (const Dray__JobStop *)ret->body;

		j->stop = true;
		job_fail(j, -ECANCELED, DRAY__VERDICT__VERDICT_CANCELLED, "stopped: %.200s",
			s->text);
		wire_msg_done(ret);
		return -ECANCELED;
	}
	if (j->tracing &&
		(ret->info->type == WIRE_FILE_ANSWER || ret->info->type == WIRE_BLOB_CHUNK)) {
		if (ret->info->type == WIRE_FILE_ANSWER)
			r = fetch_answer(j, (const Dray__FileAnswer *)ret->body);
		else
			r = fetch_chunk(j, ret);
		wire_msg_done(ret);
		return r < 0 ? r : -EAGAIN;
	}
	return 0;
}

/* Each phase may take as long as a compile may: a client that stalls must not keep a slot for ever.
 */
static void
set_deadline(struct job *j)
{
	uint64_t limit_s = j->shared->conf->worker.job_time_s;

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

/* To the deadline, or to the next look at what the job uses. */
static long
poll_time(const struct job *j)
{
	uint64_t now = clock_mono_ms();
	long left = time_left(j), look;

	if (!j->limits.next_ms)
		return left;
	look = j->limits.next_ms > now ? (long)(j->limits.next_ms - now) : 0;
	return left < 0 ? look : MIN2(left, look);
}

static int
fail_for(struct job *j, enum limits_verdict verdict, const char *text)
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

	return fail_for(
		j, limits_check(&j->limits, &j->box, clock_mono_ms(), text, sizeof(text)), text);
}

int
job_poll(struct job *j, struct pollfd *fds, size_t n)
{
	zmq_pollitem_t items[1 + JOB_POLL_FDS + 1] = { { .socket = j->socket,
		.events = ZMQ_POLLIN } };
	int got, count = (int)n + 1;

	assert(n <= JOB_POLL_FDS);
	for (size_t i = 0; i < n; i++)
		items[i + 1] = (zmq_pollitem_t){ .fd = fds[i].fd, .events = ZMQ_POLLIN };
	if (j->tracing)
		items[count++] = (zmq_pollitem_t){ .fd = trace_event_fd(j->trace),
			.events = ZMQ_POLLIN };
	got = zmq_poll(items, count, poll_time(j));
	if (got < 0 && zmq_errno() != EINTR)
		return job_fail(j, -zmq_errno(), DRAY__VERDICT__VERDICT_WORKER_FAULT, "poll: %s",
			zmq_strerror(zmq_errno()));
	for (size_t i = 0; i < n; i++)
		fds[i].revents = got > 0 && items[i + 1].revents ? POLLIN : 0;
	if (j->tracing && got > 0 && items[count - 1].revents) {
		int r = fetch_event(j);

		if (r < 0)
			return r;
	}
	if (time_left(j) == 0)
		return job_fail(j, -ETIMEDOUT, DRAY__VERDICT__VERDICT_LIMIT,
			"took longer than %llu s (worker.job_time_s)",
			(unsigned long long)j->shared->conf->worker.job_time_s);
	return check_limits(j);
}

/* Any message but credit and a stop is out of place while we wait for credit or for the compiler.
 */
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
	for (;;) {
		int r = drain_socket(j);

		if (r < 0)
			return r;
		if (j->credit > 0) {
			j->credit--;
			return 0;
		}
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
	return job_fail(j, -ESTALE, DRAY__VERDICT__VERDICT_NO_TOOLCHAIN,
		"this worker's toolchain was changed after it was offered");
}

static int
read_digests(struct job *j)
{
	const Dray__Unit *u = j->unit;

	j->blobs = calloc(u->n_blobs + 1, sizeof(*j->blobs));
	if (!j->blobs)
		return job_fail(j, -ENOMEM, DRAY__VERDICT__VERDICT_WORKER_FAULT, "out of memory");
	for (size_t i = 0; i < u->n_blobs; i++)
		memcpy(j->blobs[i].b, u->blobs[i]->digest.data, DIGEST_SIZE);
	return 0;
}

static int
check_unit(struct job *j)
{
	const Dray__JobOpen *open = (const Dray__JobOpen *)j->open.body;
	_cleanup_(freep) char *why = NULL;
	int r;

	j->unit = open->unit;
	j->credit = MIN2(open->credit, (uint32_t)UINT16_MAX);
	j->compress = open->compress;
	r = unit_check(
		j->unit, j->offer->sysroot->lib_dirs.v, j->shared->conf->worker.store_max, &why);
	if (r < 0)
		return job_fail(
			j, r, DRAY__VERDICT__VERDICT_BAD_UNIT, "%s", why ? why : strerror(-r));
	return read_digests(j);
}

static int
accept_job(struct job *j)
{
	Dray__JobAccepted m = DRAY__JOB_ACCEPTED__INIT;
	_cleanup_(freep) char *name = strdup(j->shared->name);

	if (!name)
		return job_fail(j, -ENOMEM, DRAY__VERDICT__VERDICT_WORKER_FAULT, "out of memory");
	m.credit = JOB_CREDIT;
	m.worker = name;
	return job_send(j, WIRE_JOB_ACCEPTED, &m.base, NULL);
}

/* The tree without its files; gather.c puts them in as they are had. */
static int
lay_out(struct job *j)
{
	struct stage_spec spec = { .jobs = j->shared->jobs_dir,
		.job = j->id,
		.tools = j->shared->tools_dir,
		.lib_dirs = j->offer->sysroot->lib_dirs.v,
		.unit = j->unit };
	uint64_t begin = clock_mono_us();
	int r = stage_new(&spec, &j->stage);

	j->staged_us = clock_mono_us() - begin;
	if (r == -ENAMETOOLONG || r == -E2BIG)
		return job_fail(j, r, DRAY__VERDICT__VERDICT_BAD_UNIT,
			"the unit's paths cannot be laid out below this worker's directory: %s",
			strerror(-r));
	if (r < 0)
		return job_fail(j, r, DRAY__VERDICT__VERDICT_WORKER_FAULT,
			"cannot lay out the job: %s", strerror(-r));
	return 0;
}

static int
start_compiler(struct job *j)
{
	_cleanup_(freep) char *why = NULL;
	bool traced = j->shared->filters->trace.n > 0;
	struct launch l = { .conf = j->shared->conf,
		.stage = &j->stage,
		.unit = j->unit,
		.sysroot = j->offer->sysroot,
		.toolchain = &j->offer->toolchain,
		.jobserver = j->shared->jobserver,
		.filters = j->shared->filters,
		.trace_socket = -1 };
	int r = traced ? trace_new(&j->stage, j->offer->sysroot, &j->trace) : 0;

	if (r < 0)
		return job_fail(j, r, DRAY__VERDICT__VERDICT_WORKER_FAULT,
			"cannot start the tracer: %s", strerror(-r));
	if (traced)
		l.trace_socket = trace_child_socket(j->trace);
	r = limits_begin(j->shared->conf, j->shared->cgroup, j->id, j->stage.out, &j->limits, &why);
	l.cgroup = limits_cgroup(&j->limits);
	if (r == 0)
		r = launch_start(&l, &j->box, &why);
	if (traced)
		trace_handed(j->trace);
	j->tracing = traced && r == 0;
	if (r < 0)
		return job_fail(
			j, r, DRAY__VERDICT__VERDICT_WORKER_FAULT, "%s", why ? why : strerror(-r));
	return 0;
}

static int
was_killed(struct job *j)
{
	char text[256];

	return fail_for(j, limits_why_killed(&j->limits, text, sizeof(text)), text);
}

/* A compiler that lacked room on the worker says so as if it were the crate's fault. */
static int
may_be_limit(struct job *j)
{
	char text[256];

	return fail_for(j, limits_why_failed(&j->limits, text, sizeof(text)), text);
}

/* All pipes have ended, so the end of the sandbox is near. */
static int
reap_compiler(struct job *j)
{
	struct sandbox_usage usage = { 0, 0 };
	int r;

	sandbox_wait(&j->box, &usage);
	if (j->tracing) {
		trace_stop(j->trace);
		j->tracing = false;
		/* A process may have been ended while its call was refused. */
		r = fetch_event(j);
		if (r < 0)
			return r;
	}
	j->cpu_us = usage.cpu_us;
	j->peak_rss = MAX2(usage.peak_rss, j->limits.peak);
	if (j->box.phase != SANDBOX_ENDED)
		return job_fail(j, -EIO, DRAY__VERDICT__VERDICT_WORKER_FAULT,
			"the compiler did not start: %s", j->box.failure);
	j->compile_us = j->box.end_us - j->box.start_us;
	j->status = j->box.status;
	if (j->box.signal == SIGXFSZ)
		return job_fail(j, -EFBIG, DRAY__VERDICT__VERDICT_LIMIT,
			"wrote a file larger than %llu bytes (worker.job_file_max)",
			(unsigned long long)j->shared->conf->worker.job_file_max);
	if (j->box.signal == SIGXCPU)
		return job_fail(j, -ETIMEDOUT, DRAY__VERDICT__VERDICT_LIMIT,
			"used more than %llu s of processor time (worker.job_cpu_s)",
			(unsigned long long)j->shared->conf->worker.job_cpu_s);
	if (j->box.signal == SIGKILL)
		return was_killed(j);
	return j->status ? may_be_limit(j) : 0;
}

static int
compile(struct job *j)
{
	Dray__JobStarted m = DRAY__JOB_STARTED__INIT;
	int r = start_compiler(j);

	if (r < 0)
		return r;
	set_deadline(j);
	m.staged_us = j->staged_us;
	r = job_send(j, WIRE_JOB_STARTED, &m.base, NULL);
	if (r == 0)
		r = job_text_relay(j);
	if (r == 0)
		r = reap_compiler(j);
	/* All that it made may be another toolchain's, its failure too. */
	return r < 0 ? r : job_check_toolchain(j);
}

static void
reject(struct job *j)
{
	Dray__JobRejected m = DRAY__JOB_REJECTED__INIT;

	m.verdict = j->verdict;
	m.text = j->text;
	job_send(j, WIRE_JOB_REJECTED, &m.base, NULL);
}

static void
give_up(struct job *j)
{
	Dray__JobResult m = DRAY__JOB_RESULT__INIT;

	m.status = j->status;
	m.verdict = j->verdict;
	m.text = j->text;
	m.outputs = j->n_outputs;
	m.compile_us = j->compile_us;
	m.cpu_us = j->cpu_us;
	m.peak_rss = j->peak_rss;
	m.text_bytes = j->text_bytes;
	job_send(j, WIRE_JOB_RESULT, &m.base, NULL);
}

static int
run_compiler(struct job *j)
{
	struct jobserver js = *j->shared->jobserver;
	bool token = jobserver_take(&js) == 0;
	int r = compile(j);

	sandbox_done(&j->box);
	j->box = (struct sandbox)SANDBOX_INIT;
	j->tracing = false;
	limits_done(&j->limits);
	if (token)
		jobserver_give(&js);
	set_deadline(j);
	return r;
}

static void
run(struct job *j)
{
	int r = chunk_coder_new(&j->coder);

	if (r < 0)
		job_fail(j, r, DRAY__VERDICT__VERDICT_WORKER_FAULT, "%s", strerror(-r));
	if (r == 0)
		r = check_unit(j);
	set_deadline(j);
	if (r == 0)
		r = accept_job(j);
	if (r == 0)
		r = lay_out(j);
	if (r == 0)
		r = gather_inputs(j);
	if (r == 0)
		r = job_check_toolchain(j);
	if (r < 0) {
		job_fail(j, r, DRAY__VERDICT__VERDICT_WORKER_FAULT, "%s", strerror(-r));
		reject(j);
		return;
	}
	r = run_compiler(j);
	if (r == 0)
		r = results_finish(j);
	if (r < 0) {
		job_fail(j, r, DRAY__VERDICT__VERDICT_WORKER_FAULT, "%s", strerror(-r));
		give_up(j);
	}
}

static void
tell_end(struct job *j)
{
	Dray__WorkerJobEnded m = DRAY__WORKER_JOB_ENDED__INIT;

	m.job = j->id;
	m.ok = j->verdict != DRAY__VERDICT__VERDICT_WORKER_FAULT;
	m.text = j->text;
	m.cpu_us = j->cpu_us;
	m.wall_us = j->wall_us;
	m.peak_rss = j->peak_rss;
	job_send(j, WIRE_WORKER_JOB_ENDED, &m.base, NULL);
}

static void
free_thread_part(struct job *j)
{
	trace_freep(&j->trace);
	blob_in_done(&j->fetch.in);
	stage_done(&j->stage);
	free(j->blobs);
	chunk_coder_freep(&j->coder);
	for (size_t i = 0; i < j->n_announced; i++)
		free(j->announced[i].name);
	free(j->announced);
}

static void *
thread_main(void *arg)
{
	struct job *j = arg;
	uint64_t begin = clock_mono_us();

	run(j);
	j->wall_us = clock_mono_us() - begin;
	free_thread_part(j);
	store_trim(j->shared->store, 64);
	log_debug("job=%s status=%d verdict=%d text=\"%s\"", j->id, j->status, (int)j->verdict,
		j->text);
	if (j->verdict == DRAY__VERDICT__VERDICT_LIMIT)
		log_info("job=%s crate=%.64s stopped: %s", j->id, j->unit ? j->unit->crate : "",
			j->text);
	/* Ours to be looked after: who reads this log can. */
	if (j->verdict == DRAY__VERDICT__VERDICT_WORKER_FAULT)
		log_warn("job=%s crate=%.64s failed: %s", j->id, j->unit ? j->unit->crate : "",
			j->text);
	tell_end(j);
	return NULL;
}

static int
make_pair(struct job *j)
{
	char name[64];
	int linger = -1;

	snprintf(name, sizeof(name), "inproc://job-%s", j->id);
	j->main_end = zmq_socket(j->shared->ctx, ZMQ_PAIR);
	j->socket = zmq_socket(j->shared->ctx, ZMQ_PAIR);
	if (!j->main_end || !j->socket)
		return -zmq_errno();
	/* What the thread sent last is read by the main loop after the thread is gone. */
	zmq_setsockopt(j->socket, ZMQ_LINGER, &linger, sizeof(linger));
	if (zmq_bind(j->main_end, name) < 0 || zmq_connect(j->socket, name) < 0)
		return -zmq_errno();
	return 0;
}

static void
job_free(struct job *j)
{
	if (!j)
		return;
	socket_closep(&j->main_end);
	wire_msg_done(&j->open);
	free(j);
}

int
job_start(const struct job_shared *shared, const char *id, struct offer *offer,
	const struct wire_peer *peer, struct wire_msg *open, struct job **ret)
{
	struct job *j = calloc(1, sizeof(*j));
	int r;

	if (!j)
		return -ENOMEM;
	j->shared = shared;
	snprintf(j->id, sizeof(j->id), "%s", id);
	j->offer = offer;
	j->peer = *peer;
	j->box = (struct sandbox)SANDBOX_INIT;
	j->limits = (struct limits)LIMITS_INIT;
	j->text_budget = shared->conf->worker.job_output_max;
	r = make_pair(j);
	if (r == 0) {
		/* A JobOpen has no payload: its frame is empty and can be copied. */
		j->open = *open;
		*open = (struct wire_msg)WIRE_MSG_INIT;
		r = -pthread_create(&j->thread, NULL, thread_main, j);
	}
	if (r < 0) {
		socket_closep(&j->socket);
		job_free(j);
		return r;
	}
	*ret = j;
	return 0;
}

const char *
job_id(const struct job *j)
{
	return j->id;
}

const struct wire_peer *
job_peer(const struct job *j)
{
	return &j->peer;
}

void *
job_socket(struct job *j)
{
	return j->main_end;
}

int
job_hand(struct job *j, struct wire_msg *m)
{
	bool payload = m->info->payload_max > 0;

	return wire_send_msg(
		j->main_end, NULL, m->info->type, m->body, payload ? &m->payload : NULL);
}

void
job_stop(struct job *j, const char *why)
{
	Dray__JobStop m = DRAY__JOB_STOP__INIT;
	_cleanup_(freep) char *text = strdup(why);

	m.text = text;
	if (text)
		wire_send_msg(j->main_end, NULL, WIRE_JOB_STOP, &m.base, NULL);
}

void
job_join(struct job *j)
{
	/* Only now: what the client still sends to a job that has ended has somewhere to go. */
	pthread_join(j->thread, NULL);
	socket_closep(&j->socket);
	job_free(j);
}
