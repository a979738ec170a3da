/* Hides the out-dir's path in what a compile printed and wrote, so that the text can be kept, and
 * puts the path of another out-dir in later. */
#ifndef DRAY_CACHE_TEXT_H
#define DRAY_CACHE_TEXT_H

#include "common/buf.h"

/* Whether an out-dir can be hidden: it must be absolute, and JSON and dep-info must not escape any
 * of its characters. Otherwise texts are kept as they are, and hold for this out-dir alone. */
bool text_can_hide(const char *out_dir);

/* Adds the n bytes to *ret, with \x01 wherever out_dir stands as a whole path. 0; -ENOMEM;
 * -EBADMSG: the text has a \x01 already, or out_dir may be a part of another name in it. */
int text_hide(const void *p, size_t n, const char *out_dir, struct buf *ret);
/* The reverse. 0 or -ENOMEM. */
int text_show(const void *p, size_t n, const char *out_dir, struct buf *ret);
/* The same for another directory and another mark. */
int text_hide_as(char mark, const void *p, size_t n, const char *dir, struct buf *ret);
int text_show_as(char mark, const void *p, size_t n, const char *dir, struct buf *ret);

/* What look says of all bytes of a file: 1 or 0; 0 if it is empty; or -errno. */
int text_file_look(const char *path, bool (*look)(const void *p, size_t size, void *to), void *to);
/* Whether a file contains these bytes. 1, 0, or -errno. */
int text_file_has(const char *path, const char *what);
/* Whether the bytes contain these ones anywhere but at the begin of one of the others. */
bool text_has_but(const void *p, size_t size, const char *what, const char *const *but, size_t n);
/* The same of a file. 1, 0, or -errno. */
int text_file_has_but(const char *path, const char *what, const char *const *but, size_t n);
/* Whether the bytes contain these ones anywhere but right behind `before`. */
bool text_has_not_after(const void *p, size_t size, const char *what, const char *before);
/* The same of a file. 1, 0, or -errno. */
int text_file_has_not_after(const char *path, const char *what, const char *before);
/* Whether the bytes may contain these ones in pieces of eight: what an optimising compiler makes of
 * a text that is copied or compared (x86-64). */
bool text_has_pieces(const void *p, size_t size, const char *what);
/* The same of a file. 1, 0, or -errno. */
int text_file_has_pieces(const char *path, const char *what);
/* The same as text_file_has of any of these. */
int text_file_has_any(const char *path, const char *const *what, size_t n);

#endif
