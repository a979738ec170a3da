/* A worker's messages, one at a time. Each type has a row: the states in which it may come, and
 * what it does. Invariant: after any message, good or bad, either the conversation goes on in a
 * known state or it has ended with a reason. */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "client/dispatch/bundle.h"
#include "client/dispatch/farm_record.h"
#include "client/dispatch/remote_priv.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/log/log.h"

#define V(name) DRAY__VERDICT__VERDICT_##name
#define RUSTC_FAILED 1 /* its exit status after errors; a crash has another */

void
remote_end(struct remote *r, enum remote_end end, Dray__Verdict verdict, const char *fmt, ...)
{
	va_list ap;

	if (r->state == REMOTE_ENDED)
		return;
	r->state = REMOTE_ENDED;
	r->result->end = end;
	r->result->verdict = verdict;
	va_start(ap, fmt);
	vsnprintf(r->result->text, sizeof(r->result->text), fmt, ap);
	va_end(ap);
}

int
remote_answer(struct remote *r)
{
	const struct files_answer *a = &r->answer;
	Dray__FileAnswer m;
	Dray__Blob blob;
	int e = 0;

	dray__file_answer__init(&m);
	m.id = a->id;
	m.kind = a->kind;
	m.text = (char *)a->text;
	if (a->kind == DRAY__FILE_KIND__FILE_REGULAR) {
		dray__blob__init(&blob);
		blob.digest.data = (uint8_t *)a->digest.b;
		blob.digest.len = DIGEST_SIZE;
		blob.size = a->size;
		m.blob = &blob;
	}
	if (a->kind == DRAY__FILE_KIND__FILE_REGULAR || a->kind == DRAY__FILE_KIND__FILE_DIRECTORY)
		m.times = (Dray__FileTimes *)&a->times;
	e = wire_send(r->socket, NULL, WIRE_FILE_ANSWER, &m.base, NULL, 0);
	r->answering = e == -EAGAIN;
	return e;
}

static void
broke_protocol(struct remote *r, const char *what)
{
	remote_end(r, REMOTE_AGAIN, V(MALFORMED), "it broke the protocol: %s", what);
}

/* The worker's verdict on the job: may another worker do better? */
static void
judge(struct remote *r, Dray__Verdict verdict, const char *text)
{
	enum remote_end end = REMOTE_AGAIN;

	switch (verdict) {
	case V(BAD_UNIT):
	case V(LIMIT):
	case V(INPUT_CHANGED):
	case V(TOO_LARGE):
	case V(NOT_ALLOWED):
	case V(WITHHELD):
		end = REMOTE_HOME;
		break;
	default:
		break;
	}
	remote_end(r, end, verdict, "%.240s", text && *text ? text : "no reason given");
}

static void
on_welcome(struct remote *r, struct wire_msg *m)
{
	const Dray__Welcome *b = (const Dray__Welcome *)m->body;

	for (size_t i = 0; i < b->n_features; i++)
		r->in_turn |= streq(b->features[i], WIRE_IN_TURN);
}

static void
on_refused(struct remote *r, struct wire_msg *m)
{
	const Dray__Refused *b = (const Dray__Refused *)m->body;

	judge(r, b->verdict, b->text);
}

static void
on_accepted(struct remote *r, struct wire_msg *m)
{
	const Dray__JobAccepted *b = (const Dray__JobAccepted *)m->body;

	if (upload_credit(r->upload, b->credit) < 0)
		broke_protocol(r, "too much credit");
	else
		r->state = REMOTE_FEEDING;
}

static void
on_rejected(struct remote *r, struct wire_msg *m)
{
	const Dray__JobRejected *b = (const Dray__JobRejected *)m->body;

	judge(r, b->verdict, b->text);
}

static void
on_need(struct remote *r, struct wire_msg *m)
{
	int e = upload_need(r->upload, (const Dray__BlobNeed *)m->body);

	if (e == -ENOMEM)
		remote_end(r, REMOTE_HOME, V(NONE), "out of memory");
	else if (e < 0)
		broke_protocol(r, "it asks for blobs that are not in the unit, or were sent");
	else if (r->state == REMOTE_FEEDING)
		r->fed_us = clock_mono_us();
}

static void
on_file_need(struct remote *r, struct wire_msg *m)
{
	const Dray__FileNeed *b = (const Dray__FileNeed *)m->body;
	_cleanup_(freep) char *path = NULL;
	int e;

	if (r->in->push_bytes || r->answering || !path_is_normal(b->path)) {
		broke_protocol(r, "a file that cannot be asked for");
		return;
	}
	path = unit_own_path(unit_out_dir(r->in->unit), b->path);
	e = path ? files_answer(unit_on_demand(r->in->unit), b->id, path, &r->answer) : -ENOMEM;
	log_debug("asked for %s: kind %d", b->path, (int)r->answer.kind);
	if (e == 0 && r->answer.kind == DRAY__FILE_KIND__FILE_REGULAR)
		e = upload_offer(r->upload, path, r->answer.size);
	if (e == 0)
		e = remote_answer(r);
	if (e < 0 && e != -EAGAIN)
		remote_end(r, REMOTE_HOME, V(NONE), "a file on demand: %s", strerror(-e));
}

static void
on_credit(struct remote *r, struct wire_msg *m)
{
	if (upload_credit(r->upload, ((const Dray__Credit *)m->body)->n) < 0)
		broke_protocol(r, "too much credit");
}

static void
on_started(struct remote *r, struct wire_msg *m)
{
	uint64_t now = clock_mono_us();

	if (r->fed_us)
		r->in->rep->upload_us += now - r->fed_us;
	r->in->rep->compile_start_us = now;
	r->started_ms = now / 1000;
	r->state = REMOTE_RUNNING;
	if (r->in->on_started)
		r->in->on_started(r->in->arg);
	/* many wait at a time for compilers */
	upload_rest(r->upload);
	chunk_coder_rest(r->coder);
}

/* A worker that does not know refills sends what it makes. */
static bool
is_unwanted(struct remote *r)
{
	if (r->in->refill)
		remote_end(r, REMOTE_HOME, V(VERSION),
			"the worker is of a version that knows no refills");
	return r->in->refill;
}

/* The content of a message was used, so its credit goes back. False: there was no content. */
static bool
take_credit(struct remote *r, struct wire_msg *m)
{
	if (r->granted == 0) {
		broke_protocol(r, "content without credit");
		return false;
	}
	r->granted--;
	r->owed++;
	r->in->rep->bytes_received += zmq_msg_size(&m->payload);
	return true;
}

static void
relay_failed(struct remote *r, int e)
{
	const char *why = "";
	enum relay_fault fault;

	if (tether_cut(r->in->tether)) {
		remote_end(r, REMOTE_CUT, V(CANCELLED), "nobody waits for it any more");
		return;
	}
	if (e != -ENOTSUP) {
		remote_end(r, REMOTE_HOME, V(NONE), "cannot pass on its text: %s", strerror(-e));
		return;
	}
	fault = relay_fault(r->relay, &why);
	r->result->lied = fault == RELAY_LIED;
	if (fault == RELAY_WORKER || fault == RELAY_LIED)
		remote_end(r, REMOTE_AGAIN, V(WORKER_FAULT), "%s", why);
	else
		remote_end(
			r, REMOTE_HOME, fault == RELAY_WITHHELD ? V(WITHHELD) : V(NONE), "%s", why);
}

static void
output_failed(struct remote *r, int e)
{
	if (e == -EBADMSG)
		remote_end(
			r, REMOTE_AGAIN, V(WORKER_FAULT), "an output is not what its digest says");
	else if (e == -ESTALE)
		remote_end(r, REMOTE_HOME, V(NONE), "an output was changed here meanwhile");
	else if (e == -EINVAL)
		remote_end(
			r, REMOTE_HOME, V(NONE), "an output with a name that is not this unit's");
	else
		remote_end(r, REMOTE_HOME, V(NONE), "an output: %s", strerror(-e));
}

static void
on_text(struct remote *r, struct wire_msg *m)
{
	const Dray__JobText *b = (const Dray__JobText *)m->body;
	int e;

	if (is_unwanted(r) || !take_credit(r, m))
		return;
	e = relay_text(r->relay, b->out, zmq_msg_data(&m->payload), zmq_msg_size(&m->payload));
	if (e < 0)
		relay_failed(r, e);
}

static void
on_output_begin(struct remote *r, struct wire_msg *m)
{
	const Dray__OutputBegin *b = (const Dray__OutputBegin *)m->body;
	int e;

	if (is_unwanted(r))
		return;
	e = outputs_begin(r->outputs, b);
	if (e < 0)
		output_failed(r, e);
	r->output_us = b->same ? 0 : clock_mono_us();
}

static void
on_output_chunk(struct remote *r, struct wire_msg *m)
{
	const Dray__OutputChunk *b = (const Dray__OutputChunk *)m->body;
	size_t n = b->from ? 0 : b->size;
	const uint8_t *p = NULL;
	int e;

	if (is_unwanted(r) || !take_credit(r, m))
		return;
	e = chunk_decode(r->coder, &m->payload, b->zstd, n, &p);
	if (e == 0)
		e = outputs_chunk(r->outputs, b, p, n);
	if (e < 0) {
		output_failed(r, e);
		return;
	}
	if (b->last && r->output_us) {
		r->in->rep->download_us += clock_mono_us() - r->output_us;
		r->output_us = 0;
	}
}

/* Of several crate types rustc drops those that the target does not have (a cdylib on a static
 * target). */
static bool
nothing_to_link(struct remote *r, const Dray__JobResult *b)
{
	const struct rustc_call *c = unit_call(r->in->unit);

	return b->n_link == 0 && !c->test && c->crate_types.n > 1 &&
	       !strv_has(&c->crate_types, "bin") && outputs_none_linked(r->outputs);
}

static void
link_or_done(struct remote *r, const Dray__JobResult *b)
{
	bool links = unit_call(r->in->unit)->calls_linker && !nothing_to_link(r, b);
	char *home = NULL;
	int e = relay_finish(r->relay, links);

	if (e < 0) {
		relay_failed(r, e);
		return;
	}
	if (links) {
		e = bundle_make(
			r->in->unit, r->outputs, b, relay_tail(r->relay), r->in->rep, &home);
		if (e < 0)
			remote_end(r, REMOTE_HOME, V(NONE), "%s", home ? home : strerror(-e));
		else
			r->in->rep->outcome = LEDGER_LINK;
		free(home);
	} else {
		e = relay_say_tail(r->relay);
		if (e < 0)
			relay_failed(r, e);
		else
			r->in->rep->outcome = LEDGER_DONE;
	}
	if (e < 0)
		return;
	/* for the cache; the unit itself does not need it */
	if (r->in->keep && farm_record_write(r->in->unit, r->outputs, b, r->in->say) < 0)
		log_debug("what the worker saw is not kept");
	remote_end(r, REMOTE_DONE, V(NONE), "done");
}

static void
note_trace(struct ledger *rep, const Dray__Trace *t)
{
	rep->traced = t != NULL;
	if (!t)
		return;
	rep->trace = (struct joblog_trace){ .whole = t->whole,
		.calls = t->calls,
		.files = (uint32_t)t->n_files,
		.absent = (uint32_t)t->n_absent,
		.dirs = (uint32_t)t->n_dirs,
		.vars = (uint32_t)(t->n_env + t->n_rustc_env),
		.fetched = t->fetched,
		.wait_us = t->wait_us };
}

/* A failure by the crate's own fault is final if the compiler saw all that it asked for. For any
 * other failure the unit is compiled here. */
static void
on_failure(struct remote *r, const Dray__JobResult *b)
{
	int e;

	if (!b->trace || !b->trace->whole || b->status != RUSTC_FAILED ||
		!relay_failure_is_final(r->relay)) {
		remote_end(r, REMOTE_HOME, V(NONE),
			"the compiler failed on the worker: compiled here for its own words");
		return;
	}
	e = relay_say_failure(r->relay);
	if (e < 0) {
		relay_failed(r, e);
		return;
	}
	r->in->rep->status = b->status;
	r->in->rep->outcome = LEDGER_DONE;
	remote_end(r, REMOTE_DONE, V(NONE), "the crate does not compile");
}

static void
on_result(struct remote *r, struct wire_msg *m)
{
	const Dray__JobResult *b = (const Dray__JobResult *)m->body;

	if (b->verdict != V(NONE)) {
		judge(r, b->verdict, b->text);
		return;
	}
	if (r->state != REMOTE_RUNNING) {
		broke_protocol(r, "a result of nothing");
		return;
	}
	/* no longer than it was waited for: what hits save is counted by it */
	r->in->rep->compile_us = MIN2(
		b->compile_us, clock_mono_us() - r->in->rep->compile_start_us);
	note_trace(r->in->rep, b->trace);
	r->result->ran = true;
	r->result->status = b->status;
	if (r->in->refill) {
		remote_end(r, REMOTE_DONE, V(NONE), "done");
		return;
	}
	if (b->status != 0) {
		on_failure(r, b);
		return;
	}
	if (b->outputs != outputs_count(r->outputs)) {
		remote_end(r, REMOTE_AGAIN, V(WORKER_FAULT), "an output is missing");
		return;
	}
	link_or_done(r, b);
}

struct message_row {
	enum wire_type type;
	unsigned states;
	void (*handle)(struct remote *r, struct wire_msg *m);
};

static const struct message_row rows[] = {
	{ WIRE_WELCOME, REMOTE_OPENING | REMOTE_FEEDING, on_welcome },
	{ WIRE_REFUSED, REMOTE_OPENING | REMOTE_FEEDING | REMOTE_RUNNING, on_refused },
	{ WIRE_JOB_ACCEPTED, REMOTE_OPENING, on_accepted },
	{ WIRE_JOB_REJECTED, REMOTE_OPENING | REMOTE_FEEDING, on_rejected },
	{ WIRE_BLOB_NEED, REMOTE_FEEDING | REMOTE_RUNNING, on_need },
	{ WIRE_FILE_NEED, REMOTE_RUNNING, on_file_need },
	{ WIRE_CREDIT, REMOTE_FEEDING | REMOTE_RUNNING, on_credit },
	{ WIRE_JOB_STARTED, REMOTE_FEEDING, on_started },
	{ WIRE_JOB_TEXT, REMOTE_RUNNING, on_text },
	{ WIRE_OUTPUT_BEGIN, REMOTE_RUNNING, on_output_begin },
	{ WIRE_OUTPUT_CHUNK, REMOTE_RUNNING, on_output_chunk },
	{ WIRE_JOB_RESULT, REMOTE_FEEDING | REMOTE_RUNNING, on_result },
};

void
remote_step(struct remote *r, struct wire_msg *m)
{
	r->heard_ms = clock_mono_ms();
	r->connected = true;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].type != m->info->type)
			continue;
		if (rows[i].states & r->state)
			rows[i].handle(r, m);
		else
			broke_protocol(r, m->info->name);
		return;
	}
	broke_protocol(r, m->info->name);
}
