/* Where a build script runs, and the marks that stand for its places in what is kept: \x01 for its
 * OUT_DIR, \x02 for the target directory. */
#ifndef DRAY_CLIENT_SCRIPT_PLACE_H
#define DRAY_CLIENT_SCRIPT_PLACE_H

#include "cache/inputs.h"
#include "common/buf.h"
#include "common/strv.h"

/* 0: adds the text to *to, with the marks where a whole path begins with these directories;
 * -EBADMSG: that cannot be done, or the text holds a real path of theirs; -ENOMEM. */
int place_hide(const struct inputs_place *p, const void *text, size_t n, struct buf *to);
/* The reverse. 0 or -ENOMEM. */
int place_show(const struct inputs_place *p, const void *text, size_t n, struct buf *to);
/* Whether the file's bytes hold the target directory's path, by either of its names. 1, 0 or
 * -errno. */
int place_is_named(const struct inputs_place *p, const char *path);
/* The environment with marks, for inputs_place.marked: without what differs from run to run: the
 * jobserver, NUM_JOBS, in LD_LIBRARY_PATH what lies in the target directory. Adds to *ret, and a
 * NULL at the end. 0 or -ENOMEM. */
int place_mark_env(const struct inputs_place *p, char *const *envp, struct strv *ret);
/* Adds what cargo and rustup set for a build script to *ret, as it is: NAME=VALUE. 0 or -ENOMEM. */
int place_cargo_env(char *const *envp, struct strv *ret);

#endif
