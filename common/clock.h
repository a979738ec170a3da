/* Time. Durations and deadlines use the monotonic clock; only what leaves the process (logs, and
 * the begin of the time that tickets go by) uses the wall clock. */
#ifndef DRAY_COMMON_CLOCK_H
#define DRAY_COMMON_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

static inline bool
clock_is_before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

uint64_t clock_mono_ms(void);
uint64_t clock_mono_us(void);
uint64_t clock_wall_ms(void); /* since 1970, UTC */
/* The date and time of the day, UTC, of a time since 1970: year, month, day, hour, minute, second.
 * As gmtime_r, which in glibc reads the local time zone first. */
void clock_utc(time_t t, struct tm *ret);

/* The time by the clock that stamps files (the coarse one): no file that is written from now on has
 * an earlier stamp. One that was written up to two ticks ago may have the same. */
struct timespec clock_stamp(void);
/* The same. It is later than the stamp of any file
 * that was written before `began`; if need be the function waits for the clock's next tick, at most
 * 20 ms. `began` is of CLOCK_REALTIME: newer kernels stamp some files by that one, and the coarse
 * clock lags behind it. */
struct timespec clock_stamp_after(const struct timespec *began);

#endif
