/* Files of lines that the coordinator keeps in its directory (0600): pins, standings, tokens,
 * passes. The first line says what a file is, and by which version of its form. */
#ifndef DRAY_COORDINATOR_ADMIN_KEPT_H
#define DRAY_COORDINATOR_ADMIN_KEPT_H

#include "common/buf.h"

struct kept_form {
	const char *name; /* "dray-pins" */
	const char *version;
	bool bare; /* files of before there was a first line are read, too */
};

/* One line, without its newline, which it may change; to: of kept_lines. 0 or -errno. */
typedef int (*kept_line_fn)(char *line, void *to);

/* Calls it for each further line, until one fails. 0; what that returned;
 * -EBADMSG: another file, a NUL byte, or the last line has no end; -EPROTONOSUPPORT: another
 * version; -ENOMEM. */
int kept_lines(
	const struct kept_form *form, const char *text, size_t n, kept_line_fn take, void *to);
/* Adds the first line. 0 or -ENOMEM. */
int kept_begin(const struct kept_form *form, struct buf *b);
/* 1: *ret has it, and a NUL behind it; 0: there is no such file; -EFBIG; -errno. */
int kept_read(const char *dir, const char *file, size_t max, struct buf *ret);
/* On the disk when it returns 0; the directory is made if it is not there. */
int kept_write(const char *dir, const char *file, const struct buf *b);

#endif
