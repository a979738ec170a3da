/* Time. Invariant: the monotonic functions never go back within one boot, whatever is done to the
 * wall clock. */
#include "config.h"

#include <time.h>

#include "common/clock.h"

#include <poll.h>

static uint64_t
now_us(clockid_t id)
{
	struct timespec ts = { 0, 0 };

	/* Both clocks exist on every Linux: this cannot fail with a valid pointer. */
	(void)clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

uint64_t
clock_mono_us(void)
{
	return now_us(CLOCK_MONOTONIC);
}

uint64_t
clock_mono_ms(void)
{
	return now_us(CLOCK_MONOTONIC) / 1000u;
}

uint64_t
clock_wall_ms(void)
{
	return now_us(CLOCK_REALTIME) / 1000u;
}

struct timespec
clock_stamp(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	return now;
}

struct timespec
clock_stamp_after(const struct timespec *began)
{
	struct timespec now;

	for (int naps = 0; naps < 20; naps++) {
		now = clock_stamp();
		if (clock_is_before(began, &now))
			break;
		poll(NULL, 0, 1);
	}
	return now;
}
