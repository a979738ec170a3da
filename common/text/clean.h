/* Words of others, made fit for a log line or a terminal. */
#ifndef DRAY_COMMON_TEXT_CLEAN_H
#define DRAY_COMMON_TEXT_CLEAN_H

#include <stddef.h>

/* Copies text to out, at most size - 1 bytes of it, with '?' for each ASCII control character, and
 * ends it with NUL; NULL is "". Returns out. Other bytes stay as they are: common/text/show.h is
 * for these. */
const char *clean_text(const char *text, char *out, size_t size);

#endif
