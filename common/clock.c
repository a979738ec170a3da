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

void
clock_utc(time_t t, struct tm *ret)
{
	/* From 1 March of the year 0 on: so a leap day is a year's last, and 400 years are 146097
	 * days. Months of 30.6 days: 31, 30, 31, 30, 31 and again. */
	long long days = (long long)t / 86400 + 719468, era = days / 146097, day = days % 146097;
	long long year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	int of_year = (int)(day - (365 * year + year / 4 - year / 100));
	int month = (5 * of_year + 2) / 153, second = (int)(t % 86400);

	*ret = (struct tm){ .tm_sec = second % 60,
		.tm_min = second / 60 % 60,
		.tm_hour = second / 3600,
		.tm_mday = of_year - (153 * month + 2) / 5 + 1,
		.tm_mon = month < 10 ? month + 2 : month - 10,
		.tm_year = (int)(year + era * 400 + (month >= 10) - 1900) };
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
