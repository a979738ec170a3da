/* What the dynamic loader takes from LD_LIBRARY_PATH when a build script starts. */
#ifndef DRAY_CLIENT_SCRIPT_LOADER_H
#define DRAY_CLIENT_SCRIPT_LOADER_H

#include <stdbool.h>

/* Whether the program starts with the same libraries if the loader does not look into `dirs`, a
 * value of LD_LIBRARY_PATH, and loads no others later: all of them are cargo's own directories (of
 * the target directory, or the toolchain's libraries), none has one of those that the program
 * needs, and it needs only those of libc and of GCC. False in doubt. */
bool loader_takes_nothing(const char *program, const char *dirs, const char *target_dir);

#endif
