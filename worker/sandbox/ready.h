/* Sandboxes that stand ready, so that a job need not wait for bubblewrap: made for a toolchain at a
 * client's sysroot, by a thread of their own, when another job has ended. Each has a directory that
 * is laid out (stage.h), a user, limits, and a dray-exec that waits for its orders.
 *
 * A job that finds none starts its own. None is used twice. */
#ifndef DRAY_WORKER_SANDBOX_READY_H
#define DRAY_WORKER_SANDBOX_READY_H

#include "common/conf/conf.h"
#include "toolchain/toolchain.h"
#include "worker/sandbox/limits.h"
#include "worker/sandbox/sandbox.h"
#include "worker/sandbox/stage.h"
#include "worker/sandbox/sysroot.h"

#define READY_PREFIX "ready-" /* of their directories, in jobs_dir */

struct ready_pool;

struct ready_conf {		 /* all of it must outlive the pool */
	const struct conf *conf; /* until ready_use gives another one */
	const char *jobs_dir, *tools_dir;
	const struct filters *filters;
	const struct cgroup *cgroup; /* NULL: none */
	struct job_users *users;     /* NULL: none */
	unsigned max;		     /* how many */
	uint64_t idle_ms;	     /* they end when none was wanted for so long; 0: a minute */
	uint64_t rest_ms;	     /* after three failures in a row; 0: a minute */
};

struct ready_key {
	const struct toolchain *toolchain; /* of the offer: compared by where it is */
	const struct sysroot *sysroot;
	const char *path; /* the client's sysroot */
};

struct ready {
	struct stage stage;
	struct limits limits;
	struct sandbox box;
	struct job_user *user;
	int watch; /* an inotify: the kernel takes some ten milliseconds to end one; 0: none */
};

#define READY_INIT                                         \
	{                                                  \
		.limits = LIMITS_INIT, .box = SANDBOX_INIT \
	}

/* Starts the thread. Sandboxes that were taken die with it: end the pool after them. */
int ready_open(const struct ready_conf *c, struct ready_pool **ret);
void ready_freep(struct ready_pool **p);

/* Whether a unit can have one. */
bool ready_fits(const struct ready_key *k, const Dray__Unit *u);
/* Takes one. False: there is none, *ret is untouched. p may be NULL. */
bool ready_take(struct ready_pool *p, const struct ready_key *k, struct ready *ret);
/* One more of these will be of use: it is made soon, in the place of others if there are too many.
 * p may be NULL. */
void ready_want(struct ready_pool *p, const struct ready_key *k);
/* Ends one, or all that are of a toolchain: its user is needed, or the toolchain has changed.
 * False: there was none. p may be NULL. */
bool ready_end_one(struct ready_pool *p);
void ready_end_toolchain(struct ready_pool *p, const struct toolchain *t);
/* From now on they are made with this configuration, which is referred to (conf_ref); those that
 * stand ready end. p may be NULL. */
void ready_use(struct ready_pool *p, const struct conf *conf);
/* Whether one that was taken could be used. p may be NULL. */
void ready_told(struct ready_pool *p, bool well);
/* Ends and removes what a job has used, wherever that came from: by the thread, or here if it has
 * too much to do, or p is NULL. *used is READY_INIT then, and nothing has its name. */
void ready_clear(struct ready_pool *p, struct ready *used);
/* Waits until all that was so handed over has been removed. False: there was nothing. p may be
 * NULL.
 */
bool ready_settle(struct ready_pool *p);
/* For the directories of jobs that find none. p may be NULL. */
struct spare *ready_spare(struct ready_pool *p);
/* How many stand ready. */
unsigned ready_count(struct ready_pool *p);

#endif
