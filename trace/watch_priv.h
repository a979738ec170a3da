/* Between watch.c and run.c. */
#ifndef DRAY_TRACE_WATCH_PRIV_H
#define DRAY_TRACE_WATCH_PRIV_H

#include "trace/watch.h"

void watch_look(struct watch *w, const char *path, bool opens);
bool watch_below_any(const char *path, const struct strv *dirs);

/* A program is about to be run (run.c). */
void watch_run(struct watch *w, const struct trace_call *c, const char *path);

#endif
