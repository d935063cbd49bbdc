/*
 * test_resolver.c - lookups for real: the loop, c-ares, and a name server in a
 * thread that misbehaves as it is told.
 */
// LINK-FAKE: dns
#include "mta/dns/nexthop.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mta/base/counters.h"
#include "mta/base/loop.h"
#include "mta/base/mem.h"
#include "mta/dns/resolver.h"
#include "queue/trace.h"
#include "tests/fake/dns.h"
#include "tests/unit/check_main.h"

static struct loop *loop;
static struct fake_dns *dns, *dns2;
static struct resolver *resolver;
static struct conf conf;
static struct conf_resolvers sets[3];
static struct conf_addr servers[3][2];
static struct conf_connector connector;
static struct conf_cidr loopback = { AF_INET, 8, { 127 } };
static unsigned set_numbers[] = { 1, 2 };
static char *set_names[] = { "internal", "external" };

static struct conf_addr
server_at(const struct fake_dns *f)
{
	return (struct conf_addr){ AF_INET, fake_dns_port(f), { 127, 0, 0, 1 } };
}

static void
set_up(void)
{
	static char *names[] = { "system", "internal",
		"external" };

	loop = loop_new();
	dns = fake_dns_start();
	dns2 = fake_dns_start();
	servers[0][0] = servers[1][0] = server_at(dns);
	servers[2][0] = server_at(dns2);
	for (int i = 0; i < 3; i++)
		sets[i] = (struct conf_resolvers){
			.name = names[i], .servers = servers[i], .nservers = 1,
			.timeout_ms = 150, .tries = 2, .hedge_ms = 50,
			.cooldown_ms = 30000,
		};
	conf = (struct conf){
		.hostname = "relay.test", .sets = sets, .nsets = 3,
	};
	connector = (struct conf_connector){
		.name = "internet", .enabled = true, .port = 2599,
		.allow_addresses = &loopback, .nallow_addresses = 1,
		.resolve = {
			.resolvers = set_names, .nresolvers = 1,
			.sets = set_numbers, .ipv6 = true, .grace_ms = 60,
			.lookup_deadline_ms = 3000, .max_mx_hosts = 20,
			.hosts_file = true,
		},
	};
	resolver = resolver_new(loop, &conf);
}

static void
tear_down(void)
{
	resolver_free(&resolver);
	loop_free(&loop);
	fake_dns_stop(&dns);
	fake_dns_stop(&dns2);
}

/* What one lookup came to, all its groups taken. */
static struct outcome {
	struct status	status;
	unsigned	groups;
	size_t		naddrs;
	char		addrs[2000];	/* "host/ip " … */
	struct buf	trace;
	char		lines[20000];
	struct nexthop	*n;
} got;

static void
on_step(void *ctx, const struct nexthop_step *step)
{
	char ip[INET6_ADDRSTRLEN];

	(void)ctx;
	if (step->kind == NEXTHOP_END) {
		got.status = step->status;
		nexthop_cancel(&got.n);
		loop_stop(loop);
		return;
	}
	got.groups++;
	got.naddrs += step->naddrs;
	for (size_t i = 0; i < step->naddrs; i++) {
		const struct nexthop_addr *a = &step->addrs[i];

		snprintf(got.addrs + strlen(got.addrs),
		    sizeof got.addrs - strlen(got.addrs), "%s%s/%s",
		    got.addrs[0] != '\0' ? " " : "", a->host,
		    inet_ntop(a->addr.family, a->addr.ip, ip, sizeof ip));
		ck_assert_uint_eq(a->addr.port, 2599);
	}
	strcat(got.addrs, ";");
	nexthop_next(got.n);
}

static void
run_args(const struct nexthop_args *args)
{
	struct rd r;
	struct trace_entry e;
	char line[600];

	buf_free(&got.trace);
	memset(&got, 0, sizeof got);
	struct nexthop_args a = *args;
	a.trace = &got.trace;
	got.status.class_ = 9;
	got.n = nexthop_start(resolver, &a, on_step, NULL);
	ck_assert_uint_eq(got.status.class_, 9);
	loop_run(loop);
	r = rd_of(got.trace.data, got.trace.len);
	while (trace_next(&r, &e)) {
		trace_line(&e, line, sizeof line);
		strcat(strcat(got.lines, line), "\n");
	}
	ck_assert(!r.bad);
	if (getenv("SHOW") != NULL)
		printf("%s-> %u.%u.%u %s | %s | %s\n\n", got.lines,
		    got.status.class_, got.status.subject, got.status.detail,
		    reason_name(got.status.reason), got.addrs, got.status.text);
}

static void
run_flags(const char *domain, unsigned flags)
{
	run_args(&(struct nexthop_args){
		.conf = &conf, .connector = &connector, .domain = domain,
		.flags = flags,
	});
}

static void
run(const char *domain)
{
	run_flags(domain, 0);
}

static void
check_status(unsigned class_, unsigned subject, unsigned detail,
    enum reason reason)
{
	char want[64], have[64];

	snprintf(want, sizeof want, "%u.%u.%u %s", class_, subject, detail,
	    reason_name(reason));
	snprintf(have, sizeof have, "%u.%u.%u %s", got.status.class_,
	    got.status.subject, got.status.detail, reason_name(got.status.reason));
	ck_assert_str_eq(have, want);
}

static void
contains(const char *text, const char *part)
{
	ck_assert_msg(strstr(text, part) != NULL, "no \"%s\" in: %s", part, text);
}

static void
founding_case(void)
{
	fake_dns_say(dns, "MX far.test", "10 mx.far.test");
	fake_dns_say(dns, "A mx.far.test", "127.0.0.9");
	fake_dns_say(dns, "AAAA mx.far.test", "servfail");
}

/* ---- the story ---- */

START_TEST(exchange_defers_the_founding_case)
{
	char want[400];

	founding_case();
	connector.resolve.order = ORDER_AAAA_FIRST;
	connector.resolve.on_failure = ON_FAILURE_STRICT;
	run("far.test");
	check_status(4, 4, 3, REASON_dns_servfail);
	snprintf(want, sizeof want, "DNS: AAAA mx.far.test: SERVFAIL from "
	    "127.0.0.1:%u (set internal); order=aaaa-first on_failure=strict "
	    "discards the host; A was not asked", fake_dns_port(dns));
	ck_assert_str_eq(got.status.text, want);
	ck_assert_uint_eq(fake_dns_asked(dns, "A mx.far.test"), 0);
	ck_assert_uint_eq(fake_dns_asked(dns, "AAAA mx.far.test"), 1);
	contains(got.lines, "A mx.far.test not asked");
}
END_TEST

static const struct {
	bool			ipv6;
	enum conf_order		order;
	enum conf_on_failure	on_failure;
	bool			delivers;
	unsigned		aaaa;	/* times asked */
} cures[] = {
	{ true,	 ORDER_A_FIRST,	   ON_FAILURE_STRICT,	true,  0 },
	{ true,	 ORDER_A_FIRST,	   ON_FAILURE_TOLERATE,	true,  0 },
	{ true,	 ORDER_AAAA_FIRST, ON_FAILURE_TOLERATE,	true,  1 },
	{ true,	 ORDER_BOTH,	   ON_FAILURE_TOLERATE,	true,  1 },
	{ true,	 ORDER_BOTH,	   ON_FAILURE_STRICT,	false, 1 },
	{ false, ORDER_AAAA_FIRST, ON_FAILURE_STRICT,	true,  0 },
};

START_TEST(founding_case_by_policy)
{
	founding_case();
	connector.resolve.ipv6 = cures[_i].ipv6;
	connector.resolve.order = cures[_i].order;
	connector.resolve.on_failure = cures[_i].on_failure;
	run("far.test");
	if (cures[_i].delivers) {
		ck_assert_str_eq(got.addrs, "mx.far.test/127.0.0.9;");
		ck_assert_uint_eq(got.status.class_, 0);
	} else {
		check_status(4, 4, 3, REASON_dns_servfail);
	}
	ck_assert_uint_eq(fake_dns_asked(dns, "AAAA mx.far.test"), cures[_i].aaaa);
}
END_TEST

START_TEST(escalation_cures_it)
{
	founding_case();
	fake_dns_say(dns2, "MX far.test", "10 mx.far.test");
	fake_dns_say(dns2, "A mx.far.test", "127.0.0.9");
	fake_dns_say(dns2, "AAAA mx.far.test", "nodata");
	connector.resolve.order = ORDER_AAAA_FIRST;
	connector.resolve.on_failure = ON_FAILURE_STRICT;
	connector.resolve.nresolvers = 2;
	run("far.test");
	ck_assert_str_eq(got.addrs, "mx.far.test/127.0.0.9;");
	contains(got.lines, "set internal gave up (AAAA mx.far.test: SERVFAIL");
	contains(got.lines, "set external is asked");
}
END_TEST

/* ---- verdicts ---- */

static const struct {
	const char	*mx, *a, *aaaa;
	unsigned	 class_, subject, detail;
	enum reason	 reason;
	const char	*text;
} verdicts[] = {
	{ "servfail", "127.0.0.9", "nodata", 4, 4, 3, REASON_dns_servfail, "MX far.test: SERVFAIL" },
	{ "refused", "127.0.0.9", "nodata", 4, 4, 3, REASON_dns_refused, "REFUSED" },
	{ "silence", "127.0.0.9", "nodata", 4, 4, 3, REASON_dns_timeout, "timeout from 127.0.0.1" },
	{ "noquestion", "127.0.0.9", "nodata", 4, 4, 3, REASON_dns_timeout, "timeout" },
	{ "rcode 9", "127.0.0.9", "nodata", 4, 4, 3, REASON_dns_servfail, "rcode 9" },
	{ "referral", "127.0.0.9", "nodata", 4, 4, 3, REASON_dns_refused, "referral" },
	{ "nxdomain", "127.0.0.9", "nodata", 5, 1, 2, REASON_dns_nxdomain, "no such domain" },
	{ "0 .", "127.0.0.9", "nodata", 5, 1, 10, REASON_null_mx, "null MX" },
	{ "nodata", "127.0.0.9", "nodata", 0, 0, 0, REASON_none, "" },
	{ "empty", "127.0.0.9", "nodata", 0, 0, 0, REASON_none, "" },
	{ "nodata", "nodata", "servfail", 4, 4, 3, REASON_dns_servfail, "AAAA far.test: SERVFAIL" },
	{ "nodata", "servfail", "nodata", 4, 4, 3, REASON_dns_servfail, "A far.test: SERVFAIL" },
	{ "nodata", "nodata", "silence", 4, 4, 3, REASON_dns_timeout, "; A: NODATA" },
	{ "nodata", "nodata", "nodata", 5, 4, 4, REASON_dns_nodata, "neither MX nor address" },
	{ "nodata", "nxdomain", "nxdomain", 5, 4, 4, REASON_dns_nodata, "neither MX nor address" },
	{ "cname loop.test", "nodata", "nodata", 5, 1, 2, REASON_dns_nxdomain, "" },
	{ "cname far.test", "nodata", "nodata", 4, 4, 3, REASON_dns_garbled, "CNAME loop" },
};

START_TEST(verdict)
{
	fake_dns_say(dns, "MX far.test", verdicts[_i].mx);
	fake_dns_say(dns, "A far.test", verdicts[_i].a);
	fake_dns_say(dns, "AAAA far.test", verdicts[_i].aaaa);
	run("far.test");
	check_status(verdicts[_i].class_, verdicts[_i].subject,
	    verdicts[_i].detail, verdicts[_i].reason);
	contains(got.status.text, verdicts[_i].text);
	if (verdicts[_i].class_ == 0)
		ck_assert_str_eq(got.addrs, "far.test/127.0.0.9;");
	if (strcmp(verdicts[_i].mx, "nodata") != 0 && verdicts[_i].class_ != 0)
		ck_assert_uint_eq(fake_dns_asked(dns, "A far.test"), 0);
}
END_TEST

START_TEST(absent_without_ipv6_says_so)
{
	fake_dns_say(dns, "MX far.test", "10 mx.far.test");
	fake_dns_say(dns, "A mx.far.test", "nodata");
	connector.resolve.ipv6 = false;
	run("far.test");
	check_status(5, 4, 4, REASON_dns_nodata);
	contains(got.status.text, "AAAA was not asked (ipv6=false)");
	ck_assert_uint_eq(fake_dns_asked(dns, "AAAA mx.far.test"), 0);
}
END_TEST

START_TEST(nxdomain_policy)
{
	connector.resolve.nxdomain = NXDOMAIN_DEFER;
	run("far.test");
	check_status(4, 1, 2, REASON_dns_nxdomain);
	connector.resolve.nxdomain = NXDOMAIN_ESCALATE;
	connector.resolve.nresolvers = 2;
	fake_dns_say(dns2, "MX far.test", "10 127.0.0.7");
	run("far.test");
	ck_assert_str_eq(got.addrs, "127.0.0.7/127.0.0.7;");
}
END_TEST

static const struct {
	const char	*first, *second;
	unsigned	 class_, subject, detail;
	const char	*text;
} combined[] = {
	{ "servfail", "nxdomain", 4, 4, 3, "SERVFAIL" },
	{ "servfail", "0 .", 4, 4, 3, "after: MX far.test: null MX" },
	{ "refused", "nxdomain", 5, 1, 2, "NXDOMAIN" },
	{ "refused", "refused", 4, 4, 3, "REFUSED" },
	{ "refused", "0 .", 5, 1, 10, "null MX" },
	{ "refused", "silence", 4, 4, 3, "timeout" },
	{ "nxdomain", "servfail", 5, 1, 2, "NXDOMAIN" },	/* fail: not asked */
};

START_TEST(sets_combine)
{
	connector.resolve.nresolvers = 2;
	fake_dns_say(dns, "MX far.test", combined[_i].first);
	fake_dns_say(dns2, "MX far.test", combined[_i].second);
	run("far.test");
	ck_assert_uint_eq(got.status.class_, combined[_i].class_);
	ck_assert_uint_eq(got.status.subject, combined[_i].subject);
	ck_assert_uint_eq(got.status.detail, combined[_i].detail);
	contains(got.status.text, combined[_i].text);
}
END_TEST

/* ---- hosts ---- */

START_TEST(groups_by_preference_lazily)
{
	fake_dns_say(dns, "MX far.test",
	    "20 b.far.test, 10 a.far.test, 20 c.far.test, 30 ., 30 a.far.test");
	fake_dns_say(dns, "A a.far.test", "127.0.0.1");
	fake_dns_say(dns, "AAAA a.far.test", "nodata");
	fake_dns_say(dns, "A b.far.test", "127.0.0.2");
	fake_dns_say(dns, "AAAA b.far.test", "nodata");
	fake_dns_say(dns, "A c.far.test", "nodata");
	fake_dns_say(dns, "AAAA c.far.test", "nodata");
	run("far.test");
	ck_assert_str_eq(got.addrs, "a.far.test/127.0.0.1; b.far.test/127.0.0.2;");
	ck_assert_uint_eq(got.groups, 2);
	ck_assert_uint_eq(got.status.class_, 0);
}
END_TEST

START_TEST(unknown_host_after_given_ones_defers)
{
	fake_dns_say(dns, "MX far.test", "10 a.far.test, 20 b.far.test");
	fake_dns_say(dns, "A a.far.test", "127.0.0.1");
	fake_dns_say(dns, "AAAA a.far.test", "nodata");
	fake_dns_say(dns, "A b.far.test", "servfail");
	fake_dns_say(dns, "AAAA b.far.test", "nodata");
	run("far.test");
	ck_assert_str_eq(got.addrs, "a.far.test/127.0.0.1;");
	check_status(4, 4, 3, REASON_dns_servfail);
}
END_TEST

START_TEST(families_interleave)
{
	static struct conf_cidr any[] = { { AF_INET, 0, { 0 } }, { AF_INET6, 0, { 0 } } };

	connector.allow_addresses = any;
	connector.nallow_addresses = 2;
	fake_dns_say(dns, "MX far.test", "10 a.far.test");
	fake_dns_say(dns, "A a.far.test", "192.0.2.1, 192.0.2.2");
	fake_dns_say(dns, "AAAA a.far.test", "2001:db8::1");
	run("far.test");
	ck_assert_str_eq(got.addrs, "a.far.test/2001:db8::1 "
	    "a.far.test/192.0.2.1 a.far.test/192.0.2.2;");
	nexthop_family_worked(resolver, "a.far.test", AF_INET);
	run("far.test");
	ck_assert_str_eq(got.addrs, "a.far.test/192.0.2.1 "
	    "a.far.test/2001:db8::1 a.far.test/192.0.2.2;");
	resolver_flush(resolver, NULL);
	connector.resolve.prefer = PREFER_IPV4;
	run("far.test");
	contains(got.addrs, "a.far.test/192.0.2.1 a.far.test/2001");
}
END_TEST

START_TEST(slow_family_gets_its_grace_only)
{
	founding_case();
	fake_dns_say(dns, "AAAA mx.far.test", "silence");
	connector.resolve.lookup_deadline_ms = 150;	/* less than one try */
	run("far.test");
	ck_assert_str_eq(got.addrs, "mx.far.test/127.0.0.9;");
	contains(got.lines, "AAAA mx.far.test: not waited for");
}
END_TEST

START_TEST(guard_skips_and_defers)
{
	connector.nallow_addresses = 0;
	founding_case();
	run("far.test");
	check_status(4, 4, 4, REASON_policy);
	contains(got.status.text, "loopback address 127.0.0.9");
	run("[10.1.2.3]");
	check_status(4, 4, 4, REASON_policy);
}
END_TEST

START_TEST(ourselves_end_the_list)
{
	struct conf_listener l = {
		.address = { AF_INET, 2599, { 127, 0, 0, 9 } },
	};

	fake_dns_say(dns, "MX far.test", "10 a.test, 20 Relay.test, 20 b.test");
	fake_dns_say(dns, "A a.test", "nodata");
	fake_dns_say(dns, "AAAA a.test", "nodata");
	run("far.test");
	check_status(5, 4, 6, REASON_loop);
	conf.listeners = &l;
	conf.nlisteners = 1;
	founding_case();
	fake_dns_say(dns, "AAAA mx.far.test", "nodata");
	resolver_flush(resolver, NULL);
	run("far.test");
	check_status(5, 4, 6, REASON_loop);
	l.address.port = 25;
	run("far.test");
	ck_assert_uint_eq(got.groups, 1);
}
END_TEST

START_TEST(literals)
{
	run("[127.0.0.3]");
	ck_assert_str_eq(got.addrs, "[127.0.0.3]/127.0.0.3;");
	run("[IPv6:2001:db8::1]");
	ck_assert_str_eq(got.addrs, "[IPv6:2001:db8::1]/2001:db8::1;");
	connector.resolve.ipv6 = false;
	run("[IPv6:2001:db8::1]");
	check_status(5, 4, 4, REASON_dns_nodata);
	run("[nonsense]");
	check_status(5, 1, 3, REASON_dns_nxdomain);
	run("a..b");
	check_status(5, 1, 2, REASON_dns_nxdomain);
}
END_TEST

START_TEST(more_hosts_than_asked_defer)
{
	fake_dns_say(dns, "MX far.test", "10 a.test, 20 b.test, 30 c.test");
	connector.resolve.max_mx_hosts = 2;
	run("far.test");
	check_status(4, 4, 4, REASON_policy);
	contains(got.status.text, "1 more MX hosts");
	ck_assert_uint_eq(fake_dns_asked(dns, "A c.test"), 0);
}
END_TEST

/* ---- smarthosts ---- */

START_TEST(smarthosts_in_order)
{
	struct conf_host hosts[] = {
		{ "exch", { AF_INET, 0, { 10, 0, 0, 4 } } },
	};
	struct conf_smarthost s[] = {
		{ .text = "", .host = "exch", .mx = true },
		{ .text = "", .address = { AF_INET, 0, { 10, 0, 0, 5 } } },
		{ .text = "", .host = "corp.test" },
		{ .text = "", .host = "mxd.test", .mx = true },
	};

	conf.hosts = hosts;
	conf.nhosts = 1;
	connector.smarthosts = s;
	connector.nsmarthosts = 4;
	connector.nallow_addresses = 0;
	fake_dns_say(dns, "A corp.test", "10.0.0.6");
	fake_dns_say(dns, "AAAA corp.test", "nodata");
	fake_dns_say(dns, "MX mxd.test", "servfail");
	fake_dns_say(dns, "A mxd.test", "10.0.0.7");
	run("*");
	ck_assert_str_eq(got.addrs, "exch/10.0.0.4; 10.0.0.5/10.0.0.5; "
	    "corp.test/10.0.0.6; mxd.test/10.0.0.7;");
	ck_assert_uint_eq(got.status.class_, 0);
	ck_assert_uint_eq(fake_dns_asked(dns, "MX corp.test"), 0);
	contains(got.lines, "hosts file A exch NOERROR");
	connector.nsmarthosts = 1;
	conf.nhosts = 0;
	run("*");
	check_status(4, 4, 4, REASON_dns_nodata);
}
END_TEST

/* ---- packets ---- */

START_TEST(stray_packets_are_ignored_and_counted)
{
	const int64_t before = counter_sum(C_dns_ignored_packets_total);

	fake_dns_say(dns, "MX far.test", "wrongid 10 127.0.0.8");
	run("far.test");
	ck_assert_str_eq(got.addrs, "127.0.0.8/127.0.0.8;");
	ck_assert_int_eq(counter_sum(C_dns_ignored_packets_total) - before, 2);
	ck_assert_uint_eq(fake_dns_asked(dns, "MX far.test"), 1);
}
END_TEST

static const char *const by_tcp[] = { "tc 10 127.0.0.8", "garbled 10 127.0.0.8" };

START_TEST(tcp_after_udp)
{
	fake_dns_say(dns, "MX far.test", by_tcp[_i]);
	run("far.test");
	ck_assert_str_eq(got.addrs, "127.0.0.8/127.0.0.8;");
	ck_assert_uint_eq(fake_dns_asked_tcp(dns, "MX far.test"), 1);
	contains(got.lines, _i == 0 ? "udp MX far.test truncated" :
	    "udp MX far.test garbled");
	contains(got.lines, "tcp MX far.test NOERROR");
}
END_TEST

START_TEST(long_udp_answer_goes_to_tcp)
{
	char list[4000] = "10 127.0.0.8";

	for (int i = 0; i < 30; i++)
		sprintf(list + strlen(list), ", 20 host%d.very.long.name.test", i);
	fake_dns_say(dns, "MX far.test", list);
	connector.resolve.max_mx_hosts = 1;
	run("far.test");
	ck_assert_str_eq(got.addrs, "127.0.0.8/127.0.0.8;");
	ck_assert_uint_eq(fake_dns_asked_tcp(dns, "MX far.test"), 1);
}
END_TEST

START_TEST(protocols)
{
	sets[1].protocol = PROTOCOL_UDP;
	resolver_reload(resolver, &conf);
	fake_dns_say(dns, "MX far.test", by_tcp[0]);
	run("far.test");
	check_status(4, 4, 3, REASON_dns_garbled);
	ck_assert_uint_eq(fake_dns_asked_tcp(dns, "MX far.test"), 0);
	sets[1].protocol = PROTOCOL_TCP;
	resolver_reload(resolver, &conf);
	run("far.test");
	ck_assert_str_eq(got.addrs, "127.0.0.8/127.0.0.8;");
	ck_assert_uint_eq(fake_dns_asked(dns, "MX far.test"), 2);
}
END_TEST

START_TEST(cname_target_is_asked_for)
{
	fake_dns_say(dns, "MX far.test", "cname other.test");
	fake_dns_say(dns, "MX other.test", "10 mx.test");
	fake_dns_say(dns, "A mx.test", "cname real.test 127.0.0.6");
	fake_dns_say(dns, "AAAA mx.test", "cname real.test");
	fake_dns_say(dns, "AAAA real.test", "nodata");
	run("far.test");
	ck_assert_str_eq(got.addrs, "mx.test/127.0.0.6;");
	contains(got.lines, "CNAME far.test NOERROR");
	fake_dns_say(dns, "MX other.test", "servfail");
	resolver_flush(resolver, NULL);
	run("far.test");
	check_status(4, 4, 3, REASON_dns_servfail);
}
END_TEST

START_TEST(next_server_after_soft_answer_or_silence)
{
	servers[1][1] = server_at(dns2);
	sets[1].nservers = 2;
	resolver_reload(resolver, &conf);
	fake_dns_say(dns, "MX far.test", "servfail");
	fake_dns_say(dns2, "MX far.test", "10 127.0.0.8");
	run("far.test");
	ck_assert_str_eq(got.addrs, "127.0.0.8/127.0.0.8;");
	contains(got.lines, "MX far.test SERVFAIL");
	fake_dns_say(dns, "MX slow.test", "silence");
	fake_dns_say(dns2, "MX slow.test", "10 127.0.0.8");
	run("slow.test");
	ck_assert_str_eq(got.addrs, "127.0.0.8/127.0.0.8;");
}
END_TEST

static unsigned cooling;

static void
on_server(void *ctx, const struct dns_server_row *row)
{
	(void)ctx;
	cooling += row->cooldown_ms > 0;
}

START_TEST(silent_server_cools_down)
{
	char name[32], question[40];

	servers[1][1] = server_at(dns2);
	sets[1].nservers = 2;
	sets[1].tries = 1;
	resolver_reload(resolver, &conf);
	for (int i = 0; i < 4; i++) {
		snprintf(name, sizeof name, "d%d.test", i);
		snprintf(question, sizeof question, "MX %s", name);
		fake_dns_say(dns, question, "silence");
		fake_dns_say(dns2, question, i < 3 ? "silence" : "servfail");
		cooling = 0;
		resolver_server_rows(resolver, on_server, NULL);
		ck_assert_uint_eq(cooling, i < 3 ? 0 : 2);
		run(name);
	}
	/* All were on cooldown: they were asked all the same. */
	check_status(4, 4, 3, REASON_dns_servfail);
	cooling = 0;
	resolver_server_rows(resolver, on_server, NULL);
	ck_assert_uint_eq(cooling, 1);
	fake_dns_say(dns2, "MX e.test", "10 127.0.0.8");
	run("e.test");			/* the dead one is left alone */
	ck_assert_uint_eq(fake_dns_asked(dns, "MX e.test"), 0);
	resolver_flush(resolver, NULL);
	cooling = 0;
	resolver_server_rows(resolver, on_server, NULL);
	ck_assert_uint_eq(cooling, 0);
}
END_TEST

START_TEST(deadline_ends_the_wait)
{
	connector.resolve.lookup_deadline_ms = 60;
	fake_dns_say(dns, "MX far.test", "silence");
	run("far.test");
	check_status(4, 4, 3, REASON_dns_timeout);
	contains(got.status.text, "lookup_deadline=60ms was reached");
}
END_TEST

/* ---- cache and kept answers ---- */

START_TEST(answers_are_cached_and_bypassed)
{
	founding_case();
	run("far.test");
	run("far.test");
	ck_assert_uint_eq(fake_dns_asked(dns, "MX far.test"), 1);
	ck_assert_uint_eq(fake_dns_asked(dns, "AAAA mx.far.test"), 1);
	contains(got.lines, "MX far.test NOERROR cached ttl ");
	run_flags("far.test", NEXTHOP_FRESH);
	ck_assert_uint_eq(fake_dns_asked(dns, "MX far.test"), 1);
	ck_assert_uint_eq(fake_dns_asked(dns, "AAAA mx.far.test"), 2);
	ck_assert_uint_eq(resolver_flush(resolver, "far.test"), 3);
	run("far.test");
	ck_assert_uint_eq(fake_dns_asked(dns, "MX far.test"), 2);
	fake_dns_say(dns, "MX zero.test", "ttl 0 10 127.0.0.8");
	run("zero.test");
	run("zero.test");
	ck_assert_uint_eq(fake_dns_asked(dns, "MX zero.test"), 2);
}
END_TEST

START_TEST(kept_answers_play_another_policy)
{
	struct nexthop_args args = {
		.conf = &conf, .connector = &connector, .domain = "far.test",
		.flags = NEXTHOP_NO_ASK,
	};
	struct buf kept;

	founding_case();
	connector.resolve.order = ORDER_BOTH;
	run("far.test");
	kept = got.trace;
	got.trace = (struct buf){ 0 };
	resolver_flush(resolver, NULL);
	connector.resolve.order = ORDER_AAAA_FIRST;
	connector.resolve.on_failure = ON_FAILURE_STRICT;
	args.kept = kept.data;
	args.kept_len = kept.len;
	run_args(&args);
	check_status(4, 4, 3, REASON_dns_servfail);
	contains(got.lines, "AAAA mx.far.test SERVFAIL kept");
	connector.resolve.on_failure = ON_FAILURE_TOLERATE;
	run_args(&args);
	ck_assert_uint_eq(got.naddrs, 1);
	ck_assert_uint_eq(fake_dns_asked(dns, "MX far.test"), 1);
	args.kept = NULL;
	run_args(&args);
	check_status(4, 4, 3, REASON_dns_timeout);
	buf_free(&kept);
}
END_TEST

/* ---- many ---- */

#define MANY 300

static unsigned ended;
static struct nexthop *many[MANY];

static void
on_one(void *ctx, const struct nexthop_step *step)
{
	struct nexthop **n = ctx;

	if (step->kind == NEXTHOP_TRY) {
		nexthop_next(*n);
		return;
	}
	nexthop_cancel(n);
	if (++ended == MANY)
		loop_stop(loop);
}

START_TEST(equal_questions_join_and_ports_change)
{
	struct buf trace = { 0 };
	char name[32];

	fake_dns_say(dns, "MX same.test", "slow 30 10 127.0.0.8");
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof name, "n%d.test", i % 100);
		many[i] = nexthop_start(resolver, &(struct nexthop_args){
			.conf = &conf, .connector = &connector, .trace = &trace,
			.domain = i < 200 ? "same.test" : name,
		}, on_one, &many[i]);
	}
	loop_run(loop);
	ck_assert_uint_eq(fake_dns_asked(dns, "MX same.test"), 1);
	ck_assert_uint_ge(fake_dns_ports(dns), 2);
	buf_free(&trace);
}
END_TEST

static void
on_stop(void *ctx)
{
	loop_stop(ctx);
}

/* One turn. */
static void
loop_step(void)
{
	loop_post(loop, on_stop, loop);
	loop_run(loop);
}

static void
on_never(void *ctx, const struct nexthop_step *step)
{
	(void)ctx;
	(void)step;
	ck_abort_msg("called after nexthop_cancel()");
}

START_TEST(cancel_is_silent)
{
	struct buf trace = { 0 };
	struct nexthop *n;

	fake_dns_say(dns, "MX far.test", "slow 20 10 127.0.0.8");
	n = nexthop_start(resolver, &(struct nexthop_args){
		.conf = &conf, .connector = &connector, .trace = &trace,
		.domain = "far.test" }, on_never, NULL);
	nexthop_cancel(&n);
	ck_assert_ptr_null(n);
	nexthop_cancel(&n);
	run("far.test");
	ck_assert_uint_eq(got.groups, 1);
	/* And one that is still out when the resolver ends. */
	fake_dns_say(dns, "MX late.test", "silence");
	connector.resolve.lookup_deadline_ms = 10;
	run("late.test");
	buf_free(&trace);
}
END_TEST

START_TEST(unreachable_server_is_told_apart)
{
	struct fake_dns *gone = fake_dns_start();

	servers[1][0] = server_at(gone);
	fake_dns_stop(&gone);
	sets[1].protocol = (enum conf_protocol)_i;
	resolver_reload(resolver, &conf);
	run("far.test");
	check_status(4, 4, 3, REASON_dns_timeout);
	contains(got.status.text, "MX far.test: network error from 127.0.0.1");
}
END_TEST

static void
start_one(struct buf *trace, const char *domain)
{
	many[0] = nexthop_start(resolver, &(struct nexthop_args){
		.conf = &conf, .connector = &connector, .trace = trace,
		.domain = domain, .flags = NEXTHOP_FRESH,
	}, on_one, &many[0]);
	ended = MANY - 1;
}

START_TEST(a_flush_does_not_join_the_old_question)
{
	struct buf trace = { 0 };

	fake_dns_say(dns, "MX far.test", "silence");
	start_one(&trace, "far.test");
	while (fake_dns_asked(dns, "MX far.test") == 0)
		loop_step();
	fake_dns_say(dns, "MX far.test", "10 127.0.0.8");
	resolver_flush(resolver, "far.test");
	run("far.test");
	ck_assert_str_eq(got.addrs, "127.0.0.8/127.0.0.8;");
	contains(got.lines, "udp MX far.test NOERROR");
	nexthop_cancel(&many[0]);
	buf_free(&trace);
}
END_TEST

START_TEST(a_lookup_outlives_a_reload)
{
	struct conf old = conf;
	struct buf trace = { 0 };

	fake_dns_say(dns, "MX far.test", "slow 40 10 a.test");
	fake_dns_say(dns, "A a.test", "127.0.0.8");
	fake_dns_say(dns, "AAAA a.test", "nodata");
	start_one(&trace, "far.test");
	while (fake_dns_asked(dns, "MX far.test") == 0)
		loop_step();
	old.nsets = 1;
	resolver_reload(resolver, &old);
	loop_run(loop);
	ck_assert_uint_eq(fake_dns_asked(dns, "A a.test"), 1);
	buf_free(&trace);
}
END_TEST

static Suite *
suite(void)
{
	Suite *s = suite_create("resolver");
	TCase *tc = tcase_create("all");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, exchange_defers_the_founding_case);
	tcase_add_loop_test(tc, founding_case_by_policy, 0, COUNT_OF(cures));
	tcase_add_test(tc, escalation_cures_it);
	tcase_add_loop_test(tc, verdict, 0, COUNT_OF(verdicts));
	tcase_add_test(tc, absent_without_ipv6_says_so);
	tcase_add_test(tc, nxdomain_policy);
	tcase_add_loop_test(tc, sets_combine, 0, COUNT_OF(combined));
	tcase_add_test(tc, groups_by_preference_lazily);
	tcase_add_test(tc, unknown_host_after_given_ones_defers);
	tcase_add_test(tc, families_interleave);
	tcase_add_test(tc, slow_family_gets_its_grace_only);
	tcase_add_test(tc, guard_skips_and_defers);
	tcase_add_test(tc, ourselves_end_the_list);
	tcase_add_test(tc, literals);
	tcase_add_test(tc, more_hosts_than_asked_defer);
	tcase_add_test(tc, smarthosts_in_order);
	tcase_add_test(tc, stray_packets_are_ignored_and_counted);
	tcase_add_loop_test(tc, tcp_after_udp, 0, COUNT_OF(by_tcp));
	tcase_add_test(tc, long_udp_answer_goes_to_tcp);
	tcase_add_test(tc, protocols);
	tcase_add_test(tc, cname_target_is_asked_for);
	tcase_add_test(tc, next_server_after_soft_answer_or_silence);
	tcase_add_test(tc, silent_server_cools_down);
	tcase_add_test(tc, deadline_ends_the_wait);
	tcase_add_test(tc, answers_are_cached_and_bypassed);
	tcase_add_test(tc, kept_answers_play_another_policy);
	tcase_add_test(tc, equal_questions_join_and_ports_change);
	tcase_add_test(tc, cancel_is_silent);
	tcase_add_loop_test(tc, unreachable_server_is_told_apart, PROTOCOL_ANY, PROTOCOL_TCP + 1);
	tcase_add_test(tc, a_flush_does_not_join_the_old_question);
	tcase_add_test(tc, a_lookup_outlives_a_reload);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(suite)
