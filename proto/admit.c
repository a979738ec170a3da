/* The table of who may say what. Invariant: what is not in it is not allowed. */
#include "config.h"

#include "proto/admit.h"

#define R(role) (1u << (role))
#define CLIENTS (R(ROLE_CLIENT) | R(ROLE_PUBLISHER))
#define ASKERS (CLIENTS | R(ROLE_READER) | R(ROLE_ADMIN))
#define WORKERS R(ROLE_WORKER)
#define READERS (CLIENTS | R(ROLE_READER) | WORKERS)
#define WRITERS (R(ROLE_PUBLISHER) | WORKERS)
#define EVERYBODY (ASKERS | WORKERS)
#define GUESTS R(ROLE_NONE) /* of keys that are in no list, where ZAP has let them in */

#define NEW ADMIT_NEW
#define GREETED ADMIT_GREETED
#define REGISTERED ADMIT_REGISTERED
#define OPENING ADMIT_OPENING
#define FEEDING ADMIT_FEEDING
#define RUNNING ADMIT_RUNNING
#define JOB (OPENING | FEEDING | RUNNING)

struct admit_row {
	enum wire_type type;
	unsigned roles;
	unsigned states;
	unsigned unheard; /* states in which it comes too late, without fault */
};

/* Some messages may come before Hello: those that were meant for a coordinator which was restarted
 * meanwhile, or that follow a lost Hello. A request then stands for a Hello, a heartbeat is
 * answered by "register again", and an end needs no answer. What is said of the shared cache is
 * then left unheard: who said it asks anew when the connection is. */
static const struct admit_row at_coordinator[] = {
	{ WIRE_HELLO, EVERYBODY, NEW | GREETED | REGISTERED, 0 },
	{ WIRE_JOIN, GUESTS | EVERYBODY, NEW, 0 },
	{ WIRE_ROTATE, EVERYBODY, GREETED, NEW },
	{ WIRE_JOB_REQUEST, CLIENTS, NEW | GREETED, 0 },
	{ WIRE_JOB_RETRY, CLIENTS, NEW | GREETED, 0 },
	{ WIRE_JOB_FINISHED, CLIENTS, NEW | GREETED, 0 },
	{ WIRE_JOB_CANCEL, CLIENTS, NEW | GREETED, 0 },
	{ WIRE_PUSH_PROGRESS, CLIENTS, GREETED, NEW },
	{ WIRE_STATUS_REQUEST, ASKERS, NEW | GREETED, 0 },
	{ WIRE_PRODUCERS_ASK, READERS, GREETED | REGISTERED, NEW },
	{ WIRE_CACHE_PURGE, R(ROLE_ADMIN), GREETED, NEW },
	{ WIRE_WORKER_REGISTER, WORKERS, NEW | GREETED | REGISTERED, 0 },
	{ WIRE_WORKER_HEARTBEAT, WORKERS, NEW | GREETED | REGISTERED, 0 },
	{ WIRE_WORKER_JOB_STARTED, WORKERS, NEW | GREETED | REGISTERED, 0 },
	{ WIRE_WORKER_JOB_ENDED, WORKERS, NEW | GREETED | REGISTERED, 0 },
	{ WIRE_WORKER_JOB_REFUSED, WORKERS, NEW | GREETED | REGISTERED, 0 },
	{ WIRE_WORKER_BYE, WORKERS, NEW | GREETED | REGISTERED, 0 },
	{ WIRE_WORKER_LENT, WORKERS, REGISTERED, NEW | GREETED },
	{ WIRE_WORKER_HOLDS, WORKERS, REGISTERED, NEW | GREETED },
	{ WIRE_WORKER_SEEK, WORKERS, REGISTERED, NEW | GREETED },
	{ WIRE_SHARED_GET, READERS, GREETED | REGISTERED, NEW },
	{ WIRE_SHARED_CREDIT, READERS, GREETED | REGISTERED, NEW },
	{ WIRE_SHARED_STOP, READERS, GREETED | REGISTERED, NEW },
	{ WIRE_SHARED_PUT, WRITERS, GREETED | REGISTERED, NEW },
	{ WIRE_SHARED_DATA, WRITERS, GREETED | REGISTERED, NEW },
	{ WIRE_ADMIN_LOOK, R(ROLE_ADMIN), GREETED, NEW },
	{ WIRE_ADMIN_ACT, R(ROLE_ADMIN), GREETED, NEW },
	{ WIRE_ADMIN_FOLLOW, R(ROLE_ADMIN), GREETED, NEW },
};

/* What a client says of a job may still be on its way when the job has ended. */
static const struct admit_row at_worker[] = {
	{ WIRE_HELLO, CLIENTS, NEW | GREETED, 0 },
	{ WIRE_JOB_OPEN, CLIENTS, GREETED, 0 },
	{ WIRE_JOB_UNIT, CLIENTS, OPENING, GREETED },
	{ WIRE_BLOB_CHUNK, CLIENTS, FEEDING | RUNNING, GREETED },
	{ WIRE_FILE_ANSWER, CLIENTS, RUNNING, GREETED },
	{ WIRE_CREDIT, CLIENTS, JOB, GREETED },
	{ WIRE_JOB_STOP, CLIENTS, JOB, GREETED },
	{ WIRE_SHARED_GET, CLIENTS, GREETED, 0 },
	{ WIRE_SHARED_CREDIT, CLIENTS, GREETED, 0 },
	{ WIRE_SHARED_STOP, CLIENTS, GREETED, 0 },
};

static const struct {
	const struct admit_row *rows;
	size_t n;
} tables[ADMIT_SIDES] = {
	[ADMIT_COORDINATOR] = { at_coordinator, ARRAY_LEN(at_coordinator) },
	[ADMIT_WORKER] = { at_worker, ARRAY_LEN(at_worker) },
};

static const struct admit_row *
find_row(enum admit_at at, enum wire_type type)
{
	for (size_t i = 0; i < tables[at].n; i++)
		if (tables[at].rows[i].type == type)
			return &tables[at].rows[i];
	return NULL;
}

static bool
role_may(const struct admit_row *row, enum admit_state state, enum role role)
{
	return role == ROLE_LOCAL ? state == NEW : row->roles & R(role);
}

enum admit
admit_look(enum admit_at at, enum admit_state state, enum role role, enum wire_type type)
{
	const struct admit_row *row = find_row(at, type);

	if (state == ADMIT_DROPPED)
		return ADMIT_UNHEARD;
	if (!row)
		return ADMIT_NOT_HERE;
	if (!role_may(row, state, role))
		return ADMIT_NOT_OF_ROLE;
	if (row->unheard & state)
		return ADMIT_UNHEARD;
	return row->states & state ? ADMIT_YES : ADMIT_NOT_NOW;
}

size_t
admit_frame_max(enum admit_at at)
{
	size_t max = 0;

	for (size_t i = 0; i < tables[at].n; i++) {
		const struct wire_info *info = wire_info(tables[at].rows[i].type);

		max = MAX2(max, MAX2(WIRE_HEADER_MAX + info->body_max, info->payload_max));
	}
	return max;
}
