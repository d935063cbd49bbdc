/*
 * test_admit.c - who may relay whereto.
 */
#include "mta/rx/admit.h"

#include <string.h>

#include "mta/base/fault.h"
#include "mta/route/route.h"
#include "tests/unit/check_main.h"

static char corp[] = "corp.example", any_below[] = "*.branch.example", name[] = "out";
static char *domains[] = { corp, any_below };
static struct conf_connector connector = { .name = name, .enabled = true, .domains = domains,
    .ndomains = 2 };
static const struct conf conf = { .refs = 1, .connectors = &connector, .nconnectors = 1 };
static struct conf_cidr nets[] = {
	{ AF_INET, 8, { 10 } },
	{ AF_INET, 24, { 10, 1, 2 } },
	{ AF_INET6, 32, { 0x20, 0x01, 0x0d, 0xb8 } },
};
static const struct conf_listener listener = { .clients = nets, .nclients = COUNT_OF(nets) };

static const struct {
	const char *client;
	int net;		/* index into nets, -1: none */
} clients[] = {
	{ "10.9.9.9", 0 },
	{ "10.1.2.3", 1 },	/* the most specific, wherever it stands */
	{ "::ffff:10.1.2.3", 1 },
	{ "2001:db8::1", 2 },
	{ "11.0.0.1", -1 },
	{ "2001:db9::1", -1 },
	{ "::1", -1 },
};

START_TEST(client_table)
{
	const struct conf_cidr *c;
	struct conf_addr a;

	ck_assert(conf_addr_parse(clients[_i].client, &a));
	c = admit_client(&listener, &a);
	if (clients[_i].net == -1)
		ck_assert_ptr_null(c);
	else
		ck_assert_ptr_eq(c, &nets[clients[_i].net]);
}
END_TEST

static const struct {
	bool client;
	const char *address;
	enum rx_admission want;
} recipients[] = {
	{ true, "a@corp.example", ADMIT_OK },
	{ true, "a@CORP.Example", ADMIT_OK },
	{ true, "a@x.branch.example", ADMIT_OK },
	{ true, "a@other.example", ADMIT_NO_ROUTE },
	{ true, "a@xcorp.example", ADMIT_NO_ROUTE },
	{ true, "a@[192.0.2.1]", ADMIT_NO_ROUTE },
	{ true, "\"a@corp.example\"", ADMIT_NO_DOMAIN },
	{ true, "a", ADMIT_NO_DOMAIN },
	{ false, "a@corp.example", ADMIT_NOT_CLIENT },
	{ false, "a@other.example", ADMIT_NOT_CLIENT },	/* learns nothing of our domains */
};

START_TEST(recipient_table)
{
	struct router *r = router_new(&conf);

	ck_assert_int_eq(admit_recipient(recipients[_i].client ? &nets[0] : NULL, r,
	    recipients[_i].address), recipients[_i].want);
	router_free(&r);
}
END_TEST

START_TEST(every_answer)
{
	for (int a = ADMIT_OK; a < ADMIT_COUNT; a++) {
		ck_assert_ptr_nonnull(admit_name((enum rx_admission)a));
		ck_assert_int_eq(strncmp(admit_reply((enum rx_admission)a),
		    a == ADMIT_OK ? "250 2.1.5 " : "550 5.7.1 ", 10), 0);
	}
}
END_TEST

static Suite *
admit_suite(void)
{
	Suite *s = suite_create("rx/admit");
	TCase *tc = tcase_create("admit");

	tcase_add_loop_test(tc, client_table, 0, COUNT_OF(clients));
	tcase_add_loop_test(tc, recipient_table, 0, COUNT_OF(recipients));
	tcase_add_test(tc, every_answer);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(admit_suite)
