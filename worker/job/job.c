/* A job's thread: open, fetch, lay out, compile, relay, send back. One order, one thread; only the
 * waiting is shared (job_talk.c), so that a stop, a deadline and the client's credit are seen
 * wherever the job happens to wait.
 *
 * Invariant: in every case the client gets exactly one final message (JobRejected before anything
 * ran, or JobResult), no process of the job is left, and WorkerJobEnded is sent; its directory is
 * removed then, or by the thread of ready.h soon. */
#include "config.h"

#include "worker/job/job.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log/log.h"
#include "proto/socket.h"
#include "proto/unit_digest.h"
#include "worker/job/twin.h"
#include "worker/sandbox/launch.h"
#include "worker/sandbox/unit_check.h"

#define SAMPLE_NICE 19
#define PUSH_NICE 5 /* its client waits for it, but no build does */

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

/* What the client says of its unit is compared with what the compiler will be called with. */
static int
make_key(struct job *j)
{
	_cleanup_(freep) char *why = NULL;
	int r = unit_index_make(j->unit, &j->index);

	if (r == 0)
		r = unit_key_of(&j->index, j->offer->toolchain.sysroot, &j->key, &why);
	return r < 0 ? job_fail(j, r,
			       why ? DRAY__VERDICT__VERDICT_BAD_UNIT
				   : DRAY__VERDICT__VERDICT_WORKER_FAULT,
			       "%s", why ? why : strerror(-r))
		     : 0;
}

static int
check_unit(struct job *j)
{
	_cleanup_(freep) char *why = NULL;
	int r;

	if (j->unit->toolchain.len != DIGEST_SIZE || j->request->toolchain.len != DIGEST_SIZE ||
		memcmp(j->unit->toolchain.data, j->request->toolchain.data,
			j->unit->toolchain.len) != 0)
		return job_fail(j, -EINVAL, DRAY__VERDICT__VERDICT_BAD_UNIT,
			"the unit's toolchain is not the job's");
	r = unit_check(j->unit, j->offer->sysroot->lib_dirs.v, j->conf->worker.store_max, &why);
	if (r < 0)
		return job_fail(
			j, r, DRAY__VERDICT__VERDICT_BAD_UNIT, "%s", why ? why : strerror(-r));
	r = read_digests(j);
	return r < 0 ? r : make_key(j);
}

static int
accept_job(struct job *j)
{
	Dray__JobAccepted m = DRAY__JOB_ACCEPTED__INIT;
	_cleanup_(freep) char *name = strdup(j->shared->name);

	if (!name)
		return job_fail(j, -ENOMEM, DRAY__VERDICT__VERDICT_WORKER_FAULT, "out of memory");
	m.credit = j->grant - MIN2(j->grant, (uint32_t)WIRE_UNIT_AHEAD);
	m.worker = name;
	return job_send(j, WIRE_JOB_ACCEPTED, &m.base, NULL);
}

static struct ready_key
ready_key_of(const struct job *j)
{
	return (struct ready_key){ &j->offer->toolchain, j->offer->sysroot, j->unit->sysroot };
}

/* The user of one that stands ready is a job's, if no other is left. */
static int
take_user(struct job *j)
{
	struct job_users *users = j->shared->users;

	do
		j->user = job_users_take(users);
	while (!j->user && job_users_are(users) &&
		(ready_end_one(j->shared->ready) || ready_settle(j->shared->ready)));
	return j->user || !job_users_are(users)
		       ? 0
		       : job_fail(j, -EAGAIN, DRAY__VERDICT__VERDICT_WORKER_FAULT,
				 "there is no user for the job");
}

/* In a sandbox that stands ready, or in a directory for one that is started later. */
static int
lay_out_somewhere(struct job *j)
{
	struct stage_spec spec = { .jobs = j->shared->jobs_dir,
		.job = j->id,
		.tools = j->shared->tools_dir,
		.lib_dirs = j->offer->sysroot->lib_dirs.v,
		.unit = j->unit,
		.spare = ready_spare(j->shared->ready),
		.is_stopped = job_laying_ends,
		.arg = j };
	const struct ready_key key = ready_key_of(j);
	struct ready got;
	int r;

	/* one that stands ready has been started with a client's priority */
	if (!j->sample && ready_fits(&key, j->unit) && ready_take(j->shared->ready, &key, &got)) {
		j->stage = got.stage;
		j->stage.is_stopped = job_laying_ends;
		j->stage.arg = j;
		j->limits = got.limits;
		j->box = got.box;
		j->user = got.user;
		r = stage_rename(&j->stage, j->shared->jobs_dir, j->id);
		return r < 0 ? r : stage_fill(&j->stage, j->unit);
	}
	r = take_user(j);
	spec.users = j->user ? j->shared->users : NULL;
	return r < 0 ? r : stage_new(&spec, &j->stage);
}

/* The tree without its files. gather.c puts them in as they come. */
static int
lay_out(struct job *j)
{
	int r;

	job_lay(j, true);
	r = lay_out_somewhere(j);
	job_lay(j, false);
	if (r == -ECANCELED)
		return job_laying_ended(j);
	if (r == -ENAMETOOLONG || r == -E2BIG)
		return job_fail(j, r, DRAY__VERDICT__VERDICT_BAD_UNIT,
			"the unit's paths cannot be laid out below this worker's directory: %s",
			strerror(-r));
	if (r < 0)
		return job_fail(j, r, DRAY__VERDICT__VERDICT_WORKER_FAULT,
			"cannot lay out the job: %s", strerror(-r));
	return 0;
}

/* One that stood ready and is of no use is as none. */
static int
start_sandbox(struct job *j, struct launch *l, char **ret_why)
{
	_cleanup_(freep) char *why = NULL;
	int r = 0;

	if (j->box.ready) {
		limits_start(&j->limits);
		r = launch_order(l, &j->box, &why);
		ready_told(j->shared->ready, r == 0);
		j->ready = r == 0;
		if (r == 0)
			return 0;
		log_warn("job=%s %s", j->id, why ? why : "");
		sandbox_done(&j->box);
		j->box = (struct sandbox)SANDBOX_INIT;
		r = 0;
	} else {
		r = limits_begin(
			j->conf, j->shared->cgroup, j->id, j->stage.out, &j->limits, ret_why);
		l->cgroup = limits_cgroup(&j->limits);
		j->limits.user = j->user;
	}
	return r == 0 ? launch_start(l, &j->box, ret_why) : r;
}

static int
start_compiler(struct job *j)
{
	_cleanup_(freep) char *why = NULL;
	bool traced = j->shared->filters->trace.n > 0;
	struct launch l = { .conf = j->conf,
		.stage = &j->stage,
		.unit = j->unit,
		.sysroot = j->offer->sysroot,
		.toolchain = &j->offer->toolchain,
		.jobserver = tokens_pool(&j->tokens),
		.filters = j->shared->filters,
		.trace_socket = -1,
		.cgroup = limits_cgroup(&j->limits),
		.user = j->user };
	int r = 0;

	pieces_begin(j);
	r = traced ? trace_new(&j->stage, j->offer->sysroot, &j->trace) : 0;

	if (r < 0)
		return job_fail(j, r, DRAY__VERDICT__VERDICT_WORKER_FAULT,
			"cannot start the tracer: %s", strerror(-r));
	if (traced)
		l.trace_socket = trace_child_socket(j->trace);
	r = start_sandbox(j, &l, &why);
	if (traced)
		trace_handed(j->trace);
	j->tracing = traced && r == 0;
	if (r < 0)
		return job_fail(
			j, r, DRAY__VERDICT__VERDICT_WORKER_FAULT, "%s", why ? why : strerror(-r));
	return 0;
}

/* The next unit of a build wants the same, most likely. Made now, it is in the way of no compiler:
 * if the next one does not wait for it, there is one more afterwards. Where no compiler ran, none
 * might stand ready either: a client's paths may be such that nothing can be mounted there. */
static void
want_next(struct job *j)
{
	const struct ready_key key = ready_key_of(j);

	if (ready_fits(&key, j->unit))
		ready_want(j->shared->ready, &key);
}

/* With success: all else is looked into when the sandbox is gone. */
static bool
ended_alone(const struct job *j)
{
	return j->box.alone && j->box.status == 0;
}

static int
was_killed(struct job *j)
{
	char text[256];

	return job_fail_for(j, limits_why_killed(&j->limits, text, sizeof(text)), text);
}

/* A compiler that found the worker's disk full reports it like an error of the crate. */
static int
may_be_limit(struct job *j)
{
	char text[256];

	return job_fail_for(j, limits_why_failed(&j->limits, text, sizeof(text)), text);
}

static int
check_end(struct job *j)
{
	char text[256];

	return job_fail_for(j, limits_check_end(&j->limits, text, sizeof(text)), text);
}

/* All pipes have ended, so the sandbox ends soon; or nothing of the job is left in it, and what is
 * ends while its outputs are sent. */
static int
reap_compiler(struct job *j)
{
	struct sandbox_usage usage = j->box.usage;
	int r;

	if (!ended_alone(j))
		sandbox_wait(&j->box, &usage);
	if (j->tracing) {
		trace_stop(j->trace);
		j->tracing = false;
		/* A process may have been ended while its call was refused. */
		r = j->demand->event(j);
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
			(unsigned long long)j->conf->worker.job_file_max);
	if (j->box.signal == SIGXCPU)
		return job_fail(j, -ETIMEDOUT, DRAY__VERDICT__VERDICT_LIMIT,
			"used more than %llu s of processor time (worker.job_cpu_s)",
			(unsigned long long)j->conf->worker.job_cpu_s);
	if (j->box.signal == SIGKILL)
		return was_killed(j);
	r = check_end(j);
	return r == 0 && j->status ? may_be_limit(j) : r;
}

static int
compile(struct job *j)
{
	Dray__JobStarted m = DRAY__JOB_STARTED__INIT;
	int r = start_compiler(j);

	if (r < 0)
		return r;
	job_set_deadline(j);
	m.staged_us = j->staged_us;
	j->has_alike = j->share && !j->sample && unit_alike(j->unit, &j->key, &j->alike) == 0;
	tape_started(j->tape);
	r = job_send(j, WIRE_JOB_STARTED, &m.base, NULL);
	job_begin_alive(j);
	if (r == 0)
		r = job_text_relay(j);
	if (r == 0)
		r = reap_compiler(j);
	/* All outputs, and a failure as well, may come from another toolchain. */
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

static void
end_failed(struct job *j, int r)
{
	job_fail(j, r, DRAY__VERDICT__VERDICT_WORKER_FAULT, "%s", strerror(-r));
	if (j->begun)
		give_up(j);
	else
		reject(j);
}

/* What the job made is another user's, until here. */
static int
take_over(struct job *j)
{
	_cleanup_(closep) int out = open(j->stage.out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return out < 0 ? -errno : job_user_take_over(j->user, out);
}

static int
run_compiler(struct job *j)
{
	int r = tokens_begin(j->shared->tokens, j->request->jobs, &j->tokens);

	if (r < 0)
		return job_fail(j, r, DRAY__VERDICT__VERDICT_WORKER_FAULT,
			"cannot make a jobserver: %s", strerror(-r));
	r = compile(j);
	j->ran = j->box.phase == SANDBOX_RUNNING || j->box.phase == SANDBOX_ENDED;
	if (r < 0 || !ended_alone(j)) {
		sandbox_done(&j->box);
		j->box = (struct sandbox)SANDBOX_INIT;
	}
	j->tracing = false;
	if (j->user && take_over(j) < 0 && r == 0)
		r = job_fail(j, -EIO, DRAY__VERDICT__VERDICT_WORKER_FAULT,
			"the job's files cannot be taken over");
	j->limits.next_ms = 0;
	tokens_done(&j->tokens);
	job_set_deadline(j);
	return r;
}

static void
run(struct job *j)
{
	int r = chunk_coder_new(&j->coder);

	if (r < 0)
		job_fail(j, r, DRAY__VERDICT__VERDICT_WORKER_FAULT, "%s", strerror(-r));
	job_set_deadline(j);
	if (r == 0)
		r = accept_job(j);
	if (r == 0)
		r = take_unit(j);
	if (r == 0 && j->push) {
		r = push_take(j);
		if (r < 0)
			end_failed(j, r);
		return;
	}
	if (r == 0)
		r = check_unit(j);
	if (r == 0)
		r = twin_begin(j);
	if (r == 1) {
		r = twin_follow(j);
		if (r < 0)
			end_failed(j, r);
		return;
	}
	if (r == 0)
		r = lay_out(j);
	if (r == 0)
		r = gather_inputs(j);
	if (r == 0)
		r = job_check_toolchain(j);
	j->begun = r == 0;
	if (r == 0)
		r = run_compiler(j);
	if (r == 0)
		r = results_finish(j);
	if (r < 0)
		end_failed(j, r);
}

static Dray__JobEnd
whose_end(const struct job *j)
{
	/* a sample that this worker itself has ended, or has no room for, is not its lender's doing
	 */
	if (j->sample && (__atomic_load_n(&j->killing, __ATOMIC_ACQUIRE) ||
				 j->verdict == DRAY__VERDICT__VERDICT_LIMIT))
		return DRAY__JOB_END__END_WORKER;
	switch (j->verdict) {
	case DRAY__VERDICT__VERDICT_NONE:
		return DRAY__JOB_END__END_WHOLE;
	case DRAY__VERDICT__VERDICT_WORKER_FAULT:
	case DRAY__VERDICT__VERDICT_NO_TOOLCHAIN:
	case DRAY__VERDICT__VERDICT_TWIN_LOST:
	case DRAY__VERDICT__VERDICT_TWIN_DIFFERS:
		return DRAY__JOB_END__END_WORKER;
	default:
		return DRAY__JOB_END__END_CLIENT;
	}
}

static void
tell_end(struct job *j)
{
	Dray__WorkerJobEnded m = DRAY__WORKER_JOB_ENDED__INIT;
	Dray__SampleMade sum;

	m.job = j->id;
	m.ok = j->verdict != DRAY__VERDICT__VERDICT_WORKER_FAULT;
	m.silent = j->silent;
	m.twin = j->twin;
	m.shares = j->shares;
	m.end = whose_end(j);
	m.wasted_ms = j->wasted_ms;
	if (j->sampled) {
		dray__sample_made__init(&sum);
		sum.key = (ProtobufCBinaryData){ DIGEST_SIZE, j->sum.key.b };
		sum.inputs = (ProtobufCBinaryData){ DIGEST_SIZE, j->sum.same.inputs.b };
		sum.made = (ProtobufCBinaryData){ DIGEST_SIZE, j->sum.same.made.b };
		m.sample = &sum;
	}
	/* without keys nobody is told from who had it */
	m.kept = j->kept && *j->peer.curve;
	m.text = j->text;
	m.cpu_us = j->cpu_us;
	m.wall_us = j->wall_us;
	m.peak_rss = j->peak_rss;
	job_send(j, WIRE_WORKER_JOB_ENDED, &m.base, NULL);
}

static void
free_thread_part(struct job *j)
{
	struct ready used = { j->stage, j->limits, j->box, j->user, pieces_end_watch(j) };

	twin_done(j);
	trace_freep(&j->trace);
	shares_end(&j->share);
	fetch_done(j);
	pieces_done(j);
	unit_index_done(&j->index);
	if (j->ran && !j->sample)
		want_next(j);
	ready_clear(j->shared->ready, &used);
	assembly_freep(&j->assembly);
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

	/* what it starts has the same */
	if (j->sample || j->push)
		setpriority(
			PRIO_PROCESS, (id_t)syscall(SYS_gettid), j->push ? PUSH_NICE : SAMPLE_NICE);
	run(j);
	j->wall_us = clock_mono_us() - begin;
	free_thread_part(j);
	/* all of the excess: a job may have brought more blobs than any fixed number */
	store_trim(j->shared->store, UINT_MAX);
	log_debug("job=%s status=%d verdict=%d ready=%d text=\"%s\"", j->id, j->status,
		(int)j->verdict, j->ready, j->text);
	if (j->verdict == DRAY__VERDICT__VERDICT_LIMIT)
		log_info("job=%s crate=%.64s stopped: %s", j->id, j->unit ? j->unit->crate : "",
			j->text);
	/* Only the worker's admin can mend this, and reads this log. */
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
	/* libzmq adds up both ends of an inproc pipe. A client that sends more than its credit
	 * allows finds it full. */
	int linger = -1, in = (int)j->grant + 4;

	snprintf(name, sizeof(name), "inproc://job-%s", j->id);
	j->main_end = zmq_socket(j->shared->ctx, ZMQ_PAIR);
	j->socket = zmq_socket(j->shared->ctx, ZMQ_PAIR);
	if (!j->main_end || !j->socket)
		return -zmq_errno();
	zmq_setsockopt(j->main_end, ZMQ_SNDHWM, &in, sizeof(in));
	zmq_setsockopt(j->socket, ZMQ_RCVHWM, &in, sizeof(in));
	/* The main loop reads the thread's last messages after the thread has ended. */
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
	if (j->unit_body)
		protobuf_c_message_free_unpacked(j->unit_body, NULL);
	offer_free(j->pushed);
	conf_unrefp(&j->conf);
	free(j);
}

static void
set_up(struct job *j, const struct job_shared *shared, const struct job_in *in)
{
	j->shared = shared;
	snprintf(j->id, sizeof(j->id), "%s", in->id);
	snprintf(j->namespace, sizeof(j->namespace), "%s", in->namespace);
	j->twin = in->twin;
	j->sample = in->sample;
	j->refill = in->refill;
	j->push = in->push;
	j->push_max = in->push_max;
	j->offer = in->offer;
	j->demand = &fetch_demand;
	j->peer = *in->peer;
	j->number = in->open->job;
	j->request = (const Dray__JobOpen *)in->open->body;
	j->grant = shared->credit ? shared->credit : JOB_CREDIT;
	j->credit = MIN2(j->request->credit, j->grant);
	j->compress = j->request->compress;
	j->phase = ADMIT_OPENING;
	j->box = (struct sandbox)SANDBOX_INIT;
	j->limits = (struct limits)LIMITS_INIT;
	j->tokens = (struct tokens)TOKENS_INIT;
	j->pieces.watch = -1;
	j->conf = conf_ref(shared->conf);
	j->text_budget = j->conf->worker.job_output_max;
	j->share = shares_begin(
		in->twin || in->push ? NULL : shared->share, in->share_in, in->peer->curve);
}

int
job_start(const struct job_shared *shared, const struct job_in *in, struct job **ret)
{
	struct job *j = calloc(1, sizeof(*j));
	int r;

	if (!j)
		return -ENOMEM;
	set_up(j, shared, in);
	r = make_pair(j);
	if (r == 0) {
		/* A JobOpen has no payload: its frame is empty and can be copied. */
		j->open = *in->open;
		*in->open = (struct wire_msg)WIRE_MSG_INIT;
		r = -pthread_create(&j->thread, NULL, thread_main, j);
	}
	if (r < 0) {
		shares_end(&j->share);
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

void *
job_arg(const struct job *j)
{
	return j->shared->arg;
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

uint32_t
job_number(const struct job *j)
{
	return j->number;
}

const struct digest *
job_alike(const struct job *j)
{
	return j->has_alike ? &j->alike : NULL;
}

bool
job_is_twin(const struct job *j)
{
	return j->twin;
}

bool
job_is_sample(const struct job *j)
{
	return j->sample;
}

bool
job_is_push(const struct job *j)
{
	return j->push;
}

struct offer *
job_offer(const struct job *j)
{
	return j->offer;
}

struct offer *
job_take_pushed(struct job *j)
{
	return steal_ptr(j->pushed);
}

uint32_t
job_unit_size(const struct job *j)
{
	return j->request->unit_size;
}

enum admit_state
job_phase(const struct job *j)
{
	return j->phase;
}

void
job_set_phase(struct job *j, enum admit_state phase)
{
	j->phase = phase;
}

int
job_hand(struct job *j, struct wire_raw *raw)
{
	return wire_pass(j->main_end, raw);
}

void
job_put_on_trial(struct job *j)
{
	__atomic_store_n(&j->on_trial, true, __ATOMIC_RELAXED);
}

void
job_stop(struct job *j, const char *why)
{
	Dray__JobStop m = DRAY__JOB_STOP__INIT;
	_cleanup_(freep) char *text = strdup(why);

	/* The message wakes it up and says why; the flag is seen where it does not listen, and when
	 * its pipe is full. */
	m.text = text;
	if (text)
		(void)wire_send_msg(j->main_end, NULL, WIRE_JOB_STOP, &m.base, NULL);
	__atomic_store_n(&j->stopping, true, __ATOMIC_RELEASE);
}

void
job_kill(struct job *j, const char *why)
{
	__atomic_store_n(&j->killing, true, __ATOMIC_RELEASE);
	job_stop(j, why);
}

void
job_join(struct job *j)
{
	/* Only now, so that messages which the client still sends to an ended job are received. */
	pthread_join(j->thread, NULL);
	socket_closep(&j->socket);
	job_free(j);
}
