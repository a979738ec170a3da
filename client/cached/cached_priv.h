/* What cached.c, which looks results up, and cached_keep.c and cached_bundle.c, which keep them,
 * share. */
#ifndef DRAY_CLIENT_CACHED_CACHED_PRIV_H
#define DRAY_CLIENT_CACHED_CACHED_PRIV_H

#include "store/depot.h"
#include "cache/entry.h"
#include "cache/keep/keep.h"
#include "cache/key.h"
#include "client/cached/cached.h"
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
	struct keep keep;    /* of these (cached_init_keep) */
	int lock;	     /* of the key, or -1 */
	uint64_t twin_until; /* cached_wait_twin; 0: it waited for none */
	struct strv trace_options, dirs;
	struct timespec started;
	mode_t umask;
	mode_t mask;	     /* what the modes of outputs lose: the umask, mostly (fs_mask_in) */
	struct digest kept;  /* the result that was written last, as it is in its entry; where
				it may go elsewhere */
	struct far_ask *far; /* NULL: there is no connection */
	bool far_tried;
	struct {	     /* what cargo was told of before all was here (cached_say_first) */
		char *rmeta; /* its name among the outputs: it is in place; NULL: none */
		size_t text; /* bytes of stderr that were printed */
	} first;
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
/* Notes the result that was written last as one that an idle worker is to compile again, if that
 * may be (client/far/refill.h). */
void cached_note_refill(struct cached *c, const struct result *res);
/* Where nothing is in the local cache yet, and before what takes long: has the stores asked for
 * what this build's list says. */
void cached_ask_early(struct cached *c);
/* Whether c->far is open: it is tried once. */
bool cached_open_far(struct cached *c);
/* Makes result i, which was used, the first one. */
void cached_note_order(struct cached *c, struct entry *e, size_t i);

/* Whether all blobs of a result are in the cache. */
bool cached_has_all(struct cached *c, const struct result *res);
/* If the metadata of a library is in the depot, puts it in place and tells cargo, once; promise
 * (may be NULL: then it does not) has what was told. store: where it came from. What is put in
 * place afterwards is the rest. */
void cached_say_first(
	struct cached *c, const struct result *res, const char *store, struct ledger *promise);
/* Once all of res is in place: whether the library is of the same compile as that metadata. False:
 * it is removed again; and if who made it has sealed both, that one is distrusted (distrust.h). */
bool cached_first_agrees(const struct cached *c, const struct result *res);
/* Puts the outputs in place, and counts them. late: those of them that are ledger_is_late go to
 * this directory, which exists; NULL: to the out-dir, like all. 0; -errno with a reason in
 * said->why. */
int cached_restore_outputs(
	struct cached *c, const struct result *res, const char *late, struct cached_said *said);
/* Puts in place a result whose inputs are as they were, prints its texts, and fills *said as
 * cached_lookup does; false: not all of it is here, as said->why says. */
bool cached_put_result(struct cached *c, const struct result *res, struct cached_said *said);
void cached_print(const struct cached *c, int fd, const struct buf *text);
void cached_mark_used(struct cached *c, const struct digest *key, const struct result *res);
/* That its entry is one of those that its target directory was made of (together.h). */
void cached_note_together(struct cached *c);

/* The reverse of cached_hide. 0 or -ENOMEM. */
int cached_show(const struct cached *c, const struct buf *text, struct buf *to);
/* The same of a call of the linker (hide_link in cached_parts.c). 0 or -ENOMEM. */
int cached_show_link(const struct cached *c, const struct buf *link, struct buf *to);
/* A file of the staging directory, added to *to. 0 or -errno. */
int cached_read_staged(const struct ledger *said, const char *name, struct buf *to);
/* Adds linkers' records to *record, each without its end. 0; -ENOMEM; -EBADMSG. */
int cached_add_linked(const struct buf *linked, struct buf *record);
/* Fills c->keep, when all of its place is known. */
void cached_init_keep(struct cached *c);
/* keep_made.add_links; arg: a struct ledger. */
int cached_add_links(
	struct keep *keep, const void *arg, struct result *res, struct strv *objects, bool *bound);
/* Adds to the options of dray-trace where the compile, or the script, may write. 0 or -ENOMEM. */
int cached_add_writable(const struct cached *c, struct strv *to);
/* 0 or -errno. */
int cached_bundle_key(struct cached *c);
/* That this cache has bundles, so that they are looked for. */
void cached_note_bundles(struct cached *c);
/* stranger_check of a result from a shared cache. links: a publisher sealed it. 0; -EPERM: it is
 * not to be put in place, and *ret_why says why (the caller frees it); -ENOMEM. */
int cached_check_stranger(struct cached *c, const struct result *res, bool links, char **ret_why);
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
