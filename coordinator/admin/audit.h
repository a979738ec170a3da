/* The record of what admins did, and of those who tried and may not: a file in the coordinator's
 * directory, to which lines are added and nothing else. One JSON object a line:
 *
 *   {"at": "2026-11-30T18:00:00.123Z", "who": "alice", "from": "key …" | "socket uid=0 pid=71",
 *    "act": "drain", "what": "w1", "result": "done" | "refused" | "failed", "why": "…"}
 *
 * Past AUDIT_FILE_MAX bytes it is renamed to audit.log.1, that one to audit.log.2, …, and the last
 * of AUDIT_FILES goes. */
#ifndef DRAY_COORDINATOR_ADMIN_AUDIT_H
#define DRAY_COORDINATOR_ADMIN_AUDIT_H

#include "common/base.h"

#define AUDIT_FILE "audit.log"
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

/* Adds a line to the file in dir. Whatever the texts hold, it is one line of printable characters.
 * 0 or -errno. */
int audit_append(const char *dir, const struct audit_line *l);

#endif
