/* What a compile on this machine looked at, made and asked for, from its calls. It is not confined:
 * what it does is only seen, and what makes its result depend on more than can be recorded is
 * noted.
 *
 * What it cannot see: a macro that walks the whole environment, reads the clock, or random numbers.
 */
#ifndef DRAY_TRACE_WATCH_H
#define DRAY_TRACE_WATCH_H

#include "common/buf.h"
#include "common/digest.h"
#include "common/strv.h"
#include "trace/trace_call.h"
#include "trace/runtime.h"
#include "trace/set.h"

/* What a caller's program is; asked only where it matters. */
enum watch_by { WATCH_BY_COMPILER, WATCH_BY_LINKER, WATCH_BY_GIT, WATCH_BY_PYTHON, WATCH_BY_OTHER };
typedef enum watch_by (*watch_by_fn)(void *arg);

struct watch {
	struct strv toolchain; /* directories whose content is part of the toolchain's id */
	struct strv writable;  /* directories that a compile may write to */
	struct strv
		temporary;  /* where it may make files of its own; what is there is not its own */
	struct strv caches; /* of drivers (ccache, zig) that were run: neither inputs nor outputs */
	struct trace_set set;
	uint32_t calls;
	struct watch_index {
		char *path;
		struct digest before;
	} * indexes; /* of git, that it refreshes */
	size_t n_indexes;
	bool linker;   /* it is one: no variable of it is reported */
	bool ran;      /* what is traced was started */
	bool env_seen; /* its variables are reported */
	bool environ;  /* a whole environment was read, from /proc */
	struct watch_device {
		dev_t dev;
		bool kernels;
	} devices[8]; /* file systems that are no disk's: whether the kernel makes up what is there
		       */
	size_t n_devices;
	struct runtime_loading loading;
	/* of the call that is looked at: see watch_call */
	watch_by_fn by;
	void *arg;
	pid_t pid;
	char doubt[256]; /* why the record is not all that the result depends on; "": it is */
};

/* Zeroes are a good beginning for all but set (TRACE_SET_INIT). */
void watch_done(struct watch *w);
void watch_call(struct watch *w, const struct trace_call *c, watch_by_fn by, void *arg);
/* The record is not all that the result depends on. The first reason stays. */
void watch_doubt(struct watch *w, const char *fmt, ...) _printf_(2, 3);
/* The compile's end: what it never said is a doubt as well. */
void watch_end(struct watch *w);

/* The record, to *ret: items of one letter, a name, and a NUL byte. Letters: f found, a absent,
 * d listed, s a macro asked for its attributes, l for those of the link itself, n a macro or a
 * program saw that it is no link, or that it is its own real path, m variable of a macro, r
 * variable of the toolchain, v (with the name "environ") all variables at once, w made or changed,
 * x a program that was run (its class, see program.h, a blank, its path), g an index of git that
 * git may have written (the digest of what it said, see memo/git_index.h, a blank, its path), ! a
 * doubt, and last e, with the number of calls as its name: without it the record is not whole. 0 or
 * -ENOMEM. */
int watch_record(const struct watch *w, struct buf *ret);

#endif
