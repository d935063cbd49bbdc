/*
 * test_status.c - names, code, safe text and wire form of a status.
 */
#include "queue/status.h"

#include <string.h>

#include "tests/unit/check_main.h"

START_TEST(names_go_both_ways)
{
	for (int i = 0; i < REASON_COUNT; i++)
		ck_assert_int_eq(reason_parse(reason_name((enum reason)i)), i);
	ck_assert_str_eq(reason_name(REASON_dns_servfail), "dns_servfail");
	ck_assert_int_eq(reason_parse("nonsense"), -1);
	ck_assert_str_eq(stage_name(STAGE_dot), "dot");
	ck_assert_str_eq(stage_name((enum stage)999), "unknown");
	ck_assert(reason_is_dns(REASON_dns_timeout));
	ck_assert(!reason_is_dns(REASON_connect_refused));
	ck_assert(!reason_is_dns(REASON_none));
}
END_TEST

START_TEST(text_is_one_safe_line)
{
	struct status st;
	char longer[2000], code[STATUS_CODE_MAX];

	memset(&st, 0x5a, sizeof st);
	status_set(&st, 4, 4, 3, STAGE_dns, REASON_dns_servfail, "a\r\nb \x1b[%d\xff", 7);
	ck_assert_ptr_null(strpbrk(st.text, "\r\n\x1b\xff"));
	ck_assert_str_eq(status_code(&st, code), "4.4.3");
	ck_assert(!st.remote);
	ck_assert_str_eq(st.peer, "");
	memset(longer, 'x', sizeof longer - 1);
	longer[sizeof longer - 1] = '\0';
	status_set(&st, 5, 0, 0, STAGE_none, REASON_none, "%s", longer);
	ck_assert_uint_eq(strlen(st.text), 500);
}
END_TEST

START_TEST(wire_and_back)
{
	struct status st, back;
	struct buf b = { 0 };
	struct rd r;

	status_set(&st, 5, 1, 10, STAGE_rcpt, REASON_smtp_5xx, "no such user");
	st.reply = 550;
	st.remote = true;
	strcpy(st.peer, "mx.test[192.0.2.1]:25");
	status_encode(&st, &b);
	r = rd_of(b.data, b.len);
	memset(&back, 0x5a, sizeof back);
	ck_assert(status_decode(&back, &r));
	ck_assert_uint_eq(rd_left(&r), 0);
	ck_assert_uint_eq(back.class_, 5);
	ck_assert_uint_eq(back.detail, 10);
	ck_assert_uint_eq(back.reply, 550);
	ck_assert_int_eq(back.stage, STAGE_rcpt);
	ck_assert_int_eq(back.reason, REASON_smtp_5xx);
	ck_assert(back.remote);
	ck_assert_str_eq(back.text, st.text);
	ck_assert_str_eq(back.peer, st.peer);
	for (size_t n = 0; n < b.len; n++) {
		r = rd_of(b.data, n);
		ck_assert(!status_decode(&back, &r));
		ck_assert_uint_eq(back.class_, 0);
	}
	b.data[0] = 3;				/* no such class */
	r = rd_of(b.data, b.len);
	ck_assert(!status_decode(&back, &r));
	buf_free(&b);
}
END_TEST

static Suite *
suite(void)
{
	Suite *s = suite_create("status");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, names_go_both_ways);
	tcase_add_test(tc, text_is_one_safe_line);
	tcase_add_test(tc, wire_and_back);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(suite)
