/*
 * test_verdict.c - the policy of mta/tx/verdict.h row by row.
 * Touches no socket.  Read next: mta/tx/verdict.h.
 */
#include <errno.h>
#include <string.h>

#include "mta/tx/verdict.h"
#include "tests/unit/check_main.h"

static const struct {
	enum stage		 stage;
	enum verdict_fact	 fact;
	unsigned		 code, subject, detail;
	bool			 dot_written;
	/* wanted */
	enum verdict_whom	 whom;
	enum queue_outcome	 outcome;
	unsigned		 class_;
	enum reason		 reason;
	bool			 maybe_sent, again, later, close;
} rows[] = {
	{ STAGE_greeting, FACT_REPLY, 220, 0, 0, false, HITS_NOBODY, 0, 0, 0, 0,
	    0, 0, 0 },
	{ STAGE_greeting, FACT_REPLY, 450, 7, 1, false, HITS_DESTINATION,
	    OUTCOME_RETURNED, 4, REASON_smtp_greeting, 0, 0, 0, 0 },
	{ STAGE_greeting, FACT_REPLY, 554, 7, 1, false, HITS_DESTINATION,
	    OUTCOME_RETURNED, 4, REASON_smtp_greeting, 0, 0, 0, 0 },
	{ STAGE_greeting, FACT_REPLY, 421, 0, 0, false, HITS_DESTINATION,
	    OUTCOME_RETURNED, 4, REASON_smtp_greeting, 0, 0, 0, 1 },
	{ STAGE_greeting, FACT_LOST, 0, 0, 0, false, HITS_DESTINATION,
	    OUTCOME_RETURNED, 4, REASON_smtp_greeting, 0, 0, 0, 1 },
	{ STAGE_ehlo, FACT_REPLY, 550, 0, 0, false, HITS_DESTINATION,
	    OUTCOME_RETURNED, 4, REASON_smtp_5xx, 0, 0, 0, 0 },
	{ STAGE_ehlo, FACT_SILENT, 0, 0, 0, false, HITS_DESTINATION,
	    OUTCOME_RETURNED, 4, REASON_peer_lost, 0, 0, 0, 1 },
	{ STAGE_mail, FACT_REPLY, 250, 0, 0, false, HITS_NOBODY, 0, 0, 0, 0, 0,
	    0, 0 },
	{ STAGE_mail, FACT_REPLY, 451, 3, 0, false, HITS_MESSAGE,
	    OUTCOME_DEFERRED, 4, REASON_smtp_4xx, 0, 0, 0, 0 },
	{ STAGE_mail, FACT_REPLY, 550, 7, 1, false, HITS_MESSAGE,
	    OUTCOME_FAILED, 5, REASON_smtp_5xx, 0, 0, 0, 0 },
	{ STAGE_mail, FACT_REPLY, 421, 0, 0, false, HITS_MESSAGE,
	    OUTCOME_DEFERRED, 4, REASON_smtp_4xx, 0, 1, 0, 1 },
	{ STAGE_mail, FACT_LOST, 0, 0, 0, false, HITS_MESSAGE, OUTCOME_DEFERRED,
	    4, REASON_peer_lost, 0, 1, 0, 1 },
	{ STAGE_mail, FACT_GARBLED, 0, 0, 0, false, HITS_MESSAGE,
	    OUTCOME_DEFERRED, 4, REASON_smtp_protocol, 0, 1, 0, 1 },
	{ STAGE_mail, FACT_REPLY, 354, 0, 0, false, HITS_MESSAGE,
	    OUTCOME_DEFERRED, 4, REASON_smtp_protocol, 0, 1, 0, 1 },
	{ STAGE_rcpt, FACT_REPLY, 251, 0, 0, false, HITS_NOBODY, 0, 0, 0, 0, 0,
	    0, 0 },
	{ STAGE_rcpt, FACT_REPLY, 450, 2, 0, false, HITS_RECIPIENT,
	    OUTCOME_DEFERRED, 4, REASON_smtp_4xx, 0, 0, 0, 0 },
	{ STAGE_rcpt, FACT_REPLY, 550, 1, 1, false, HITS_RECIPIENT,
	    OUTCOME_FAILED, 5, REASON_smtp_5xx, 0, 0, 0, 0 },
	{ STAGE_rcpt, FACT_REPLY, 452, 5, 3, false, HITS_RECIPIENT,
	    OUTCOME_DEFERRED, 4, REASON_smtp_4xx, 0, 0, 1, 0 },
	{ STAGE_rcpt, FACT_REPLY, 452, 2, 2, false, HITS_RECIPIENT,
	    OUTCOME_DEFERRED, 4, REASON_smtp_4xx, 0, 0, 0, 0 },
	{ STAGE_rcpt, FACT_REPLY, 552, 0, 0, false, HITS_RECIPIENT,
	    OUTCOME_DEFERRED, 4, REASON_smtp_4xx, 0, 0, 1, 0 },
	{ STAGE_rcpt, FACT_REPLY, 552, 2, 2, false, HITS_RECIPIENT,
	    OUTCOME_FAILED, 5, REASON_smtp_5xx, 0, 0, 0, 0 },
	{ STAGE_rcpt, FACT_REPLY, 421, 0, 0, false, HITS_MESSAGE,
	    OUTCOME_DEFERRED, 4, REASON_smtp_4xx, 0, 1, 0, 1 },
	{ STAGE_data, FACT_REPLY, 354, 0, 0, false, HITS_NOBODY, 0, 0, 0, 0, 0,
	    0, 0 },
	{ STAGE_data, FACT_REPLY, 250, 0, 0, false, HITS_MESSAGE,
	    OUTCOME_DEFERRED, 4, REASON_smtp_protocol, 0, 1, 0, 1 },
	{ STAGE_data, FACT_REPLY, 554, 0, 0, false, HITS_MESSAGE,
	    OUTCOME_FAILED, 5, REASON_smtp_5xx, 0, 0, 0, 0 },
	{ STAGE_body, FACT_LOST, 0, 0, 0, false, HITS_MESSAGE, OUTCOME_DEFERRED,
	    4, REASON_peer_lost, 0, 1, 0, 1 },
	{ STAGE_body, FACT_PREMATURE, 0, 0, 0, false, HITS_MESSAGE,
	    OUTCOME_DEFERRED, 4, REASON_smtp_protocol, 0, 0, 0, 1 },
	{ STAGE_dot, FACT_REPLY, 250, 0, 0, true, HITS_MESSAGE,
	    OUTCOME_DELIVERED, 2, REASON_none, 0, 0, 0, 0 },
	{ STAGE_dot, FACT_REPLY, 451, 0, 0, true, HITS_MESSAGE,
	    OUTCOME_DEFERRED, 4, REASON_smtp_4xx, 0, 0, 0, 0 },
	{ STAGE_dot, FACT_REPLY, 421, 0, 0, true, HITS_MESSAGE,
	    OUTCOME_DEFERRED, 4, REASON_smtp_4xx, 0, 0, 0, 1 },
	{ STAGE_dot, FACT_REPLY, 554, 6, 0, true, HITS_MESSAGE, OUTCOME_FAILED,
	    5, REASON_smtp_5xx, 0, 0, 0, 0 },
	{ STAGE_dot, FACT_REPLY, 354, 0, 0, true, HITS_MESSAGE,
	    OUTCOME_DEFERRED, 4, REASON_smtp_protocol, 1, 0, 0, 1 },
	{ STAGE_dot, FACT_LOST, 0, 0, 0, true, HITS_MESSAGE, OUTCOME_DEFERRED,
	    4, REASON_peer_lost, 1, 0, 0, 1 },
	{ STAGE_dot, FACT_SILENT, 0, 0, 0, true, HITS_MESSAGE, OUTCOME_DEFERRED,
	    4, REASON_peer_lost, 1, 0, 0, 1 },
	{ STAGE_dot, FACT_PREMATURE, 0, 0, 0, true, HITS_MESSAGE,
	    OUTCOME_DEFERRED, 4, REASON_smtp_protocol, 1, 0, 0, 1 },
};

START_TEST(judges)
{
	struct smtp_reply r = {
		.code = (uint16_t)rows[_i].code,
		.class_ = (uint8_t)(rows[_i].code / 100),
		.subject = (uint16_t)rows[_i].subject,
		.detail = (uint16_t)rows[_i].detail,
		.has_enhanced = rows[_i].subject != 0,
		.text = "so it is",
	};
	const struct verdict_case c = {
		.stage = rows[_i].stage,
		.fact = rows[_i].fact,
		.reply = &r,
		.peer = "mx.far.test[192.0.2.1]:25",
		.dot_written = rows[_i].dot_written,
	};
	struct verdict v;

	memset(&v, 0x5a, sizeof v);
	verdict_judge(&v, &c);
	ck_assert_int_eq(v.whom, rows[_i].whom);
	ck_assert_int_eq(v.close, rows[_i].close);
	if (rows[_i].whom == HITS_NOBODY)
		return;
	ck_assert_int_eq(v.outcome, rows[_i].outcome);
	ck_assert_uint_eq(v.status.class_, rows[_i].class_);
	ck_assert_int_eq(v.status.stage, rows[_i].stage);
	ck_assert_int_eq(v.status.reason, rows[_i].reason);
	ck_assert_int_eq(v.maybe_sent, rows[_i].maybe_sent);
	ck_assert_int_eq(v.again, rows[_i].again);
	ck_assert_int_eq(v.later, rows[_i].later);
	ck_assert_str_eq(v.status.peer, c.peer);
	ck_assert_ptr_nonnull(strstr(v.status.text, c.peer));
}
END_TEST

START_TEST(reply_is_quoted_with_its_codes)
{
	struct smtp_reply r = {
		.code = 550,
		.class_ = 5,
		.subject = 1,
		.detail = 1,
		.has_enhanced = true,
		.text = "no such user",
	};
	const struct verdict_case c = {
		.stage = STAGE_rcpt,
		.fact = FACT_REPLY,
		.reply = &r,
		.peer = "mx[192.0.2.1]:25",
	};
	struct verdict v;

	verdict_judge(&v, &c);
	ck_assert_str_eq(v.status.text,
	    "mx[192.0.2.1]:25 said: 550 5.1.1 no such user (in reply to RCPT "
	    "TO)");
	ck_assert_uint_eq(v.status.subject, 1);
	ck_assert_uint_eq(v.status.detail, 1);
	ck_assert_uint_eq(v.status.reply, 550);
	ck_assert(v.status.remote);
}
END_TEST

static const struct {
	int		err;
	enum reason	reason;
} connects[] = {
	{ ECONNREFUSED, REASON_connect_refused },
	{ ETIMEDOUT,    REASON_connect_timeout },
	{ ENETUNREACH,  REASON_connect_unreachable },
	{ EHOSTUNREACH, REASON_connect_unreachable },
	{ EMFILE,       REASON_local },
};

START_TEST(connect_failures)
{
	struct status st;

	verdict_connect(&st, "mx[192.0.2.1]:25", connects[_i].err);
	ck_assert_int_eq(st.reason, connects[_i].reason);
	ck_assert_uint_eq(st.class_, 4);
	ck_assert_int_eq(st.stage, STAGE_connect);
}
END_TEST

START_TEST(soft_keeps_the_text)
{
	enum queue_outcome o = OUTCOME_FAILED;
	struct status st = { .class_ = 5, .reply = 550, .text = "no" };

	verdict_soften(&o, &st);
	ck_assert_int_eq(o, OUTCOME_DEFERRED);
	ck_assert_uint_eq(st.class_, 4);
	ck_assert_str_eq(st.text, "no");
	o = OUTCOME_DELIVERED;
	st.class_ = 2;
	verdict_soften(&o, &st);
	ck_assert_int_eq(o, OUTCOME_DELIVERED);
	ck_assert_uint_eq(st.class_, 2);
}
END_TEST

START_TEST(who_says_more)
{
	const struct status none = { 0 };
	const struct status refused = { .class_ = 4, .stage = STAGE_connect };
	const struct status greeted = { .class_ = 4,
		.stage = STAGE_greeting,
		.remote = true };

	ck_assert(verdict_says_more(&none, &refused));
	ck_assert(!verdict_says_more(&refused, &none));
	ck_assert(verdict_says_more(&refused, &greeted));
	ck_assert(!verdict_says_more(&greeted, &refused));
	ck_assert(!verdict_says_more(&refused, &refused));
}
END_TEST

static Suite *
verdict_suite(void)
{
	Suite *s = suite_create("verdict");
	TCase *tc = tcase_create("verdict");

	tcase_add_loop_test(tc, judges, 0, COUNT_OF(rows));
	tcase_add_test(tc, reply_is_quoted_with_its_codes);
	tcase_add_loop_test(tc, connect_failures, 0, COUNT_OF(connects));
	tcase_add_test(tc, soft_keeps_the_text);
	tcase_add_test(tc, who_says_more);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(verdict_suite)
