/* How many processors this process may keep busy. */
#ifndef DRAY_MACHINE_CPUS_H
#define DRAY_MACHINE_CPUS_H

#include "common/base.h"

/* By its affinity and by the CPU quotas of its cgroup and of those above it, as far as they are
 * seen (version 2: cpu.max; version 1: cpu.cfs_quota_us); at least 1. A part of a processor counts
 * as none, as for Rust's available_parallelism, by which cargo chooses its -j. root: where the
 * files of the system are (""; tests have another). */
unsigned cpus_usable(const char *root);

/* What a quota allows: "QUOTA PERIOD" or "max PERIOD", as cpu.max has it. UINT_MAX: no limit. */
unsigned cpus_parse_max(const char *text);

#endif
