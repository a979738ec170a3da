/* Small text files to which many processes add: an entry a line, its fields with tabs between. A
 * line is added with one write, so no two are mixed. */
#ifndef DRAY_COMMON_LINES_H
#define DRAY_COMMON_LINES_H

#include <sys/types.h>

#include "common/base.h"

/* Adds it to the file, which it makes (0600), and its directory (0700), where they are missing; no
 * link is followed, and no fifo waited for. line: with its newline. How long the file is then; or
 * -errno. */
off_t lines_append(const char *file, const void *line, size_t n);
/* Takes a line, without its newline, apart, in place. The last field may have tabs in it. False: it
 * has fewer. */
bool lines_split(char *line, char **ret, size_t n);
/* Makes a text fit for a field: blanks for controls. */
void lines_plain(char *text);

#endif
