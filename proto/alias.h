/* Where a job sees what was in the client's out-dir: its own is writable, and empty at first
 * (doc/architecture.md). */
#ifndef DRAY_PROTO_ALIAS_H
#define DRAY_PROTO_ALIAS_H

#include "common/buf.h"

#define JOB_ALIAS "/.dray-in"

/* Adds to *ret the n bytes with the alias put back to out_dir. escape: characters of out_dir that
 * need a backslash before them where the text goes (in JSON strings `"\`, in response files ` \`).
 */
int alias_undo(const void *p, size_t n, const char *out_dir, const char *escape, struct buf *ret);

#endif
