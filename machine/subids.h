/* Which uids and gids may stand for jobs: subuid(5). */
#ifndef DRAY_MACHINE_SUBIDS_H
#define DRAY_MACHINE_SUBIDS_H

#include <stdio.h>
#include <sys/types.h>

#include "common/base.h"

/* What root takes where no list names others: of these no user is made (systemd, "Users, Groups,
 * UIDs and GIDs": above the containers' ranges). */
#define SUBIDS_ROOTS 0x70000000ul

struct subids_range {
	unsigned long first, count;
};

/* The largest range in the list that is that user's, by name or number. -ENOENT: it has none. */
int subids_read(FILE *list, const char *name, uid_t uid, struct subids_range *ret);

/* n of them, from the middle of the user's ranges: a container of the same user begins at the
 * ranges' begins. root: others will do where there are none. -ENOTSUP and a sentence (caller
 * frees).
 */
int subids_find(const char *name, uid_t uid, unsigned n, bool root, struct subids_range *ret_uids,
	struct subids_range *ret_gids, char **ret_why);

/* Whether a worker of this process's user can have two. 0, or -ENOTSUP and a sentence. */
int subids_possible(char **ret_why);

#endif
