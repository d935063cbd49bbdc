/*
 * test_dispatch.c - destinations and attempts: which address is tried next,
 * how many connections there are, and what becomes of those who wait.
 * Never looks at single replies (test_session.c does).  Read next: bed.h.
 */
// LINK-FAKE: queue_tx resolver peer role
#include <errno.h>

#include "mta/tx/attempt.h"
#include "mta/tx/session.h"
#include "tests/unit/check_main.h"
#include "tests/unit/tx/bed.h"

static const struct peer_script good[1];

static struct bed bed;
static struct peer *peer;

static void
open_good(void)
{
	bed_open(&bed);
	peer = peer_new(bed.loop, "127.0.0.1", good, 1);
}

static void
lease_many(uint32_t dest, unsigned n)
{
	while (n-- > 0)
		fake_queue_lease(&(struct fake_lease){ .dest = dest });
}

START_TEST(refused_address_then_the_next)
{
	open_good();
	fake_resolver_add("mx.far.test", 9, peer->port, false);	/* nobody listens there */
	fake_resolver_add("mx.far.test", 1, peer->port, false);
	lease_many(1, 1);
	bed_settle_all(&bed);
	ck_assert_int_eq(fake_queue_settle(1, 0)->outcome, OUTCOME_DELIVERED);
	ck_assert_uint_eq(fake_resolver.nnext, 0);
	ck_assert_uint_eq(fake_resolver.nworked, 1);
	bed_close(&bed, &peer);
}
END_TEST

START_TEST(refused_exchanger_then_the_next)
{
	open_good();
	fake_resolver_add("mx1.far.test", 9, peer->port, true);
	fake_resolver_add("mx2.far.test", 1, peer->port, true);
	lease_many(1, 1);
	bed_settle_all(&bed);
	ck_assert_int_eq(fake_queue_settle(1, 0)->outcome, OUTCOME_DELIVERED);
	ck_assert_uint_eq(fake_resolver.nnext, 1);
	bed_close(&bed, &peer);
}
END_TEST

/* A bad greeting of one address is no reason to leave the others untried. */
START_TEST(bad_greeting_then_the_next)
{
	static const struct peer_script bad[] = {
		{ .greeting = "450 later\r\n" }, { .greeting = "554 no\r\n" }, { .greeting = "!" },
		{ .ehlo = "451 no\r\n" },
	};
	struct peer *first;

	open_good();
	first = peer_new(bed.loop, "127.0.0.2", &bad[_i], 1);
	fake_resolver_add("mx.far.test", 2, first->port, false);
	fake_resolver_add("mx.far.test", 1, peer->port, false);
	lease_many(1, 1);
	bed_settle_all(&bed);
	ck_assert_int_eq(fake_queue_settle(1, 0)->outcome, OUTCOME_DELIVERED);
	ck_assert_uint_eq(first->connections, 1);
	ck_assert_uint_eq(fake_queue.nfailed, 0);
	bed_close(&bed, &peer);
	peer_free(&first);
}
END_TEST

/* family_on_5xx = false: the host's other family is left alone after a 5xx, not after a 4xx. */
START_TEST(family_on_5xx)
{
	static const struct {
		const char	*greeting;
		bool		 family_on_5xx;
		unsigned	 connections;
	} rows[] = {
		{ "450 no PTR\r\n", true, 1 }, { "554 no PTR\r\n", true, 1 },
		{ "450 no PTR\r\n", false, 1 }, { "554 no PTR\r\n", false, 0 },
	};
	const struct peer_script bad = { .greeting = rows[_i].greeting };
	struct peer *six;

	open_good();
	bed.connectors[0].resolve.family_on_5xx = rows[_i].family_on_5xx;
	six = peer_new(bed.loop, "::1", &bad, 1);
	fake_resolver_add("mx.far.test", 0, six->port, false);
	fake_resolver_add("mx.far.test", 1, peer->port, false);
	lease_many(1, 1);
	bed_settle_all(&bed);
	ck_assert_uint_eq(peer->connections, rows[_i].connections);
	ck_assert_int_eq(fake_queue_settle(1, 0)->outcome,
	    rows[_i].connections > 0 ? OUTCOME_DELIVERED : OUTCOME_RETURNED);
	bed_close(&bed, &peer);
	peer_free(&six);
}
END_TEST

START_TEST(nobody_there_defers_the_destination)
{
	open_good();
	fake_resolver_add("mx1.far.test", 8, peer->port, true);
	fake_resolver_add("mx2.far.test", 9, peer->port, true);
	lease_many(1, 20);
	bed_settle_all(&bed);
	ck_assert_uint_eq(fake_queue.nfailed, 1);
	ck_assert_int_eq(fake_queue.failed[0].status.reason,
	    REASON_connect_refused);
	ck_assert_uint_eq(fake_queue.failed[0].dest, 1);
	for (uint64_t i = 1; i <= 20; i++)
		ck_assert_int_eq(fake_queue_settle(i, 0)->outcome,
		    OUTCOME_RETURNED);
	bed_close(&bed, &peer);
}
END_TEST

/* What a server said tells more than one that was not there, whichever came first. */
START_TEST(best_reason_is_told)
{
	static const struct peer_script bad = { .greeting =
						    "450 greylisted\r\n" };
	struct peer *said;

	open_good();
	said = peer_new(bed.loop, "127.0.0.2", &bad, 1);
	fake_resolver_add("mx1.far.test", 2, said->port, true);
	fake_resolver_add("mx2.far.test", 9, peer->port, true);
	lease_many(1, 1);
	bed_settle_all(&bed);
	ck_assert_int_eq(fake_queue.failed[0].status.reason,
	    REASON_smtp_greeting);
	ck_assert_uint_eq(fake_queue.failed[0].status.reply, 450);
	bed_close(&bed, &peer);
	peer_free(&said);
}
END_TEST

static const struct {
	unsigned		class_;
	bool			soft;
	enum queue_outcome	outcome;
	unsigned		nfailed;
} dns_rows[] = {
	{ 4, false, OUTCOME_RETURNED, 1 },
	{ 5, false, OUTCOME_FAILED,   0 },
	{ 5, true,  OUTCOME_DEFERRED, 0 },
};

START_TEST(dns_says_no)
{
	open_good();
	bed.connectors[0].soft_bounce = dns_rows[_i].soft;
	status_set(&fake_resolver.end, (uint8_t)dns_rows[_i].class_, 1, 2,
	    STAGE_dns, REASON_dns_nxdomain, "no such name");
	lease_many(1, 3);
	bed_settle_all(&bed);
	for (uint64_t i = 1; i <= 3; i++) {
		ck_assert_int_eq(fake_queue_settle(i, 0)->outcome,
		    dns_rows[_i].outcome);
		if (dns_rows[_i].outcome != OUTCOME_RETURNED) {
			ck_assert_int_eq(fake_queue_settle(i, 0)->status.reason,
			    REASON_dns_nxdomain);
			ck_assert_uint_gt(fake_queue_settle(i, 0)->trace_len,
			    0);
		}
	}
	ck_assert_uint_eq(fake_queue.nfailed, dns_rows[_i].nfailed);
	bed_close(&bed, &peer);
}
END_TEST

START_TEST(concurrency_is_used_and_bounded)
{
	open_good();
	bed.connectors[0].concurrency = 4;
	fake_resolver_add("mx.far.test", 1, peer->port, false);
	lease_many(1, 400);
	bed_settle_all(&bed);
	ck_assert_uint_eq(peer->messages, 400);
	ck_assert_uint_gt(peer->most_open, 1);
	ck_assert_uint_le(peer->most_open, 4);
	ck_assert_uint_eq(fake_resolver.nstarted, 1);
	bed_close(&bed, &peer);
}
END_TEST

START_TEST(connector_limit_is_shared_by_destinations)
{
	open_good();
	bed.connectors[0].connections = 3;
	fake_resolver_add("mx.far.test", 1, peer->port, false);
	for (uint32_t d = 1; d <= 20; d++)
		lease_many(d, 5);
	bed_settle_all(&bed);
	ck_assert_uint_eq(peer->messages, 100);
	/* One that says QUIT still counts until it is closed, here; the peer may see it closed later. */
	ck_assert_uint_le(peer->most_open, 6);
	bed_close(&bed, &peer);
}
END_TEST

/*
 * All slots for the unproven, of the process or of the connector, are held by a
 * host that swallows connections: the living go on.
 */
START_TEST(swallowed_connections_do_not_starve_the_living)
{
	static const struct peer_script mute = { .greeting = "~" };
	struct peer *hole;

	open_good();
	if (_i == 0)
		bed.tx->pool.max = 8;
	else
		bed.connectors[0].connections = 8;
	hole = peer_new(bed.loop, "127.0.0.2", &mute, 1);
	fake_resolver_add("mx.far.test", 1, peer->port, false);
	lease_many(1, 1);
	bed_settle_all(&bed);			/* destination 1 lives */
	fake_resolver.ngroups = 0;
	fake_resolver.groups[0].n = 0;
	fake_resolver_add("hole.test", 2, hole->port, false);
	bed.connectors[0].command_timeout_ms = 300;
	for (uint32_t d = 100; d < 120; d++)
		lease_many(d, 1);
	lease_many(1, 200);
	bed_settle_all(&bed);
	ck_assert_uint_eq(peer->messages, 201);
	ck_assert_uint_le(hole->most_open, 5);
	ck_assert_uint_eq(fake_queue.nfailed, 20);
	bed_close(&bed, &peer);
	peer_free(&hole);
}
END_TEST

START_TEST(unknown_connector_gives_back)
{
	open_good();
	fake_queue_lease(
	    &(struct fake_lease){ .dest = 1, .connector = "gone" });
	bed.connectors[1].enabled = false;
	fake_queue_lease(
	    &(struct fake_lease){ .dest = 2, .connector = "other" });
	bed_settle_all(&bed);
	ck_assert_int_eq(fake_queue_settle(1, 0)->outcome, OUTCOME_RETURNED);
	ck_assert_int_eq(fake_queue_settle(2, 0)->outcome, OUTCOME_RETURNED);
	ck_assert_uint_eq(fake_queue.nfailed, 0);
	bed_close(&bed, &peer);
}
END_TEST

START_TEST(lease_waits_for_its_configuration)
{
	struct conf newer;

	open_good();
	fake_resolver_add("mx.far.test", 1, peer->port, false);
	newer = bed.conf;
	newer.generation = 2;
	fake_queue_lease(&(struct fake_lease){ .dest = 1, .generation = 2 });
	ck_assert(list_empty(&bed.tx->kicked));
	tx_reload(bed.tx, &newer);
	bed_settle_all(&bed);
	ck_assert_int_eq(fake_queue_settle(1, 0)->outcome, OUTCOME_DELIVERED);
	ck_assert_uint_eq(fake_resolver.nreloaded, 1);
	bed_close(&bed, &peer);
}
END_TEST

/* A lookup that hangs under the old configuration begins anew under the new one. */
START_TEST(reload_cures_a_hanging_lookup)
{
	struct conf newer;

	open_good();
	fake_resolver_add("mx.far.test", 1, peer->port, false);
	newer = bed.conf;
	newer.generation = 2;
	fake_resolver.silent = true;
	lease_many(1, 3);
	while (fake_resolver.nstarted == 0)
		bed_run(&bed, (bool (*)(void *))list_empty, &bed.tx->kicked);
	fake_resolver.silent = false;
	tx_reload(bed.tx, &newer);
	bed_settle_all(&bed);
	ck_assert_int_eq(fake_queue_settle(3, 0)->outcome, OUTCOME_DELIVERED);
	ck_assert_uint_eq(fake_resolver.nstarted, 2);
	bed_close(&bed, &peer);
}
END_TEST

START_TEST(overrides_and_fresh_reach_the_lookup)
{
	open_good();
	fake_resolver_add("mx.far.test", 1, peer->port, false);
	lease_many(1, 1);
	bed_settle_all(&bed);
	ck_assert(fake_resolver.last_ipv6);
	ck_assert_uint_eq(fake_resolver.last_flags, 0);
	fake_queue_lease(&(struct fake_lease){ .dest = 1,
	    .with = "ipv6=false",
	    .fresh = true });
	bed_settle_all(&bed);
	ck_assert(!fake_resolver.last_ipv6);
	ck_assert_uint_eq(fake_resolver.last_flags, NEXTHOP_FRESH);
	ck_assert_uint_eq(peer->messages, 2);
	bed_close(&bed, &peer);
}
END_TEST

static bool
is_talking(void *ctx)
{
	(void)ctx;
	return fake_queue.nat_dot > 0;
}

START_TEST(queue_lost_forgets_what_waits)
{
	static const struct peer_script slow = { .dot = "~" };
	struct peer *p;

	bed_open(&bed);
	p = peer_new(bed.loop, "127.0.0.1", &slow, 1);
	fake_resolver_add("mx.far.test", 1, p->port, false);
	bed.connectors[0].dot_timeout_ms = 50;
	bed.connectors[0].concurrency = 1;
	lease_many(1, 5);
	bed_run(&bed, is_talking, NULL);
	fake_queue_lost();
	fake_queue.nleased = fake_queue.nended = 0;
	lease_many(1, 1);			/* the same number in a new life */
	bed_settle_all(&bed);
	ck_assert_uint_eq(fake_queue.nended, 1);
	ck_assert_uint_eq(fake_queue.settles[0].lease, 6);
	bed_close(&bed, &p);
}
END_TEST

static bool drained;

static void
on_drained(void *ctx)
{
	(void)ctx;
	drained = true;
}

static bool
is_drained(void *ctx)
{
	(void)ctx;
	return drained;
}

START_TEST(drain_finishes_and_gives_back)
{
	static const struct peer_script slow = { .dot = "~" };
	static const struct peer_script *const scripts[] = { good, &slow };
	unsigned returned = 0, delivered = 0, deferred = 0;
	struct peer *p;

	bed_open(&bed);
	drained = false;
	p = peer_new(bed.loop, "127.0.0.1", scripts[_i], 1);
	fake_resolver_add("mx.far.test", 1, p->port, false);
	bed.connectors[0].dot_timeout_ms = 100;
	bed.connectors[0].concurrency = 1;
	lease_many(1, 5);
	bed_run(&bed, is_talking, NULL);
	tx_drain(bed.tx, on_drained, NULL);
	bed_run(&bed, is_drained, NULL);
	ck_assert(fake_queue.stopped);
	for (size_t i = 0; i < fake_queue.nsettles; i++) {
		returned += fake_queue.settles[i].outcome == OUTCOME_RETURNED;
		delivered += fake_queue.settles[i].outcome == OUTCOME_DELIVERED;
		deferred += fake_queue.settles[i].maybe_sent;
	}
	ck_assert_uint_eq(fake_queue.nended, 5);
	ck_assert_uint_ge(returned, 3);
	ck_assert_uint_eq(_i == 0 ? delivered : deferred, 5 - returned);
	bed_close(&bed, &p);
}
END_TEST

static Suite *
dispatch_suite(void)
{
	Suite *s = suite_create("dispatch");
	TCase *tc = tcase_create("dispatch");

	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, refused_address_then_the_next);
	tcase_add_test(tc, refused_exchanger_then_the_next);
	tcase_add_loop_test(tc, bad_greeting_then_the_next, 0, 4);
	tcase_add_loop_test(tc, family_on_5xx, 0, 4);
	tcase_add_test(tc, nobody_there_defers_the_destination);
	tcase_add_test(tc, best_reason_is_told);
	tcase_add_loop_test(tc, dns_says_no, 0, COUNT_OF(dns_rows));
	tcase_add_test(tc, concurrency_is_used_and_bounded);
	tcase_add_test(tc, connector_limit_is_shared_by_destinations);
	tcase_add_loop_test(tc, swallowed_connections_do_not_starve_the_living, 0, 2);
	tcase_add_test(tc, unknown_connector_gives_back);
	tcase_add_test(tc, lease_waits_for_its_configuration);
	tcase_add_test(tc, reload_cures_a_hanging_lookup);
	tcase_add_test(tc, overrides_and_fresh_reach_the_lookup);
	tcase_add_test(tc, queue_lost_forgets_what_waits);
	tcase_add_loop_test(tc, drain_finishes_and_gives_back, 0, 2);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(dispatch_suite)
