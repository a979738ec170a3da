/* The CPU, as a compiler sees it with -C target-cpu=native. */
#ifndef DRAY_TOOLCHAIN_CPU_H
#define DRAY_TOOLCHAIN_CPU_H

#include "common/digest.h"

/* A digest of what LLVM reads for `-C target-cpu=native`. On x86: vendor, family, model and
 * features by the CPUID instruction, and the register states that the system saves (XCR0). On ARM:
 * the parts and features in /proc/cpuinfo. Two machines with equal digests compile alike. 0;
 * -ENOTSUP: another kind of machine; -errno. */
int cpu_digest(struct digest *ret);

/* The id of a toolchain for units with target-cpu=native: a digest of the toolchain's id and the
 * CPU's. Such a unit goes only to machines where both are the same. Returns as above. */
int cpu_native_toolchain(const struct digest *toolchain, struct digest *ret);
/* The same on a machine with that CPU (cpu_digest there). 0 or -ENOMEM. */
int cpu_native_of(const struct digest *toolchain, const struct digest *cpu, struct digest *ret);

/* For tests and cpu_digest: the lines of a cpuinfo text that count on ARM, each once, sorted and
 * joined. NULL: no memory. */
char *cpu_arm_parts(const char *cpuinfo);

#endif
