/* Reads the job log (doc/job-log.md): the former file, <path>.1, and then <path>, one line after
 * another, in as much memory as one line needs.
 *
 * Several builds may write meanwhile; a line may be torn, or come from another program. A line that
 * is not the log's is skipped and counted. Unknown fields are ignored, and a field of a wrong type
 * counts as absent. All text comes from crates and compilers: print it by show.h only. */
#ifndef DRAY_CLIENT_SHOW_JOBS_H
#define DRAY_CLIENT_SHOW_JOBS_H

#include <jansson.h>

#include "common/base.h"

#define JOB_LINE_MAX (1u << 20) /* a longer one is not the log's */

/* One line. Text is never NULL: "" when there was none. Numbers are 0 then. */
struct job_line {
	json_t *line; /* holds the text */
	const char *crate, *package, *kind, *where, *why, *worker, *worker_key, *linker, *out_dir;
	const char *cache, *cache_why, *not_stored, *key, *queue_why;
	const char *tier, *shared_why, *not_shared;
	const char *unit,
		*externs; /* its stem, and ids (common/log/unit_id.h) with spaces between */
	const char *links, *deps, *bound; /* of a run (doc/job-log.md) */
	const json_t *attempts;		  /* a list, or NULL */
	uint64_t time_ms;		  /* when it was written, since 1970 */
	uint64_t parent;		  /* process id of what called the compiler; 0: not known */
	uint64_t cargo;			  /* of a build script's trial: its cargo's; 0: not known */
	bool trial;
	int exit_status;
	int signal; /* that killed the compiler, or 0 */
	/* microseconds of one boot's clock: start_us <= end_us */
	uint64_t start_us, compile_start_us, rmeta_us, end_us;
	/* microseconds */
	uint64_t pack_us, queue_us, upload_us, compile_us, download_us, slot_wait_us, link_us;
	uint64_t lookup_us, restore_us, store_us, saved_us;
	uint64_t shared_us, shared_bytes, refused; /* of the stores that are shared */
	uint64_t cache_bytes, bytes_sent, bytes_received;
};

/* One line of n bytes, without its newline. -EBADMSG: it is none of the log's; -ENOMEM. */
int job_decode(const char *line, size_t n, struct job_line *ret);
void job_done(struct job_line *j); /* an empty one is fine */
/* Its failed tries, "" when there are no more. */
const char *job_attempt(const struct job_line *j, size_t i);
/* If out_dir is surely a build script's OUT_DIR, or below one: the length of its first part, which
 * names the profile's directory. 0: it is not, or (layout v2) its name does not tell. */
size_t job_script_prefix(const char *out_dir);
/* Whether it is the run of a build script, not of a compiler. */
bool job_is_run(const struct job_line *j);
/* Whether a build script had it compiled to test the compiler; such a compile often fails. */
bool job_is_trial(const struct job_line *j);
/* What its compile took, and its link. */
uint64_t job_cost_us(const struct job_line *j);
/* Whether the cache had the whole result, or all but the link. */
bool job_is_hit(const struct job_line *j);
bool job_is_bundle(const struct job_line *j);
/* Whether it is a hit that came from a store that is shared: `tier`. */
bool job_is_shared(const struct job_line *j);

/* May keep the line: it takes *j over then, and empties it. Other than 0 ends the reading. */
typedef int (*jobs_fn)(void *arg, struct job_line *j);

/* What is compiled again for the shared cache (refills, doc/job-log.md) is no unit of a build: such
 * lines are counted, and not given to fn. */
struct jobs_tally {
	uint64_t lines;	  /* given to fn */
	uint64_t skipped; /* no lines of the log */
	uint64_t refills, refills_dropped;
	bool found; /* there is a log at all */
};

/* Every line that was written at since_ms or later (0: all). 0, what fn returned, or -errno when
 * the log is there and cannot be read (-EISDIR, -EINVAL: it is no regular file). */
int jobs_each(const char *path, uint64_t since_ms, jobs_fn fn, void *arg, struct jobs_tally *ret);

#endif
