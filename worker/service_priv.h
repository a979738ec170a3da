/* Inside the service: its state, shared by service.c (set-up and end), loop.c (what is between),
 * others.c (what there is with other workers) and clients.c (messages). */
#ifndef DRAY_WORKER_SERVICE_PRIV_H
#define DRAY_WORKER_SERVICE_PRIV_H

#include "common/daemon.h"
#include "common/log.h"
#include "common/notify.h"
#include "common/table.h"
#include "proto/admit.h"
#include "proto/door.h"
#include "proto/socket.h"
#include "keys/ticket.h"
#include "worker/job/job.h"
#include "worker/job/tape.h"
#include "worker/link_up.h"
#include "worker/peers/seek.h"
#include "worker/peers/serve.h"
#include "worker/service.h"
#include "worker/user.h"

#define SAMPLES 1 /* jobs of other workers that are compiled again at a time */

/* A connection; its jobs are among the service's. */
struct client {
	struct table_node by_id;
	struct wire_peer peer;
	enum admit_state state; /* DROPPED: it broke the protocol */
	enum role role;
	bool crowded;	 /* one connection too many of its key */
	unsigned unread; /* content that it did not acknowledge yet */
};

struct service {
	const struct conf *conf;
	char *name;
	bool local; /* over ipc: no keys */
	struct worker_user user;
	struct identity identity;
	struct identity coordinator; /* public half */
	unsigned cores, slots;
	unsigned twins; /* how many jobs may join others */
	void *ctx;
	struct zap *zap;
	struct door *door;
	bool any_key;	     /* may come: the coordinator has no keys to name */
	uint64_t expired_ms; /* the last look at silent connections */
	uint64_t passed;     /* bytes of messages */
	struct daemon_rest rest;
	void *socket;
	char *endpoint; /* bound */
	struct monitor *monitor;
	struct link_up *link;
	struct offers offers;
	struct store *store;
	struct token_bank tokens;
	struct owners *owners;
	struct tapes *tapes;
	struct cgroup *cgroup;	  /* NULL: none can be used */
	struct job_users *users;  /* NULL: jobs have this process's uid */
	struct ready_pool *ready; /* NULL: none stands ready */
	struct shares *share;	  /* NULL: results are not shared */
	struct serve *serve;	  /* NULL: other workers get no blobs */
	struct seeker *seeker;	  /* NULL: none are asked of them */
	struct filters filters;
	char *jobs_dir, *tools_dir;
	struct ticket_book *tickets;
	struct job_shared shared;
	int signal_fd;
	const struct service_life *life; /* while it runs */
	struct job **jobs; /* slots, twins and SAMPLES of them, the first n_jobs in use */
	struct digest cpu; /* of this machine, if the coordinator is told */
	unsigned n_jobs, n_twins, n_samples; /* the latter two are of them, without a slot */
	struct table clients;
	uint8_t hash_key[TABLE_KEY_SIZE];
	bool draining, killing;
	struct log_throttle bad_peer, rejected, strangers;
};

/* others.c */
/* Without keys, or where the configuration says so, blobs neither are had from other workers nor
 * given. */
void others_open(struct service *s);
/* For link_up_conf; arg: the service. */
void others_lend(void *arg, const Dray__WorkerLend *m);
void others_unshared(void *arg, const Dray__WorkerUnshared *m);
void others_found(void *arg, const Dray__WorkerFound *m);
/* Tells the coordinator what there is to tell, and asks. */
void others_ask(struct service *s);

/* reload.c: the settings as they are now, as far as they count without a new start. */
void service_reload(struct service *s);

/* clients.c */
int clients_init(struct service *s);
void clients_done(struct service *s);
/* Handles what came, up to a bound. True: all of it. */
bool clients_receive(struct service *s);
void clients_gone(struct service *s); /* handles what the monitor reports */
/* Ends connections that say nothing, or were refused, and bounds what they hold. caught_up: as
 * clients_receive said. */
void clients_expire(struct service *s, bool caught_up);
/* Sends what other workers asked for. */
void clients_serve(struct service *s);
/* Passes on messages of a job's thread. True: the job has ended and was joined. */
bool clients_from_job(struct service *s, struct job *j);

#endif
