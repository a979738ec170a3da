/* Which peer may say what, and when: one table of (which listening side, message, roles, states).
 *
 * It is asked about a message's header, before anything of its body is decoded. Behind it stands
 * what ZAP let in: keys that have a role, and, at a coordinator that has tokens, keys that have
 * none, which may send one Join and are DROPPED then. Both listening programs use it, with the
 * states below:
 *
 *   coordinator   NEW ──Hello──▶ GREETED ──WorkerRegister──▶ REGISTERED
 *   worker        NEW ──Hello──▶ GREETED     and each job of the connection, beside the others:
 *                                OPENING ──BlobNeed──▶ FEEDING ──JobStarted──▶ RUNNING
 *                                (a job that is not there, or has ended, is GREETED)
 *   either        DROPPED: it was refused; nothing of it is heard */
#ifndef DRAY_PROTO_ADMIT_H
#define DRAY_PROTO_ADMIT_H

#include "keys/identity.h"
#include "proto/wire.h"

enum admit_at { ADMIT_COORDINATOR, ADMIT_WORKER, ADMIT_SIDES };

/* A bit set, for the table. */
enum admit_state {
	ADMIT_NEW = 1,
	ADMIT_GREETED = 2,
	ADMIT_REGISTERED = 4,
	ADMIT_OPENING = 8,
	ADMIT_FEEDING = 16,
	ADMIT_RUNNING = 32,
	ADMIT_DROPPED = 64,
};
#define ADMIT_STATES 7

enum admit {
	ADMIT_YES,
	ADMIT_UNHEARD, /* not decoded; nobody is to blame: it was on its way when the job ended, or
			  its peer was dropped before */
	/* Not decoded, and its peer is dropped: */
	ADMIT_NOT_HERE,	   /* no message for this side */
	ADMIT_NOT_OF_ROLE, /* another role may send it */
	ADMIT_NOT_NOW,	   /* not in this state */
};

/* role: what the peer's proved key is listed as. ROLE_LOCAL, over ipc before Hello: any. */
enum admit admit_look(
	enum admit_at at, enum admit_state state, enum role role, enum wire_type type);

/* The largest frame that this side takes of anybody, in bytes; for ZMQ_MAXMSGSIZE. */
size_t admit_frame_max(enum admit_at at);

#endif
