/* What this user's processes do on this machine, for `dray status`. Each slot file has a text that
 * says what has the slot. One more file has a text for each process that waits, or whose unit is on
 * the farm.
 *
 * A text counts only while the lock beside it is held, so nothing has to be removed after a crash.
 * Texts are read as if a stranger had written them. */
#ifndef DRAY_CLIENT_SLOTS_NOTICES_H
#define DRAY_CLIENT_SLOTS_NOTICES_H

#include "common/base.h"
#include "common/process/proc.h"

enum notice_state {
	NOTICE_HOLDS, /* a slot */
	/* it waits for a slot; the reason that was seen last: */
	NOTICE_QUEUES, /* others are before it in the queue */
	NOTICE_ALL_TAKEN,
	NOTICE_NO_ROOM, /* memory.h */
	NOTICE_UNDER_PRESSURE,
	NOTICE_IO_PRESSURE,
	/* it waits for something else: */
	NOTICE_TWIN, /* another process makes the same */
	NOTICE_FARM, /* its unit is on the farm */
	NOTICE_STATES,
};

/* A record in a file: the process's name, as proc_sign writes it, and then the rest. Longer texts
 * are cut. */
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

/* Begins a notice whose time is now. dir: NULL stands for this process's directory. */
void notice_make(struct notice *n, const char *kind, const char *what, const char *dir);
/* The same for a unit. The text has its package as cargo names it, its crate and its kind; the
 * directory is cargo's. */
void notice_make_unit(
	struct notice *n, const char *kind, const char *crate, const char *crate_kind);
/* Writes the notice with this process's name, by one call. 0 or -errno. */
int notice_write(int fd, off_t at, const struct notice *n);
/* 0; -ENOENT: there is no notice, or a malformed one; *ret then has what could be read. All texts
 * are UTF-8. */
int notice_read(int fd, off_t at, struct notice *ret);

/* A place in the file of waiting processes. notices_end gives it up, and so does the end of the
 * process. */
struct notices_place {
	int fd; /* -1: none */
	off_t at;
};
#define NOTICES_PLACE_INIT \
	{                  \
		.fd = -1   \
	}

/* Says in dir_fd/waiting that this process waits. A place that was begun before is written again. 0
 * or -errno: then `dray status` does not show it, which is no reason to stop. */
int notices_begin(int dir_fd, const struct notice *n, struct notices_place *place);
void notices_end(struct notices_place *place);

/* Calls fn for each process that waits now, in no order, until fn returns another value than 0. 0,
 * that value, or -errno. */
typedef int (*notices_fn)(void *arg, const struct notice *n);
int notices_each(int dir_fd, notices_fn fn, void *arg);

#endif
