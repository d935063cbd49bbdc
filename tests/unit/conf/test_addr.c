/*
 * test_addr.c - addresses and networks: text to struct, back, and membership.
 * Must never need a network.
 * Read next: conf/addr.c.
 */
#include "tests/unit/check_main.h"

#include <string.h>
#include <sys/socket.h>

#include "conf/addr.h"

static const struct { const char *text, *again; } good[] = {
	{ "192.0.2.1", "192.0.2.1" },
	{ "192.0.2.1:25", "192.0.2.1:25" },
	{ "[2001:db8::1]", "[2001:db8::1]" },
	{ "[2001:DB8:0::1]:65535", "[2001:db8::1]:65535" },
	{ "2001:db8::1", "[2001:db8::1]" },
	{ "::", "[::]" },
	{ "::ffff:192.0.2.1", "[::ffff:192.0.2.1]" },
};

START_TEST(addr_good)
{
	struct conf_addr a;
	char buf[64];

	memset(&a, 0xa5, sizeof(a));
	ck_assert(conf_addr_parse(good[_i].text, &a));
	ck_assert_str_eq(conf_addr_text(&a, buf), good[_i].again);
}
END_TEST

static const char *const bad[] = {
	"", "192.0.2", "192.0.2.256", "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:65536",
	"192.0.2.1:+5", "192.0.2.1: 5", "[192.0.2.1]", "[2001:db8::1", "[2001:db8::1]:",
	"[2001:db8::1]x", "[]", "fe80::1%eth0", "[fe80::1%eth0]:53", "localhost", ":25", "*:25",
	"2001:db8::1::2", " 192.0.2.1", "192.0.2.1 ",
	"[1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111]",
	"111111111111111111111111111111111111.1:25",
};

START_TEST(addr_bad)
{
	struct conf_addr a;
	struct fault why;

	ck_assert(!conf_addr_parse(bad[_i], &a));
	ck_assert(!conf_addr_read(bad[_i], "X", &a, &why));
	ck_assert(strstr(why.text, "wanted X") != NULL);
}
END_TEST

static const struct { const char *text, *again; } nets[] = {
	{ "10.0.0.0/8", "10.0.0.0/8" },
	{ "10.1.2.3", "10.1.2.3" },
	{ "10.1.2.3/32", "10.1.2.3" },
	{ "0.0.0.0/0", "0.0.0.0/0" },
	{ "2001:db8::/32", "2001:db8::/32" },
	{ "::1", "::1" },
	{ "::/0", "::/0" },
	{ "::ffff:10.0.0.0/104", "10.0.0.0/8" },
	{ "10.0.0.128/25", "10.0.0.128/25" },
};

START_TEST(cidr_good)
{
	struct conf_cidr c;
	struct fault why;
	char buf[64];

	memset(&c, 0xa5, sizeof(c));
	ck_assert(conf_cidr_parse(nets[_i].text, &c, &why));
	ck_assert_str_eq(conf_cidr_text(&c, buf), nets[_i].again);
}
END_TEST

static const struct { const char *text, *wanted; } refused[] = {
	{ "10.0.0.1/8", "wanted \"10.0.0.0/8\"" },
	{ "10.0.0.129/25", "wanted \"10.0.0.128/25\"" },
	{ "2001:db8::1/64", "wanted \"2001:db8::/64\"" },
	{ "1.2.3.4/0", "wanted \"0.0.0.0/0\"" },
	{ "10.0.0.0/33", "is not a network" },
	{ "10.0.0.0/", "is not a network" },
	{ "10.0.0.0/-1", "is not a network" },
	{ "10.0.0.0/8/8", "is not a network" },
	{ "::/129", "is not a network" },
	{ "/8", "is not a network" },
	{ "", "is not a network" },
	{ "10/8", "is not a network" },
};

START_TEST(cidr_bad)
{
	struct conf_cidr c;
	struct fault why;

	ck_assert(!conf_cidr_parse(refused[_i].text, &c, &why));
	ck_assert_msg(strstr(why.text, refused[_i].wanted) != NULL, "%s", why.text);
}
END_TEST

static const struct { const char *net, *addr; bool has; } member[] = {
	{ "10.0.0.0/8", "10.255.255.255", true },
	{ "10.0.0.0/8", "11.0.0.0", false },
	{ "10.0.0.0/8", "::ffff:10.1.1.1", true },
	{ "10.0.0.0/8", "a00::1", false },
	{ "0.0.0.0/0", "192.0.2.1", true },
	{ "0.0.0.0/0", "2001:db8::1", false },
	{ "::/0", "2001:db8::1", true },
	{ "::/0", "::ffff:192.0.2.1", false },
	{ "192.0.2.128/25", "192.0.2.127", false },
	{ "192.0.2.128/25", "192.0.2.200", true },
	{ "2001:db8::/33", "2001:db8:7fff::1", true },
	{ "2001:db8::/33", "2001:db8:8000::1", false },
	{ "::1", "::1", true },
	{ "::1", "::2", false },
};

START_TEST(cidr_member)
{
	struct conf_cidr c;
	struct conf_addr a;

	ck_assert(conf_cidr_parse(member[_i].net, &c, NULL));
	ck_assert(conf_addr_parse(member[_i].addr, &a));
	ck_assert_int_eq(conf_cidr_has(&c, &a), member[_i].has);
}
END_TEST

START_TEST(kinds_of_address)
{
	struct conf_addr a, b;

	ck_assert(conf_addr_parse("fe80::1", &a));
	ck_assert(conf_addr_link_local(&a));
	ck_assert(conf_addr_parse("febf::1", &a));
	ck_assert(conf_addr_link_local(&a));
	ck_assert(conf_addr_parse("fec0::1", &a));
	ck_assert(!conf_addr_link_local(&a));
	ck_assert(conf_addr_parse("0.0.0.0:25", &a));
	ck_assert(conf_addr_any(&a));
	ck_assert(conf_addr_parse("0.0.0.1", &b));
	ck_assert(!conf_addr_any(&b));
	ck_assert(!conf_addr_same_ip(&a, &b));
	ck_assert(conf_addr_parse("0.0.0.0:26", &b));
	ck_assert(conf_addr_same_ip(&a, &b));
}
END_TEST

static Suite *
suite(void)
{
	Suite *s = suite_create("conf/addr");
	TCase *tc = tcase_create("addr");

	tcase_add_loop_test(tc, addr_good, 0, COUNT_OF(good));
	tcase_add_loop_test(tc, addr_bad, 0, COUNT_OF(bad));
	tcase_add_loop_test(tc, cidr_good, 0, COUNT_OF(nets));
	tcase_add_loop_test(tc, cidr_bad, 0, COUNT_OF(refused));
	tcase_add_loop_test(tc, cidr_member, 0, COUNT_OF(member));
	tcase_add_test(tc, kinds_of_address);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(suite)
