/* What a fresh machine can begin before cargo's first unit. cargo first asks the compiler for its
 * version, and looks around for a quarter of a second; its first unit then waits for two things:
 * the toolchain's id, of some hundred megabytes that are hashed once a machine, and what the store
 * has. */
#ifndef DRAY_CLIENT_WRAP_FRESH_H
#define DRAY_CLIENT_WRAP_FRESH_H

#include "common/conf/conf.h"
#include "rustc/call.h"

/* Whether this is the question that cargo begins with: `rustc -vV`. */
bool fresh_is_first(const struct rustc_call *call);

/* Whether nothing is in the local cache yet, and stores are to be asked. */
bool fresh_is_machine(const struct conf *conf);

/* Where both hold, and cargo's workspace has a lock file: starts a process that has what is on the
 * build's list fetched (client/far/ahead.h), and identifies the toolchain. It is nobody's child,
 * has none of cargo's descriptors, and ends within a minute. Those that need the id meanwhile wait
 * for it (toolchain_identify). Never fails. */
void fresh_begin(const struct conf *conf, const struct rustc_call *call);

#endif
