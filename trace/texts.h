/* Texts that programs of a compile read. Such a program depends on all variables but those by which
 * shells differ (common/process/session.h); on one of these, where a text names it. */
#ifndef DRAY_TRACE_TEXTS_H
#define DRAY_TRACE_TEXTS_H

#include "trace/watch.h"

/* A file was opened, or run, by a program that may ask for any variable. */
void texts_opened(struct watch *w, const char *path);
/* Takes from all of these the variables that they name. */
void texts_end(struct watch *w);

#endif
