/* The job log: one JSON object a line, one line a unit, appended with a single write so that builds
 * can share the file. When it grows past its limit it is renamed to <path>.1 (replacing the former
 * one) and begun afresh. Fields, in doc/job-log.md; the file is for people and scripts. */
#ifndef DRAY_COMMON_LOG_JOBLOG_H
#define DRAY_COMMON_LOG_JOBLOG_H

#include <jansson.h>

#include "common/base.h"

/* What a worker's tracer saw of a compile. */
struct joblog_trace {
	uint32_t whole; /* 0 or 1: it comes from shared memory */
	uint32_t calls, files, absent, dirs, vars, fetched;
	uint64_t wait_us; /* that the compiler waited for files */
};

struct joblog_entry {
	const char *crate;   /* "" when the call names none (a probe) */
	const char *package; /* name and version, "ripgrep 14.1.1"; may be NULL */
	const char *kind; /* lib bin test build-script proc-macro cdylib dylib staticlib check probe
			     script-run */
	const char *where;	 /* cache, farm, local, passthrough */
	const char *why;	 /* reason for that place; may be NULL */
	const char *queue_why;	 /* the quota that it waited for; may be NULL */
	const char *worker;	 /* NULL unless a worker was used */
	const char *worker_key;	 /* of the worker whose answer it is made of, of a hit, too; may be
				    NULL */
	const char *coordinator; /* which of several has named the worker; NULL: there is one */
	uint64_t half;		 /* process id of the resident farm half that had it; 0: none */
	const char *linker;    /* what linked it here: mold lld rustc project; NULL when nothing was
				  linked */
	const char *out_dir;   /* may be NULL */
	const char *unit;      /* its stem (common/log/unit_id.h); may be NULL */
	const char *externs;   /* ids of what it needs, spaces between; may be NULL */
	const char *links;     /* of a run: the library that its package links; may be NULL */
	const char *deps;      /* of a run: names of its DEP_ variables without that, spaces
				  between; may be NULL */
	const char *bound;     /* of a run: what of it names its place; NULL: nothing does */
	uint64_t externs_left; /* so many more had no room */
	const char *const
		*attempts;	/* NULL-terminated: failed tries, "worker: reason"; may be NULL */
	const char *cache;	/* hit, bundle, miss, off; NULL: it was not asked (a probe) */
	const char *tier;	/* of a hit: "local", or the store that had it; NULL */
	const char *far_why;	/* why nothing was taken from the stores; NULL: there is nothing to
				   say */
	const char *not_shared; /* why it is not uploaded; NULL: it is, or need not be */
	uint64_t far_refused;	/* results in stores that are not believed */
	const char *cache_why;	/* of a miss or a bundle: what differs; of off: why; may be NULL */
	const char *not_stored; /* why a result was not kept, or NULL */
	uint64_t parent;	/* process id of what called the compiler; 0: not known */
	bool trial;		/* a build script had it compiled */
	uint64_t cargo;	 /* of a trial: process id of the cargo whose script it is; 0: not known */
	const char *key; /* the unit's key in hex; may be NULL */
	int exit_status; /* of the compiler; 128 + signal */
	int signal;	 /* that killed it; 0: none */
	uint64_t start_us;	   /* CLOCK_MONOTONIC, comparable between lines of one boot */
	uint64_t compile_start_us; /* when rustc itself started; 0: unknown */
	uint64_t rmeta_us;	   /* when cargo was told of the rmeta; 0: never */
	uint64_t end_us;
	/* phases, in microseconds, 0 when there was none */
	uint64_t pack_us, queue_us, upload_us, compile_us, download_us, slot_wait_us, link_us;
	uint64_t lookup_us, restore_us, store_us; /* the cache's own */
	uint64_t far_us, far_bytes;		  /* the wait for stores, and what came from them */
	uint64_t saved_us;    /* of a hit: what the compile took that made it, link included */
	uint64_t cache_bytes; /* of outputs, restored or stored */
	const struct joblog_trace *trace;    /* NULL: not traced */
	uint64_t bytes_sent, bytes_received; /* on the wire, payload frames as sent */
};

/* 0 or -errno. path's directory is made when missing. limit in bytes, 0 for none. */
int joblog_append(const char *path, uint64_t limit, const struct joblog_entry *e);

/* A JSON string of s, cut to max bytes. Paths and messages may be any bytes, JSON is UTF-8: in what
 * is not, every byte above ASCII becomes '?'. NULL: out of memory. */
json_t *joblog_text(const char *s, size_t max);

#endif
