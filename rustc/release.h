/* Which release of the compiler it is, by what `rustc -vV` calls it: 1.95.0, 1.97.0-nightly. */
#ifndef DRAY_RUSTC_RELEASE_H
#define DRAY_RUSTC_RELEASE_H

#include "common/base.h"

/* A release whose standard library has libc's `environ` in a macro only if that uses it: seen of
 * 1.95 to 1.98. 1.63 has it in each. */
#define RELEASE_ENVIRON 95

/* Whether it is 1.`minor` or a later one. `unknown`: the answer for NULL, and for what is no
 * release. */
bool release_is_since(const char *release, unsigned minor, bool unknown);

#endif
