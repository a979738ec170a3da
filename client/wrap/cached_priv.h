/* What cached.c, which looks results up, and cached_keep.c and cached_bundle.c, which keep them,
 * share. */
#ifndef DRAY_CLIENT_WRAP_CACHED_PRIV_H
#define DRAY_CLIENT_WRAP_CACHED_PRIV_H

#include "store/depot.h"
#include "cache/entry.h"
#include "cache/key.h"
#include "client/wrap/cached.h"
#include "toolchain/toolchain.h"

struct cached {
	struct cached_in in;
	struct depot *depot;
	struct toolchain tc;
	char *cwd, *out_dir, *real_out_dir, *target_dir, *real_target_dir;
	char *form;
	const char *run; /* a build script's run (client/script/): its name; there is no call */
	struct unit_key key;
	struct strv env;			/* the hermetic one */
	char *workspace, *cargo_home, *sysroot; /* of a run, where they are ours */
	struct strv marked,
		marked_env; /* of a mapped unit: inputs_place.marked, and env likewise */
	struct inputs_place place;
	int lock;	     /* of the key, or -1 */
	uint64_t twin_until; /* cached_wait_twin; 0: it waited for none */
	struct strv trace_options, dirs;
	struct strv known; /* what the toolchain's id speaks for: directories and files */
	struct timespec started;
	mode_t umask;
	mode_t mask;	 /* what the modes of outputs lose: the umask, mostly (fs_mask_in) */
	bool names_real; /* what was made names the target directory by its real path, behind a link
			  */
	unsigned named;	 /* the places that move which what was made names (INPUT_PLACE) */
	bool names_above;	   /* or a directory that the workspace lies in */
	bool has_macros;	   /* these may put anything into it */
	const struct inputs *read; /* of the result that is made; NULL: there is none yet */
	struct strv amid;	   /* names with the home's in them (cache/amid.h) */
	bool amid_known;
	char bound[128];     /* what of it names its place; "": nothing */
	struct digest kept;  /* the result that was written last, as it is in its entry; where
				far_may_write */
	struct far_ask *far; /* NULL: there is no connection */
	bool far_tried;
	struct unit_key bundle_key; /* empty until it is asked for */
	struct result bundle;	    /* that is in place */
};

/* Reads the entry as it is on disk now; it is empty if there is no valid one. 0 or -ENOMEM. */
int cached_read_entry(struct cached *c, const struct digest *key, struct entry *ret);
/* Adds a result to it. 0 or -errno. */
int cached_write_result(struct cached *c, const struct unit_key *key, struct result *res);
/* Offers the result that was written last to the stores that are shared, if it may be. env: what
 * cargo and pass_env set, with values as inputs have them. */
void cached_offer(struct cached *c, const struct digest *key, const struct result *res,
	char *const *env, struct cached_far *far);
/* Makes result i, which was used, the first one. */
void cached_note_order(struct cached *c, struct entry *e, size_t i);

/* Whether all blobs of a result are in the cache. */
bool cached_has_all(struct cached *c, const struct result *res);
/* Puts the outputs in place, and counts them. late: those of them that are ledger_is_late go to
 * this directory, which exists; NULL: to the out-dir, like all. 0; -errno with a reason in
 * said->why. */
int cached_restore_outputs(
	struct cached *c, const struct result *res, const char *late, struct cached_said *said);
void cached_print(const struct cached *c, int fd, const struct buf *text);
void cached_mark_used(struct cached *c, const struct digest *key, const struct result *res);
/* That its entry is one of those that its target directory was made of (together.h). */
void cached_note_together(struct cached *c);

/* Writes a text to the empty *to in the form in which it is kept. *bound: the text holds for this
 * out-dir alone. 0; -EBADMSG: it cannot be kept; -ENOMEM. */
int cached_hide(struct cached *c, const struct buf *text, struct buf *to, bool *bound);
/* Whether a text that is kept as it is holds what would be taken for a mark. */
bool cached_has_mark(const struct cached *c, const struct buf *text);
/* Notes whether a file tells of the directory that the workspace lies in (names_above). 0 or
 * -errno. */
int cached_look_above(struct cached *c, const char *path);
int cached_look_above_text(struct cached *c, const struct buf *text);
/* Notes whether a text, in which marks stand for places, still names the home. */
void cached_look_for_home(struct cached *c, const struct buf *hidden);
/* Notes which places that move a file names. 0 or -errno. */
int cached_look_for_moved(struct cached *c, const char *path);
/* The same of what was read. 0 or -errno. */
int cached_look_at_inputs(struct cached *c, const struct inputs *s);
/* Notes the places that stand in its texts by a mark, and that the program, or a file that was
 * read, names by itself: that is no other place elsewhere. program: of a run; or NULL. 0 or -errno.
 */
int cached_look_for_names(struct cached *c, const struct result *res, const char *program);
/* Writes the text as it is: the result holds for one place. 0; -EBADMSG; -ENOMEM. */
int cached_keep_as_is(struct cached *c, const struct buf *text, struct buf *to);
/* The reverse of cached_hide. 0 or -ENOMEM. */
int cached_show(const struct cached *c, const struct buf *text, struct buf *to);
/* The same of a call of the linker (hide_link in cached_parts.c). 0 or -ENOMEM. */
int cached_show_link(const struct cached *c, const struct buf *link, struct buf *to);
/* The same as cached_hide for a text that must hold for any place; -EBADMSG: it does not. */
int cached_hide_place(struct cached *c, const struct buf *text, struct buf *to);
/* Whether a file's bytes contain the path of this target directory, or, of a mapped unit, of the
 * workspace. Notes whether they contain that of cargo's home, or of the user's
 * (named). 1, 0, or -errno. */
int cached_names_place(struct cached *c, const char *path);
/* Whether the target directory lies behind a symbolic link. */
bool cached_is_behind_link(const struct cached *c);
/* Sets names_real if the text names the real path. */
void cached_note_real(struct cached *c, const struct buf *text);
/* A file of the staging directory, added to *to. 0 or -errno. */
int cached_read_staged(const struct ledger *said, const char *name, struct buf *to);
/* Adds linkers' records to *record, each without its end. 0; -ENOMEM; -EBADMSG. */
int cached_add_linked(const struct buf *linked, struct buf *record);
/* Adds the links of a bundle and their inputs to a result (cached_bundle.c). *bound: the result
 * holds for this out-dir alone. 0 or -errno. */
int cached_add_bundle(
	struct cached *c, const struct cached_made *made, struct result *res, bool *bound);
/* Adds to the options of dray-trace where the compile, or the script, may write. 0 or -ENOMEM. */
int cached_add_writable(const struct cached *c, struct strv *to);
/* Ties the result to its out-dir; with names_real to its real path, too. 0 or -errno. */
int cached_add_bound(const struct cached *c, struct result *res);
/* Adds a place as an input (INPUT_OUT_DIR_NAME and the like). 0 or -errno. */
int cached_add_place(struct result *res, const char *name, const char *dir);
/* Notes whether optimised outputs (names in the out-dir, or paths) hold a place that was asked for
 * in the numbers of their instructions; *bound: so it is. 0 or -errno. */
int cached_look_for_pieces(
	struct cached *c, const struct strv *names, const struct result *res, bool *bound);
/* Ties it to its workspace, the directory above, cargo's home, or the user's, as named and
 * names_above say. 0 or -errno. */
int cached_add_places(const struct cached *c, struct result *res);
/* 0 or -errno. */
int cached_bundle_key(struct cached *c);
/* stranger_check of a result from a shared cache. links: a publisher sealed it. 0; -EPERM: it is
 * not to be put in place, and *ret_why says why (the caller frees it); -ENOMEM. */
int cached_check_stranger(struct cached *c, const struct result *res, bool links, char **ret_why);
/* Finds what the toolchain's id speaks for, unless that is known. 0 or -errno. */
int cached_find_known(struct cached *c);
/* Whether nothing is known against the worker that made it (distrust.h). */
bool cached_is_believed(const struct cached *c, const struct result *res);
/* What a worker calls this unit (cache/job_key.h). 0 or -errno. */
int cached_job_key(const struct cached *c, struct digest *ret);

/* The last recipe of what seems to be the same unit, NUL-terminated strings. -ENOENT. */
int cached_former_recipe(struct cached *c, struct strv *ret);
/* DEPOT_SHARE for files that no program changes in place: crates, and a program that will be
 * hidden. */
enum depot_way cached_way(const struct cached *c, const char *name);
void cached_note_recipe(struct cached *c);
/* Of a key without a result: what differs from the last one of what seems to be the same. */
void cached_say_new_key(struct cached *c, struct cached_said *said);
void cached_why(struct cached_said *said, const char *fmt, ...) _printf_(2, 3);

#endif
