/* A directory that the members of one Unix group share (cache_group), and what is made in it.
 *
 * What is made there has the group, and a mode that leaves out everybody else, before it has its
 * name: whatever the umask, and no other process meets it half made. With a share that is not `on`
 * the directory is one user's own, and all is made as mkdir and open make it. */
#ifndef DRAY_COMMON_SHARE_H
#define DRAY_COMMON_SHARE_H

#include <sys/types.h>

#include "common/base.h"

#define SHARE_DIR_MODE 02770
#define SHARE_FILE_MODE 0660   /* of what is written to in place */
#define SHARE_SEALED_MODE 0440 /* of what never changes */
#define SHARE_WHY_SIZE 512

struct share {
	bool on;
	gid_t gid;
};

/* The number of a group: of its name in the text of /etc/group, or as it is written. 0; -ENOENT. */
int share_parse(const char *text, size_t n, const char *group, gid_t *ret);

/* Whether this user may share the directory with that group, and its members alone can have put
 * anything there. 0, also where there is no directory yet, but one can be made; -EPERM, and in why
 * the reason and what helps. dir may be NULL. */
int share_check(const char *dir, const char *group, struct share *ret, char why[SHARE_WHY_SIZE]);

/* mkdir -p of a directory at or below top. Where it is shared, nothing above top is made. */
int share_mkdir_p(const struct share *s, const char *top, const char *path, mode_t own_mode);
/* A file to be read and written; it is made if it is not there. A descriptor, or -errno. */
int share_open(const struct share *s, const char *path, mode_t own_mode);
/* Gives a new file its mode and its group. */
int share_seal(const struct share *s, int fd, mode_t mode);

#endif
