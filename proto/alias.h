/* Where a job sees what was in the client's out-dir: its own is writable, and empty at first
 * (doc/architecture.md). */
#ifndef DRAY_PROTO_ALIAS_H
#define DRAY_PROTO_ALIAS_H

#define JOB_ALIAS "/.dray-in"

#endif
