/*
 * test_policy.c - the rules of RESOLUTION as rows: families in time, verdicts,
 * sets.
 */
#include "mta/dns/policy.h"

#include "mta/base/fault.h"
#include "tests/unit/check_main.h"

#define V6_OFF false
#define BOTH ORDER_BOTH
#define A1ST ORDER_A_FIRST
#define Q1ST ORDER_AAAA_FIRST
#define TOL ON_FAILURE_TOLERATE
#define STR ON_FAILURE_STRICT
#define OK OUT_NOERROR
#define NO OUT_NODATA
#define NX OUT_NXDOMAIN
#define SF OUT_SERVFAIL
#define TO OUT_TIMEOUT
#define RF OUT_REFUSED
#define DELIVER POLICY_DELIVER
#define DEFER POLICY_DEFER
#define FAIL POLICY_FAIL

static struct conf_resolve
policy(bool ipv6, enum conf_order order, enum conf_on_failure on_failure)
{
	return (struct conf_resolve){
		.ipv6 = ipv6, .order = order, .on_failure = on_failure,
		.grace_ms = 200,
	};
}

static const struct {
	bool			ipv6;
	enum conf_order		order;
	enum conf_on_failure	on_failure;
	uint16_t		mx, a, aaaa;
	enum policy_verdict	verdict;
	bool			asks_a, asks_aaaa;
	enum reason		reason;
} cells[] = {
	/* the founding case: A fine, AAAA SERVFAIL */
	{ true,	  Q1ST, STR, OK, OK, SF, DEFER,	  false, true,	REASON_dns_servfail },
	{ true,	  A1ST, STR, OK, OK, SF, DELIVER, true,	 false, REASON_none },
	{ true,	  BOTH, STR, OK, OK, SF, DEFER,	  true,	 true,	REASON_dns_servfail },
	{ true,	  Q1ST, TOL, OK, OK, SF, DELIVER, true,	 true,	REASON_none },
	{ true,	  A1ST, TOL, OK, OK, SF, DELIVER, true,	 false, REASON_none },
	{ true,	  BOTH, TOL, OK, OK, SF, DELIVER, true,	 true,	REASON_none },
	{ V6_OFF, Q1ST, STR, OK, OK, SF, DELIVER, true,	 false, REASON_none },
	/* its mirror */
	{ true,	  A1ST, STR, OK, SF, OK, DEFER,	  true,	 false, REASON_dns_servfail },
	{ true,	  Q1ST, STR, OK, SF, OK, DELIVER, false, true,	REASON_none },
	{ true,	  A1ST, TOL, OK, SF, OK, DELIVER, true,	 true,	REASON_none },
	/* the cure at the far end: no data instead of SERVFAIL */
	{ true,	  Q1ST, STR, OK, OK, NO, DELIVER, true,	 true,	REASON_none },
	{ true,	  BOTH, STR, OK, OK, NO, DELIVER, true,	 true,	REASON_none },
	/* absent and unknown: never fail */
	{ true,	  BOTH, TOL, OK, NO, SF, DEFER,	  true,	 true,	REASON_dns_servfail },
	{ true,	  A1ST, TOL, OK, NO, TO, DEFER,	  true,	 true,	REASON_dns_timeout },
	{ true,	  A1ST, STR, OK, NO, SF, DEFER,	  true,	 true,	REASON_dns_servfail },
	{ true,	  Q1ST, TOL, OK, RF, NX, DEFER,	  true,	 true,	REASON_dns_refused },
	/* proven in everything asked */
	{ true,	  BOTH, TOL, OK, NO, NO, FAIL,	  true,	 true,	REASON_dns_nodata },
	{ true,	  A1ST, TOL, OK, NX, NO, FAIL,	  true,	 true,	REASON_dns_nodata },
	{ V6_OFF, BOTH, TOL, OK, NO, OK, FAIL,	  true,	 false, REASON_dns_nodata },
	/* MX */
	{ true,	  BOTH, TOL, SF, OK, OK, DEFER,	  false, false, REASON_dns_servfail },
	{ true,	  BOTH, TOL, NX, OK, OK, FAIL,	  false, false, REASON_dns_nxdomain },
	{ true,	  BOTH, TOL, NO, OK, NO, DELIVER, true,	 true,	REASON_none },
};

START_TEST(verdict)
{
	struct conf_resolve p = policy(cells[_i].ipv6, cells[_i].order, cells[_i].on_failure);
	const uint16_t outcomes[] = { cells[_i].a, cells[_i].aaaa };
	bool asked[FAMILIES];
	enum reason reason;

	ck_assert_int_eq(policy_table(&p, cells[_i].mx, outcomes, &reason, asked), cells[_i].verdict);
	ck_assert_int_eq(reason, cells[_i].reason);
	ck_assert_int_eq(asked[FAM_A], cells[_i].asks_a);
	ck_assert_int_eq(asked[FAM_AAAA], cells[_i].asks_aaaa);
}
END_TEST

/* Over everything: a failure only without any soft outcome that was asked. */
START_TEST(nothing_unknown_ever_fails)
{
	static const uint16_t all[] = { OK, NO, NX, SF, TO, RF, OUT_GARBLED };
	enum reason reason;
	bool asked[FAMILIES];

	for (unsigned i = 0; i < 2 * 3 * 2 * 7 * 7; i++) {
		struct conf_resolve p = policy(i % 2, i / 2 % 3, i / 6 % 2);
		const uint16_t v[] = { all[i / 12 % 7], all[i / 84] };
		enum policy_verdict got = policy_table(&p, OK, v, &reason, asked);

		for (int f = 0; f < FAMILIES; f++) {
			if (got == FAIL && (p.ipv6 || f == FAM_A))
				ck_assert_int_eq(dns_kind(v[f]), DNS_ABSENT);
			if (got == DELIVER && p.on_failure == STR && asked[f])
				ck_assert_int_ne(dns_kind(v[f]), DNS_SOFT);
		}
		ck_assert(p.ipv6 || !asked[FAM_AAAA]);
		if (p.on_failure == TOL && (v[0] == OK || (p.ipv6 && v[1] == OK)))
			ck_assert_int_eq(got, DELIVER);
	}
}
END_TEST

START_TEST(nxdomain_may_be_kept)
{
	struct conf_resolve p = policy(true, BOTH, TOL);
	const uint16_t none[] = { NO, NO };
	enum reason reason;

	p.nxdomain = NXDOMAIN_DEFER;
	ck_assert_int_eq(policy_table(&p, NX, none, &reason, NULL), DEFER);
	ck_assert_int_eq(policy_table(&p, OK, none, &reason, NULL), DEFER);
}
END_TEST

/* ---- in time ---- */

static struct policy_question
out(int64_t asked_ms)
{
	return (struct policy_question){ .asked = true, .asked_ms = asked_ms };
}

static struct policy_question
in(uint16_t outcome, int64_t done_ms)
{
	return (struct policy_question){
		.asked = true, .done = true, .outcome = outcome, .done_ms = done_ms };
}

START_TEST(grace_bounds_the_wait)
{
	struct conf_resolve p = policy(true, BOTH, TOL);
	struct policy_question q[] = { in(OK, 1000), out(900) };
	struct policy_step s = policy_families(&p, 500, q, 1050);

	ck_assert(!s.finished);
	ck_assert_int_eq(s.wait_ms, 150);
	ck_assert(policy_families(&p, 500, q, 1200).finished);
	q[FAM_A] = in(SF, 1000);		/* nothing to go with: waits */
	s = policy_families(&p, 500, q, 99999);
	ck_assert(!s.finished);
	ck_assert_int_eq(s.wait_ms, -1);
	p.on_failure = STR;
	q[FAM_A] = in(OK, 1000);
	ck_assert(!policy_families(&p, 500, q, 99999).finished);
}
END_TEST

START_TEST(silent_first_family_is_hedged)
{
	struct conf_resolve p = policy(true, A1ST, TOL);
	struct policy_question q[] = { out(1000), { 0 } };
	struct policy_step s = policy_families(&p, 500, q, 1100);

	ck_assert(!s.ask[FAM_AAAA]);
	ck_assert_int_eq(s.wait_ms, 400);
	ck_assert(policy_families(&p, 500, q, 1500).ask[FAM_AAAA]);
	p.on_failure = STR;			/* strict waits for the first */
	ck_assert(!policy_families(&p, 500, q, 9999).ask[FAM_AAAA]);
	ck_assert_int_eq(policy_families(&p, 500, q, 9999).wait_ms, -1);
}
END_TEST

START_TEST(asked_at_once_or_in_turn)
{
	struct conf_resolve p = policy(true, BOTH, TOL);
	struct policy_question q[FAMILIES] = { 0 };
	struct policy_step s = policy_families(&p, 500, q, 0);

	ck_assert(s.ask[FAM_A] && s.ask[FAM_AAAA]);
	p.order = Q1ST;
	s = policy_families(&p, 500, q, 0);
	ck_assert(!s.ask[FAM_A] && s.ask[FAM_AAAA]);
	p.ipv6 = false;
	s = policy_families(&p, 500, q, 0);
	ck_assert(s.ask[FAM_A] && !s.ask[FAM_AAAA]);
}
END_TEST

/* ---- sets ---- */

static const struct {
	enum policy_found	found[3];
	size_t			n, speaker;
	bool			hard;
} sets[] = {
	{ { FOUND_SOFT }, 1, 0, false },
	{ { FOUND_ABSENT }, 1, 0, true },
	{ { FOUND_FINAL }, 1, 0, true },
	{ { FOUND_NOT_HERE }, 1, 0, false },
	{ { FOUND_NOT_HERE, FOUND_ABSENT }, 2, 1, true },
	{ { FOUND_NOT_HERE, FOUND_NOT_HERE }, 2, 0, false },
	{ { FOUND_NOT_HERE, FOUND_SOFT }, 2, 1, false },
	{ { FOUND_ABSENT, FOUND_SOFT }, 2, 1, false },
	{ { FOUND_SOFT, FOUND_ABSENT }, 2, 0, false },
	{ { FOUND_SOFT, FOUND_FINAL }, 2, 0, false },
	{ { FOUND_NOT_HERE, FOUND_FINAL, FOUND_NOT_HERE }, 3, 1, true },
	{ { FOUND_ABSENT, FOUND_ABSENT }, 2, 0, true },
};

START_TEST(sets_combine)
{
	bool hard;

	ck_assert_uint_eq(policy_combine(sets[_i].found, sets[_i].n, &hard), sets[_i].speaker);
	ck_assert_int_eq(hard, sets[_i].hard);
}
END_TEST

START_TEST(who_escalates)
{
	struct conf_resolve p = policy(true, BOTH, TOL);

	ck_assert(policy_escalates(&p, FOUND_SOFT));
	ck_assert(policy_escalates(&p, FOUND_NOT_HERE));
	ck_assert(!policy_escalates(&p, FOUND_ABSENT));
	p.nxdomain = NXDOMAIN_ESCALATE;
	ck_assert(policy_escalates(&p, FOUND_ABSENT));
	ck_assert(!policy_escalates(&p, FOUND_FINAL));	/* never null MX */
}
END_TEST

static Suite *
suite(void)
{
	Suite *s = suite_create("policy");
	TCase *tc = tcase_create("all");

	tcase_add_loop_test(tc, verdict, 0, COUNT_OF(cells));
	tcase_add_test(tc, nothing_unknown_ever_fails);
	tcase_add_test(tc, nxdomain_may_be_kept);
	tcase_add_test(tc, grace_bounds_the_wait);
	tcase_add_test(tc, silent_first_family_is_hedged);
	tcase_add_test(tc, asked_at_once_or_in_turn);
	tcase_add_loop_test(tc, sets_combine, 0, COUNT_OF(sets));
	tcase_add_test(tc, who_escalates);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(suite)
