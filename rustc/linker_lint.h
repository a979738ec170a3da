/* Whether rustc reports what a linker prints. */
#ifndef DRAY_RUSTC_LINKER_LINT_H
#define DRAY_RUSTC_LINKER_LINT_H

#include "rustc/call.h"

/* Whether this compiler surely prints nothing when its linker succeeds and prints something.
 * Since 1.97 the linker's stdout and stderr are each a warning (the lint linker_messages); before,
 * the lint had to be enabled. False when in doubt: with a lint level on the command line, or in the
 * root source file, which is read relative to the working directory. release: as in `rustc -vV`;
 * NULL: not known. */
bool linker_lint_is_silent(const struct rustc_call *c, const char *release);

#endif
