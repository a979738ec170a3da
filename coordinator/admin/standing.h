/* What admins have said of workers, and what holds until they say otherwise: a file in the
 * coordinator's directory, so that it outlives both the worker's connection and the coordinator. A
 * line a worker:
 *
 *   drained NAME KEY      it gets no new jobs
 *   removed NAME KEY      it is not let in
 *
 * KEY: its CURVE key, by which it is known under another name as well; "-": it has none (ipc). */
#ifndef DRAY_COORDINATOR_ADMIN_STANDING_H
#define DRAY_COORDINATOR_ADMIN_STANDING_H

#include "keys/identity.h"

#define STANDING_FILE "workers"
#define STANDING_MAX 4096 /* workers */

enum standing { STANDING_FREE, STANDING_DRAINED, STANDING_REMOVED };
const char *standing_name(enum standing s); /* "drained"; "-" for FREE */

struct standing_worker {
	char name[KEYS_NAME_MAX + 1];
	char curve[CURVE_KEY_SIZE]; /* "": none */
	enum standing is;
};
struct standings {
	struct standing_worker *v;
	size_t n;
};
void standings_done(struct standings *s);

/* *ret must be empty, and is so after an error. 0; -EBADMSG: it is none, as of a line that is
 * wrong; -ENOMEM. */
int standings_parse(const char *text, size_t n, struct standings *ret);
/* A file that is not there is an empty list. Also -errno. */
int standings_load(const char *dir, struct standings *ret);
int standings_save(const char *dir, const struct standings *s);

/* Of a worker of that name or of that key ("": none), what weighs more. */
enum standing standings_get(const struct standings *s, const char *name, const char *curve);
/* The first line of that name; NULL. */
const struct standing_worker *standings_find(const struct standings *s, const char *name);
/* Says it of that worker; FREE: it has no line any more, nor has one of its key. 0; -ENOSPC: there
 * are STANDING_MAX; -EINVAL: that is no name; -ENOMEM. */
int standings_set(struct standings *s, const char *name, const char *curve, enum standing is);

#endif
