/* The critical path of a build: from the unit that ended last back to what it waited for longest,
 * and so on to the first. What lies between two of them is a gap: the log has no line for cargo
 * itself, and none for a build script that ran without dray.
 *
 * A unit waits for the units that its externs name, and for its package's build script: for its
 * run, where the log has that. It waits for metadata only where it is a library or a check, or
 * where it began before the other ended. A run waits for the unit that made its program, and for
 * the runs whose DEP_ variables it gets. */
#ifndef DRAY_CLIENT_SHOW_CRITICAL_H
#define DRAY_CLIENT_SHOW_CRITICAL_H

#include "client/show/jobs.h"

/* A unit, as far as it matters. Text is never NULL. Times are of one clock, from_us <= to_us. */
struct critical_unit {
	const char *
		stem; /* common/log/unit_id.h; "": not known, nothing can be found to wait for it */
	const char *externs;	  /* ids, with spaces between */
	const char *package;	  /* "": not known */
	const char *links, *deps; /* of a run: doc/job-log.md; may be NULL */
	bool script;		  /* a build script; others of its package wait for it */
	bool run;		  /* the run of one */
	bool pipelined;		  /* needs but metadata of what it waits for */
	bool left_out;		  /* never on the path: a trial; a run whose end is not known */
	uint64_t from_us, to_us;
	uint64_t rmeta_us; /* when its metadata was there; 0: not known */
};

enum critical_need {
	CRITICAL_NOTHING, /* of the log's units; only of the first step */
	CRITICAL_METADATA,
	CRITICAL_ALL,
	CRITICAL_SCRIPT /* and its run */
};

enum critical_gap {
	CRITICAL_GAP_CARGO,  /* cargo, or what the log does not know of */
	CRITICAL_GAP_SCRIPT, /* its build script ran */
	CRITICAL_GAP_SLOT    /* as many units ran as ever in this build, for most of it */
};

struct critical_step {
	size_t unit;		 /* index */
	enum critical_need need; /* of the step before */
	enum critical_gap gap;	 /* what gap_us was */
	uint64_t gap_us;	 /* before from_us: from when that was there */
	uint64_t from_us, to_us; /* its part of the path: until the next step had what it needs */
};

struct critical {
	struct critical_step *steps; /* in the order of time; gaps and parts have no holes */
	size_t n;		     /* 0: no unit tells what it is */
	uint64_t whole_us;	     /* from the first unit's begin to the last one's end */
};

/* 0 or -ENOMEM. O(n log n), whatever the units say. */
int critical_find(const struct critical_unit *units, size_t n, struct critical *ret);
/* The same of a build's jobs: step.unit is an index into jobs; times are since the build's begin.
 */
int critical_of_jobs(const struct job_line *jobs, size_t n, struct critical *ret);
void critical_done(struct critical *c);

uint64_t critical_part_us(const struct critical_step *s);
/* The least part of a step that is among the `max` longest; 0 when there are no more. */
int critical_least(const struct critical *c, size_t max, uint64_t *ret_us);
/* "build script", "free slot", "cargo" */
const char *critical_gap_name(enum critical_gap gap);
/* "metadata", "all", "build script", "nothing" */
const char *critical_need_name(enum critical_need need);

#endif
