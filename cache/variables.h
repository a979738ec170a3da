/* Variables, one by one and together: some count together, since which of them a program asks for
 * is not seen. */
#ifndef DRAY_CACHE_VARIABLES_H
#define DRAY_CACHE_VARIABLES_H

#include "common/base.h"
#include "common/digest.h"

/* A variable's value, in envp; NULL: it is not set. */
const char *variables_get(char *const *envp, const char *name);

/* Kinds, beside the classes of programs (trace/program.h) "all", "ccache", "distcc", "git",
 * "icecc":
 *
 *   loader   what is loaded into every program: LD_PRELOAD and LD_AUDIT
 *   compile  the same, without libraries that are known to change nothing of what a compiler makes:
 *            allocators, and mold's, which changes the linker
 *   uname    no variables, but what the program of this name says
 *
 * 0; -ENOENT: there is no such kind; -ENOMEM. */
int variables_digest(const char *kind, char *const *envp, struct digest *ret);

/* Whether all that the user has loaded into each program is known to change nothing of what a
 * compiler makes. preload: the value of LD_PRELOAD or LD_AUDIT; NULL: it is not set. */
bool variables_preload_is_harmless(const char *preload);

#endif
