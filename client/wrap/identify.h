/* The toolchain of a call: what its outputs depend on beside its own files and arguments. */
#ifndef DRAY_CLIENT_WRAP_IDENTIFY_H
#define DRAY_CLIENT_WRAP_IDENTIFY_H

#include "toolchain/toolchain.h"
#include "rustc/call.h"

/* 0; -ENOMEM; or -ENOTSUP: an id would not cover all of the toolchain; *ret_home, which the caller
 * frees, says why. With target-cpu=native the CPU is part of the id. */
int identify_toolchain(
	struct memo *m, const struct rustc_call *call, struct toolchain *ret, char **ret_home);

#endif
