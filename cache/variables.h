/* Values of variables, alone or as a group. A group counts as a whole where dray cannot see which
 * of its variables a program asks for. */
#ifndef DRAY_CACHE_VARIABLES_H
#define DRAY_CACHE_VARIABLES_H

#include "common/base.h"
#include "common/digest.h"

/* The value of a variable in envp; NULL: it is not set. */
const char *variables_get(char *const *envp, const char *name);

/* The digest of a group. Groups are the classes of programs (trace/program.h) "all", "ccache",
 * "distcc", "git" and "icecc", patterns of names ("GITHUB_RUN_*"), and these:
 *
 *   loader   what is loaded into every program: LD_PRELOAD and LD_AUDIT
 *   compile  the same, without libraries that are known to change nothing of what a compiler makes:
 *            allocators, and mold's, which changes the linker
 *   user     none either: whose build it is, and with which groups
 *   uname    no variables, but what the program of this name says, the machine's name included
 *   cpus     no variables, but how many processors this process may use
 *   cpu      no variables, but what kind of processor it is (/proc/cpuinfo), and how many there are
 *   limits   no variables, but the limits of this process (getrlimit)
 *
 * In "all", MAKEFLAGS counts without what is of a jobserver (common/process/session.h).
 *
 * 0; -ENOENT: there is no such group; -ENOMEM. */
int variables_digest(const char *kind, char *const *envp, struct digest *ret);

/* What a group that has no variables is, in words; NULL: it is another one. */
const char *variables_machine(const char *kind);

/* Whether no library that the user preloads can change what a compiler makes, as far as is known.
 * preload: the value of LD_PRELOAD or LD_AUDIT; NULL: it is not set. */
bool variables_preload_is_harmless(const char *preload);

#endif
