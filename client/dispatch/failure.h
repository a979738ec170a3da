/* What a compiler said when it failed: is it about the crate, and nothing else?
 *
 * An error about the crate points into the crate's sources. What has no place there (an input or
 * output error, a crash), or is of the kind that a missing or unfitting dependency causes, may be
 * the doing of the machine: it is not final. Nor is a failure of which a line is not the
 * compiler's. */
#ifndef DRAY_CLIENT_DISPATCH_FAILURE_H
#define DRAY_CLIENT_DISPATCH_FAILURE_H

#include "common/base.h"

/* text: whole lines of stderr under --error-format=json, at least those with errors. */
bool failure_is_final(const char *text, size_t n);

#endif
