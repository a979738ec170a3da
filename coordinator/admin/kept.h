/* Files of lines that the coordinator keeps in its directory (0600): pins, standings, passes. */
#ifndef DRAY_COORDINATOR_ADMIN_KEPT_H
#define DRAY_COORDINATOR_ADMIN_KEPT_H

#include "common/buf.h"

/* One line, without its newline, which it may change; to: of kept_lines. 0 or -errno. */
typedef int (*kept_line_fn)(char *line, void *to);

/* Calls it for each line that is not empty, until one fails. 0; what that returned; -EBADMSG: there
 * is a NUL byte; -ENOMEM. */
int kept_lines(const char *text, size_t n, kept_line_fn take, void *to);
/* 1: *ret has it, and a NUL behind it; 0: there is no such file; -EFBIG; -errno. */
int kept_read(const char *dir, const char *file, size_t max, struct buf *ret);
/* On the disk when it returns 0; the directory is made if it is not there. */
int kept_write(const char *dir, const char *file, const struct buf *b);

#endif
