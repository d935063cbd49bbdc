/*
 * test_json.c - the JSON writer: escaping, nesting, times.
 * Must never see an invalid line, whatever bytes go in.
 * Read next: mta/ctl/json.c.
 */
#include "tests/unit/check_main.h"

#include "mta/ctl/json.h"

static const struct { const char *in; size_t n; const char *out; } escapes[] = {
	{ "plain", 5, "plain" },
	{ "a\"b\\c", 5, "a\\\"b\\\\c" },
	{ "\n\r\t", 3, "\\n\\r\\t" },
	{ "\x01\x1f\x7f", 3, "\\u0001\\u001f\\u007f" },
	{ "\0", 1, "\\u0000" },
	{ "gr\xc3\xbc\xc3\x9f", 6, "gr\xc3\xbc\xc3\x9f" },
	{ "\xf0\x9f\x93\xa7", 4, "\xf0\x9f\x93\xa7" },
	{ "\xff", 1, "\\ufffd" },
	{ "\xc3", 1, "\\ufffd" },			/* cut off */
	{ "\xc0\xaf", 2, "\\ufffd\\ufffd" },		/* overlong */
	{ "\xed\xa0\x80", 3, "\\ufffd\\ufffd\\ufffd" },	/* surrogate */
	{ "\xf4\x90\x80\x80", 4, "\\ufffd\\ufffd\\ufffd\\ufffd" },	/* above U+10FFFF */
	{ "\xe2\x82x", 3, "\\ufffd\\ufffdx" },
};

START_TEST(strings_are_escaped)
{
	struct buf b = { 0 };

	json_escape(&b, escapes[_i].in, escapes[_i].n);
	ck_assert_str_eq(buf_cstr(&b), escapes[_i].out);
	buf_free(&b);
}
END_TEST

START_TEST(a_line_is_one_object)
{
	struct buf b = { 0 };
	struct json j;

	json_begin(&j, &b);
	json_str(&j, "s", "x");
	json_null(&j, "n");
	json_int(&j, "i", -7);
	json_uint(&j, "u", UINT64_MAX);
	json_bool(&j, "t", true);
	json_array(&j, "a");
	json_str(&j, NULL, "one");
	json_object(&j, NULL);
	json_close(&j);
	json_array(&j, NULL);
	json_int(&j, NULL, 1);
	json_int(&j, NULL, 2);
	json_end(&j);		/* closes what is open */
	ck_assert_str_eq(buf_cstr(&b), "{\"v\":1,\"s\":\"x\",\"n\":null,\"i\":-7,"
	    "\"u\":18446744073709551615,\"t\":true,\"a\":[\"one\",{},[1,2]]}\n");
	buf_free(&b);
}
END_TEST

START_TEST(times_come_in_both_forms)
{
	struct buf b = { 0 };
	struct json j;

	json_begin(&j, &b);
	json_time(&j, "oldest", 1800000000000);
	json_time(&j, "next", 0);
	json_end(&j);
	ck_assert_str_eq(buf_cstr(&b), "{\"v\":1,\"oldest\":\"2027-01-15T08:00:00.000Z\","
	    "\"oldest_s\":1800000000,\"next\":null,\"next_s\":null}\n");
	buf_free(&b);
}
END_TEST

static Suite *
suite(void)
{
	Suite *s = suite_create("ctl/json");
	TCase *tc = tcase_create("json");

	tcase_add_loop_test(tc, strings_are_escaped, 0, COUNT_OF(escapes));
	tcase_add_test(tc, a_line_is_one_object);
	tcase_add_test(tc, times_come_in_both_forms);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(suite)
