/* By which a build is known again on another machine that will ask for the same: what its lock file
 * says, cargo's arguments, and the toolchain that rustup chose. It names the build's list in a
 * store (cache/list.h). */
#ifndef DRAY_CLIENT_WRAP_BUILD_NAME_H
#define DRAY_CLIENT_WRAP_BUILD_NAME_H

#include "common/digest.h"
#include "memo/memo.h"

/* Of the cargo that has started this process. memo may be NULL. 0; -ENOENT: there is no cargo above
 * this process, or no lock file in its directory or above that; -errno. */
int build_name(struct memo *memo, struct digest *ret);

/* Adds of cargo's command line (as /proc has it) what tells which units it asks for, each after its
 * length: not how many at a time, nor how it prints. */
void build_name_add_args(struct hasher *h, const char *line, size_t n);

#endif
