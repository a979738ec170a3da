/* C drivers, and what they run, known by the path that they were run by. A script's tree may have
 * thousands of them, and each asks the same. libc only, no allocation: it is also part of
 * dray-run.so. */
#ifndef DRAY_TRACE_DRIVERS_H
#define DRAY_TRACE_DRIVERS_H

#include <stdbool.h>
#include <stddef.h>

#define DRIVERS_NAME_MAX 128

/* A path's last name without versions, and without a target: "x86_64-linux-gnu-gcc-12" is "gcc",
 * "ld.lld-15" is "ld.lld". Any other prefix makes it another program: "next-version-git" is not
 * git. */
void drivers_plain_name(const char *path, char ret[DRIVERS_NAME_MAX]);

/* Whether the program that is run by this path is taken for one of them. */
bool drivers_has(const char *path);

/* Whether it is one of the programs beside them that ask much: shells, make, perl. */
bool drivers_has_asker(const char *path);
/* Whether the variable is no input when one of them asks for it: where temporary files are, what a
 * terminal can show, and what a driver sets for the programs that it runs. PATH is one: they look
 * for programs there, and what they find or miss is an input. */
bool drivers_is_harmless(const char *name);

#endif
