/* Marks for the places of a build script's run, or of a mapped unit, in what is kept: \x01 for the
 * out-dir, \x02 for the target directory, \x03 for the workspace, \x04 for
 * cargo's home, \x05 for the user's, \x06 for the toolchain (inputs.h). */
#ifndef DRAY_CACHE_MARKS_H
#define DRAY_CACHE_MARKS_H

#include "cache/inputs.h"
#include "common/buf.h"
#include "common/strv.h"

/* 0: adds the text to *to, with the marks where a whole path begins with these directories;
 * -EBADMSG: that cannot be done, or the text holds a real path of theirs; -ENOMEM. Where the home's
 * name is a part of another one, it stays in the text. */
int marks_hide(const struct inputs_place *p, const void *text, size_t n, struct buf *to);
/* The reverse. 0 or -ENOMEM. */
int marks_show(const struct inputs_place *p, const void *text, size_t n, struct buf *to);
/* Whether a text holds what would be taken for the mark of one of these places. */
bool marks_in(const struct inputs_place *p, const void *text, size_t n);
/* Which of the places of a set (INPUT_PLACE) the bytes of a file name: *ret. 0 or -errno. */
int marks_find_named(const struct inputs_place *p, const char *path, unsigned among, unsigned *ret);
/* The variables, for inputs_place.marked: adds them to *ret, and a NULL at the end, which no count
 * has. A value that no mark can be put into stands as it is. 0 or -ENOMEM. */
int marks_env(const struct inputs_place *p, char *const *envp, struct strv *ret);

#endif
