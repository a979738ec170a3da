/* What record.c (items, programs, variables), record_path.c (paths) and record_around.c (paths
 * outside of the workspace) share; each is below the one before. */
#ifndef DRAY_CACHE_RECORD_PRIV_H
#define DRAY_CACHE_RECORD_PRIV_H

#include <sys/stat.h>

#include "cache/inputs_priv.h"
#include "common/text/why.h"

struct recorder {
	const struct inputs_from *in;
	struct inputs *inputs;
	struct strv *made;
	char **why;
	struct strv up;	      /* directories above recorded paths; sorted */
	struct strv own;      /* made by it; sorted */
	struct strv programs; /* looked for in PATH */
	struct strv path;     /* PATH's directories */
	struct strv library_path;
	struct strv libraries; /* names of libraries that programs loaded or looked for */
	bool environ;	       /* its whole environment may have been read: what cargo set */
	bool walks;	       /* and all the rest of it */
	struct strv variables; /* kinds of these (variables.h) that programs ask for */
	struct strv indexes;   /* git indexes that git may have written: digest, blank, path */
	struct strv trees; /* where git may know what is untracked without listing directories */
	bool ran, drivers; /* programs were run; linkers or C drivers among them */
	struct strv
		around;	  /* what was not there, and may have been looked for from the workspace */
	struct strv ways; /* of these, what a ".." of a path in the workspace led to */
	struct strv other_ways; /* and what another way led to as well */
	bool above;		/* it depends on what lies around the workspace */
	bool compiles;		/* these read C: it is compiled or preprocessed */
};

/* Why the result cannot be kept. */
#define cannot(r, ...) why_set((r)->why, -ENOTSUP, __VA_ARGS__)

/* ---- record_path.c. 0; -ENOTSUP with a reason; -ENOMEM. */

/* Adds it by its name, relative to the out-dir or the target directory where it lies there. */
int record_add(
	struct recorder *r, enum input_kind kind, const char *path, const void *value, size_t n);
int record_add_file(struct recorder *r, const char *path);
int record_add_absent(struct recorder *r, const char *path);
int record_add_listing(struct recorder *r, const char *path);
/* ---- record_around.c: of a mapped unit, or of a run likewise */

/* A path outside of all places was looked at. 0 or -ENOMEM. */
int record_note_around(struct recorder *r, enum input_kind kind, const char *path);
/* What the tracer says of a ".." that led to nothing (trace/watch.c). 0, -EBADMSG or -ENOMEM. */
int record_note_way(struct recorder *r, const char *item);
/* In the end: ties the result to what lies around the workspace, as far as that counts. 0 or
 * -errno. */
int record_add_around(struct recorder *r);

/* ---- record_path.c */

/* Of what a macro asked for: attributes (links: of what the path leads to), extended ones, where it
 * really is. */
int record_add_attributes(struct recorder *r, const char *path, bool links);
int record_add_extended(struct recorder *r, const char *path);
/* What is there now is like what was there before (trace/script.c), but for its times. */
int record_add_replaced(struct recorder *r, const char *path);
/* The mode of a file that was read. */
int record_add_mode(struct recorder *r, const char *path);
int record_add_real(struct recorder *r, const char *path);
/* Checks that the way to what was read is as it was. `path` is a part of it; where that is a link,
 * so is what lies above its end. links: those that led here. */
int record_check_way(struct recorder *r, const char *path, unsigned links);
/* Whether the file is of C, by its name. */
bool record_is_c(const char *path);
/* Whether it lies directly in a directory of PATH. */
bool record_in_path(const struct recorder *r, const char *path);

#endif
