/*
 * test_retry.c - the schedules as tables: which step, which class, which bound.
 */
#include "queue/retry.h"

#include "conf/conf.h"
#include "tests/unit/check_main.h"

static int64_t steps[] = { 60000, 120000, 300000 };
static int64_t dns[] = { 15000, 30000 };

static struct conf_retry
policy(void)
{
	return (struct conf_retry){
		.schedule_ms = steps, .nschedule = 3, .dns_ms = dns, .ndns = 2,
		.expire_ms = 1000000, .notice_ms = 400000,
	};
}

static const struct { enum reason reason; unsigned failures; int64_t want; } waits[] = {
	{ REASON_smtp_4xx, 1, 60000 },		{ REASON_smtp_4xx, 2, 120000 },
	{ REASON_smtp_4xx, 3, 300000 },		{ REASON_smtp_4xx, 99, 300000 },
	{ REASON_connect_refused, 1, 60000 },	{ REASON_smtp_4xx, 0, 60000 },
	{ REASON_dns_servfail, 1, 15000 },	{ REASON_dns_timeout, 2, 30000 },
	{ REASON_dns_garbled, 7, 30000 },
};

START_TEST(step_by_class_and_count)
{
	const struct conf_retry p = policy();

	ck_assert_int_eq(retry_wait_ms(&p, waits[_i].reason, waits[_i].failures, 0), waits[_i].want);
}
END_TEST

START_TEST(jitter_only_shortens_by_a_tenth)
{
	const struct conf_retry p = policy();

	for (uint32_t r = 0; r < 5000; r++) {
		const int64_t w = retry_wait_ms(&p, REASON_smtp_4xx, 2, r * 2654435761u);

		ck_assert_int_le(w, 120000);
		ck_assert_int_ge(w, 108000);
	}
}
END_TEST

START_TEST(longest_of_both)
{
	const struct conf_retry p = policy();

	ck_assert_int_eq(retry_longest_ms(&p), 300000);
}
END_TEST

START_TEST(expiry_needs_an_attempt_after_the_deadline)
{
	const struct conf_retry p = policy();

	ck_assert(!retry_expired(&p, 5000, 1004999));
	ck_assert(retry_expired(&p, 5000, 1005000));
}
END_TEST

START_TEST(notice_once_due_and_never_when_off)
{
	struct conf_retry p = policy();

	ck_assert(!retry_notice_due(&p, 0, 399999));
	ck_assert(retry_notice_due(&p, 0, 400000));
	p.notice_ms = 0;
	ck_assert(!retry_notice_due(&p, 0, INT64_MAX));
}
END_TEST

static Suite *
suite(void)
{
	Suite *s = suite_create("retry");
	TCase *tc = tcase_create("retry");

	tcase_add_loop_test(tc, step_by_class_and_count, 0, COUNT_OF(waits));
	tcase_add_test(tc, jitter_only_shortens_by_a_tenth);
	tcase_add_test(tc, longest_of_both);
	tcase_add_test(tc, expiry_needs_an_attempt_after_the_deadline);
	tcase_add_test(tc, notice_once_due_and_never_when_off);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(suite)
