/* Tells from a failed compiler's plain text whether it refused the source itself.
 *
 *   error[E0554]: `#![feature]` may not be used on the stable release channel
 *   error: aborting due to 1 previous error
 *
 * An error with a number is about the source, and the same source is refused again. An error
 * without one may come from a full disk, a linker, a macro or a fault of the compiler.
 * (rustc_errors; the numbers are in rustc's error index.) */
#ifndef DRAY_RUSTC_REFUSAL_H
#define DRAY_RUSTC_REFUSAL_H

#include "common/base.h"

/* Whether the n bytes hold at least one error and each has such a number. Numbers for files that
 * rustc did not find or could not read do not count. Colours and JSON are not understood: false. */
bool refusal_is_final(const char *text, size_t n);

#endif
