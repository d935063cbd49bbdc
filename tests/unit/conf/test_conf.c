/*
 * test_conf.c - the wire form, counting, and --with.
 * Must never compare fields one by one: equal bytes after a round trip say it
 * for every row.
 * Read next: conf/conf.c, conf/codec.c.
 */
#include "tests/unit/check_main.h"

#include "conf/conf.h"
#include "tests/unit/conf/folder.h"

/* At least one of everything that a row can hold. */
static const char full[] = "hostname=\"relay.example.com\";hosts=\"./hosts\";"
    "own_addresses=[\"192.0.2.1\",\"2001:db8::1\"];log={to=\"file\";file=\"/l\";};"
    "control={look=[\"@adm\",\"a\"];act=\"b\";};processes={rx=2;tx=3;};"
    "listeners=({address=\"*:25\";clients=[\"10.0.0.0/8\",\"2001:db8::/32\"];},"
    "{name=\"b\";address=\"[::1]:26\";size=\"1M\";});"
    "resolvers={system={servers=\"192.0.2.53\";};"
    "far={servers=[\"192.0.2.54\",\"[2001:db8::53]:5353\"];protocol=\"tcp\";};};"
    "connectors=({name=\"a\";domains=[\"*\",\"*.b.example\"];helo=\"h.example\";"
    "resolve={resolvers=[\"system\",\"far\"];order=\"a-first\";ipv6=false;};},"
    "{name=\"s\";domains=\"c.example\";smarthosts=[\"[h.example]:26\",\"exch\","
    "\"192.0.2.1\",\"[2001:db8::1]:27\"];retry={notice=\"never\";};"
    "enabled=false;});";

static struct conf *
load_full(void)
{
	const char *hosts = strstr(full, "./hosts");	/* paths are absolute */
	char *text = xasprintf("%.*s%s%s", (int)(hosts - full), full,
	    folder_path, hosts + 1);
	struct conf *c;
	char *errors;

	folder_file("hosts", "127.0.0.1 localhost\n192.0.2.9\tother EXCH exch.lan # x\n"
	    "fe80::1%lo exch\n#192.0.2.8 exch\n2001:db8::9 exch\n");
	c = folder_load(text, &errors);
	ck_assert_str_eq(errors, "");
	free(errors);
	free(text);
	return c;
}

START_TEST(round_trip)
{
	struct conf *c = load_full(), *again;
	struct buf a = { 0 }, b = { 0 };
	struct rd r;

	conf_encode(c, 0, &a);
	r = rd_of(a.data, a.len);
	again = conf_decode(&r);
	ck_assert_ptr_nonnull(again);
	ck_assert_uint_eq(rd_left(&r), 0);
	conf_encode(again, 0, &b);
	ck_assert_uint_eq(a.len, b.len);
	ck_assert_mem_eq(a.data, b.data, a.len);
	ck_assert_uint_eq(again->generation, c->generation);
	ck_assert_uint_eq(again->connectors[0].resolve.sets[1], 1);
	ck_assert_str_eq(again->connectors[1].smarthosts[0].host, "h.example");
	ck_assert_uint_eq(again->nhosts, 2);
	conf_unref(&c);
	conf_unref(&again);
	buf_free(&a);
	buf_free(&b);
}
END_TEST

START_TEST(hosts_of_smarthosts_only)
{
	struct conf *c = load_full();
	char buf[64];

	ck_assert_uint_eq(c->nhosts, 2);
	ck_assert_str_eq(c->hosts[0].name, "exch");
	ck_assert_str_eq(conf_addr_text(&c->hosts[0].address, buf), "192.0.2.9");
	ck_assert_str_eq(conf_addr_text(&c->hosts[1].address, buf), "[2001:db8::9]");
	conf_unref(&c);
}
END_TEST

START_TEST(cut_off_is_refused)
{
	struct conf *c = load_full(), *again;
	struct buf a = { 0 };

	conf_encode(c, 0, &a);
	for (size_t n = 0; n < a.len; n++) {
		uint8_t *piece = xmalloc(n + 1);	/* so that ASAN sees its end */
		struct rd r = rd_of(piece, n);

		memcpy(piece, a.data, n);
		again = conf_decode(&r);
		ck_assert_ptr_null(again);
		free(piece);
	}
	conf_unref(&c);
	buf_free(&a);
}
END_TEST

/* Any byte may be anything: a conf or NULL, never a crash or endless memory. */
START_TEST(changed_bytes)
{
	static const uint8_t values[] = { 0, 1, 0x7f, 0xff };
	struct conf *c = load_full(), *again;
	struct buf a = { 0 };

	conf_encode(c, 0, &a);
	for (size_t i = 0; i < a.len; i++) {
		uint8_t was = a.data[i];
		struct rd r = rd_of(a.data, a.len);

		a.data[i] = values[i % sizeof(values)];
		again = conf_decode(&r);
		conf_unref(&again);
		a.data[i] = was;
	}
	conf_unref(&c);
	buf_free(&a);
}
END_TEST

START_TEST(counted)
{
	struct conf *c = load_full(), *second = conf_ref(c);

	conf_unref(&c);
	ck_assert_ptr_null(c);
	ck_assert_str_eq(second->hostname, "relay.example.com");
	conf_unref(&second);
	conf_unref(&second);		/* NULL is harmless */
}
END_TEST

START_TEST(with_overrides)
{
	struct conf *c = load_full();
	char *const with[] = { "resolvers=far,system", "ipv6=true", "order=aaaa-first",
	    "grace=1s", "on_failure=strict", "prefer=ipv4", "nxdomain=defer" };
	struct fault f;
	struct conf_connector *k = conf_connector_with(c, conf_connector(c, "a"),
	    with, COUNT_OF(with), &f);
	const struct conf_connector *was = conf_connector(c, "a");

	ck_assert_ptr_nonnull(k);
	ck_assert_uint_eq(k->resolve.nresolvers, 2);
	ck_assert_str_eq(k->resolve.resolvers[0], "far");
	ck_assert_uint_eq(k->resolve.sets[0], 1);
	ck_assert_uint_eq(k->resolve.sets[1], 0);
	ck_assert(k->resolve.ipv6);
	ck_assert_int_eq(k->resolve.order, ORDER_AAAA_FIRST);
	ck_assert_int_eq(k->resolve.grace_ms, 1000);
	ck_assert_int_eq(k->resolve.on_failure, ON_FAILURE_STRICT);
	ck_assert_int_eq(k->resolve.prefer, PREFER_IPV4);
	ck_assert_int_eq(k->resolve.nxdomain, NXDOMAIN_DEFER);
	ck_assert_str_eq(k->name, "a");
	ck_assert_ptr_ne(k->name, was->name);
	ck_assert(!was->resolve.ipv6);		/* untouched */
	conf_connector_free(&k);
	ck_assert_ptr_null(k);
	conf_unref(&c);
}
END_TEST

static const struct { const char *with, *fault; } wrong[] = {
	{ "ipv6", "ipv6: has no value, wanted KEY=VALUE" },
	{ "ipv6=yes", "ipv6: \"yes\" is text, wanted true or false" },
	{ "port=25", "port: unknown key, wanted one of resolvers, ipv6, order, grace, on_failure, "
	  "prefer, nxdomain" },
	{ "max_mx_hosts=2", "max_mx_hosts: unknown key, wanted one of resolvers, ipv6, order, grace, "
	  "on_failure, prefer, nxdomain" },
	{ "grace=5", "grace: \"5\" has no unit, wanted a quoted duration such as \"200ms\"" },
	{ "grace=31s", "grace: \"31s\" is too large, wanted \"0s\" to \"30s\"" },
	{ "order=a", "order: \"a\" is not known, wanted \"both\", \"a-first\" or \"aaaa-first\"" },
	{ "resolvers=far,none", "resolvers: \"none\" is not a set, wanted one of those under "
	  "resolvers" },
	{ "resolvers=", "resolvers: \"\" is empty, wanted quoted names" },
};

START_TEST(with_wrong)
{
	struct conf *c = load_full();
	char *one = strdup(wrong[_i].with);
	struct fault f;

	ck_assert_ptr_null(conf_connector_with(c, conf_connector(c, "a"), &one, 1, &f));
	ck_assert_str_eq(f.text, wrong[_i].fault);
	free(one);
	conf_unref(&c);
}
END_TEST

static Suite *
suite(void)
{
	Suite *s = suite_create("conf/conf");
	TCase *tc = tcase_create("conf");

	tcase_add_checked_fixture(tc, folder_enter, folder_leave);
	tcase_add_test(tc, round_trip);
	tcase_add_test(tc, hosts_of_smarthosts_only);
	tcase_add_test(tc, cut_off_is_refused);
	tcase_add_test(tc, changed_bytes);
	tcase_add_test(tc, counted);
	tcase_add_test(tc, with_overrides);
	tcase_add_loop_test(tc, with_wrong, 0, COUNT_OF(wrong));
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(suite)
