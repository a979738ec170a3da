/* dray as a build script: the launcher (launcher.h) starts it for each run. */
#ifndef DRAY_CLIENT_SCRIPT_RUN_H
#define DRAY_CLIENT_SCRIPT_RUN_H

#include <stdbool.h>

/* argv: dray SCRIPT_OPTION FD REAL ARGV0 ARGS…. The run is put in place from the cache, or made,
 * and kept. Its exit status, or SPAWN_SIGNALLED + signal. Without the byte on FD the run was not
 * begun: the launcher runs the script. */
int script_main(int argc, char **argv);

/* Whether this process belongs to the tree of a script that is traced. What it starts is traced as
 * a part of that one: dray stays out of it. */
bool script_is_traced(void);

#endif
