/* What there is in the farm at one moment: workers, jobs, clients, caches, and sums. It is filled
 * in the coordinator's loop, and does not change after that: any thread may read it.
 *
 * Names of workers are of A-Z a-z 0-9 . _ - alone, as are keys' names and namespaces. Words that
 * come from crates or peers (crate, kind, a toolchain's text) have no ASCII control characters in
 * them, and may be any other bytes: who shows them sees to that. */
#ifndef DRAY_COORDINATOR_VIEW_H
#define DRAY_COORDINATOR_VIEW_H

#include "coordinator/cache/desk.h"
#include "coordinator/cache/sampler.h"
#include "coordinator/sched.h"
#include "keys/identity.h"
#include "store/store.h"

#define VIEW_WORD 65
#define VIEW_JOBS_MAX 10000    /* that are listed; those that run first */
#define VIEW_CLIENTS_MAX 10000 /* keys, of those that are connected */
#define VIEW_CACHES_MAX 256    /* namespaces */

struct view_offer {
	struct digest toolchain;
	char text[128];
};

struct view_worker {
	char name[SCHED_NAME_SIZE];
	char curve[CURVE_KEY_SIZE]; /* "" over ipc */
	char *endpoint;
	unsigned slots, cores, glibc;
	unsigned used;	   /* slots: placed, started, and of other coordinators */
	unsigned twins;	   /* jobs that have joined others, without slots */
	unsigned failures; /* in a row, as far as there is evidence */
	enum sched_trust trust;
	unsigned doubted;	  /* toolchains of which it gets no jobs (sched_doubt.c) */
	bool leaving;		  /* it says that it takes nothing more: it is about to end */
	bool drained;		  /* an admin has it take nothing more */
	uint64_t heard_ms;	  /* since its last heartbeat */
	uint64_t up_ms;		  /* since it came, on this connection */
	uint64_t ended, failed;	  /* jobs, since it came; those it did not bring to a whole end */
	uint64_t cpu_us, wall_us; /* of those that ended */
	/* of its last heartbeat; 0: not said */
	unsigned load_percent;
	unsigned coordinators; /* that it serves, this one included */
	uint64_t memory_available, store_bytes;
	size_t first_offer, n_offers; /* in offers below, if these were wanted */
};

struct view_job {
	char id[JOB_ID_HEX_SIZE];
	char crate[VIEW_WORD], kind[VIEW_WORD]; /* "": not known, or not any more */
	char client[VIEW_WORD];			/* its key's name; else "" */
	char curve[CURVE_KEY_SIZE]; /* of the client; "" over ipc, or the client is gone */
	char namespace[VIEW_WORD];
	char worker[SCHED_NAME_SIZE]; /* of the present or last try; "" */
	enum sched_job_state state;
	bool twin;
	unsigned tries;
	uint64_t age_ms;  /* since it was asked for; 0: not known */
	uint64_t held_ms; /* since it got its slot; 0: it has none */
};

/* A key with connections, of clients and admins; over ipc each connection is one. */
struct view_client {
	char name[VIEW_WORD];
	char curve[CURVE_KEY_SIZE];
	char namespace[VIEW_WORD];
	enum role role;
	unsigned connections;
	unsigned jobs, queued, slots; /* all of its jobs; those that wait; slots that it holds */
	uint64_t used_us;	      /* as sched_account_view has it */
};

struct view_cache {
	char namespace[VIEW_WORD]; /* "": of keys without one */
	bool open;		   /* else nothing below is known */
	struct store_stats space;
};

/* What the keys of a namespace have, all together, and what they may. */
struct view_space {
	char namespace[VIEW_WORD];
	unsigned jobs, queued, slots;
	unsigned slots_max, queue_max; /* 0: there is no quota */
	uint64_t uploaded, upload_max; /* bytes within the hour; likewise */
};

struct view {
	char name[VIEW_WORD]; /* the coordinator's */
	uint64_t at_ms;	      /* wall clock, since 1970 */
	uint64_t up_ms;	      /* since it began */
	bool shutting_down;
	struct sched_stats sched; /* sums, and counts since the start */
	uint64_t queue_ms;	  /* how long those that wait have waited, all together */
	uint64_t queue_oldest_ms; /* and the one that has waited longest */
	size_t connections;	  /* of all peers */
	bool has_cache, has_samples;
	struct desk_stats desk;
	struct sampler_stats samples;
	size_t shunned; /* workers that made what no other makes, by samples */

	/* in the order of their names; without a name, of their keys */
	struct view_worker *workers;
	size_t n_workers;
	struct view_offer *offers;
	size_t n_offers;
	struct view_client *clients;
	size_t n_clients, more_clients; /* more: are there, and are not listed */
	struct view_cache *caches;
	size_t n_caches;
	struct view_space *spaces;
	size_t n_spaces;
	/* those that run, then those that wait, the oldest first */
	struct view_job *jobs;
	size_t n_jobs, more_jobs;
};

/* What is filled beside the sums; a bit set. */
enum view_want {
	VIEW_WORKERS = 1,
	VIEW_JOBS = 2,
	VIEW_CLIENTS = 4,
	VIEW_CACHES = 8,
	VIEW_SPACES = 32,
	VIEW_OFFERS = 16, /* with VIEW_WORKERS: what toolchains they have; there may be thousands */
};

struct server;
/* In the loop's thread. *ret has one reference. 0 or -ENOMEM. */
int view_new(struct server *s, unsigned want, struct view **ret);
/* From any thread. */
struct view *view_ref(struct view *v);
void view_unref(struct view *v);
void view_unrefp(struct view **v);

const char *view_state_name(enum sched_job_state state); /* "queued", "placed", "runs", "ends" */
const char *view_trust_name(enum sched_trust trust);	 /* "trusted", "shunned", "probed" */

#endif
