/*
 * clock.c - the real sources of time.  Holds nothing but the three readings,
 * because tests link tests/fake/clock.c in its place; never formats (that is
 * clocktext.c), never caches.
 *
 * Read next: clock.h, clocktext.c.
 */
#include "mta/base/clock.h"

#include <time.h>

static int64_t
read_us(clockid_t id)
{
	struct timespec ts = { 0 };

	(void)clock_gettime(id, &ts);	/* cannot fail for these two clocks */
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t
clock_wall_ms(void)
{
	return read_us(CLOCK_REALTIME) / 1000;
}

int64_t
clock_mono_ms(void)
{
	return read_us(CLOCK_MONOTONIC) / 1000;
}

int64_t
clock_mono_us(void)
{
	return read_us(CLOCK_MONOTONIC);
}
