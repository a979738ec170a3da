/* Which lines of the job log are one build: those that one process started (cargo), or, in lines
 * that do not tell, that have one target directory and no long pause between them. Builds can run
 * side by side, so their lines can be mixed. */
#ifndef DRAY_CLIENT_SHOW_BUILDS_H
#define DRAY_CLIENT_SHOW_BUILDS_H

#include "client/show/jobs.h"

struct build {
	char *dir;		    /* target/debug or the like; "" when no unit had one */
	uint64_t parent;	    /* 0: not known */
	uint64_t first_ms, last_ms; /* from its first unit's start to its last one's end */
	struct job_line *jobs;	    /* that were kept, in the log's order */
	size_t n, cap;
};

struct builds {
	struct build *b; /* that may still go on, and the last one */
	size_t n;
	size_t last;   /* the one whose job was kept last; only while n */
	bool keep_all; /* set it before: old ones are held, too */
};

/* When a unit began, since 1970. */
uint64_t build_start_ms(const struct job_line *j);
/* The directory that an out-dir is one of: target/debug of target/debug/deps,
 * target/debug/build/x-1a2b, target/debug/build/x-1a2b/out/probe, target/debug/examples, and
 * (layout v2) target/debug/build/x/1a2b3c4d5e6f7a8b/out. NULL: out of memory. */
char *build_dir(const char *out_dir);

/* Puts a line into its build. With keep, takes the job over, and that build is the last one (if the
 * job has a crate or an out-dir); without, only its time counts. 0 or -ENOMEM. Empty: all zero. */
int builds_add(struct builds *all, struct job_line *j, bool keep);
/* Whether any of its jobs has a crate or an out-dir. */
bool build_has_units(const struct build *b);
/* The build of the job that was kept last; NULL: there is none. */
const struct build *builds_last(const struct builds *all);
void builds_done(struct builds *all);

#endif
