/*
 * test_address.c - paths of MAIL and RCPT: what is taken and what is not.
 */
#include "mta/smtp/address.h"

#include <string.h>

#include "mta/base/fault.h"
#include "tests/unit/check_main.h"

static const struct {
	const char *text, *address;	/* NULL: refused */
	const char *rest;
} cases[] = {
	{ "<a@b>", "a@b", "" },
	{ "<>", "", "" },
	{ " <a@b.example> SIZE=1", "a@b.example", " SIZE=1" },
	{ "\t<a@b>", "a@b", "" },
	{ "<a.b+c=d@x-1.example>", "a.b+c=d@x-1.example", "" },
	{ "<!#$%&'*+-/=?^_`{|}~@b>", "!#$%&'*+-/=?^_`{|}~@b", "" },
	{ "<\"a b\"@c>", "\"a b\"@c", "" },
	{ "<\"a\\\"b@x>\"@c>", "\"a\\\"b@x>\"@c", "" },
	{ "<\"\"@c>", "\"\"@c", "" },
	{ "<a@[192.0.2.1]>", "a@[192.0.2.1]", "" },
	{ "<a@[IPv6:2001:db8::1]>", "a@[IPv6:2001:db8::1]", "" },
	{ "<@x.example:a@b>", "a@b", "" },
	{ "<@x.example,@y.example:a@b>", "a@b", "" },
	{ "<@[192.0.2.1]:a@b>", "a@b", "" },
	{ "<postmaster>", "postmaster", "" },
	{ "<PostMaster>", "PostMaster", "" },
	{ "<a@under_score.example>", "a@under_score.example", "" },
	{ "<a@1.2.3.4>", "a@1.2.3.4", "" },
	{ "<a@b>x", "a@b", "x" },
	{ "", NULL, NULL },
	{ "a@b", NULL, NULL },
	{ "<a@b", NULL, NULL },
	{ "<", NULL, NULL },
	{ "<@>", NULL, NULL },
	{ "<a>", NULL, NULL },
	{ "<a@>", NULL, NULL },
	{ "<@b>", NULL, NULL },
	{ "<a@b@c>", NULL, NULL },
	{ "<a b@c>", NULL, NULL },
	{ "< a@b>", NULL, NULL },
	{ "<a@b >", NULL, NULL },
	{ "<.a@b>", NULL, NULL },
	{ "<a.@b>", NULL, NULL },
	{ "<a..b@c>", NULL, NULL },
	{ "<a@b..c>", NULL, NULL },
	{ "<a@.b>", NULL, NULL },
	{ "<a@b.>", NULL, NULL },
	{ "<a@-b>", NULL, NULL },
	{ "<a@b->", NULL, NULL },
	{ "<a@b-.c>", NULL, NULL },
	{ "<a@b(c)>", NULL, NULL },
	{ "<\"a@b>", NULL, NULL },
	{ "<\"a\"b@c>", NULL, NULL },
	{ "<\"a\\", NULL, NULL },
	{ "<\"a\001\"@b>", NULL, NULL },
	{ "<a@[192.0.2.1>", NULL, NULL },
	{ "<a@[192.0.2.256]>", NULL, NULL },
	{ "<a@[2001:db8::1]>", NULL, NULL },
	{ "<a@[IPv6:192.0.2.1]>", NULL, NULL },
	{ "<a@[IPv6:]>", NULL, NULL },
	{ "<a@[]>", NULL, NULL },
	{ "<a@[x:y]>", NULL, NULL },
	{ "<@x.example a@b>", NULL, NULL },
	{ "<@x.example,:a@b>", NULL, NULL },
	{ "<@x.example:>", NULL, NULL },
	{ "<@x.example>", NULL, NULL },
	{ "<a@b\001>", NULL, NULL },
};

START_TEST(table)
{
	/* A copy of exactly n octets: reading beyond is seen by ASAN. */
	size_t n = strlen(cases[_i].text), used = 99;
	char *text = strndup(cases[_i].text, n);
	struct smtp_path path;
	enum smtp_path_result r;

	r = smtp_path_parse(text, n, &path, &used);
	if (cases[_i].address == NULL) {
		ck_assert_msg(r == SMTP_PATH_SYNTAX, "\"%s\" was taken", text);
	} else {
		ck_assert_msg(r == SMTP_PATH_OK, "\"%s\" was refused", text);
		ck_assert_uint_eq(path.len, strlen(cases[_i].address));
		ck_assert_int_eq(strncmp(path.address, cases[_i].address, path.len), 0);
		ck_assert_str_eq(text + used, cases[_i].rest);
	}
	free(text);
}
END_TEST

START_TEST(parts)
{
	struct smtp_path path;
	size_t used;

	ck_assert_int_eq(smtp_path_parse("<\"a@b\"@c>", 9, &path, &used), SMTP_PATH_OK);
	ck_assert_uint_eq(path.local_len, 5);
	ck_assert_int_eq(smtp_path_parse("<postmaster>", 12, &path, &used), SMTP_PATH_OK);
	ck_assert_uint_eq(path.local_len, path.len);
}
END_TEST

START_TEST(non_ascii)
{
	static const char *const texts[] = { "<\xc3\xa4@b>", "<a@\xc3\xa4>", "<\"\xc3\xa4\"@b>" };
	struct smtp_path path;
	size_t used;

	for (size_t i = 0; i < COUNT_OF(texts); i++)
		ck_assert_int_eq(smtp_path_parse(texts[i], strlen(texts[i]), &path, &used),
		    SMTP_PATH_NON_ASCII);
}
END_TEST

START_TEST(lengths)
{
	char text[SMTP_PATH_MAX + 10];
	struct smtp_path path;
	size_t used;

	memset(text, 'a', sizeof(text));
	text[0] = '<';
	memcpy(text + 1861, "@b>", 3);		/* as long as Exchange makes them */
	ck_assert_int_eq(smtp_path_parse(text, 1864, &path, &used), SMTP_PATH_OK);
	ck_assert_int_eq(smtp_path_parse(text, sizeof(text), &path, &used), SMTP_PATH_LONG);
	memset(text, 'a', sizeof(text));
	ck_assert(smtp_domain_ok(text, 63));
	ck_assert(!smtp_domain_ok(text, 64));
	for (int i = 50; i < 300; i += 50)
		text[i] = '.';
	ck_assert(smtp_domain_ok(text, 255));
	ck_assert(!smtp_domain_ok(text, 256));
}
END_TEST

static Suite *
address_suite(void)
{
	Suite *s = suite_create("smtp/address");
	TCase *tc = tcase_create("address");

	tcase_add_loop_test(tc, table, 0, COUNT_OF(cases));
	tcase_add_test(tc, parts);
	tcase_add_test(tc, non_ascii);
	tcase_add_test(tc, lengths);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(address_suite)
