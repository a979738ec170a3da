/* Calls of the compiler that are a build script's, not cargo's: autocfg and its like ask what the
 * compiler can do. Where they write tells them from units in cargo's layout v1 only. */
#ifndef DRAY_CLIENT_WRAP_TRIAL_H
#define DRAY_CLIENT_WRAP_TRIAL_H

#include <sys/types.h>

#include "rustc/call.h"

/* Whether a build script, or what it runs, made this call: by the variables that cargo sets for
 * scripts alone. */
bool trial_is(const struct rustc_call *call);
/* The cargo above this process; 0: none is found. */
pid_t trial_cargo(pid_t pid);

#endif
