/* What the parts of dray-run.so share. */
#ifndef DRAY_TRACE_RUN_PRIV_H
#define DRAY_TRACE_RUN_PRIV_H

#include <stdbool.h>

#include "trace/env_priv.h"

#define EXPORTED __attribute__((visibility("default")))

/* From now on what this program asks is asked once for all processes of the tree that run it.
 * name: what it was run as, beside the path of its file. */
void asked_begin(const char *path, const char *name);
/* Whether this program has said it before; notes that it is about to be said. */
bool asked_said(const char *what);
/* Whether a driver, which takes the value of PWD for its directory's name if it leads there, would
 * use it where getcwd says another name. */
bool asked_uses_pwd(const char *pwd);

#endif
