/* What the files of this folder share: keep.c is above texts.c, and that above places.c. */
#ifndef DRAY_CACHE_KEEP_PRIV_H
#define DRAY_CACHE_KEEP_PRIV_H

#include "cache/keep/keep.h"

void keep_why(struct keep *keep, const char *fmt, ...) _printf_(2, 3);

/* ---- texts.c */

/* Whether the target directory lies behind a symbolic link. */
bool keep_is_behind_link(const struct keep *keep);
/* Sets names_real if the text names the real path. */
void keep_note_real(struct keep *keep, const struct buf *text);
/* Writes the text as it is: the result holds for one place. 0; -EBADMSG; -ENOMEM. */
int keep_as_is(struct keep *keep, const struct buf *text, struct buf *to);
/* The same as keep_hide for a text that must hold for any place; -EBADMSG: it does not. */
int keep_hide_place(struct keep *keep, const struct buf *text, struct buf *to);
/* Whether a file's bytes contain the path of this target directory, or, of a mapped unit, of the
 * workspace. Notes whether they contain that of cargo's home, or of the user's
 * (named). 1, 0, or -errno. */
int keep_names_place(struct keep *keep, const char *path);

/* ---- places.c */

/* Notes which places that move a file names. 0 or -errno. */
int keep_look_for_moved(struct keep *keep, const char *path);
/* Notes whether optimised outputs (names in the out-dir, or paths) hold a place that was asked for
 * in the numbers of their instructions; *bound: so it is. 0 or -errno. */
int keep_look_for_pieces(
	struct keep *keep, const struct strv *names, const struct result *res, bool *bound);

#endif
