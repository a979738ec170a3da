/* The worker's service: one poll loop over its clients, its coordinator, and the jobs' threads. */
#ifndef DRAY_WORKER_SERVICE_H
#define DRAY_WORKER_SERVICE_H

#include <stdio.h>

#include "common/conf/conf.h"

struct service;
struct notify;

/* Loads keys, finds and proves toolchains, opens the store, binds. Blocks SIGTERM, SIGINT
 * and SIGHUP in this thread. name: NULL for the identity's, or the host's. On error -errno and a
 * full sentence in *ret_error (caller frees). conf must outlive the service. */
int service_new(const struct conf *conf, const char *name, struct service **ret, char **ret_error);
void service_free(struct service *s);
void service_freep(struct service **s);

/* Finds and tries the toolchains as a worker would, and prints "id  text  sysroot" lines. It uses a
 * temporary directory in place of conf's state_dir. 0; else as service_new.
 */
int service_list_toolchains(struct conf *conf, FILE *to, char **ret_error);

const char *service_endpoint(const struct service *s);

struct service_life {
	int ready_fd; /* gets "<endpoint>\n", and is closed, once the coordinator has welcomed us;
			 -1: none */
	/* Hears then that it serves; or some seconds later, when no coordinator answers: the boot
	 * of this machine does not wait for another one. NULL: none. */
	struct notify *notify;
	/* The settings as they are now, for SIGHUP; -errno, and a sentence in *ret_error (caller
	 * frees). NULL: SIGHUP changes nothing. */
	int (*load)(void *arg, struct conf **ret, char **ret_error);
	void *arg;
	bool again; /* the service before this one has ended with SERVICE_AGAIN */
};

/* Serves until SIGTERM (running jobs finish first) or SIGINT or a second SIGTERM (they are killed).
 * SIGHUP: the limits of jobs, as `load` says them now, count for those that begin from then on. 0,
 * or -errno: -EACCES when the coordinator refused us before it ever welcomed us. SERVICE_AGAIN: the
 * identity's file had other keys at SIGHUP; nothing runs any more, and a new service is to go on
 * with these. */
#define SERVICE_AGAIN 1
int service_run(struct service *s, const struct service_life *life);

#endif
