/* Inside the service: its state, shared by service.c (life and loop) and clients.c (messages). */
#ifndef DRAY_WORKER_SERVICE_PRIV_H
#define DRAY_WORKER_SERVICE_PRIV_H

#include "common/log.h"
#include "proto/socket.h"
#include "keys/ticket.h"
#include "worker/job/job.h"
#include "worker/link_up.h"
#include "worker/service.h"
#include "worker/user.h"

struct client {
	struct wire_peer peer;
	bool dropped;	 /* it broke the protocol: nothing more is taken from it */
	struct job *job; /* NULL: none, or ended */
};

struct service {
	const struct conf *conf;
	char *name;
	bool local; /* over ipc: no keys */
	struct worker_user user;
	struct identity identity;
	struct identity coordinator; /* public half */
	bool has_coordinator;
	unsigned cores, slots;
	void *ctx;
	struct zap *zap;
	void *socket;
	char *endpoint; /* bound */
	struct monitor *monitor;
	struct link_up *link;
	struct offers offers;
	struct store *store;
	struct token_bank tokens;
	struct owners *owners;
	struct cgroup *cgroup;	 /* NULL: none can be used */
	struct job_users *users; /* NULL: jobs have this process's uid */
	struct filters filters;
	char *jobs_dir, *tools_dir;
	struct ticket_book *tickets;
	struct job_shared shared;
	int signal_fd;
	struct job **jobs; /* slots of them, the first n_jobs in use */
	unsigned n_jobs;
	struct client *clients;
	size_t n_clients, cap_clients;
	bool draining, killing;
	struct log_throttle bad_peer, rejected;
};

/* clients.c */
void clients_receive(struct service *s); /* handles what came, up to a bound */
void clients_gone(struct service *s);	 /* handles what the monitor reports */
/* Passes on messages of a job's thread. True: the job has ended and was joined. */
bool clients_from_job(struct service *s, struct job *j);

#endif
