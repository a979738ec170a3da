#include "config.h"

#include "tests/authorisation/bodies.h"

#include <stdlib.h>

static char job[] = "fedcba9876543210fedcba9876543210", crate[] = "asks", kind[] = "lib",
	    worker[] = "w1", text[] = "it says so", endpoint[] = "tcp://127.0.0.1:1", z[] = "",
	    nobody[] = "nobody";

static uint8_t instance[16] = { 1 }; /* the same process each time: it takes its place over */

enum wire_type
body_answer(enum wire_type type)
{
	static const enum wire_type answers[][2] = {
		{ WIRE_HELLO, WIRE_WELCOME },
		{ WIRE_JOIN, WIRE_JOINED },
		{ WIRE_JOB_REQUEST, WIRE_JOB_DENIED },
		{ WIRE_JOB_RETRY, WIRE_JOB_DENIED },
		{ WIRE_STATUS_REQUEST, WIRE_STATUS },
		{ WIRE_PRODUCERS_ASK, WIRE_PRODUCERS },
		{ WIRE_CACHE_PURGE, WIRE_CACHE_PURGED },
		{ WIRE_WORKER_HEARTBEAT, WIRE_HEARTBEAT_ACK },
		{ WIRE_WORKER_SEEK, WIRE_WORKER_FOUND },
		{ WIRE_JOB_OPEN, WIRE_JOB_REJECTED },
		{ WIRE_SHARED_GET, WIRE_SHARED_END },
		{ WIRE_SHARED_PUT, WIRE_SHARED_CREDIT },
		{ WIRE_ADMIN_LOOK, WIRE_ADMIN_VIEW },
		{ WIRE_ADMIN_ACT, WIRE_ADMIN_DONE },
		{ WIRE_ADMIN_FOLLOW, WIRE_ADMIN_EVENTS },
	};

	for (size_t i = 0; i < ARRAY_LEN(answers); i++)
		if (answers[i][0] == type)
			return answers[i][1];
	return 0;
}

static void
fill_jobs(const struct bodies *b, enum wire_type type, ProtobufCMessage *body)
{
	ProtobufCBinaryData tc = { DIGEST_SIZE, (uint8_t *)b->toolchain.b };

	switch (type) {
	case WIRE_JOB_REQUEST: {
		Dray__JobRequest *m = (Dray__JobRequest *)body;

		m->job = job;
		m->toolchain = tc;
		m->crate = crate;
		m->kind = kind;
		break;
	}
	case WIRE_JOB_RETRY: {
		Dray__JobRetry *m = (Dray__JobRetry *)body;

		m->job = job;
		m->worker = worker;
		m->verdict = DRAY__VERDICT__VERDICT_WORKER_FAULT;
		m->text = text;
		break;
	}
	case WIRE_JOB_FINISHED:
		((Dray__JobFinished *)body)->job = job;
		break;
	case WIRE_JOB_CANCEL:
		((Dray__JobCancel *)body)->job = job;
		break;
	case WIRE_JOB_OPEN: {
		Dray__JobOpen *m = (Dray__JobOpen *)body;

		m->ticket = (ProtobufCBinaryData){ DIGEST_SIZE, (uint8_t *)b->blob.b };
		m->signature = m->ticket;
		m->credit = 1;
		m->unit_size = 1000;
		m->toolchain = tc;
		break;
	}
	default:
		break;
	}
}

static void
fill_workers(const struct bodies *b, enum wire_type type, ProtobufCMessage *body)
{
	switch (type) {
	case WIRE_WORKER_REGISTER: {
		Dray__WorkerRegister *m = (Dray__WorkerRegister *)body;

		m->name = b->name;
		m->endpoint = endpoint;
		m->curve_public = b->curve;
		m->instance = (ProtobufCBinaryData){ sizeof(instance), instance };
		m->slots = 1;
		m->cores = 1;
		break;
	}
	case WIRE_WORKER_HEARTBEAT:
		((Dray__WorkerHeartbeat *)body)->sequence = 1;
		break;
	case WIRE_WORKER_JOB_STARTED:
		((Dray__WorkerJobStarted *)body)->job = job;
		break;
	case WIRE_WORKER_JOB_ENDED:
		((Dray__WorkerJobEnded *)body)->job = job;
		break;
	case WIRE_WORKER_JOB_REFUSED:
		((Dray__WorkerJobRefused *)body)->job = job;
		break;
	default:
		break;
	}
}

/* Of the blob's name: at least n is set, list has room for one. */
static void
fill_cache(const struct bodies *b, enum wire_type type, ProtobufCMessage *body,
	ProtobufCBinaryData *list)
{
	*list = (ProtobufCBinaryData){ DIGEST_SIZE, (uint8_t *)b->blob.b };
	switch (type) {
	case WIRE_SHARED_GET: {
		Dray__SharedGet *m = (Dray__SharedGet *)body;

		m->name = list;
		m->n_name = 1;
		m->credit = 1;
		break;
	}
	case WIRE_SHARED_PUT: {
		Dray__SharedPut *m = (Dray__SharedPut *)body;

		m->name = *list;
		m->size = 5;
		m->namespace_ = b->space;
		break;
	}
	case WIRE_CACHE_PURGE: {
		Dray__CachePurge *m = (Dray__CachePurge *)body;

		m->in_namespace = true;
		m->namespace_ = nobody;
		break;
	}
	default:
		break;
	}
}

static void
fill_admins(enum wire_type type, ProtobufCMessage *body)
{
	switch (type) {
	case WIRE_ADMIN_LOOK: {
		Dray__AdminLook *m = (Dray__AdminLook *)body;

		m->workers = m->jobs = m->clients = m->caches = m->keys = m->tokens = true;
		break;
	}
	case WIRE_ADMIN_ACT: {
		Dray__AdminAct *m = (Dray__AdminAct *)body;

		/* of one that is not there: what an admin's does is nothing, and is written down */
		m->what = DRAY__ADMIN_WHAT__ADMIN_DRAIN;
		m->worker = nobody;
		break;
	}
	default:
		break;
	}
}

void
body_make(const struct bodies *b, const struct wire_info *info,
	void (*send)(void *arg, const ProtobufCMessage *body), void *arg)
{
	ProtobufCMessage *body = calloc(1, info->desc->sizeof_message);
	ProtobufCBinaryData list;

	if (!body)
		abort();
	protobuf_c_message_init(info->desc, body);
	if (info->type == WIRE_HELLO)
		wire_hello((Dray__Hello *)body, b->role);
	if (info->type == WIRE_JOIN)
		((Dray__Join *)body)->software = z;
	fill_jobs(b, info->type, body);
	fill_workers(b, info->type, body);
	fill_cache(b, info->type, body, &list);
	fill_admins(info->type, body);
	send(arg, body);
	free(body);
}
