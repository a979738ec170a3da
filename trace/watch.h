/* What a compile, or a build script, on this machine read, made and asked for, from its calls. It
 * is not confined: its calls are only seen. If its result depends on more than can be recorded, the
 * record says so (a doubt).
 *
 * It cannot see a macro that walks the whole environment, or reads the clock or random numbers. Of
 * a script's programs it sees that they ask for the time or random numbers (script.h). */
#ifndef DRAY_TRACE_WATCH_H
#define DRAY_TRACE_WATCH_H

#include <sys/stat.h>

#include "common/buf.h"
#include "common/digest.h"
#include "common/strv.h"
#include "trace/trace_call.h"
#include "trace/program.h"
#include "trace/runtime.h"
#include "trace/set.h"

/* What program a caller is. It is asked only where it matters. */
enum watch_by {
	WATCH_BY_COMPILER,
	WATCH_BY_LINKER,
	WATCH_BY_DRIVER, /* one that keeps a cache of its own: program_keeps_cache */
	WATCH_BY_GIT,
	WATCH_BY_PYTHON,
	WATCH_BY_MAKE, /* of a script's tree: it compares times of files */
	WATCH_BY_OTHER,
};
typedef enum watch_by (*watch_by_fn)(void *arg);

#define WATCH_PROCESSES 256

/* What is known of a build script (script.h). */
struct watch_script {
	bool on;
	bool trust;	       /* what it asks for the time or random numbers for is no input */
	const char *library;   /* dray-run.so, which stands first in LD_PRELOAD */
	const char *jobserver; /* its fifo; NULL: it has none */
	bool blind;	       /* a C compiler, or ccache, was run that is not seen to ask */
	char *program;	       /* the script's own, once it runs; NULL: not known */
	bool reads_epoch;      /* that program asked for SOURCE_DATE_EPOCH, which is set, */
	bool own_clock;	       /* and for the time */
	struct watch_opened {
		char *path;
		struct stat before;
		bool only_marked; /* another mode, owner or time was given to it */
		bool replaced;	  /* a temporary file, whole: its content may be another */
	} * opened;		  /* outside, to be written, while they were there */
	size_t n_opened;
	char *found_dir; /* in OUT_DIR: the last mkdir found it there; NULL */
	pid_t found_by;
	struct strv moved;   /* where a directory was moved to */
	struct strv missing; /* "PID NAME": libraries that the loader has not found as yet */
	uint64_t *age;	     /* of what was asked before (asked.h); NULL: nothing is passed */
	bool leads_out;	     /* a link was made to what the tree did not make */
	pid_t linked_by;     /* such a link is about to be made, or moved; 0: none is */
	struct watch_process {
		pid_t pid;
		unsigned devices;     /* of random numbers, opened since its program began */
		unsigned names;	      /* questions for the machine's name since then */
	} processes[WATCH_PROCESSES]; /* by number */
};

struct watch {
	struct strv toolchain; /* directories whose content is part of the toolchain's id */
	struct strv writable;  /* directories that a compile may write to */
	struct strv project;   /* the directory that it runs in: its programs are known by no name
				*/
	struct strv temporary; /* where it may make files; what is there already is not its own */
	struct strv caches;    /* caches of drivers (ccache, zig) that were run: neither inputs nor
				  outputs */
	struct trace_set set;
	struct timespec started; /* the program; 0: the record does not say */
	uint32_t calls;
	struct watch_index {
		char *path;
		struct digest before;
	} * indexes; /* git indexes that git refreshes */
	size_t n_indexes;
	char *rights;  /* a program that was run without its own rights; NULL */
	bool linker;   /* the traced program is a linker: its variables are not reported */
	bool runs_all; /* a program was run that may ask for any variable */
	bool ran;      /* the traced program was started */
	bool env_seen; /* its variables are reported */
	bool environ;  /* a whole environment was read, from /proc */
	struct watch_script script;
	bool links; /* it made a link */
	bool dirs;  /* a program was run that may compare the times of directories */
	bool umask; /* a macro, or a program that it runs, asked for it */
	struct watch_device {
		dev_t dev;
		bool kernels;
	} devices[8]; /* file systems without a disk: does the kernel make up what is there?
		       */
	size_t n_devices;
	struct runtime_loading loading;
	/* for the current call: see watch_call */
	watch_by_fn by;
	void *arg;
	const char *(*exe)(void *arg); /* the caller's program; "": not known;
					  NULL: the caller is gone */
	bool (*all)(void *arg);	       /* for scripts: whether that may use all variables */
	bool (*code)(void *arg, char ret[PATH_MAX]); /* for scripts: the file that the calling
							instruction lies in; false: not known */
	pid_t pid;
	char doubt[256]; /* why the result may depend on more than the record says; "": it does not
			  */
};

/* Starts zeroed. */
void watch_done(struct watch *w);
/* Before watch_call: a link that was made here says nothing of what it leads to, so paths through
 * such ones become those of what is there. */
void watch_pass_links(struct watch *w, struct trace_call *c);
void watch_call(struct watch *w, const struct trace_call *c, watch_by_fn by, void *arg);
/* program_class, but for programs of the project's own. */
const char *watch_class(const struct watch *w, const char *path, enum program_form form);
/* Notes that the result may depend on more than the record says. The first reason stays. */
void watch_doubt(struct watch *w, const char *fmt, ...) _printf_(2, 3);
/* The compile has ended. If dray-env.so never reported itself, that is a doubt too. */
void watch_end(struct watch *w);

/* The record, to *ret: items of one letter, a name, and a NUL byte. Letters: f found, a absent,
 * d listed, s a macro asked for its attributes, l for those of the link itself, n a macro or a
 * program saw that it is no link, or that it is its own real path, y they asked for its extended
 * attributes, b a path in a temporary directory that was not there when it was looked for, and was
 * made then, k one that was there and was replaced whole, o a file that was opened by what may give
 * its mode to a copy, u (with the name "umask") they asked for
 * the umask, m variable of a macro, r variable of the toolchain, v (with the name "environ") all
 * variables at once, w made or changed, x a program that was run, or could not be (its class, see
 * program.h, a blank, its path), q variables whose names begin so, or another group of
 * cache/variables.h, t (first, or not there) when the program began (seconds and nanoseconds of the
 * clock that stamps files), p a program that did not get its own rights, g an index of git that git
 * may have written (the digest of what it said, see memo/git_index.h, a blank, its path), ! a
 * doubt, and last e, with the number of calls as its name: without it the record is not whole. 0 or
 * -ENOMEM. */
int watch_record(const struct watch *w, struct buf *ret);

#endif
