/* Inside the service: its state, shared by service.c (set-up and end), upstreams.c (its
 * coordinators), loop.c (what is between), others.c (what there is with other workers) and
 * clients.c (messages). */
#ifndef DRAY_WORKER_SERVICE_PRIV_H
#define DRAY_WORKER_SERVICE_PRIV_H

#include "common/conf/coordinators.h"
#include "common/process/daemon.h"
#include "common/log/log.h"
#include "common/process/notify.h"
#include "common/table.h"
#include "discovery/find.h"
#include "discovery/whereabouts.h"
#include "proto/admit.h"
#include "proto/door.h"
#include "proto/socket.h"
#include "keys/succession.h"
#include "keys/ticket.h"
#include "worker/job/job.h"
#include "worker/job/tape.h"
#include "worker/link_up.h"
#include "worker/peers/seek.h"
#include "worker/peers/serve.h"
#include "worker/service.h"
#include "worker/user.h"

#define PUSHES 1	  /* toolchains that clients give at a time */
#define SAMPLES 1	  /* jobs of other workers that are compiled again at a time */
#define OWNERS (1u << 18) /* pairs of a client and a blob, of 32 to 64 bytes each */

/* A connection; its jobs are among the service's. */
struct client {
	struct table_node by_id;
	struct wire_peer peer;
	enum admit_state state; /* DROPPED: it broke the protocol */
	enum role role;
	bool crowded;	 /* one connection too many of its key */
	unsigned unread; /* content that it did not acknowledge yet */
};

/* A coordinator, and all that counts by its word alone: whom it has named, which of its tickets
 * were used, who has sent or may read which blobs, whose jobs may join which, what is shared, and
 * with which workers. Of another coordinator's nothing is in it; what they have in common is the
 * worker's own: slots, the store's bytes, bounds on what a key may cost. */
struct upstream {
	struct service *service;
	const char *at; /* its endpoint */
	struct whereabouts
		where; /* for other threads: its key; and where it is found (finding.c) */
	char found_at[FOUND_ENDPOINT_MAX], fingerprint[KEYS_FINGERPRINT_SIZE];
	uint64_t moved_ms;
	const char *key;	  /* the path of its public key */
	struct identity identity; /* its public half, as it is now, */
	struct succession next;	  /* and what comes after it, if its serial is not 0 */
	bool any_key;		  /* may come: it has no keys to name */
	struct door *door;	  /* the clients that it has named */
	struct link_up *link;
	struct ticket_book *tickets;
	struct owners *owners;
	struct tapes *tapes;
	struct shares *share;  /* NULL: results are not shared */
	struct serve *serve;   /* NULL: other workers get no blobs */
	struct seeker *seeker; /* NULL: none are asked of them */
	char *tmp;	       /* a directory for its loans, and what is on its way */
	struct job_shared shared;
};

struct service {
	const struct conf *conf;
	char *name;
	bool local; /* over ipc: no keys */
	struct worker_user user;
	struct identity identity;
	unsigned cores, slots;
	unsigned twins; /* how many jobs may join others */
	void *ctx;
	struct zap *zap;
	struct door *door;
	uint64_t expired_ms; /* the last look at silent connections */
	uint64_t passed;     /* bytes of messages */
	struct daemon_rest rest;
	void *socket;
	char *endpoint; /* bound */
	struct monitor *monitor;
	struct coordinators coordinators;
	struct {
		bool on;      /* they are found on the network */
		pid_t helper; /* that looks; 0 */
		uint64_t next_ms;
		char told[160]; /* why nothing can be found, as it was logged last */
		struct log_throttle moves;
	} finding;
	struct upstream *up; /* one for each of these; opened are n_up */
	size_t n_up;
	struct offers offers;
	struct store *store;
	struct token_bank tokens;
	struct cgroup *cgroup;	  /* NULL: none can be used */
	struct job_users *users;  /* NULL: jobs have this process's uid */
	struct ready_pool *ready; /* NULL: none stands ready */
	struct filters filters;
	char *jobs_dir, *tools_dir;
	int signal_fd;
	const struct service_life *life; /* while it runs */
	struct job **jobs; /* slots, twins, SAMPLES and PUSHES of them, the first n_jobs in use */
	struct digest cpu; /* of this machine, if the coordinator is told */
	unsigned n_jobs, n_twins, n_samples, n_pushes; /* the latter are of them, without a slot */
	bool was_welcomed;
	uint64_t aged_ms; /* the last look at toolchains that nobody uses */
	struct table clients;
	uint8_t hash_key[TABLE_KEY_SIZE];
	bool draining, killing;
	bool again; /* it drains to go on with other keys */
	struct log_throttle bad_peer, rejected, strangers;
};

/* upstreams.c */
/* A file of keys. -errno and a full sentence in *ret_error (caller frees). */
int upstreams_load_identity(
	const char *what, const char *path, bool secret, struct identity *ret, char **ret_error);
/* Before the door opens: the keys of the coordinators, and places for the clients that they name.
 * -errno and a full sentence in *ret_error (caller frees). */
int upstreams_load(struct service *s, char **ret_error);
/* When all that jobs need is there: what is kept for each, and its link. Likewise. */
int upstreams_open(struct service *s, char **ret_error);
/* No job is left; before the service's socket and its context end. */
void upstreams_close(struct service *s);
/* The rest, when no socket is left. */
void upstreams_done(struct service *s);
#define UPSTREAM_ITEMS 5 /* to poll, of each */
size_t upstreams_items(const struct service *s, zmq_pollitem_t *items);
uint64_t upstreams_wait(const struct service *s, uint64_t now);
/* What they said is heard, and they are told what there is to tell. */
void upstreams_step(struct service *s);
/* With how many this worker is registered. */
unsigned upstreams_welcomed(const struct service *s);
/* All refuse this worker, and none has ever taken it. */
bool upstreams_refused(const struct service *s);
void upstreams_bye(struct service *s, const char *why);
void upstreams_linger(const struct service *s, int ms);
/* Jobs that begin from now on have these settings. */
void upstreams_use(struct service *s, struct conf *conf);
/* Whose job it is. */
struct upstream *upstream_of(const struct job *j);
/* Whether any has named that key lately, or lets all come. */
bool upstreams_name(const struct service *s, const char *curve, uint64_t now);
/* The role of a connection: by the word of any of them. Whose jobs it may open is a matter of each.
 */
enum role upstreams_role(const struct service *s, const struct wire_peer *p);
/* Whether this one lets its clients come without naming them, or has named this one. */
bool upstream_names(const struct upstream *up, const struct wire_peer *p);
/* Checks a ticket, and uses it up: 0, and the coordinator that has signed it, whose job it is from
 * now on; the rest as of ticket_check. */
int upstreams_issuer(struct service *s, const struct wire_peer *p, const Dray__JobOpen *o,
	struct upstream **ret, char **ret_job, struct ticket_terms *ret_terms);
/* The same of one for blobs, as of ticket_check_blobs; -EOPNOTSUPP: none are given. */
int upstreams_getter(struct service *s, const struct wire_peer *p, const Dray__SharedGet *m,
	struct upstream **ret, char ret_owner[CURVE_KEY_SIZE]);

/* finding.c */
/* The coordinators are those of coordinator_key's files, wherever they are. -errno and a full
 * sentence in *ret_error (caller frees). */
int finding_coordinators(struct service *s, char **ret_error);
/* Before it has a link: where it was found last. */
void finding_begin(struct upstream *up);
/* Looks for those to which there is no link. */
void finding_step(struct service *s, uint64_t now);

/* others.c */
/* Without keys, or where the configuration says so, blobs neither are had from other workers nor
 * given. */
void others_open(struct upstream *up);
/* For link_up_conf; arg: the upstream. */
void others_lend(void *arg, const Dray__WorkerLend *m);
void others_unshared(void *arg, const Dray__WorkerUnshared *m);
void others_found(void *arg, const Dray__WorkerFound *m);
/* Tells that coordinator what there is to tell, and asks. */
void others_ask(struct upstream *up);
/* Blobs are given to other workers, by the word of any coordinator. The other three are as of
 * serve.h: a request's number is its connection's, so it is said to all. */
bool others_serve(const struct service *s);
void others_credit(struct service *s, const struct wire_peer *p, uint32_t number, uint32_t n);
void others_stop(struct service *s, const struct wire_peer *p, uint32_t number);
void others_gone(struct service *s, const struct wire_peer *p);

/* given.c: toolchains that clients gave */
/* At the start: those that were kept are proved again, and offered. */
void given_open(struct service *s);
/* Whether one more of so many bytes has room beside those that jobs have now. Nothing is dropped
 * for it before it was proved (given_take). */
bool given_has_room(const struct service *s, uint64_t bytes);
/* Whether the directory of such a one is still there, though it may be offered no more. */
bool given_still_has(const struct service *s, const ProtobufCBinaryData *id);
/* A job begins, or has ended, with that toolchain. o may be NULL. */
void given_use(struct service *s, struct offer *o);
void given_leave(struct service *s, struct offer *o);
/* One was proved: it is offered from now on, and those that have not been used for the longest time
 * make room for it, as soon as no job has them. */
void given_take(struct service *s, struct offer *o);
/* Once in a while, at a time by the wall clock: those that no job has had for toolchains_days go.
 */
void given_age(struct service *s, uint64_t wall_ms);
/* link_up_conf.drop; arg: an upstream. */
void given_drop(void *arg, const Dray__WorkerDrop *m);

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
