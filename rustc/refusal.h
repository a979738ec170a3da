/* What a compiler that failed says, in plain text: did it refuse the source itself?
 *
 *   error[E0554]: `#![feature]` may not be used on the stable release channel
 *   error: aborting due to 1 previous error
 *
 * An error with a number speaks of the source, and the same source is refused again. What has none
 * may be a full disk, a linker, a macro's mood or the compiler's own fault. (rustc_errors; the
 * numbers are in rustc's error index.) */
#ifndef DRAY_RUSTC_REFUSAL_H
#define DRAY_RUSTC_REFUSAL_H

#include "common/base.h"

/* Whether every error in the n bytes has such a number, and there is one. Numbers by which rustc
 * says that it did not find or could not read a file are none. Colours and JSON are not understood:
 * false. */
bool refusal_is_final(const char *text, size_t n);

#endif
