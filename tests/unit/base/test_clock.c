/*
 * test_clock.c - times as text, under a clock that the test sets.
 */
// LINK-FAKE: clock
#include <stdlib.h>
#include <time.h>

#include "mta/base/clock.h"
#include "mta/base/fault.h"
#include "tests/fake/clock.h"
#include "tests/unit/check_main.h"

static const struct {
	int64_t		 ms;
	const char	*text;
} stamps[] = {
	{ 0, "1970-01-01T00:00:00.000Z" },
	{ 1795462200123, "2026-11-23T19:30:00.123Z" },
	{ 951827696789, "2000-02-29T12:34:56.789Z" },
	{ -1, "1969-12-31T23:59:59.999Z" },
};

START_TEST(rfc3339)
{
	char buf[CLOCK_TEXT_MAX];

	ck_assert_str_eq(clock_rfc3339(stamps[_i].ms, buf), stamps[_i].text);
}
END_TEST

static const struct {
	const char	*zone;
	const char	*text;
} dates[] = {
	{ "UTC0", "Mon, 23 Nov 2026 19:30:00 +0000" },
	{ "XST-5:30", "Tue, 24 Nov 2026 01:00:00 +0530" },
	{ "XST3:30", "Mon, 23 Nov 2026 16:00:00 -0330" },
};

START_TEST(rfc5322)
{
	char buf[CLOCK_DATE_MAX];

	ck_assert_int_eq(setenv("TZ", dates[_i].zone, 1), 0);
	tzset();
	ck_assert_str_eq(clock_rfc5322(1795462200123, buf), dates[_i].text);
}
END_TEST

static const struct {
	int64_t		 ms;
	const char	*text;
} spans[] = {
	{ 0, "0ms" },			{ 450, "450ms" },
	{ 12999, "12s" },		{ 250000, "4m10s" },
	{ 11100000, "3h05m" },		{ 187200000, "2d04h" },
	{ -90000, "-1m30s" },
};

START_TEST(span)
{
	char buf[CLOCK_SPAN_MAX];

	ck_assert_str_eq(clock_span(spans[_i].ms, buf), spans[_i].text);
}
END_TEST

START_TEST(fake_moves_when_told)
{
	fake_clock_set(1000, 50);
	fake_clock_advance(25);
	fake_clock_step_wall(-500);
	ck_assert_int_eq(clock_wall_ms(), 525);
	ck_assert_int_eq(clock_mono_ms(), 75);
	ck_assert_int_eq(clock_mono_us(), 75000);
}
END_TEST

static Suite *
clock_suite(void)
{
	Suite *s = suite_create("clock");
	TCase *tc = tcase_create("clock");

	tcase_add_loop_test(tc, rfc3339, 0, COUNT_OF(stamps));
	tcase_add_loop_test(tc, rfc5322, 0, COUNT_OF(dates));
	tcase_add_loop_test(tc, span, 0, COUNT_OF(spans));
	tcase_add_test(tc, fake_moves_when_told);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(clock_suite)
