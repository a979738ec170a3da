/* What the parts of dray-run.so share. */
#ifndef DRAY_TRACE_RUN_PRIV_H
#define DRAY_TRACE_RUN_PRIV_H

#include <stdbool.h>

#include "trace/env_priv.h"

#define EXPORTED __attribute__((visibility("default")))

/* This program is a driver: what it asks is asked for all drivers of the tree. */
void asked_begin(void);
/* Whether a driver has said this before; notes that it is about to be said. */
bool asked_said(const char *what);
/* Whether a driver, which takes the value of PWD for its directory's name if it leads there, would
 * use it where getcwd says another name. */
bool asked_uses_pwd(const char *pwd);

#endif
