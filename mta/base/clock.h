/*
 * clock.h - the only source of time.
 *
 * Wall time is for what is persisted or shown, monotonic time for timers.
 * Tests link tests/fake/clock.c in place of clock.c.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

int64_t clock_wall_ms(void);	/* since 1970-01-01 UTC */
int64_t clock_mono_ms(void);	/* since an arbitrary point, never goes back */
int64_t clock_mono_us(void);

/* RFC 3339 in UTC with milliseconds ("2026-11-23T19:30:00.123Z"). Returns buf. */
#define CLOCK_TEXT_MAX 32
const char *clock_rfc3339(int64_t wall_ms, char buf[CLOCK_TEXT_MAX]);

/* RFC 5322 3.3 date with the local zone ("Mon, 23 Nov 2026 19:30:00 +0000"). */
#define CLOCK_DATE_MAX 48
const char *clock_rfc5322(int64_t wall_ms, char buf[CLOCK_DATE_MAX]);

/* A duration for people: "450ms", "12s", "4m10s", "3h05m", "2d04h". Returns buf. */
#define CLOCK_SPAN_MAX 24
const char *clock_span(int64_t ms, char buf[CLOCK_SPAN_MAX]);
