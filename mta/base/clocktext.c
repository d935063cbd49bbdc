/*
 * clocktext.c - times and durations as text.  Pure but for the time zone of
 * clock_rfc5322(); never asks what time it is, and never uses strftime for
 * names, because those would follow the locale.
 *
 * Read next: clock.h, clock.c.
 */
#include "mta/base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* At most the digits that the field has, whatever the year. */
static unsigned
digits(int v, unsigned limit)
{
	return (unsigned)v % limit;
}

/* Rounds down also before 1970, so that the milliseconds stay positive. */
static time_t
seconds_of(int64_t wall_ms, int *ms_r)
{
	int64_t s = wall_ms / 1000;
	int64_t ms = wall_ms % 1000;

	if (ms < 0) {
		ms += 1000;
		s--;
	}
	*ms_r = (int)ms;
	return (time_t)s;
}

const char *
clock_rfc3339(int64_t wall_ms, char buf[CLOCK_TEXT_MAX])
{
	int ms;
	const time_t s = seconds_of(wall_ms, &ms);
	struct tm tm = { 0 };

	(void)gmtime_r(&s, &tm);
	(void)snprintf(buf, CLOCK_TEXT_MAX, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
	    digits(tm.tm_year + 1900, 10000), digits(tm.tm_mon + 1, 100),
	    digits(tm.tm_mday, 100), digits(tm.tm_hour, 100),
	    digits(tm.tm_min, 100), digits(tm.tm_sec, 100), digits(ms, 1000));
	return buf;
}

const char *
clock_rfc5322(int64_t wall_ms, char buf[CLOCK_DATE_MAX])
{
	static const char *const days[] = {
		"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat",
	};
	static const char *const months[] = {
		"Jan", "Feb", "Mar", "Apr", "May", "Jun",
		"Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
	};
	int ms;
	const time_t s = seconds_of(wall_ms, &ms);
	struct tm tm = { 0 };
	int zone_min;

	(void)localtime_r(&s, &tm);
	zone_min = (int)(tm.tm_gmtoff / 60);
	(void)snprintf(buf, CLOCK_DATE_MAX,
	    "%s, %02u %s %04u %02u:%02u:%02u %c%02u%02u", days[tm.tm_wday],
	    digits(tm.tm_mday, 100), months[tm.tm_mon],
	    digits(tm.tm_year + 1900, 10000), digits(tm.tm_hour, 100),
	    digits(tm.tm_min, 100), digits(tm.tm_sec, 100),
	    zone_min < 0 ? '-' : '+', digits(abs(zone_min) / 60, 100),
	    digits(abs(zone_min) % 60, 100));
	return buf;
}

const char *
clock_span(int64_t ms, char buf[CLOCK_SPAN_MAX])
{
	const char *sign = ms < 0 ? "-" : "";
	const uint64_t v = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
	const uint64_t s = v / 1000;

	if (v < 1000)
		(void)snprintf(buf, CLOCK_SPAN_MAX, "%s%" PRIu64 "ms", sign, v);
	else if (s < 60)
		(void)snprintf(buf, CLOCK_SPAN_MAX, "%s%" PRIu64 "s", sign, s);
	else if (s < 3600)
		(void)snprintf(buf, CLOCK_SPAN_MAX, "%s%" PRIu64 "m%02" PRIu64 "s",
		    sign, s / 60, s % 60);
	else if (s < 86400)
		(void)snprintf(buf, CLOCK_SPAN_MAX, "%s%" PRIu64 "h%02" PRIu64 "m",
		    sign, s / 3600, s / 60 % 60);
	else
		(void)snprintf(buf, CLOCK_SPAN_MAX, "%s%" PRIu64 "d%02" PRIu64 "h",
		    sign, s / 86400, s / 3600 % 24);
	return buf;
}
