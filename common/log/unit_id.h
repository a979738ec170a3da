/* How the job log names a unit, so that a line tells what its unit waited for.
 *
 * A unit's stem is its crate's name and its extra-filename, as in the names of its outputs:
 * "serde-1a2b3c4d5e6f7a8b" of libserde-1a2b3c4d5e6f7a8b.rmeta. Its id is short, since a line may
 * list a hundred: the first eight hex digits behind the stem's last '-', or the whole stem where
 * there are none. Two units of one build may have one id, rarely; a reader must bear it. */
#ifndef DRAY_COMMON_LOG_UNIT_ID_H
#define DRAY_COMMON_LOG_UNIT_ID_H

#include "common/buf.h"

#define UNIT_ID_SIZE 65
/* Of a list of ids with spaces between: more are counted only. Room for 113 of eight digits. */
#define UNIT_ID_LIST_MAX 1024

/* The id of a stem of n bytes; a longer one than fits is cut, a space in it becomes '_'. */
void unit_id(const char *stem, size_t n, char ret[UNIT_ID_SIZE]);
/* The same of the path of an output: without its directory, "lib", and what is behind the last dot.
 */
void unit_id_of_path(const char *path, char ret[UNIT_ID_SIZE]);
/* The same of a path in a directory of one unit, or of one run of a build script (layout.h):
 * OUT_DIR, or a script's program. "": it does not tell. */
void unit_id_of_place(const char *path, char ret[UNIT_ID_SIZE]);
/* Adds an id to a list, but if it is the list's last one already. 0; -E2BIG: no room; -ENOMEM. */
int unit_id_list_add(struct buf *list, const char *id);

#endif
