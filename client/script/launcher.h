/* What dray and the launcher of a build script agree on.
 *
 * The launcher (launcher.c) is a small static program. A copy of it stands where cargo looks for a
 * build script's program; the program itself lies beside it under its name with SCRIPT_PREFIX: with
 * a dot, since people and tools look for "build*script*" there. A copy ends with a trailer:
 *
 *   path of dray, NUL, name of the real program, NUL, their length (4 bytes, least first),
 *   SCRIPT_MAGIC (8 bytes)
 *
 * The launcher starts
 *
 *   dray SCRIPT_OPTION FD REAL ARGV0 ARGS…
 *
 * with everything else as it was given to it. FD is the end of a pipe. Once dray has written a byte
 * to it, dray stands for the script, and its exit status counts. If it ends without, or cannot be
 * started, the launcher becomes the real program: whatever fails, that runs once. */
#ifndef DRAY_CLIENT_SCRIPT_LAUNCHER_H
#define DRAY_CLIENT_SCRIPT_LAUNCHER_H

#define SCRIPT_OPTION "--dray-build-script"
#define SCRIPT_PREFIX "."
#define SCRIPT_MAGIC "drayscr1"
#define SCRIPT_MAGIC_SIZE 8
#define SCRIPT_NAMES_MAX 8192 /* bytes of both names */

#endif
