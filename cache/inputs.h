/* What a compile read, as the tracer saw it (trace/watch.h), in a form that can be kept and checked
 * later.
 *
 * A path below the out-dir is kept relative to it (\x01 stands for the out-dir), and one elsewhere
 * in the target directory relative to that (\x02), so that it does not matter where a target
 * directory is. Of a mapped unit (paths = shared) the same holds for the workspace (\x03), cargo's
 * home (\x04), the user's (\x05) and the toolchain (\x06), and variables are compared with marks
 * for these places in their values. */
#ifndef DRAY_CACHE_INPUTS_H
#define DRAY_CACHE_INPUTS_H

#include <time.h>

#include "common/buf.h"
#include "common/digest.h"
#include "memo/memo.h"
#include "common/strv.h"

enum input_kind {
	INPUT_FILE = 1, /* value: the content's digest */
	INPUT_ABSENT,	/* nothing was there */
	INPUT_EXISTS,	/* a directory, or another thing that is no regular file */
	INPUT_LISTING,	/* of a directory: the digest of its names and their kinds, sorted */
	INPUT_ENV,	/* a variable: its value's digest; no value: not set */
	INPUT_PROGRAM, /* looked for in PATH: what is found (inputs_find_program); no value: none */
	INPUT_OUT_DIR, /* a place of the compile counts (INPUT_OUT_DIR_NAME and the like): the
			* digest of its path */
	INPUT_WIDTH,   /* diagnostics were printed: --diagnostic-width, as text */
	INPUT_LINK,    /* a symbolic link: what is written in it */
	INPUT_METADATA, /* an rlib: the digest of its metadata (rlib.h) */
	INPUT_FORM,	/* diagnostics were printed: how (call_form), as text */
	INPUT_LIBRARY,	/* a library that a program loads: where LD_LIBRARY_PATH leads to it, beside
			   the toolchain's own; no value: nowhere */
	INPUT_ENVIRON,	/* the whole of cargo's environment: a digest of it */
	INPUT_STAT,	/* of what a path leads to: what a stat tells (attributes.h) */
	INPUT_LSTAT,	/* of the path itself, where it is a symbolic link */
	INPUT_VARIABLES, /* variables of a kind (variables.h): their digest */
	INPUT_GIT_INDEX, /* of git: the digest of what it says (memo/git_index.h) */
	INPUT_REAL,	 /* its real path, which is that without links */
	INPUT_EXTENDED,	 /* its extended attributes: their digest (attributes.h) */
	INPUT_UMASK,	 /* what this process has, in four octal digits */
	INPUT_RUNS,	 /* a file that was to be run: INPUT_RUNS_YES; no value: it could not be */
	INPUT_NOT_ABOVE, /* none of this name is in any directory that the workspace lies in */
	INPUT_NOT_FROM,	 /* nothing is there, by this way ("../x") from the workspace */
	INPUT_KINDS
};

#define INPUT_OUT_DIR_NAME "out-dir"
#define INPUT_REAL_OUT_DIR_NAME "real out-dir"
#define INPUT_WORKSPACE_NAME "workspace"
#define INPUT_ABOVE_NAME "above" /* the directory that the workspace lies in */
#define INPUT_HOME_NAME "home"

#define INPUT_UNIT_NAME "unit" /* inputs_unit_way */
#define INPUT_WAYS_NAME "ways" /* inputs_ways_from_home */

#define INPUT_RUNS_YES "yes"

#define INPUT_OUT_DIR_MARK '\x01'
#define INPUT_TARGET_DIR_MARK '\x02'
#define INPUT_WORKSPACE_MARK '\x03'
#define INPUT_CARGO_HOME_MARK '\x04'
#define INPUT_HOME_MARK '\x05'
#define INPUT_TOOLCHAIN_MARK '\x06'
/* all of them, as a string; those of places that move alone, the innermost first, mostly */
#define INPUT_MARKS "\x01\x02\x03\x04\x05\x06"
#define INPUT_MOVED_MARKS "\x03\x04\x06\x05"
/* a place as a bit of a set */
#define INPUT_PLACE(mark) (1u << (mark))

struct input {
	enum input_kind kind;
	char *name;
	struct buf value;
};

struct inputs {
	struct input *v;
	size_t n, cap;
};

#define INPUTS_INIT        \
	{                  \
		NULL, 0, 0 \
	}

/* Adds an input; copies name and value. 0 or -ENOMEM. */
int inputs_add(
	struct inputs *s, enum input_kind kind, const char *name, const void *value, size_t n);
/* Adds a variable with its value in envp, unless it is there already. 0 or -ENOMEM. */
int inputs_add_env(struct inputs *s, char *const *envp, const char *name);
struct inputs_place;
/* The variables as inputs have them: `marked`, if there are any. */
char *const *inputs_env(const struct inputs_place *place);
void inputs_done(struct inputs *s);
/* Whether both hold the same inputs, in any order. Out of memory: false. */
bool inputs_equal(const struct inputs *a, const struct inputs *b);

struct attributes;
struct stat;

/* A place that is not where this process runs: a job's tree on a worker, with what the job was told
 * of it. No path in it leads through a symbolic link. */
struct inputs_view {
	/* Where a path of the compile's is for this process: what it read; and in the out-dir, what
	 * it made. NULL: no memory. The caller frees it. */
	char *(*find)(const struct inputs_view *v, const char *path);
	char *(*find_made)(const struct inputs_view *v, const char *path);
	/* lstat of what it made there: 0 or -errno. */
	int (*stat_made)(const struct inputs_view *v, const char *path, struct stat *ret);
	/* Of a regular file, what was in it for the compile. -ENOENT: that is not known. */
	int (*digest)(const struct inputs_view *v, const char *path, struct digest *ret);
	/* What a stat of it said to the compile. -ENOENT: that is not known. */
	int (*attributes)(
		const struct inputs_view *v, const char *path, bool follow, struct attributes *ret);
	/* Whether it is a symbolic link at home. */
	bool (*is_link)(const struct inputs_view *v, const char *path);
};

/* Where a compile runs. It decides what the names of inputs mean. */
struct inputs_place {
	const char *out_dir;	  /* absolute, normal */
	const char *real_out_dir; /* the same without symbolic links */
	const char *target_dir;	  /* that the out-dir belongs to; NULL: none is known */
	const char *real_target_dir;
	const char *workspace;	/* of a mapped unit; NULL: it is not one of a workspace */
	const char *cargo_home; /* of a mapped unit, or a run likewise; NULL: it has no mark */
	const char *home;	/* the user's, likewise */
	const char *toolchain;	/* its sysroot, likewise (inputs_markable) */
	const char *width;	/* --diagnostic-width; NULL: not given */
	const char *form;	/* call_form; NULL: "" */
	char *const *envp;	/* the compiler's */
	/* Of a build script's run, or a mapped unit: the same, with the marks for these directories
	 * in the values, and without variables that are no inputs. NULL otherwise. */
	char *const *marked;
	const struct strv *cargo_env; /* of it, what cargo set: NAME=VALUE, sorted; NULL: none */
	const char *sysroot;	      /* NULL: not known */
	unsigned umask;
	struct memo *memo;		/* may be NULL */
	const struct inputs_view *view; /* NULL: this process sees it as the compile did */
};

/* Where a path of the place's is for this process; NULL: no memory. It may be *keep, which the
 * caller frees. */
const char *inputs_see(const struct inputs_place *place, const char *path, char **keep);
/* The same of what was made, in the out-dir. */
const char *inputs_see_made(const struct inputs_place *place, const char *path, char **keep);
int inputs_stat_made(const struct inputs_place *place, const char *path, struct stat *ret);

/* The directory that a mark stands for. NULL: the place is not known, or has no mark. */
const char *inputs_place_dir(const struct inputs_place *place, char mark);
/* The set of places that move which are known (INPUT_PLACE). */
unsigned inputs_places(const struct inputs_place *place);
/* How an input of the kind INPUT_OUT_DIR names a place that moves. */
const char *inputs_place_name(char mark);
/* A path with the mark for the place that moves (INPUT_MOVED_MARKS) in which it lies. NULL: no
 * memory. The caller frees it. */
char *inputs_mark_path(const struct inputs_place *place, const char *path);
/* The way from the target directory to the out-dir; the out-dir itself where it lies elsewhere. */
const char *inputs_unit_way(const struct inputs_place *place);
/* What the user finds below HOME: cargo's home and the toolchain, by their names there. NULL: no
 * memory. The caller frees it. */
char *inputs_ways_from_home(const struct inputs_place *place);
/* The directory that a path may lead out of: the workspace, or cargo's home of a package that lies
 * there. NULL: neither is known. */
const char *inputs_moves_with(const struct inputs_place *place);
/* The path that an input's name stands for here; "": there is none. NULL: no memory. The caller
 * frees it. */
char *inputs_real_path(const struct inputs_place *place, const char *name);
/* Whether a name, or a value, begins with a mark for a place. */
bool input_is_marked(const char *name);
/* The user's home by HOME, where it can have a mark; it points into the environment. NULL: it
 * cannot. */
const char *inputs_find_home(void);
/* The toolchain's directory, if it can have a mark: it is its own. NULL: it cannot. */
const char *inputs_markable(const char *sysroot);

/* Checks that every input is as it was. 0; -ESTALE: *ret_differs says what changed ("src/lib.rs
 * changed"; the caller frees it); -ENOMEM. */
int inputs_check(const struct inputs *s, const struct inputs_place *place, char **ret_differs);

struct inputs_from {
	const struct inputs_place *place;
	const struct strv *ignored_lists; /* directories whose listing decides nothing: -L */
	const struct strv *argfiles;	  /* normal paths of @file; their text is in the key */
	const char *cwd;
	const struct strv *libraries; /* names of the toolchain's own; NULL: none */
	bool linked;		      /* a linker ran as well */
	bool run;		      /* it is a build script's run */
	bool walks_environ;	      /* its own program may read the whole environment */
	bool asks_processor;	      /* and may ask the processor what it can do */
	bool stamps;   /* that may put SOURCE_DATE_EPOCH into what it makes: no ELF file */
	bool walkers;  /* a macro that may walk its environment does: compilers since 1.95 */
	bool metadata; /* of rlibs only the metadata counts */
	const struct digest *job_key; /* that its worker must name (job_key.h); NULL: none */
	struct timespec started; /* before the compile (clock_stamp_after); a record may know better
				  */
};

/* Makes inputs from a whole record. *ret_made: absolute paths of what the compile made or changed,
 * even if it is gone again. 0; -ENOTSUP: the result cannot be kept, since not everything that it
 * depends on is known, or some of it changed meanwhile; *ret_why says why, and the caller frees it;
 * -EBADMSG: the record is not whole; -ENOMEM. */
int inputs_from_record(const struct inputs_from *in, const struct buf *record, struct inputs *ret,
	struct strv *ret_made, char **ret_why);

/* The path of a program (sudo) that had rights of its own and did not get them, since nothing that
 * is traced does: the run may have ended otherwise than without a tracer. It points into the
 * record. NULL: there is none. */
const char *inputs_lost_rights(const struct buf *record);
#define INPUTS_LOST_RIGHTS "it ran %s, which gets none of its own rights while it is traced"

#endif
