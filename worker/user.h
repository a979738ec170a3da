/* Which user a worker is that was started as root: one of its own, so that a job that breaks out of
 * its sandbox is not root. What needs root comes before: keys, sockets, a cgroup. */
#ifndef DRAY_WORKER_USER_H
#define DRAY_WORKER_USER_H

#include <stdbool.h>
#include <sys/types.h>

#define USER_DEFAULT "dray-worker"

struct worker_user {
	char *name;
	uid_t uid;
	gid_t gid;
	bool becomes; /* this process is root, and is to become that user */
};

/* set: [worker] user, a name or a number; NULL or "": USER_DEFAULT, if there is one. By "root" a
 * process of root's stays root's. 0, or -errno and a sentence in *ret_error (caller frees), with
 * the way out. */
int worker_user_choose(const char *set, struct worker_user *ret, char **ret_error);
void worker_user_done(struct worker_user *u);

/* The rest does nothing where nobody else is to be become. */

/* Makes the state directory. What root had there before becomes that user's; not if there is
 * anything that is no worker's. */
int worker_user_give_state(const struct worker_user *u, const char *state_dir, char **ret_error);
/* From here on this process, with all of its threads, is that user, and cannot be root again. */
int worker_user_become(const struct worker_user *u, char **ret_error);
/* After that: 0 if the user gets to this directory and may write there. */
int worker_user_check_dir(const struct worker_user *u, const char *dir, char **ret_error);

#endif
