/* What slots.c, which takes slots and waits for them, and slots_lent.c, which judges who holds
 * them, share. */
#ifndef DRAY_CLIENT_SLOTS_SLOTS_PRIV_H
#define DRAY_CLIENT_SLOTS_SLOTS_PRIV_H

#include <sys/stat.h>

#include "client/slots/memory.h"
#include "client/slots/slots.h"
#include "common/process/proc.h"

#define SLOTS_MAX 4096
#define SLOTS_NAME "slot-"
#define SLOTS_INHERITED_MAX 8
#define SLOTS_IDLE_MS 30000 /* slots_believe_idle */

/* What is known of a slot that another process holds. */
enum slots_verdict {
	VERDICT_USED,
	VERDICT_DOUBTFUL, /* it seemed unused once; its file may still name a former holder */
	VERDICT_LENT,
};

/* What a holder was seen to do. */
struct slots_seen {
	uint8_t verdict;
	pid_t pid; /* of one that runs; 0: none */
	struct proc_name holder;
	uint64_t used, looked_ms, idle_since_ms;
};

struct slots {
	int dir_fd;
	unsigned n;
	uint64_t idle_ms;
	const char *root;
	struct notice notice;  /* of what takes a slot */
	uint64_t need;	       /* bytes a compile, 0: memory is not looked at */
	enum memory_lack lack; /* why the last try found none */
	/* Only during a wait: */
	struct slots_seen *seen; /* SLOTS_MAX of them; NULL: none was looked at */
	uint64_t judged_ms;
	int watch;	 /* inotify, or -1 */
	unsigned closed; /* looks since a slot file was closed */
	bool nested;	 /* the holder of some slot waits for this process */
	uint64_t waits_since_ms;
	struct stat inherited[SLOTS_INHERITED_MAX]; /* slots that this process was started with */
	unsigned n_inherited;
};

/* flags: O_RDONLY to look, which wakes nobody; O_RDWR to hold it. A descriptor, or -errno. */
int slots_open_slot(struct slots *s, unsigned i, int flags);

/* Judges all slots, once in a while, for a process that waits. It takes no lock, which would be in
 * the way of others. */
void slots_judge(struct slots *s);
/* Whether slot i is lent on, if a process holds it. */
bool slots_is_lent(const struct slots *s, unsigned i);
/* How many slots are searched for a free one; each slot that is lent on adds one. If several
 * processes wait for each other, one of them finds a free slot. If none does (a stopped build went
 * on meanwhile), one slot is added each second. */
unsigned slots_usual_end(const struct slots *s);

#endif
