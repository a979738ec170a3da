/* Changes of a configuration file, as a text: all its other lines, and comments, stay byte by byte.
 * Invariant: what leaves this function is read with that value, where the text was read before. */
#ifndef DRAY_COMMON_CONF_EDIT_H
#define DRAY_COMMON_CONF_EDIT_H

#include "common/buf.h"

/* The text with that key of that section set: in the line that counts now, else below the section's
 * last line with something in it, else in a section at the end. ret must be empty. 0; -EINVAL: a
 * value that cannot stand in a file (control characters, blanks at an end, " ;", a quote in front);
 * -ENOMEM. */
int conf_edit_set(const char *text, size_t n, const char *section, const char *key,
	const char *value, struct buf *ret);

#endif
