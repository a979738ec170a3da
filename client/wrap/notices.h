/* What this user's processes do here, for people who ask (`dray status`): a text in each slot file
 * that says what has the slot, and a file of those that wait, or whose unit is on the farm.
 *
 * A text counts only while the lock beside it is held, so nothing is to be removed after a crash;
 * and whatever it says is read as if a stranger had written it. */
#ifndef DRAY_CLIENT_WRAP_NOTICES_H
#define DRAY_CLIENT_WRAP_NOTICES_H

#include "common/base.h"
#include "common/proc.h"

enum notice_state {
	NOTICE_HOLDS, /* a slot */
	/* for a slot; the reason that was seen last: */
	NOTICE_QUEUES, /* others wait before it */
	NOTICE_ALL_TAKEN,
	NOTICE_NO_ROOM, /* memory.h */
	NOTICE_UNDER_PRESSURE,
	NOTICE_IO_PRESSURE,
	/* for something else: */
	NOTICE_TWIN, /* another process makes the same */
	NOTICE_FARM, /* its unit is there */
	NOTICE_STATES,
};

/* A file's record: the process's name, as proc_sign writes it, and the rest. Longer texts are cut.
 */
#define NOTICE_SIZE 1024
#define NOTICE_WHAT_MAX 256
#define NOTICE_DIR_MAX 512
struct notice {
	struct proc_name process; /* what notice_read found; pid 0: none */
	uint64_t since_ms;	  /* wall clock */
	enum notice_state state;
	char kind[16]; /* compile, link, script, verify, run */
	char what[NOTICE_WHAT_MAX];
	char dir[NOTICE_DIR_MAX];
};

/* Begins a notice; since now. dir: NULL, this process's. */
void notice_make(struct notice *n, const char *kind, const char *what, const char *dir);
/* The same for a unit: what cargo calls its package, crate and kind; the directory is cargo's. */
void notice_make_unit(
	struct notice *n, const char *kind, const char *crate, const char *crate_kind);
/* Writes it with this process's name, by one call. 0 or -errno. */
int notice_write(int fd, off_t at, const struct notice *n);
/* 0; -ENOENT: there is none, or no sensible one; then *ret has what could be read. All texts are
 * UTF-8. */
int notice_read(int fd, off_t at, struct notice *ret);

/* A place in the file of those that wait; it ends with notices_end, or with the process. */
struct notices_place {
	int fd; /* -1: none */
	off_t at;
};
#define NOTICES_PLACE_INIT \
	{                  \
		.fd = -1   \
	}

/* Says in dir_fd/waiting that this process waits. A place that has begun already is written anew. 0
 * or -errno: then nobody is told, which is no reason to stop. */
int notices_begin(int dir_fd, const struct notice *n, struct notices_place *place);
void notices_end(struct notices_place *place);

/* Calls fn for each that waits now, in no order. 0 or -errno; what fn returns ends it unless 0. */
typedef int (*notices_fn)(void *arg, const struct notice *n);
int notices_each(int dir_fd, notices_fn fn, void *arg);

#endif
