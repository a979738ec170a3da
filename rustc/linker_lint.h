/* What rustc says of a linker's own words. */
#ifndef DRAY_RUSTC_LINKER_LINT_H
#define DRAY_RUSTC_LINKER_LINT_H

#include "rustc/call.h"

/* Whether this compiler is sure to say nothing where its linker succeeds and prints something. From
 * 1.97 on each of a linker's two outputs is a warning (the lint linker_messages); before, the lint
 * has to be asked for. False when in doubt: a lint level on the command line, or in the source of
 * the crate's root, which is read from the working directory. release: as in `rustc -vV`; NULL: not
 * known. */
bool linker_lint_is_silent(const struct rustc_call *c, const char *release);

#endif
