/* Users of their own for jobs: outside of its sandbox a job has a uid that no other job has at the
 * time, and that is not the worker's. So what gets out of a sandbox can neither read the worker's
 * keys and memory nor write to its store.
 *
 * The uids are subordinate ones. Each slot has a user namespace, made once, that bwrap joins:
 *
 *     inside   0                  a uid that nobody uses (a new devpts wants one)
 *              1                  the worker, as whom bwrap gets to the job's directories
 *              1000               the job
 *
 * The namespace belongs to the worker. So the worker may look at a job's processes, and a child of
 * it that joins the namespace may do what it likes with a job's files. */
#ifndef DRAY_WORKER_SANDBOX_JOB_USER_H
#define DRAY_WORKER_SANDBOX_JOB_USER_H

#include <sys/types.h>

#include "common/base.h"

struct job_users; /* one for each slot */
struct job_user;

struct job_users_conf {
	const char *name; /* the worker's user, NULL: not known */
	uid_t uid;	  /* whom this process is, or becomes */
	gid_t gid;
	unsigned n;
};

/* Root takes uids that are subordinate to that user (subuid(5)), or else such as nobody has. Any
 * other process needs newuidmap(1) and subordinate uids. -ENOTSUP and a sentence in *ret_why
 * (caller frees): jobs have the worker's own uid. */
int job_users_open(const struct job_users_conf *c, struct job_users **ret, char **ret_why);
void job_users_freep(struct job_users **p);
/* The first of the uids that jobs have. */
uid_t job_users_first(const struct job_users *p);
/* From now on there is none: it turned out that they are of no use here. */
void job_users_give_up(struct job_users *p);
/* Whether there are some. p may be NULL. */
bool job_users_are(const struct job_users *p);

/* One that no other job has. NULL: there is none. p may be NULL. */
struct job_user *job_users_take(struct job_users *p);
/* u may be NULL. */
void job_users_give(struct job_user *u);

/* The user namespace, to be joined. */
int job_user_ns(const struct job_user *u);
/* The job's uid and gid in it. */
unsigned job_user_inside(const struct job_user *u);

/* While a job runs: lets the worker read what is in the directory. */
int job_user_open_up(const struct job_user *u, int dir);
/* After its end: what is in the directory becomes the worker's, without access lists. */
int job_user_take_over(const struct job_user *u, int dir);
/* Removes a tree that the worker cannot. Of any job. */
int job_users_remove(struct job_users *p, const char *path);

#endif
