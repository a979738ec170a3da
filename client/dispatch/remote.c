/* One try of a unit on one worker: connects, opens the job, and turns until it has ended.
 * Invariant: the try ends, even if the worker hangs or is cut off; if this side gives up first, the
 * worker is told. */
#include "config.h"

#include "client/dispatch/remote.h"

#include <errno.h>
#include <stdio.h>

#include "client/dispatch/remote_priv.h"
#include "common/clock.h"

#define V(name) DRAY__VERDICT__VERDICT_##name
#define TICK_MS 250
#define TURN_MESSAGES 256
#define STOP_FLUSH_MS 200

static void
remote_done(struct remote *r)
{
	upload_free(r->upload);
	relay_free(r->relay);
	outputs_free(r->outputs);
	if (r->in->pool && r->in_turn && r->connected && r->result->end == REMOTE_DONE)
		pool_give(r->in->pool, r->in->place->endpoint, r->in->place->curve,
			steal_ptr(r->socket), steal_ptr(r->monitor));
	monitor_freep(&r->monitor);
	socket_closep(&r->socket);
	chunk_coder_free(r->coder);
}

static bool
wants_compression(const struct remote_in *in)
{
	if (in->compress == COMPRESS_AUTO)
		return !endpoint_is_this_machine(in->place->endpoint);
	return in->compress == COMPRESS_ALWAYS;
}

static int
make_parts(struct remote *r)
{
	const struct remote_in *in = r->in;
	struct outputs_in oi = { .out_dir = unit_out_dir(in->unit),
		.staging = in->rep->staging,
		.call = unit_call(in->unit),
		.try = in->try,
		.umask = in->umask,
		.memo = in->memo };
	struct relay_in ri = {
		.unit = in->unit, .memo = in->memo, .envp = in->envp, .say = in->say, .rep = in->rep
	};
	int e = chunk_coder_new(&r->coder);

	if (e == 0)
		e = upload_new(in->unit, r->coder, wants_compression(in), &r->upload);
	if (in->refill)
		return e;
	if (e == 0)
		e = outputs_new(&oi, &r->outputs);
	ri.outputs = r->outputs;
	if (e == 0)
		e = relay_new(&ri, &r->relay);
	return e;
}

static int
send_hello(struct remote *r)
{
	Dray__Hello hello;
	char role[] = "client";

	wire_hello(&hello, role);
	return wire_send(r->socket, NULL, WIRE_HELLO, &hello.base, NULL, 0);
}

static int
send_open(struct remote *r)
{
	const struct remote_in *in = r->in;
	Dray__JobOpen open;
	int e = r->pooled ? 0 : send_hello(r);

	if (e < 0)
		return e;
	dray__job_open__init(&open);
	open.ticket.data = in->place->ticket->p;
	open.ticket.len = in->place->ticket->n;
	open.signature.data = in->place->signature->p;
	open.signature.len = in->place->signature->n;
	open.toolchain = unit_message(in->unit)->toolchain;
	e = upload_begin(r->upload, &open.unit_size);
	if (e < 0)
		return e;
	open.credit = REMOTE_CREDIT;
	open.compress = wants_compression(in);
	open.pieces = true;
	open.join = in->join;
	open.jobs = in->jobs;
	open.push_bytes = in->push_bytes;
	r->granted = REMOTE_CREDIT;
	return wire_send(r->socket, NULL, WIRE_JOB_OPEN, &open.base, NULL, 0);
}

static int
open_connection(struct remote *r)
{
	const struct remote_in *in = r->in;

	if (in->pool && !r->fresh &&
		pool_take(
			in->pool, in->place->endpoint, in->place->curve, &r->socket, &r->monitor)) {
		r->pooled = r->connected = r->in_turn = true;
		return 0;
	}
	return socket_connect_monitored(in->zctx, in->place->endpoint, farm_identity(in->farm),
		in->place->curve, JOB_HEARTBEAT_MS, &r->socket, &r->monitor);
}

static void
start(struct remote *r)
{
	int e = make_parts(r);

	if (e < 0) {
		remote_end(r, REMOTE_HOME, V(NONE), "cannot begin: %s", strerror(-e));
		return;
	}
	r->opened_ms = r->heard_ms = clock_mono_ms();
	e = open_connection(r);
	if (e < 0) {
		remote_end(r, REMOTE_AGAIN, V(WORKER_FAULT), "cannot connect: %s", strerror(-e));
		return;
	}
	e = send_open(r);
	if (e == -EMSGSIZE)
		remote_end(r, REMOTE_HOME, V(NONE), "the unit's description is too large");
	else if (e < 0)
		remote_end(
			r, REMOTE_AGAIN, V(WORKER_FAULT), "cannot open the job: %s", strerror(-e));
}

static void
connection_events(struct remote *r)
{
	for (;;) {
		switch (monitor_next(r->monitor, NULL)) {
		case MONITOR_NONE:
		case MONITOR_PEER_GONE:
			return;
		case MONITOR_PUT_OFF:
			/* its coordinator has not named us to it yet; libzmq tries again */
			break;
		case MONITOR_CONNECTED:
			r->connected = true;
			r->heard_ms = clock_mono_ms();
			break;
		case MONITOR_REFUSED:
			remote_end(r, REMOTE_AGAIN, V(WORKER_FAULT),
				"the worker refused the connection");
			return;
		case MONITOR_DISCONNECTED:
			/* a job belongs to its connection: on a new one there would be no job */
			r->connected = false;
			r->stale = r->pooled && r->state == REMOTE_OPENING;
			if (r->stale)
				return;
			remote_end(r, REMOTE_AGAIN, V(WORKER_FAULT), "the connection was lost");
			return;
		}
	}
}

/* Some of them: the time and the tether are looked at between, however many a worker sends. */
static void
take_messages(struct remote *r)
{
	for (unsigned n = 0; n < TURN_MESSAGES && r->state != REMOTE_ENDED; n++) {
		struct wire_msg m = WIRE_MSG_INIT;
		int e = wire_recv(r->socket, NULL, WIRE_FROM_WORKER, &m);

		if (e == 0)
			remote_step(r, &m);
		else if (e != -EAGAIN)
			remote_end(r, REMOTE_AGAIN, wire_verdict_of(e),
				"its words make no sense: %s", strerror(-e));
		wire_msg_done(&m);
		if (e == -EAGAIN)
			return;
		if (r->owed >= REMOTE_CREDIT / 4)
			return;
	}
}

static void
give_credit(struct remote *r)
{
	Dray__Credit m;

	dray__credit__init(&m);
	if (r->owed == 0 || r->state == REMOTE_ENDED)
		return;
	m.n = r->owed;
	if (wire_send(r->socket, NULL, WIRE_CREDIT, &m.base, NULL, 0) == 0) {
		r->granted += r->owed;
		r->owed = 0;
	}
}

/* By its rate it has to wait. */
static bool
is_ahead(const struct remote *r)
{
	return r->in->rate && r->state == REMOTE_FEEDING &&
	       upload_bytes(r->upload) >
		       r->in->rate * (clock_mono_ms() - r->opened_ms) / 1000 + WIRE_CHUNK_MAX;
}

static void
say_sent(const struct remote *r)
{
	uint64_t done, of;

	upload_progress(r->upload, &done, &of);
	r->in->on_sent(r->in->arg, done, of);
}

/* Whether there is more to send at once. */
static bool
feed(struct remote *r)
{
	int e;

	if (r->state == REMOTE_ENDED)
		return false;
	e = r->answering ? remote_answer(r) : 0;
	if (e == 0 && is_ahead(r))
		return false;
	if (e == 0)
		e = upload_step(r->upload, r->socket);
	if (r->in->on_sent && r->state == REMOTE_FEEDING)
		say_sent(r);
	r->blocked = e == -EAGAIN;
	if (e == -ESTALE)
		remote_end(r, REMOTE_HOME, V(INPUT_CHANGED), "an input changed meanwhile: %.200s",
			upload_file(r->upload) ? upload_file(r->upload) : "");
	else if (e < 0 && e != -EAGAIN)
		remote_end(r, REMOTE_HOME, V(NONE), "an input cannot be sent: %s", strerror(-e));
	return e == 1;
}

/* A worker is alive as long as it says so. But a unit that waits for one for ever is worse than one
 * that is compiled twice. */
static void
check_held(struct remote *r, uint64_t now)
{
	bool runs = r->state == REMOTE_RUNNING;
	uint64_t most = runs ? r->in->run_ms : r->in->unit_ms;

	if (r->state == REMOTE_ENDED || now - (runs ? r->started_ms : r->opened_ms) <= most)
		return;
	r->result->held = true;
	remote_end(r, REMOTE_HOME, V(WORKER_FAULT), "it kept the unit for more than %llu s",
		(unsigned long long)(most / 1000));
}

static void
check_time(struct remote *r)
{
	uint64_t now = clock_mono_ms();

	/* one that stood before may be dead since */
	bool silent = r->pooled && r->state == REMOTE_OPENING && r->heard_ms == r->opened_ms;

	if ((!r->connected || silent) && now - r->opened_ms > REMOTE_CONNECT_MS)
		remote_end(r, REMOTE_AGAIN, V(WORKER_FAULT), "it cannot be reached");
	else if (r->state != REMOTE_RUNNING && now - r->heard_ms > REMOTE_ANSWER_MS)
		remote_end(r, REMOTE_AGAIN, V(WORKER_FAULT), "it does not answer");
	else if (now - r->heard_ms > r->in->silent_ms)
		remote_end(r, REMOTE_AGAIN, V(WORKER_FAULT), "it fell silent");
	check_held(r, now);
}

static void
turn(struct remote *r)
{
	zmq_pollitem_t items[2 + FARM_ITEMS + TETHER_ITEMS];
	bool more, mind = false;
	size_t n = 2, farm, tether;

	items[0] = (zmq_pollitem_t){ r->socket, -1, ZMQ_POLLIN, 0 };
	items[1] = (zmq_pollitem_t){ monitor_socket(r->monitor), -1, ZMQ_POLLIN, 0 };
	/* Messages that have come are taken before a loss is reported: a result may be among them.
	 */
	take_messages(r);
	give_credit(r);
	more = feed(r);
	if (r->state == REMOTE_ENDED)
		return;
	if (r->blocked)
		items[0].events |= ZMQ_POLLOUT;
	farm = farm_items(r->in->farm, items + n);
	tether = tether_items(r->in->tether, items + n + farm);
	if (zmq_poll(items, (int)(n + farm + tether), more ? 0 : TICK_MS) < 0 && errno != EINTR) {
		remote_end(r, REMOTE_HOME, V(NONE), "poll: %s", strerror(errno));
		return;
	}
	if (tether_look(r->in->tether, items + n + farm, tether))
		remote_end(r, REMOTE_CUT, V(CANCELLED), "nobody waits for it any more");
	for (size_t i = n; i < n + farm; i++)
		mind |= items[i].revents != 0;
	if (mind)
		farm_mind(r->in->farm);
	if (items[1].revents && !(items[0].revents & ZMQ_POLLIN))
		connection_events(r);
	if (!r->stale)
		check_time(r);
}

/* Takes what comes, and drops it. Whether the job's last message was among it, or the line is no
 * use. */
static bool
drop_messages(struct remote *r)
{
	for (unsigned n = 0; n < TURN_MESSAGES; n++) {
		_cleanup_(wire_msg_done) struct wire_msg m = WIRE_MSG_INIT;
		int e = wire_recv(r->socket, NULL, WIRE_FROM_WORKER, &m);

		if (e < 0)
			return e != -EAGAIN;
		if (m.info->type == WIRE_JOB_RESULT || m.info->type == WIRE_JOB_REJECTED)
			return true;
	}
	return false;
}

/* Until the worker has heard it. That is not left to libzmq (ZMQ_LINGER): a socket that is closed
 * with something to say, while a message comes in, loses the memory of what has come of that. */
static void
wait_stopped(struct remote *r)
{
	uint64_t now = clock_mono_ms(), end = now + STOP_FLUSH_MS;

	for (; now < end; now = clock_mono_ms()) {
		zmq_pollitem_t item = { r->socket, -1, ZMQ_POLLIN, 0 };

		if (drop_messages(r) ||
			(zmq_poll(&item, 1, (long)(end - now)) < 0 && errno != EINTR))
			return;
	}
}

/* A worker that still has the job is told to stop it. */
static void
stop(struct remote *r)
{
	Dray__JobStop m;

	dray__job_stop__init(&m);
	if (!r->socket || !r->connected || r->result->end == REMOTE_DONE || r->result->ran)
		return;
	m.text = r->result->text;
	if (wire_send(r->socket, NULL, WIRE_JOB_STOP, &m.base, NULL, 0) == 0)
		wait_stopped(r);
}

/* Says it all again on a new connection. */
static void
begin_anew(struct remote *r)
{
	const struct remote_in *in = r->in;
	struct remote_result *result = r->result;

	remote_done(r);
	*r = (struct remote){ .in = in, .result = result, .state = REMOTE_OPENING, .fresh = true };
	start(r);
}

void
remote_run(const struct remote_in *in, struct remote_result *ret)
{
	_cleanup_(
		remote_done) struct remote r = { .in = in, .result = ret, .state = REMOTE_OPENING };

	memset(ret, 0, sizeof(*ret));
	start(&r);
	while (r.state != REMOTE_ENDED) {
		turn(&r);
		if (r.stale && r.state != REMOTE_ENDED)
			begin_anew(&r);
	}
	if (r.upload)
		in->rep->bytes_sent += upload_bytes(r.upload);
	stop(&r);
}
