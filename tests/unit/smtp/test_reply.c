/*
 * test_reply.c - replies as servers send them, and as they should not.
 */
#include "mta/smtp/reply.h"

#include <string.h>

#include "tests/unit/check_main.h"

static const struct {
	const char *wire;
	enum smtp_reply_result result;
	unsigned code, class_, subject, detail;
	bool enhanced;
	const char *text;
} cases[] = {
	{ "250 ok\r\n", SMTP_REPLY_DONE, 250, 2, 0, 0, false, "ok" },
	{ "250 2.1.5 ok\r\n", SMTP_REPLY_DONE, 250, 2, 1, 5, true, "ok" },
	{ "250 2.1.5\r\n", SMTP_REPLY_DONE, 250, 2, 1, 5, true, "" },
	{ "250\r\n", SMTP_REPLY_DONE, 250, 2, 0, 0, false, "" },
	{ "250 \r\n", SMTP_REPLY_DONE, 250, 2, 0, 0, false, "" },
	{ "250 ok\n", SMTP_REPLY_DONE, 250, 2, 0, 0, false, "ok" },
	{ "250\n", SMTP_REPLY_DONE, 250, 2, 0, 0, false, "" },
	{ "354 go\r\n", SMTP_REPLY_DONE, 354, 3, 0, 0, false, "go" },
	{ "451 4.7.1 try later\r\n", SMTP_REPLY_DONE, 451, 4, 7, 1, true, "try later" },
	{ "550 5.7.606 no\r\n", SMTP_REPLY_DONE, 550, 5, 7, 606, true, "no" },
	{ "571 no\r\n", SMTP_REPLY_DONE, 571, 5, 0, 0, false, "no" },
	{ "450 5.7.1 torn\r\n", SMTP_REPLY_DONE, 450, 4, 0, 0, false, "5.7.1 torn" },
	{ "550 5.7 no\r\n", SMTP_REPLY_DONE, 550, 5, 0, 0, false, "5.7 no" },
	{ "550 5.1234.1 no\r\n", SMTP_REPLY_DONE, 550, 5, 0, 0, false, "5.1234.1 no" },
	{ "550 5.7.1no\r\n", SMTP_REPLY_DONE, 550, 5, 0, 0, false, "5.7.1no" },
	{ "250-a\r\n250-b\r\n250 c\r\n", SMTP_REPLY_DONE, 250, 2, 0, 0, false, "a b c" },
	{ "550-5.1.1 no such\r\n550 5.1.1 user\r\n", SMTP_REPLY_DONE, 550, 5, 1, 1, true,
	  "no such user" },
	{ "250-a\r\n250\r\n", SMTP_REPLY_DONE, 250, 2, 0, 0, false, "a" },
	{ "250-\r\n250 b\r\n", SMTP_REPLY_DONE, 250, 2, 0, 0, false, "b" },
	{ "250 a\001b\x80 \t c\r\n", SMTP_REPLY_DONE, 250, 2, 0, 0, false, "a?b? c" },
	{ "250-half a reply\r\n", SMTP_REPLY_MORE, 0, 0, 0, 0, false, NULL },
	{ "250 no end", SMTP_REPLY_MORE, 0, 0, 0, 0, false, NULL },
	{ "25", SMTP_REPLY_MORE, 0, 0, 0, 0, false, NULL },
	{ "250\r", SMTP_REPLY_MORE, 0, 0, 0, 0, false, NULL },
	{ "", SMTP_REPLY_MORE, 0, 0, 0, 0, false, NULL },
	{ "\r\n", SMTP_REPLY_MALFORMED, 0, 0, 0, 0, false, NULL },
	{ "25\r\n", SMTP_REPLY_MALFORMED, 0, 0, 0, 0, false, NULL },
	{ "2500 ok\r\n", SMTP_REPLY_MALFORMED, 0, 0, 0, 0, false, NULL },
	{ "25O ok\r\n", SMTP_REPLY_MALFORMED, 0, 0, 0, 0, false, NULL },
	{ "150 ok\r\n", SMTP_REPLY_MALFORMED, 0, 0, 0, 0, false, NULL },
	{ "650 ok\r\n", SMTP_REPLY_MALFORMED, 0, 0, 0, 0, false, NULL },
	{ " 250 ok\r\n", SMTP_REPLY_MALFORMED, 0, 0, 0, 0, false, NULL },
	{ "250\tok\r\n", SMTP_REPLY_MALFORMED, 0, 0, 0, 0, false, NULL },
	{ "250\rok\r\n", SMTP_REPLY_MALFORMED, 0, 0, 0, 0, false, NULL },
	{ "ok\r\n", SMTP_REPLY_MALFORMED, 0, 0, 0, 0, false, NULL },
	{ "250-a\r\n251 b\r\n", SMTP_REPLY_MALFORMED, 0, 0, 0, 0, false, NULL },
	{ "250-a\r\n550 b\r\n", SMTP_REPLY_MALFORMED, 0, 0, 0, 0, false, NULL },
	{ "250-a\r\n\r\n", SMTP_REPLY_MALFORMED, 0, 0, 0, 0, false, NULL },
	{ "HTTP/1.1 400 Bad Request\r\n", SMTP_REPLY_MALFORMED, 0, 0, 0, 0, false, NULL },
};

static void
check_reply(int i, enum smtp_reply_result result, const struct smtp_reply *r)
{
	ck_assert_msg(result == cases[i].result, "\"%s\": %d", cases[i].wire, result);
	if (result != SMTP_REPLY_DONE) {
		ck_assert_uint_eq(r->code, 9);	/* untouched */
		return;
	}
	ck_assert_uint_eq(r->code, cases[i].code);
	ck_assert_uint_eq(r->class_, cases[i].class_);
	ck_assert_uint_eq(r->subject, cases[i].subject);
	ck_assert_uint_eq(r->detail, cases[i].detail);
	ck_assert(r->has_enhanced == cases[i].enhanced);
	ck_assert_str_eq(r->text, cases[i].text);
}

START_TEST(at_once)
{
	const char *wire = cases[_i].wire;
	struct smtp_reply_parser p = { .nlines = 0 };
	struct smtp_reply r = { .code = 9 };
	enum smtp_reply_result result;
	size_t used;

	used = smtp_reply_feed(&p, (const uint8_t *)wire, strlen(wire), &r, &result);
	check_reply(_i, result, &r);
	if (result != SMTP_REPLY_MALFORMED)
		ck_assert_uint_eq(used, strlen(wire));
	smtp_reply_parser_free(&p);
}
END_TEST

START_TEST(octet_by_octet)
{
	struct smtp_reply_parser p = { .nlines = 0 };
	struct smtp_reply r = { .code = 9 };
	enum smtp_reply_result result = SMTP_REPLY_MORE;

	for (const char *s = cases[_i].wire; *s != '\0' && result == SMTP_REPLY_MORE; s++)
		smtp_reply_feed(&p, (const uint8_t *)s, 1, &r, &result);
	check_reply(_i, result, &r);
	smtp_reply_parser_free(&p);
}
END_TEST

START_TEST(one_at_a_time)
{
	static const char wire[] = "250 one\r\n550-5.1.1 two\r\n550 5.1.1 x\r\n354 three\r\n";
	const unsigned codes[] = { 250, 550, 354 };
	struct smtp_reply_parser p = { .nlines = 0 };
	enum smtp_reply_result result;
	struct smtp_reply r;
	size_t at = 0;

	for (int i = 0; i < 3; i++) {
		at += smtp_reply_feed(&p, (const uint8_t *)wire + at, sizeof(wire) - 1 - at,
		    &r, &result);
		ck_assert_int_eq(result, SMTP_REPLY_DONE);
		ck_assert_uint_eq(r.code, codes[i]);
	}
	ck_assert_uint_eq(at, sizeof(wire) - 1);
	smtp_reply_parser_free(&p);
}
END_TEST

START_TEST(lines_of_ehlo)
{
	static const char wire[] = "250-host\r\n250-SIZE 1000\r\n250 PIPELINING\r\n";
	struct smtp_reply_parser p = { .nlines = 0 };
	enum smtp_reply_result result;
	struct smtp_reply r;

	smtp_reply_feed(&p, (const uint8_t *)wire, sizeof(wire) - 1, &r, &result);
	ck_assert_int_eq(result, SMTP_REPLY_DONE);
	ck_assert_str_eq(smtp_reply_line(&p, 0), "host");
	ck_assert_str_eq(smtp_reply_line(&p, 1), "SIZE 1000");
	ck_assert_str_eq(smtp_reply_line(&p, 2), "PIPELINING");
	ck_assert_ptr_null(smtp_reply_line(&p, 3));
	smtp_reply_parser_free(&p);
}
END_TEST

/* Feeds n copies of line, then last. */
static enum smtp_reply_result
flood(struct smtp_reply_parser *p, const char *line, int n, const char *last, struct smtp_reply *r)
{
	enum smtp_reply_result result = SMTP_REPLY_MORE;

	while (n-- > 0 && result == SMTP_REPLY_MORE)
		smtp_reply_feed(p, (const uint8_t *)line, strlen(line), r, &result);
	if (result == SMTP_REPLY_MORE)
		smtp_reply_feed(p, (const uint8_t *)last, strlen(last), r, &result);
	return result;
}

START_TEST(many_lines_are_not_kept)
{
	struct smtp_reply_parser p = { .nlines = 0 };
	struct smtp_reply r;

	ck_assert_int_eq(flood(&p, "250-x\r\n", 500, "250 end\r\n", &r), SMTP_REPLY_DONE);
	ck_assert_uint_eq(p.nkept, SMTP_REPLY_LINES_MAX);
	smtp_reply_parser_free(&p);
}
END_TEST

START_TEST(long_line_is_cut)
{
	struct smtp_reply_parser p = { .nlines = 0 };
	enum smtp_reply_result result;
	struct smtp_reply r;

	smtp_reply_feed(&p, (const uint8_t *)"250-", 4, &r, &result);
	ck_assert_int_eq(flood(&p, "0123456789abcdef", 1000, "\r\n250 end\r\n", &r),
	    SMTP_REPLY_DONE);
	ck_assert_uint_eq(strlen(smtp_reply_line(&p, 0)), SMTP_REPLY_LINE_MAX - 4);
	ck_assert_str_eq(smtp_reply_line(&p, 1), "end");
	ck_assert_uint_eq(strlen(r.text), sizeof(r.text) - 1);
	smtp_reply_parser_free(&p);
}
END_TEST

START_TEST(endless_is_malformed)
{
	struct smtp_reply_parser p = { .nlines = 0 };
	struct smtp_reply r;

	ck_assert_int_eq(flood(&p, "250-0123456789abcdef\r\n", 100000, "", &r),
	    SMTP_REPLY_MALFORMED);
	smtp_reply_parser_reset(&p);
	ck_assert_int_eq(flood(&p, "250-", 1, "", &r), SMTP_REPLY_MORE);
	ck_assert_int_eq(flood(&p, "0123456789abcdef", 100000, "", &r), SMTP_REPLY_MALFORMED);
	ck_assert_uint_le(p.lines.len, SMTP_REPLY_KEPT_MAX + 1);
	smtp_reply_parser_free(&p);
}
END_TEST

START_TEST(kept_is_bounded)
{
	struct smtp_reply_parser p = { .nlines = 0 };
	char line[1100];
	struct smtp_reply r;

	memset(line, 'x', sizeof(line));
	memcpy(line, "250-", 4);
	memcpy(line + sizeof(line) - 3, "\r\n", 3);
	ck_assert_int_eq(flood(&p, line, 40, "250 end\r\n", &r), SMTP_REPLY_DONE);
	ck_assert_uint_le(p.lines.len, SMTP_REPLY_KEPT_MAX + 1);
	for (unsigned i = 0; i < p.nkept; i++)
		ck_assert_ptr_nonnull(smtp_reply_line(&p, i));
	smtp_reply_parser_free(&p);
}
END_TEST

START_TEST(nul_does_not_hide_text)
{
	struct smtp_reply_parser p = { .nlines = 0 };
	enum smtp_reply_result result;
	struct smtp_reply r;

	smtp_reply_feed(&p, (const uint8_t *)"250 a\0b\r\n", 9, &r, &result);
	ck_assert_int_eq(result, SMTP_REPLY_DONE);
	ck_assert_str_eq(r.text, "a?b");
	smtp_reply_parser_free(&p);
}
END_TEST

START_TEST(predicates)
{
	ck_assert(smtp_reply_ok(&(struct smtp_reply){ .code = 250 }));
	ck_assert(smtp_reply_go_on(&(struct smtp_reply){ .code = 354 }));
	ck_assert(smtp_reply_temporary(&(struct smtp_reply){ .code = 421 }));
	ck_assert(smtp_reply_permanent(&(struct smtp_reply){ .code = 554 }));
	ck_assert(!smtp_reply_ok(&(struct smtp_reply){ .code = 354 }));
}
END_TEST

static Suite *
reply_suite(void)
{
	Suite *s = suite_create("smtp/reply");
	TCase *tc = tcase_create("reply");

	tcase_add_loop_test(tc, at_once, 0, COUNT_OF(cases));
	tcase_add_loop_test(tc, octet_by_octet, 0, COUNT_OF(cases));
	tcase_add_test(tc, one_at_a_time);
	tcase_add_test(tc, lines_of_ehlo);
	tcase_add_test(tc, many_lines_are_not_kept);
	tcase_add_test(tc, long_line_is_cut);
	tcase_add_test(tc, endless_is_malformed);
	tcase_add_test(tc, kept_is_bounded);
	tcase_add_test(tc, nul_does_not_hide_text);
	tcase_add_test(tc, predicates);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(reply_suite)
