/* The client's side of the coordinator. Invariant: a wait here has an end, whatever the coordinator
 * does: connect_ms until it answers, FARM_RECONNECT_MS while it is away, FARM_SILENT_MS while it is
 * silent. */
#include "config.h"

#include "client/dispatch/farm.h"

#include <errno.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

#include "client/dispatch/farm_priv.h"
#include "common/clock.h"
#include "common/conf/coordinators.h"
#include "common/log/log.h"
#include "keys/succession.h"

static int
why(char **ret, const char *what, const char *detail)
{
	if (asprintf(ret, "%s%s%s", what, detail ? ": " : "", detail ? detail : "") < 0)
		*ret = NULL;
	return -EINVAL;
}

static const char *
key_error(int r)
{
	return r == -EBADMSG ? "it holds no identity"
	       : r == -EPERM ? "it can be read by others"
			     : strerror(-r);
}

static int
load_keys(struct farm *f, const char *mine, const char *its, struct identity *coordinator,
	char **ret_why)
{
	int r;

	if (!mine || !*mine || !its || !*its)
		return why(ret_why, "tcp needs identity and coordinator_key", NULL);
	r = identity_load_unchecked(mine, &f->identity, NULL);
	if (r < 0)
		return why(ret_why, "this client's identity file", key_error(r));
	f->has_identity = true;
	if (!f->identity.has_secret)
		return why(ret_why, "this client's identity file has no secrets", NULL);
	if (str_copy(its, &f->key) < 0)
		return why(ret_why, "out of memory", NULL);
	r = successor_load(f->key, f->key_dir, (uint64_t)time(NULL), coordinator, NULL, NULL);
	return r < 0 ? why(ret_why, "the coordinator's key file", key_error(r)) : 0;
}

void
farm_hear_successor(const struct farm *f, const Dray__Successor *m)
{
	int r = f->key ? successor_take(f->key, f->key_dir, (uint64_t)time(NULL), m->statement)
		       : -ENOENT;

	if (r < 0 && r != -EALREADY)
		log_debug(
			"what the coordinator says of its next key is not kept: %s", strerror(-r));
}

struct farm *
farm_new(const struct conf *conf)
{
	struct farm *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->connect_ms = conf->client.connect_ms;
	f->opened_ms = clock_mono_ms();
	return f;
}

int
farm_open_at(void *zctx, const struct conf *conf, size_t i, struct farm **ret, char **ret_why)
{
	_cleanup_(farm_closep) struct farm *f = farm_new(conf);
	_cleanup_(identity_done) struct identity coordinator = { .has_secret = false };
	_cleanup_(coordinators_done) struct coordinators all = COORDINATORS_INIT;
	const char *endpoint;
	int r;

	*ret_why = NULL;
	if (!f)
		return -ENOMEM;
	r = coordinators_parse(
		"client", conf->client.coordinator, conf->client.coordinator_key, &all, ret_why);
	if (r < 0)
		return r;
	if (i >= all.n)
		return why(ret_why, "no coordinator is configured", NULL);
	endpoint = all.v[i].endpoint;
	if (!endpoint_is_local(endpoint)) {
		if (conf->client.cache_dir && str_copy(conf->client.cache_dir, &f->key_dir) < 0)
			return -ENOMEM;
		r = load_keys(f, conf->client.identity, all.v[i].key, &coordinator, ret_why);
		if (r < 0)
			return r;
	}
	r = socket_connect_monitored(zctx, endpoint, f->has_identity ? &f->identity : NULL,
		f->has_identity ? coordinator.curve_public : NULL, FARM_HEARTBEAT_MS, &f->socket,
		&f->monitor);
	if (r < 0)
		return why(ret_why, "cannot connect", strerror(-r));
	if (all.n > 1)
		f->at = steal_ptr(all.v[i].endpoint);
	*ret = steal_ptr(f);
	return 0;
}

int
farm_open(void *zctx, const struct conf *conf, struct farm **ret, char **ret_why)
{
	return farm_open_at(zctx, conf, 0, ret, ret_why);
}

void
farm_close(struct farm *f, int flush_ms)
{
	if (!f)
		return;
	if (f->seat)
		f->line->leave(f->seat);
	monitor_freep(&f->monitor);
	if (f->socket && flush_ms > 0 && f->state == FARM_WELCOMED)
		zmq_setsockopt(f->socket, ZMQ_LINGER, &flush_ms, sizeof(flush_ms));
	socket_closep(&f->socket);
	identity_done(&f->identity);
	free(f->at);
	free(f->crate);
	free(f->kind);
	free(f->key);
	free(f->key_dir);
	free(f);
}

void
farm_closep(struct farm **f)
{
	farm_close(*f, 0);
	*f = NULL;
}

const struct identity *
farm_identity(const struct farm *f)
{
	if (f->seat)
		return f->line->identity(f->seat);
	return f->has_identity ? &f->identity : NULL;
}

const char *
farm_at(const struct farm *f)
{
	return f->seat ? f->line->at(f->seat) : f->at;
}

bool
farm_welcomed(const struct farm *f)
{
	return f->welcomed;
}

bool
farm_wrong(const struct farm *f)
{
	return f->unreachable;
}

const char *
farm_queue_why(const struct farm *f)
{
	return f->queue_why;
}

Dray__Verdict
farm_denied(const struct farm *f)
{
	return f->denied;
}

static int
say(struct farm *f, enum wire_type type, const ProtobufCMessage *body)
{
	return f->seat ? f->line->send(f->seat, type, body)
		       : wire_send(f->socket, NULL, type, body, NULL, 0);
}

int
farm_receive(struct farm *f, struct wire_msg *ret)
{
	return f->seat ? f->line->receive(f->seat, ret)
		       : wire_recv(f->socket, NULL, WIRE_FROM_COORDINATOR, ret);
}

/* On a shared connection the hub says it, once. */
int
farm_hello(struct farm *f)
{
	Dray__Hello m;
	char role[] = "client";

	if (f->seat)
		return 0;
	wire_hello_hears(&m, role);
	return say(f, WIRE_HELLO, &m.base);
}

int
farm_ask(struct farm *f)
{
	Dray__JobRequest m;
	Dray__JobRetry failed[FARM_FAILED_MAX], *list[FARM_FAILED_MAX];

	dray__job_request__init(&m);
	m.job = f->id;
	m.toolchain.data = f->toolchain;
	m.toolchain.len = sizeof(f->toolchain);
	m.crate = f->crate;
	m.kind = f->kind;
	m.glibc = f->glibc;
	m.source_bytes = f->source_bytes;
	m.may_wait = !f->refill && !f->push;
	m.refill = f->refill;
	/* one that has failed somewhere waits for nobody */
	if (f->has_alike && f->n_failed == 0) {
		m.sought = (ProtobufCBinaryData){ DIGEST_SIZE, f->sought.b };
		m.alike = (ProtobufCBinaryData){ DIGEST_SIZE, f->alike.b };
	}
	m.push = f->push;
	if (f->has_hint) {
		m.hint.data = f->hint.b;
		m.hint.len = DIGEST_SIZE;
	}
	for (unsigned i = 0; i < f->n_failed; i++) {
		dray__job_retry__init(&failed[i]);
		failed[i].worker = f->failed[i].worker;
		failed[i].verdict = f->failed[i].verdict;
		list[i] = &failed[i];
	}
	m.failed = list;
	m.n_failed = f->n_failed;
	return say(f, WIRE_JOB_REQUEST, &m.base);
}

int
farm_ask_look(struct farm *f)
{
	Dray__StatusRequest m;

	dray__status_request__init(&m);
	m.cache = true;
	if (f->has_toolchain) {
		m.toolchain.data = f->toolchain;
		m.toolchain.len = sizeof(f->toolchain);
	}
	return say(f, WIRE_STATUS_REQUEST, &m.base);
}

int
farm_ask_anew(struct farm *f, uint64_t now)
{
	f->anew_ms = now;
	f->ask_ms = 0;
	return farm_ask(f);
}

static int
make_job_id(char out[JOB_ID_SIZE])
{
	uint8_t b[(JOB_ID_SIZE - 1) / 2];

	if (getrandom(b, sizeof(b), 0) != (ssize_t)sizeof(b))
		return -EIO;
	for (size_t i = 0; i < sizeof(b); i++)
		snprintf(out + 2 * i, 3, "%02x", b[i]);
	return 0;
}

int
farm_request(struct farm *f, struct farm_job *job)
{
	int r = make_job_id(f->id);

	if (r < 0)
		return r;
	memcpy(job->id, f->id, sizeof(f->id));
	if (f->seat)
		f->line->name(f->seat, f->id);
	memcpy(f->toolchain, job->toolchain, sizeof(f->toolchain));
	free(f->crate);
	free(f->kind);
	f->give = false;
	f->crate = strdup(job->crate);
	f->kind = strdup(job->kind);
	f->glibc = job->glibc;
	f->source_bytes = job->source_bytes;
	f->has_hint = job->hint != NULL;
	f->refill = job->refill;
	f->has_alike = job->alike && job->sought;
	if (f->has_alike) {
		f->alike = *job->alike;
		f->sought = *job->sought;
	}
	f->push = job->push;
	f->denied = DRAY__VERDICT__VERDICT_NONE;
	*f->queue_why = '\0';
	if (job->hint)
		f->hint = *job->hint;
	if (!f->crate || !f->kind)
		return -ENOMEM;
	f->waiting = true;
	f->heard_ms = clock_mono_ms();
	f->asked_ms = f->seat && f->state == FARM_WELCOMED ? f->heard_ms : 0;
	/* Both messages wait in the socket until it is connected. -EAGAIN: it was refused or lost
	 * while the unit was packed; the monitor tells (farm_connection_events). */
	r = f->greeted ? 0 : farm_hello(f);
	if (r == 0)
		r = farm_ask(f);
	return r == -EAGAIN ? 0 : r;
}

static struct farm_failed *
note_failed(struct farm *f, const char *worker, Dray__Verdict verdict)
{
	struct farm_failed *e;

	if (f->n_failed == FARM_FAILED_MAX)
		memmove(f->failed, f->failed + 1, --f->n_failed * sizeof(f->failed[0]));
	e = &f->failed[f->n_failed++];
	snprintf(e->worker, sizeof(e->worker), "%s", worker);
	e->verdict = verdict;
	return e;
}

void
farm_exclude(struct farm *f, const char *worker)
{
	(void)note_failed(f, worker, DRAY__VERDICT__VERDICT_FULL);
}

bool
farm_wants_toolchain(const struct farm *f)
{
	return f->give;
}

void
farm_progress(struct farm *f, uint64_t done, uint64_t of)
{
	Dray__PushProgress m = DRAY__PUSH_PROGRESS__INIT;

	if (!f->knows_progress || f->state != FARM_WELCOMED)
		return;
	m.job = f->id;
	m.done = done;
	m.of = of;
	say(f, WIRE_PUSH_PROGRESS, &m.base);
}

bool
farm_knows_pushes(const struct farm *f)
{
	return f->knows_pushes;
}

uint32_t
farm_having(const struct farm *f)
{
	return f->having;
}

int
farm_retry(struct farm *f, const char *worker, Dray__Verdict verdict, const char *text)
{
	struct farm_failed *e = note_failed(f, worker, verdict);
	Dray__JobRetry m;
	char words[512];

	dray__job_retry__init(&m);
	f->waiting = true;
	f->heard_ms = clock_mono_ms();
	f->has_hint = f->has_hint && verdict != DRAY__VERDICT__VERDICT_TWIN_DIFFERS;
	/* There is no connection. On the next one the request is sent again. */
	if (f->lost)
		return 0;
	f->retried = true;
	snprintf(words, sizeof(words), "%s", text);
	m.job = f->id;
	m.worker = e->worker;
	m.verdict = verdict;
	m.text = words;
	return say(f, WIRE_JOB_RETRY, &m.base);
}

void
farm_finished(struct farm *f, int status)
{
	Dray__JobFinished m;

	dray__job_finished__init(&m);
	f->waiting = false;
	if (f->state != FARM_WELCOMED)
		return;
	m.job = f->id;
	m.status = status;
	/* the worker reports the same, so this message may be lost */
	say(f, WIRE_JOB_FINISHED, &m.base);
}

void
farm_cancel(struct farm *f)
{
	Dray__JobCancel m;

	dray__job_cancel__init(&m);
	f->waiting = false;
	if (!f->id[0] || f->state != FARM_WELCOMED)
		return;
	m.job = f->id;
	say(f, WIRE_JOB_CANCEL, &m.base);
}

size_t
farm_items(const struct farm *f, zmq_pollitem_t *items)
{
	if (f->seat) {
		items[0] = (zmq_pollitem_t){ NULL, f->line->fd(f->seat), ZMQ_POLLIN, 0 };
		return 1;
	}
	items[0] = (zmq_pollitem_t){ f->socket, -1, ZMQ_POLLIN, 0 };
	items[1] = (zmq_pollitem_t){ monitor_socket(f->monitor), -1, ZMQ_POLLIN, 0 };
	return 2;
}

void
farm_take_event(struct farm *f, enum monitor_event event, uint64_t now)
{
	switch (event) {
	case MONITOR_NONE:
	case MONITOR_PEER_GONE:
		break;
	case MONITOR_CONNECTED:
		/* After a loss the coordinator knows nothing of this client, or it is another
		 * process. */
		if (f->lost && (farm_hello(f) < 0 || (f->waiting && farm_ask_anew(f, now) < 0) ||
				       (f->asks_status && farm_ask_look(f) < 0)))
			break;
		f->lost = false;
		f->state = FARM_CONNECTED;
		f->heard_ms = now;
		break;
	case MONITOR_REFUSED:
	case MONITOR_PUT_OFF:
		f->rejected = true;
		break;
	case MONITOR_DISCONNECTED:
		f->state = FARM_AWAY;
		f->lost = true;
		f->asked_ms = 0;
		f->away_ms = now;
		break;
	}
}

void
farm_connection_events(struct farm *f, uint64_t now)
{
	for (;;) {
		enum monitor_event event = f->seat ? f->line->event(f->seat)
						   : monitor_next(f->monitor, NULL);

		if (event == MONITOR_NONE || event == MONITOR_PEER_GONE)
			return;
		farm_take_event(f, event, now);
	}
}

void
farm_heard(struct farm *f, enum wire_type type)
{
	if (f->lost || type == WIRE_REFUSED)
		return;
	f->asked_ms = 0;
	f->state = FARM_WELCOMED;
	f->welcomed = true;
}

void
farm_mind(struct farm *f)
{
	farm_connection_events(f, clock_mono_ms());
	for (;;) {
		struct wire_msg m = WIRE_MSG_INIT;
		int r = farm_receive(f, &m);

		if (r == 0)
			farm_heard(f, m.info->type);
		wire_msg_done(&m);
		if (r == -EAGAIN)
			return;
	}
}
