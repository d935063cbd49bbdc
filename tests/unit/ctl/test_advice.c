/*
 * test_advice.c - traces to blame, policies to changes worth trying.
 * Must never accept blame on one set's word alone.
 * Read next: mta/ctl/advice.c.
 */
#include "tests/unit/check_main.h"

#include <stdio.h>
#include <string.h>

#include "conf/conf.h"
#include "mta/ctl/advice.h"
#include "queue/trace.h"

#define QUESTIONS_MAX 6

struct asked {
	const char	*set, *name;
	uint16_t	 qtype, outcome;
};

static void
trace_of(struct buf *b, const struct asked *asked)
{
	for (size_t i = 0; i < QUESTIONS_MAX && asked[i].set != NULL; i++) {
		struct trace_entry e = { .kind = TRACE_QUESTION };

		snprintf(e.u.question.set, sizeof e.u.question.set, "%s", asked[i].set);
		snprintf(e.u.question.name, sizeof e.u.question.name, "%s", asked[i].name);
		e.u.question.qtype = asked[i].qtype;
		e.u.question.outcome = asked[i].outcome;
		trace_add(b, &e);
	}
}

#define MX 15
#define A 1
#define AAAA 28

static const struct {
	struct asked	 kept[QUESTIONS_MAX], now[QUESTIONS_MAX];
	enum blame	 who;
	bool		 healed;
	const char	*text;
} dns[] = {
	/* The founding case: one set cannot tell us from them. */
	{ { { "internal", "far.test", MX, OUT_NOERROR }, { "internal", "mx.far.test", AAAA,
	      OUT_SERVFAIL } }, { { 0 } }, BLAME_UNKNOWN, false,
	  "unknown (one resolver set): internal says SERVFAIL to AAAA mx.far.test" },
	/* … and its A works there: said, but no proof. */
	{ { { "internal", "mx.far.test", AAAA, OUT_SERVFAIL } },
	  { { "internal", "mx.far.test", A, OUT_NOERROR } }, BLAME_UNKNOWN, false,
	  "though it answers A" },
	{ { { "internal", "mx.far.test", AAAA, OUT_SERVFAIL } },
	  { { "external", "mx.far.test", AAAA, OUT_NODATA } }, BLAME_OUR_DNS, false,
	  "our DNS: resolver set internal says SERVFAIL to AAAA mx.far.test, set external" },
	{ { { "internal", "far.test", MX, OUT_TIMEOUT }, { "external", "far.test", MX,
	      OUT_SERVFAIL } }, { { 0 } }, BLAME_THEIR_DNS, false,
	  "their DNS: no set gets an answer to MX far.test" },
	/* Another question answered elsewhere is no witness. */
	{ { { "internal", "far.test", MX, OUT_TIMEOUT } },
	  { { "external", "near.test", MX, OUT_NOERROR } }, BLAME_UNKNOWN, false,
	  "one resolver set" },
	/* The same set answers by now. */
	{ { { "internal", "far.test", MX, OUT_TIMEOUT } },
	  { { "internal", "far.test", MX, OUT_NOERROR } }, BLAME_UNKNOWN, true, "healed" },
	/* A second server of the set answered: the set did. */
	{ { { "internal", "far.test", MX, OUT_TIMEOUT }, { "internal", "far.test", MX,
	      OUT_NOERROR }, { "internal", "mx.far.test", A, OUT_REFUSED } }, { { 0 } },
	  BLAME_UNKNOWN, false, "REFUSED to A mx.far.test" },
	/* ICMP speaks of our server alone. */
	{ { { "internal", "far.test", MX, OUT_NETWORK } }, { { 0 } }, BLAME_OUR_DNS, false,
	  "our DNS: no server of resolver set internal can be reached" },
	/* What was not asked is no evidence. */
	{ { { "internal", "mx.far.test", AAAA, OUT_SERVFAIL } },
	  { { "external", "mx.far.test", AAAA, OUT_NOT_ASKED } }, BLAME_UNKNOWN, false,
	  "one resolver set" },
	{ { { 0 } }, { { 0 } }, BLAME_UNKNOWN, false, "no failed question" },
};

START_TEST(blame_wants_evidence)
{
	struct status st = { .class_ = 4, .stage = STAGE_dns, .reason = REASON_dns_servfail };
	struct buf kept = { 0 }, now = { 0 };
	struct advice_trace k, n;
	struct finding out;

	trace_of(&kept, dns[_i].kept);
	trace_of(&now, dns[_i].now);
	k = (struct advice_trace){ kept.data, kept.len };
	n = (struct advice_trace){ now.data, now.len };
	memset(&out, 0xee, sizeof out);
	advice_blame(&st, &k, &n, 1, &out);
	ck_assert_str_eq(blame_name(out.who), blame_name(dns[_i].who));
	ck_assert_int_eq(out.healed, dns[_i].healed);
	ck_assert_msg(strstr(out.text, dns[_i].text) != NULL, "%s", out.text);
	buf_free(&kept);
	buf_free(&now);
}
END_TEST

static const struct { enum reason reason; enum blame who; } plain[] = {
	{ REASON_connect_timeout, BLAME_NETWORK }, { REASON_connect_refused, BLAME_THEIR_SERVER },
	{ REASON_smtp_4xx, BLAME_THEIR_SERVER }, { REASON_dns_nxdomain, BLAME_THEIR_DOMAIN },
	{ REASON_auth_failed, BLAME_OUR_CONFIG }, { REASON_held, BLAME_OPERATOR },
	{ REASON_local, BLAME_THIS_MACHINE }, { REASON_expired, BLAME_UNKNOWN },
};

START_TEST(other_reasons_speak_for_themselves)
{
	struct status st = { .class_ = 4, .reason = plain[_i].reason };
	struct advice_trace none = { 0 };
	struct finding out;

	advice_blame(&st, &none, NULL, 0, &out);
	ck_assert_int_eq(out.who, plain[_i].who);
	ck_assert_uint_gt(strlen(out.text), 0);
}
END_TEST

START_TEST(every_blame_has_a_name)
{
	ck_assert_ptr_nonnull(blame_name((enum blame)_i));
}
END_TEST

/* ---- changes ---- */

static struct conf_resolvers sets[] = {
	{ .name = "system", .nservers = 1 }, { .name = "internal", .nservers = 1 },
	{ .name = "external", .nservers = 1 }, { .name = "empty", .nservers = 0 },
};
static const struct conf conf = { .sets = sets, .nsets = 4 };

static const struct {
	const char	*sets[2];
	struct conf_resolve resolve;
	bool		 all_sets;
	const char	*want;		/* * marks what asks sets that are not named */
} changes[] = {
	{ { "internal" }, { .ipv6 = true }, false,
	  "ipv6=false order=a-first resolvers=system* resolvers=external* " },
	{ { "internal" }, { .ipv6 = true, .order = ORDER_AAAA_FIRST,
	    .on_failure = ON_FAILURE_STRICT }, false,
	  "ipv6=false order=a-first on_failure=tolerate resolvers=system* resolvers=external* " },
	{ { "internal", "external" }, { .order = ORDER_A_FIRST }, false,
	  "resolvers=internal resolvers=external resolvers=system* " },
	{ { "internal" }, { .order = ORDER_A_FIRST }, true,
	  "resolvers=system* resolvers=internal,system* resolvers=external* "
	  "resolvers=internal,external* " },
};

START_TEST(one_change_at_a_time)
{
	struct advice_change out[ADVICE_CHANGES_MAX];
	struct conf_connector k = { .resolve = changes[_i].resolve };
	struct buf b = { 0 };
	size_t n;

	k.resolve.resolvers = (char **)(uintptr_t)changes[_i].sets;
	k.resolve.nresolvers = changes[_i].sets[1] != NULL ? 2 : 1;
	n = advice_changes(&conf, &k, changes[_i].all_sets, out);
	for (size_t i = 0; i < n; i++)
		buf_printf(&b, "%s%s ", out[i].text, out[i].named ? "" : "*");
	ck_assert_str_eq(buf_cstr(&b), changes[_i].want);
	buf_free(&b);
}
END_TEST

static Suite *
suite(void)
{
	Suite *s = suite_create("ctl/advice");
	TCase *tc = tcase_create("advice");

	tcase_add_loop_test(tc, blame_wants_evidence, 0, COUNT_OF(dns));
	tcase_add_loop_test(tc, other_reasons_speak_for_themselves, 0, COUNT_OF(plain));
	tcase_add_loop_test(tc, every_blame_has_a_name, 0, BLAME_COUNT);
	tcase_add_loop_test(tc, one_change_at_a_time, 0, COUNT_OF(changes));
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(suite)
