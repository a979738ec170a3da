/* Time. Durations and deadlines use the monotonic clock; only what leaves the process (logs, and
 * the begin of the time that tickets go by) uses the wall clock. */
#ifndef DRAY_COMMON_CLOCK_H
#define DRAY_COMMON_CLOCK_H

#include <stdint.h>

uint64_t clock_mono_ms(void);
uint64_t clock_mono_us(void);
uint64_t clock_wall_ms(void); /* since 1970, UTC */

#endif
