/* The out-dir in what a compile said and wrote: hidden for keeping, and put back for the place
 * where it is wanted. */
#ifndef DRAY_CACHE_TEXT_H
#define DRAY_CACHE_TEXT_H

#include "common/buf.h"

/* Whether an out-dir can be hidden at all: absolute, and made of characters that are written the
 * same way in JSON, in dep-info and as they are. Otherwise texts are kept as they are, and hold for
 * this out-dir alone. */
bool text_can_hide(const char *out_dir);

/* Adds the n bytes to *ret with \x01 where out_dir stands as a whole path. 0; -ENOMEM; -EBADMSG:
 * there is a \x01 already, or out_dir is, or may be, a part of something else. */
int text_hide(const void *p, size_t n, const char *out_dir, struct buf *ret);
/* The way back. 0 or -ENOMEM. */
int text_show(const void *p, size_t n, const char *out_dir, struct buf *ret);
/* The same for another directory and another mark. */
int text_hide_as(char mark, const void *p, size_t n, const char *dir, struct buf *ret);
int text_show_as(char mark, const void *p, size_t n, const char *dir, struct buf *ret);

/* Whether a file has these bytes somewhere. 1, 0, or -errno. */
int text_file_has(const char *path, const char *what);

#endif
