/* Variables by which shells, and runs of a CI, differ from each other, while what a program makes
 * is the same: of terminals and logins, of temporary files and tokens, numbers of runs. A program
 * that walks its whole environment depends on the rest of it; on one of these where its text names
 * it. */
#ifndef DRAY_COMMON_PROCESS_SESSION_H
#define DRAY_COMMON_PROCESS_SESSION_H

#include "common/base.h"

/* A name of n bytes, or NAME=VALUE that begins with it. */
bool session_has(const char *name, size_t n);
/* The i-th of the names; a '*' at its end stands for anything. NULL: there are no more. */
const char *session_name(size_t i);

/* MAKEFLAGS=VALUE or MFLAGS=VALUE without what hands a jobserver on, and -j: *ret is the caller's
 * to free; NULL: nothing else is in it, or it is another variable. 0 or -ENOMEM. */
int session_make_flags(const char *var, char **ret);

#endif
