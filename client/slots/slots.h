/* Local slots: at most N compiles and links of this user run on this machine at a time, over all
 * builds, however many wrappers cargo starts.
 *
 * A slot is an flock on <dir>/slot-<i>; it is inherited by the compiler (the descriptor is not
 * close-on-exec there), so it lasts exactly as long as the run, also when dray itself is killed.
 * What has to wait queues on <dir>/queue, so only the head of the queue looks for a free slot.
 *
 * The holder's name (common/process/proc.h) stands in the slot file. Where it is stopped or gone,
 * or waits for the one that looks (a macro or a test that runs cargo), or does nothing for long,
 * the slot is lent on: slots.c says how. */
#ifndef DRAY_CLIENT_SLOTS_SLOTS_H
#define DRAY_CLIENT_SLOTS_SLOTS_H

#include "client/slots/notices.h"
#include "common/base.h"
#include "machine/jobserver.h"

struct slots; /* an open slot directory */

/* The cores this process may use (cpus_usable). */
unsigned slots_cores(void);

/* dir is made (0700) when missing. n: how many. Falls back to /tmp/dray-<uid> when dir cannot be
 * used. */
int slots_open(const char *dir, unsigned n, struct slots **ret);
/* The same to look only: nothing is made. -ENOENT: no slot was ever taken. */
int slots_look(const char *dir, unsigned n, struct slots **ret);
void slots_close(struct slots *s);
void slots_closep(struct slots **s);
/* bytes: what a compile is thought to take. While there is not room for another, or the machine's
 * work waits for memory or disks (memory.h), slots are as if taken; one can always be taken. 0 (as
 * after slots_open): none of it is looked at. */
void slots_mind_memory(struct slots *s, uint64_t bytes);
/* What will take a slot, or wait for one, from then on. */
void slots_say(struct slots *s, const struct notice *n);
/* The directory, open as long as s is. */
int slots_dir(const struct slots *s);
/* n. */
unsigned slots_number(const struct slots *s);
/* Calls fn for each that is held, with what is known of its holder: all empty if nothing. What fn
 * returns ends it unless 0, and is returned. */
typedef int (*slots_fn)(void *arg, unsigned slot, const struct notice *n);
int slots_each(struct slots *s, slots_fn fn, void *arg);
/* What the kernel says of the machine is read below root, which stays the caller's: for tests. */
void slots_read_below(struct slots *s, const char *root);
/* How long a holder and all that it started must have used no processor time until its slot is lent
 * on; 30 s after slots_open. */
void slots_believe_idle(struct slots *s, uint64_t ms);
/* Takes one without waiting: descriptor, or -EAGAIN, also when a free one is being waited for. */
int slots_try(struct slots *s);
/* Waits for one: descriptor (close it to give the slot back), or -errno (-EINTR: a signal was
 * caught). */
int slots_wait(struct slots *s);

/* Tokens for the compiler's threads. One that dray was given itself (cargo's own, or that of an
 * outer make) is passed on, so that a compile here never finds more than under plain cargo. Where
 * more is free in it than this machine has cores (`dray run`, for a farm; a CPU quota), or where
 * there is none, the machine's takes its place: a fifo for all builds of the user, with as many
 * tokens as there are cores. */
struct slots_tokens {
	struct jobserver js; /* -1, -1: the given one */
	bool owes;	     /* one token, for the compiler itself */
};

#define SLOTS_TOKENS_INIT             \
	{                             \
		.js = JOBSERVER_INIT, \
	}

/* *ret is untouched where the given one is passed on. 0 or -errno. */
int slots_tokens_choose(struct slots *s, struct slots_tokens *ret);
/* The machine's. A process that finds itself its only user puts the tokens right, so that none is
 * lost for good by a crash. */
int slots_tokens_open(struct slots *s, struct slots_tokens *ret);
/* Once the compiler has ended. */
void slots_tokens_done(struct slots_tokens *t);

#endif
