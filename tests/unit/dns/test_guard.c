/*
 * test_guard.c - ranges that MX may not lead to, ourselves, and a server's
 * health.
 */
#include "mta/dns/guard.h"

#include <arpa/inet.h>
#include <string.h>

#include "mta/dns/resolver.h"
#include "tests/unit/check_main.h"

static struct conf_addr
addr(const char *ip, uint16_t port)
{
	struct conf_addr a = { .family = AF_INET, .port = port };

	if (inet_pton(AF_INET, ip, a.ip) != 1) {
		a.family = AF_INET6;
		ck_assert_int_eq(inet_pton(AF_INET6, ip, a.ip), 1);
	}
	return a;
}

static const struct { const char *ip; bool allowed; } ranges[] = {
	{ "127.0.0.1", false }, { "127.255.0.1", false }, { "0.0.0.0", false },
	{ "10.0.0.1", false }, { "172.16.0.1", false }, { "172.31.255.255", false },
	{ "172.32.0.1", true }, { "172.15.0.1", true }, { "192.168.3.4", false },
	{ "192.169.0.1", true }, { "100.64.0.1", false }, { "100.127.0.1", false },
	{ "100.128.0.1", true }, { "169.254.1.1", false }, { "224.0.0.1", false },
	{ "239.1.2.3", false }, { "8.8.8.8", true }, { "192.0.2.1", true },
	{ "::", false }, { "::1", false }, { "::2", true }, { "fe80::1", false },
	{ "febf::1", false }, { "fec0::1", true }, { "fc00::1", false },
	{ "fd12::1", false }, { "fe00::1", true }, { "ff02::1", false },
	{ "::ffff:8.8.8.8", false }, { "2001:db8::1", true },
};

START_TEST(range)
{
	struct conf_connector k = { 0 };
	struct conf_addr a = addr(ranges[_i].ip, 25);

	ck_assert_msg((guard_range(&k, &a) == NULL) == ranges[_i].allowed, "%s", ranges[_i].ip);
}
END_TEST

START_TEST(operator_may_allow)
{
	struct conf_cidr c = { AF_INET, 24, { 10, 1, 2 } };
	struct conf_connector k = { .allow_addresses = &c, .nallow_addresses = 1 };
	struct conf_addr in = addr("10.1.2.200", 25), out = addr("10.1.3.1", 25);

	ck_assert_ptr_null(guard_range(&k, &in));
	ck_assert_str_eq(guard_range(&k, &out), "private");
}
END_TEST

START_TEST(own_names)
{
	struct conf_listener l = { .hostname = "In.relay.test" };
	struct conf conf = { .hostname = "relay.test.", .listeners = &l, .nlisteners = 1 };

	ck_assert(guard_own_name(&conf, "Relay.Test"));
	ck_assert(guard_own_name(&conf, "in.relay.test."));
	ck_assert(!guard_own_name(&conf, "x.relay.test"));
	conf.hostname = NULL;
	ck_assert(!guard_own_name(&conf, ""));
}
END_TEST

static bool
local_192_0_2_9(const struct conf_addr *a)
{
	struct conf_addr own = addr("192.0.2.9", 0);

	return a->family == AF_INET && memcmp(a->ip, own.ip, 4) == 0;
}

static const struct {
	const char	*listener;
	uint16_t	 port;
	bool		 any;
	const char	*peer;
	uint16_t	 peer_port;
	bool		 nat, ours;
} selves[] = {
	{ "192.0.2.5", 25, false, "192.0.2.5", 25, true, true },
	{ "192.0.2.5", 25, false, "192.0.2.5", 2525, true, false },
	{ "192.0.2.5", 25, false, "192.0.2.6", 25, true, false },
	{ "192.0.2.5", 25, false, "::ffff:192.0.2.5", 25, true, true },
	{ "127.0.0.1", 25, false, "127.0.0.1", 25, true, true },
	{ "127.0.0.1", 25, false, "127.0.0.2", 25, true, false },
	{ "::", 25, true, "192.0.2.9", 25, true, true },
	{ "::", 25, true, "192.0.2.10", 25, true, false },
	{ "::", 25, true, "192.0.2.9", 26, true, false },
	{ "0.0.0.0", 25, false, "192.0.2.9", 25, true, true },
	{ "::", 25, false, "192.0.2.9", 25, true, false },	/* IPv6 only */
	{ "192.0.2.5", 25, false, "198.51.100.1", 25, true, true },	/* NAT */
	{ "192.0.2.5", 25, false, "198.51.100.1", 25, false, false },
};

START_TEST(ourselves)
{
	struct conf_addr nat = addr("198.51.100.1", 0);
	struct conf_listener l = {
		.address = addr(selves[_i].listener, selves[_i].port),
		.any = selves[_i].any,
	};
	struct conf conf = {
		.listeners = &l, .nlisteners = 1,
		.own_addresses = &nat, .nown_addresses = 1,
	};
	struct conf_addr peer = addr(selves[_i].peer, selves[_i].peer_port);

	ck_assert_int_eq(guard_ourselves(&conf, &peer, selves[_i].nat,
	    local_192_0_2_9), selves[_i].ours);
}
END_TEST

START_TEST(kernel_knows_its_addresses)
{
	struct conf_addr here = addr("127.0.0.2", 25), far = addr("192.0.2.1", 25);

	ck_assert(guard_address_is_local(&here));
	ck_assert(!guard_address_is_local(&far));
}
END_TEST

/* ---- health ---- */

START_TEST(three_different_names_in_a_row)
{
	struct dns_server sv = { 0 };

	server_silent(&sv, "a", 30000, 1000);
	server_silent(&sv, "A", 30000, 1000);
	server_silent(&sv, "a", 30000, 1000);
	server_silent(&sv, "b", 30000, 1000);
	ck_assert(server_ready(&sv, 1000));
	server_alive(&sv);
	server_silent(&sv, "c", 30000, 2000);
	ck_assert(server_ready(&sv, 2000));
	server_silent(&sv, "d", 30000, 2000);
	server_silent(&sv, "e", 30000, 2000);
	ck_assert(!server_ready(&sv, 2000));
	ck_assert(!server_ready(&sv, 31999));
}
END_TEST

START_TEST(one_probe_after_the_cooldown)
{
	struct dns_server sv = { 0 };

	for (const char *const *n = (const char *const[]){ "a", "b", "c", NULL }; *n; n++)
		server_silent(&sv, *n, 30000, 1000);
	ck_assert(server_ready(&sv, 31000));
	sv.probing = true;
	ck_assert(!server_ready(&sv, 31000));
	server_silent(&sv, "a", 30000, 33000);	/* the probe failed */
	ck_assert(!server_ready(&sv, 62000));
	ck_assert(server_ready(&sv, 63000));
	server_alive(&sv);
	ck_assert(server_ready(&sv, 0));
}
END_TEST

static Suite *
suite(void)
{
	Suite *s = suite_create("guard");
	TCase *tc = tcase_create("all");

	tcase_add_loop_test(tc, range, 0, COUNT_OF(ranges));
	tcase_add_test(tc, operator_may_allow);
	tcase_add_test(tc, own_names);
	tcase_add_loop_test(tc, ourselves, 0, COUNT_OF(selves));
	tcase_add_test(tc, kernel_knows_its_addresses);
	tcase_add_test(tc, three_different_names_in_a_row);
	tcase_add_test(tc, one_probe_after_the_cooldown);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(suite)
