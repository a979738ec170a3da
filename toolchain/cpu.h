/* The CPU, as a compiler sees it that is told to compile for the machine it runs on. */
#ifndef DRAY_TOOLCHAIN_CPU_H
#define DRAY_TOOLCHAIN_CPU_H

#include "common/digest.h"

/* A digest of what LLVM bases `-C target-cpu=native` on: on x86, what the CPUID instruction says of
 * vendor, family, model and features, and which register states the system saves (XCR0); on ARM,
 * the parts and features in /proc/cpuinfo. Equal on two machines: both compile the same. 0;
 * -ENOTSUP: not known of this kind of machine; -errno. */
int cpu_digest(struct digest *ret);

/* The id of a toolchain for units that are compiled for the CPU they are compiled on: a digest over
 * the toolchain's own and the CPU's. So such a unit goes only where both are the same. Likewise. */
int cpu_native_toolchain(const struct digest *toolchain, struct digest *ret);

/* The lines of a cpuinfo text that count on ARM, each once, sorted, joined: for tests and for
 * cpu_digest. NULL: no memory. */
char *cpu_arm_parts(const char *cpuinfo);

#endif
