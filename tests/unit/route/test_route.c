/*
 * test_route.c - which pattern wins for a domain.
 * Must never load a file: connectors are made by hand.
 * Read next: mta/route/route.c.
 */
#include "tests/unit/check_main.h"

#include <string.h>

#include "conf/conf.h"
#include "mta/route/route.h"

static char *internal[] = { "corp.example", "*.corp.example", "*.example" };
static char *special[] = { "mail.corp.example", "*.deep.corp.example" };
static char *rest[] = { "*" };
static struct conf_smarthost host;

static struct conf_connector connectors[] = {
	{ .name = "rest", .domains = rest, .ndomains = 1 },
	{ .name = "internal", .domains = internal, .ndomains = 3, .smarthosts = &host,
	  .nsmarthosts = 1 },
	{ .name = "special", .domains = special, .ndomains = 2, .enabled = false },
};

static const struct conf all = { .connectors = connectors, .nconnectors = 3 };
static const struct conf some = { .connectors = connectors + 1, .nconnectors = 2 };

static const struct { const char *domain, *with_rest, *without; } rows[] = {
	{ "corp.example", "internal", "internal" },
	{ "a.corp.example", "internal", "internal" },
	{ "b.a.corp.example", "internal", "internal" },
	{ "mail.corp.example", "special", "special" },
	{ "x.mail.corp.example", "internal", "internal" },
	{ "deep.corp.example", "internal", "internal" },	/* not below itself */
	{ "x.deep.corp.example", "special", "special" },
	{ "xcorp.example", "internal", "internal" },		/* by "*.example" */
	{ "example", "rest", NULL },
	{ "other.test", "rest", NULL },
	{ "[192.0.2.1]", "rest", NULL },
	{ "[ipv6:2001:db8::1]", "rest", NULL },
	{ "", "rest", NULL },
	{ ".corp.example", "internal", "internal" },
	{ ".", "rest", NULL },
	{ "a..", "rest", NULL },
	{ "*", "rest", NULL },
};

static void
expect(const struct conf *conf, const char *domain, const char *name)
{
	struct router *r = router_new(conf);
	const struct conf_connector *k = router_find(r, domain);

	if (name == NULL) {
		ck_assert_ptr_null(k);
	} else {
		ck_assert_ptr_nonnull(k);
		ck_assert_str_eq(k->name, name);
	}
	router_free(&r);
	ck_assert_ptr_null(r);
	router_free(&r);
}

START_TEST(most_specific)
{
	expect(&all, rows[_i].domain, rows[_i].with_rest);
	expect(&some, rows[_i].domain, rows[_i].without);
}
END_TEST

START_TEST(no_connectors)
{
	static const struct conf none;

	expect(&none, "a.example", NULL);
}
END_TEST

START_TEST(keys)
{
	char buf[ROUTE_KEY_MAX], longest[400];

	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	ck_assert(route_key(&connectors[0], "a.example", buf));
	ck_assert_str_eq(buf, "rest/a.example");
	ck_assert(route_key(&connectors[1], "a.example", buf));
	ck_assert_str_eq(buf, "internal/*");
	ck_assert(!route_key(&connectors[0], longest, buf));
}
END_TEST

static Suite *
suite(void)
{
	Suite *s = suite_create("route/route");
	TCase *tc = tcase_create("route");

	tcase_add_loop_test(tc, most_specific, 0, COUNT_OF(rows));
	tcase_add_test(tc, no_connectors);
	tcase_add_test(tc, keys);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(suite)
