/* The record of what admins did, and what they and others tried: two files in the coordinator's
 * directory, to which lines are added and nothing else. What was refused is in a file of its own,
 * so that however much of it there is, no act is displaced by it. One JSON object a line:
 *
 *   {"at": "2026-11-30T18:00:00.123Z", "who": "alice", "from": "key …" | "socket uid=0 pid=71",
 *    "act": "drain", "what": "w1", "result": "done" | "refused" | "failed", "why": "…"}
 *
 * Past AUDIT_FILE_MAX bytes it is renamed to audit.log.1, that one to audit.log.2, …, and the last
 * of AUDIT_FILES goes; so does the other. */
#ifndef DRAY_COORDINATOR_ADMIN_AUDIT_H
#define DRAY_COORDINATOR_ADMIN_AUDIT_H

#include "common/base.h"

#define AUDIT_FILE "audit.log"		 /* done, and failed */
#define AUDIT_REFUSED_FILE "refused.log" /* refused */
#define AUDIT_FILE_MAX (1u << 20)
#define AUDIT_FILES 8

enum audit_result { AUDIT_DONE, AUDIT_REFUSED, AUDIT_FAILED };
const char *audit_result_name(enum audit_result r); /* "done", … */

struct audit_line {
	uint64_t at_ms;	  /* wall clock, since 1970 */
	const char *who;  /* its key's name; "" if it has none */
	const char *from; /* by what it was let in */
	const char *act, *what;
	enum audit_result result;
	const char *why; /* "" */
};

/* Adds a line to its file in dir. Whatever the texts hold, it is one line of printable characters.
 * 0 or -errno. */
int audit_append(const char *dir, const struct audit_line *l);

#endif
