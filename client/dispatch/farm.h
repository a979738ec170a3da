/* The conversation with the coordinator (proto/client.proto), from this client's side: one job.
 *
 *        farm_open ─▶ connecting (in libzmq's threads; the unit is packed meanwhile)
 *          hub_sit ─▶ or a place on a connection that many jobs share (hub.h)
 *     farm_request ─▶ Hello, JobRequest
 *        farm_wait ─▶ placed, or a reason to compile here
 *       farm_retry ─▶ that worker failed; farm_wait again
 *                     (a coordinator that was restarted since is asked anew)
 *        farm_mind ─▶ while a worker has the job: nothing that happens here disturbs it
 *   farm_finished, farm_cancel ─▶ the end */
#ifndef DRAY_CLIENT_DISPATCH_FARM_H
#define DRAY_CLIENT_DISPATCH_FARM_H

#include "client/dispatch/tether.h"
#include "common/conf/conf.h"
#include "common/digest.h"
#include "keys/identity.h"
#include "proto/client.pb-c.h"
#include "proto/serve.pb-c.h"

#define JOB_ID_SIZE 33 /* 32 hex digits and a NUL */
#define FARM_RECONNECT_MS \
	2000		    /* how long a coordinator may be away while a job waits in its queue */
#define FARM_SILENT_MS 5000 /* it says JobQueued every second */
#define FARM_HEARTBEAT_MS 1000
#define FARM_ITEMS 2

struct farm;

/* What is needed to reach the coordinator; *ret_why is a full sentence on failure (caller frees).
 */
int farm_open(void *zctx, const struct conf *conf, struct farm **ret, char **ret_why);
/* flush_ms: how long what was said last may take to leave. */
/* The same of the i-th coordinator of the configuration (common/conf/coordinators.h). */
int farm_open_at(void *zctx, const struct conf *conf, size_t i, struct farm **ret, char **ret_why);
bool farm_has_several(const struct conf *conf); /* coordinators */
/* The first of several that answers, greeted already, within connect_ms for all of them. Those that
 * did not lately are asked after the others (farm_state.h). -EHOSTUNREACH: none; -ECANCELED: the
 * tether. */
int farm_open_first(
	void *zctx, const struct conf *conf, struct tether *t, struct farm **ret, char **ret_why);
void farm_close(struct farm *f, int flush_ms);
void farm_closep(struct farm **f); /* with 0 */

const struct identity *farm_identity(const struct farm *f); /* NULL: none (ipc) */
/* The endpoint of the coordinator that the job was asked for at; NULL: there is one alone. */
const char *farm_at(const struct farm *f);
bool farm_welcomed(const struct farm *f); /* it has answered */
bool farm_wrong(const struct farm *f);	  /* farm_wait failed since it could not be reached */

struct farm_job {
	char id[JOB_ID_SIZE]; /* filled by farm_request */
	const uint8_t *toolchain;
	const char *crate;
	const char *kind;
	uint32_t glibc;
	uint64_t source_bytes;
	const struct digest *hint;	     /* proto/unit_digest.h; NULL: none */
	const struct digest *sought, *alike; /* client.proto, Alike units; NULL: none, or both */
	bool refill; /* for the shared cache alone: it is placed at once, or denied */
	bool push;   /* a toolchain is to be given: likewise */
};

/* Says Hello and waits for the answer, for a farm of which nothing is known yet: everybody else
 * waits to hear whether it is there. 0; -errno with a sentence in *ret_why. */
int farm_greet(struct farm *f, struct tether *t, char **ret_why);

/* Also for another one, once that before has ended. */
int farm_request(struct farm *f, struct farm_job *job);
/* The next request is not for that worker. */
void farm_exclude(struct farm *f, const char *worker);
/* After farm_greet: whether the coordinator knows what a push is. */
bool farm_knows_pushes(const struct farm *f);
/* How far a push is; where the coordinator does not take that, nothing. */
void farm_progress(struct farm *f, uint64_t done, uint64_t of);
/* Of a job that was denied: the coordinator asks for its toolchain. */
bool farm_wants_toolchain(const struct farm *f);
/* Of a push that was denied: how many workers have the toolchain. */
uint32_t farm_having(const struct farm *f);

struct placement {
	char *worker, *endpoint, *curve;
	struct buf *ticket, *signature;
};
void placement_done(struct placement *p);

/* The quota for which the request waited, as the coordinator has said it; "": for none. */
const char *farm_queue_why(const struct farm *f);
/* Why the coordinator has denied it last; VERDICT_NONE: it has not. */
Dray__Verdict farm_denied(const struct farm *f);

enum farm_answer {
	FARM_PLACED,
	FARM_HOME, /* *ret_why says why */
	FARM_CUT,  /* the tether */
};

/* Whether this machine could do it at once (asked while the job waits in the queue). */
typedef bool (*farm_local_free_fn)(void *arg);

enum farm_answer farm_wait(struct farm *f, struct tether *t, farm_local_free_fn local_free,
	void *arg, struct placement *ret, char **ret_why);

/* 0, and then farm_wait again (after TWIN_DIFFERS without the hint); also where the coordinator is
 * away: the job is asked for anew when it is back. -errno: it cannot be asked. */
int farm_retry(struct farm *f, const char *worker, Dray__Verdict verdict, const char *text);
void farm_finished(struct farm *f, int status);
void farm_cancel(struct farm *f);

/* For a poll loop elsewhere: fills items (at most FARM_ITEMS); farm_mind takes what has come. */
size_t farm_items(const struct farm *f, zmq_pollitem_t *items);
void farm_mind(struct farm *f);

/* For farm_status.c: sends one request after Hello and gives its answer. 0; -ETIMEDOUT;
 * -ECONNREFUSED with *ret_why. The caller frees the message (wire_msg_done). */
struct wire_msg;
int farm_ask_status(struct farm *f, const uint8_t *toolchain, uint64_t wait_ms,
	struct wire_msg *ret, char **ret_why);
/* The same for farm_purge.c: it sends this. */
int farm_ask_purge(struct farm *f, const Dray__CachePurge *m, uint64_t wait_ms,
	struct wire_msg *ret, char **ret_why);

#endif
