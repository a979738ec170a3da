/* Makes a result (result.h) of what a compile made, from its record (trace/watch.h), its outputs
 * and its text: on a client of what was compiled here or by the farm, and on a worker, which shares
 * it. Both so ask the same of it, and make the same result.
 *
 * What is not whole, or depends on what is not known, is no result: keep->why says why. */
#ifndef DRAY_CACHE_KEEP_H
#define DRAY_CACHE_KEEP_H

#include <time.h>

#include "cache/inputs.h"
#include "cache/result.h"
#include "rustc/call.h"
#include "toolchain/toolchain.h"

struct keep {
	/* All of these are the caller's. */
	const struct rustc_call *call; /* NULL: a build script's run */
	bool mapped;		       /* rustc/mapping.h */
	const struct inputs_place *place;
	const char *cwd;
	const struct strv *env, *marked_env; /* the hermetic one; marked: as place->marked */
	const struct toolchain *toolchain;   /* its sysroot is where it is for this process */
	const char *sysroot;		     /* and this where the compiler had it */
	const char *script_sysroot; /* of a run: of cargo's compiler, where it is known; or NULL */
	struct timespec started;    /* as in inputs_from */
	mode_t mask;		    /* what the modes of outputs lose (fs_mask_in) */
	/* Takes the file as a blob. 0 or -errno. */
	int (*add_blob)(void *arg, const char *name, const char *path, struct digest *ret,
		uint64_t *ret_size);
	void *arg;

	/* What it finds out. */
	struct strv known, dirs;
	bool names_real; /* what was made names the target directory by its real path, behind a link
			  */
	unsigned named;	 /* the places that move which what was made names (INPUT_PLACE) */
	bool names_above;	   /* or a directory that the workspace lies in */
	bool has_macros;	   /* these may put anything into it */
	const struct inputs *read; /* of the result that is made; NULL: there is none yet */
	struct strv amid;	   /* names with the home's in them (cache/amid.h) */
	bool amid_known;
	char bound[128]; /* what of it names its place; "": nothing */
	char why[512];	 /* why there is no result */
	uint64_t bytes;	 /* of the outputs */
};

void keep_done(struct keep *keep);

struct keep_made {
	int status;
	const struct buf *record; /* trace/watch.h */
	const struct buf *out, *err;
	const struct buf *tail;	      /* of a bundle: what is printed after the link; or NULL */
	const struct inputs *known;   /* inputs that are not in the record; may be NULL */
	const struct digest *job_key; /* that the record must name (job_key.h); NULL: none */
	bool metadata;		      /* of a bundle: only the metadata of rlibs was read */
	/* It is a bundle: adds its links and their inputs (keep_add_temporary, keep_hide_link).
	 * NULL: it is none. 0 or -errno. */
	int (*add_links)(struct keep *keep, const void *arg, struct result *res,
		struct strv *objects, bool *bound);
	const void *arg;
};

/* Fills *res, which is empty: inputs, outputs, texts. 0; -errno: it is not to be kept. */
int keep_make(struct keep *keep, const struct keep_made *made, struct result *res);

/* Finds what the toolchain's id speaks for (keep->known), unless that is known: files and
 * directories. 0 or -errno. */
int keep_find_known(struct keep *keep);

/* ---- of a bundle */

/* Whether an input of a link, by its name relative to the out-dir, cannot have been taken out of an
 * rlib, as a C archive is that is linked whole: it is one of the crate's own objects, or what rustc
 * writes into its temporary directory. */
bool keep_is_own_temporary(const char *name);

/* ---- of a bundle, while it is made (add_links) */

/* Adds an input of a link, which was set aside at this path, and notes it in *objects. *bound: the
 * result holds for this out-dir alone. 0 or -errno. */
int keep_add_temporary(struct keep *keep, struct result *res, const char *name, const char *path,
	struct strv *objects, bool *bound);
/* Adds a call of the linker to the empty *to, in the form in which it is kept. 0 or -errno. */
int keep_hide_link(struct keep *keep, const struct buf *link, struct buf *to, bool *bound);

/* ---- texts (texts.c) */

/* Writes a text to the empty *to in the form in which it is kept. *bound: the text holds for this
 * out-dir alone. 0; -EBADMSG: it cannot be kept; -ENOMEM. */
int keep_hide(struct keep *keep, const struct buf *text, struct buf *to, bool *bound);
/* Whether a text that is kept as it is holds what would be taken for a mark. */
bool keep_has_mark(const struct keep *keep, const struct buf *text);

/* ---- places (places.c) */

/* Adds a place as an input (INPUT_OUT_DIR_NAME and the like). 0 or -errno. */
int keep_add_place(struct result *res, const char *name, const char *dir);
/* Ties the result to its out-dir; with names_real to its real path, too. 0 or -errno. */
int keep_add_bound(const struct keep *keep, struct result *res);
/* Notes whether a file tells of the directory that the workspace lies in (names_above). 0 or
 * -errno. */
int keep_look_above(struct keep *keep, const char *path);
int keep_look_above_text(struct keep *keep, const struct buf *text);
/* Notes whether a text, in which marks stand for places, still names the home. */
void keep_look_for_home(struct keep *keep, const struct buf *hidden);
/* Notes which places that move are named by what was read. 0 or -errno. */
int keep_look_at_inputs(struct keep *keep, const struct inputs *s);
/* Notes the places that stand in its texts by a mark, and that the program, or a file that was
 * read, names by itself: that is no other place elsewhere. program: of a run; or NULL. 0 or -errno.
 */
int keep_look_for_names(struct keep *keep, const struct result *res, const char *program);
/* Ties it to its workspace, the directory above, cargo's home, or the user's, as named and
 * names_above say. 0 or -errno. */
int keep_add_places(const struct keep *keep, struct result *res);

#endif
