/* What is watched of a build script beyond what is of a compile: whether it, or a program of its
 * tree, asked for the time or for random numbers; what it left outside of its own directories; and
 * which of the variables that shells differ by (common/process/session.h) are named in a text that
 * its programs read. */
#ifndef DRAY_TRACE_SCRIPT_H
#define DRAY_TRACE_SCRIPT_H

#include <sys/stat.h>

#include "trace/program.h"
#include "trace/watch.h"

/* The script, or a program of its tree, is about to be run. */
void script_runs(struct watch *w, pid_t pid, const char *path, enum program_form form);
/* The class of a program (program.h) in a script's tree, where dray-run.so reports what programs
 * ask for by name: such a one is a "linker". envp: in the caller's memory. */
const char *script_class(
	struct watch *w, const struct trace_call *c, const char *path, enum program_form form);

/* Whether a program may use all variables, for all that its name says. */
bool script_uses_all(const struct watch *w, const char *path);

/* Whether the caller is a Rust compiler, and the path is in its sysroot: it only looks whether its
 * libraries are there. */
bool script_is_compilers(const struct watch *w, const char *path);

/* dray-run.so says that the caller asked for the time, or for random numbers. */
void script_said(struct watch *w, const char *said);
/* dray-run.so says that the caller asked for this variable. */
void script_reads(struct watch *w, const char *name);
/* Random numbers were asked for by the system call. */
void script_random(struct watch *w);
/* The caller asked what the machine is: a name of cache/variables.h. */
void script_machine(struct watch *w, const char *what);
/* Before anything else is made of a path. True: it is what the loader reads for itself. */
bool script_loads(struct watch *w, const struct trace_call *c, const char *path);
/* A path was opened to be read. */
void script_opened(struct watch *w, const char *path);

/* The path is of the jobserver: neither an input nor an output. */
bool script_is_jobserver(const struct watch *w, const char *path);
/* Whether the call puts a new file, whole, in the place of one in a temporary directory that an
 * earlier run left there (st). */
bool script_replaces(
	struct watch *w, const struct trace_call *c, const char *path, const struct stat *st);
/* A path that is outside of what the script may write to is about to be changed. st: what is there;
 * NULL: nothing. Whether that is all there is to say of it now: the end will tell whether it
 * changed. */
bool script_changes(
	struct watch *w, const struct trace_call *c, const char *path, const struct stat *st);

/* Another mode, owner or time is about to be given to a path. */
void script_marks(struct watch *w, const char *path);

/* A call is about to change a path at which something is. Whether it cannot, and only finds it. */
bool script_finds(struct watch *w, const struct trace_call *c, const char *path);
/* A call is about to change a path. If a link may lead elsewhere then, what was asked before holds
 * no more. */
void script_links(struct watch *w, const struct trace_call *c, const char *path);
/* A path is about to be made, or changed, before that is noted. */
void script_makes(struct watch *w, const struct trace_call *c, const char *path);
/* Any call, before all else. */
void script_calls(struct watch *w, const struct trace_call *c);

/* The tree has ended, or its first process has. */
void script_end(struct watch *w);
void script_done(struct watch_script *s);

#endif
