/*
 * test_probe.c - what ctl asks of a tx, over a real channel with both ends of
 * mta/door/ask.h.
 * Delivers nothing.  Read next: mta/tx/probe.h.
 */
// LINK-FAKE: queue_tx resolver peer role
#include <sys/socket.h>

#include "mta/door/ask.h"
#include "queue/trace.h"
#include "tests/unit/check_main.h"
#include "tests/unit/tx/bed.h"

static struct bed bed;
static struct asker *asker;

static struct {
	struct ask_answer	answer;
	char			row[256];
	unsigned		nrows, nends;
	bool			ok;
	uint64_t		n;
	char			text[128];
} got;

static enum ask_verb verb;

static void
on_row(void *ctx, struct rd *row)
{
	(void)ctx;
	got.nrows++;
	if (verb == ASK_RESOLVE || verb == ASK_PROBE) {
		ck_assert(ask_answer_decode(&got.answer, row));
		return;
	}
	size_t n = rd_left(row);
	if (n >= sizeof got.row)
		n = sizeof got.row - 1;
	memcpy(got.row, rd_raw(row, n), n);
	got.row[n] = '\0';
}

static void
on_end(void *ctx, bool ok, uint64_t n, const char *text)
{
	(void)ctx;
	got.nends++;
	got.ok = ok;
	got.n = n;
	strncpy(got.text, text, sizeof got.text - 1);
}

static const struct ask_handlers handlers = { .row = on_row, .end = on_end };

static bool
has_ended(void *ctx)
{
	(void)ctx;
	return got.nends > 0;
}

static void
probe_open(void)
{
	int fds[2];

	bed_open(&bed);
	memset(&got, 0, sizeof got);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	asker = asker_new(bed.loop);
	asker_attach(asker, fds[0]);
	answerer_attach(bed.tx->answerer, fds[1]);
}

static void
probe_close(struct peer **p)
{
	ask_answer_free(&got.answer);
	asker_free(&asker);
	bed_close(&bed, p);
}

static void
ask_for(enum ask_verb v, const char *connector, const char *domain,
    const char *with)
{
	const struct ask_request q = {
		.verb = v,
		.connector = (char *)connector,
		.domain = (char *)domain,
		.with = (char *)with,
	};

	verb = v;
	asker_ask(asker, &q, &handlers, NULL);
	bed_run(&bed, has_ended, NULL);
}

START_TEST(resolve_tells_all_groups)
{
	probe_open();
	fake_resolver_add("mx1.far.test", 1, 25, true);
	fake_resolver_add("mx2.far.test", 2, 2525, true);
	ask_for(ASK_RESOLVE, "internet", "far.test", NULL);
	ck_assert(got.ok);
	ck_assert_uint_eq(got.answer.verdict, 2);
	ck_assert_uint_eq(got.answer.ntargets, 2);
	ck_assert_str_eq(got.answer.targets[1].host, "mx2.far.test");
	ck_assert_str_eq(got.answer.targets[1].peer, "127.0.0.2:2525");
	ck_assert_uint_eq(got.answer.targets[1].pref, 20);
	ck_assert_uint_gt(got.answer.trace_len, 0);
	probe_close(NULL);
}
END_TEST

START_TEST(resolve_tells_why_not)
{
	probe_open();
	status_set(&fake_resolver.end, 4, 4, 3, STAGE_dns, REASON_dns_servfail,
	    "SERVFAIL");
	ask_for(ASK_RESOLVE, "internet", "far.test", "ipv6=false");
	ck_assert_uint_eq(got.answer.verdict, 4);
	ck_assert_int_eq(got.answer.status.reason, REASON_dns_servfail);
	ck_assert(!fake_resolver.last_ipv6);
	probe_close(NULL);
}
END_TEST

START_TEST(probe_stops_before_mail)
{
	static const struct peer_script good;
	struct peer *p;

	probe_open();
	p = peer_new(bed.loop, "127.0.0.1", &good, 1);
	fake_resolver_add("mx.far.test", 1, p->port, false);
	ask_for(ASK_PROBE, "internet", "far.test", NULL);
	ck_assert_uint_eq(got.answer.verdict, 2);
	ck_assert_uint_eq(got.answer.ntargets, 1);
	bed_run(&bed, bed_quiet, &bed);
	ck_assert_uint_eq(peer_heard(p, "EHLO"), 1);
	ck_assert_uint_eq(peer_heard(p, "MAIL"), 0);
	ck_assert_uint_eq(p->quits, 1);
	probe_close(&p);
}
END_TEST

START_TEST(probe_tells_a_bad_greeting)
{
	static const struct peer_script bad = { .greeting = "554 no\r\n" };
	struct peer *p;

	probe_open();
	p = peer_new(bed.loop, "127.0.0.1", &bad, 1);
	fake_resolver_add("mx.far.test", 1, p->port, false);
	ask_for(ASK_PROBE, "internet", "far.test", NULL);
	ck_assert_uint_eq(got.answer.verdict, 4);
	ck_assert_uint_eq(got.answer.status.reply, 554);
	probe_close(&p);
}
END_TEST

START_TEST(wrong_questions_end_at_once)
{
	probe_open();
	ask_for(ASK_RESOLVE, "gone", "far.test", NULL);
	ck_assert(!got.ok);
	ck_assert_ptr_nonnull(strstr(got.text, "no such connector"));
	got.nends = 0;
	ask_for(ASK_RESOLVE, "internet", "far.test", "colour=green");
	ck_assert(!got.ok);
	probe_close(NULL);
}
END_TEST

START_TEST(dns_verbs)
{
	probe_open();
	ask_for(ASK_DNS_CACHE, NULL, NULL, NULL);
	ck_assert_str_eq(got.row,
	    "system\tfar.test\tMX\tNOERROR\t1234\t10 mx.far.test");
	got.nends = 0;
	ask_for(ASK_DNS_SERVERS, NULL, NULL, NULL);
	ck_assert_str_eq(got.row, "system\t10.0.0.53:53\t7\t0\t0\t0\t0\t0");
	got.nends = 0;
	ask_for(ASK_DNS_FLUSH, NULL, NULL, NULL);
	ck_assert(got.ok);
	ck_assert_uint_eq(fake_resolver.nflushed, 1);
	ck_assert_uint_eq(got.n, 1);
	probe_close(NULL);
}
END_TEST

static Suite *
probe_suite(void)
{
	Suite *s = suite_create("probe");
	TCase *tc = tcase_create("probe");

	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, resolve_tells_all_groups);
	tcase_add_test(tc, resolve_tells_why_not);
	tcase_add_test(tc, probe_stops_before_mail);
	tcase_add_test(tc, probe_tells_a_bad_greeting);
	tcase_add_test(tc, wrong_questions_end_at_once);
	tcase_add_test(tc, dns_verbs);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(probe_suite)
