/* Puts the launcher (launcher.h) in the place of a build script's program. */
#ifndef DRAY_CLIENT_SCRIPT_INSTALL_H
#define DRAY_CLIENT_SCRIPT_INSTALL_H

#include <stdbool.h>

#include "common/conf/conf.h"
#include "memo/memo.h"
#include "rustc/call.h"

/* Whether the call makes a package's build script. A user's program of such a name, and a test of a
 * script, are none. */
bool script_is_made_by(const struct rustc_call *call);

/* The name, in the out-dir, of the program that script_install hides, to be freed. NULL: none,
 * since the call makes no script, or runs are not kept (`scripts`, `cache`). What is hidden is
 * replaced and never changed in place: no linker finds it. */
char *script_hides(const struct conf *conf, const struct rustc_call *call);

/* After the unit was made and before cargo hears of its end: the program gets another name, and the
 * launcher its own. Nothing is changed if it cannot be done. memo (may be NULL) knows the hidden
 * program's digest then. */
void script_install(const struct conf *conf, const struct rustc_call *call, struct memo *memo);

#endif
