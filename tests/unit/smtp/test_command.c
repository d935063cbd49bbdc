/*
 * test_command.c - command lines and their parameters.
 */
#include "mta/smtp/command.h"

#include <string.h>

#include "mta/base/fault.h"
#include "tests/unit/check_main.h"

static const struct {
	const char *line;
	enum smtp_verb verb;
	const char *arg;
	bool bad_form;
} cases[] = {
	{ "EHLO a.example", SMTP_EHLO, "a.example", false },
	{ "ehlo a.example  ", SMTP_EHLO, "a.example", false },
	{ "HELO", SMTP_HELO, "", false },
	{ "MAIL FROM:<a@b> SIZE=1", SMTP_MAIL, "<a@b> SIZE=1", false },
	{ "mail from: <a@b>", SMTP_MAIL, " <a@b>", false },
	{ "MAIL  FROM:<>", SMTP_MAIL, "<>", false },
	{ "MAIL FROM <a@b>", SMTP_MAIL, "FROM <a@b>", true },
	{ "MAIL <a@b>", SMTP_MAIL, "<a@b>", true },
	{ "MAIL", SMTP_MAIL, "", true },
	{ "MAIL TO:<a@b>", SMTP_MAIL, "TO:<a@b>", true },
	{ "RCPT TO:<a@b>", SMTP_RCPT, "<a@b>", false },
	{ "RCPT FROM:<a@b>", SMTP_RCPT, "FROM:<a@b>", true },
	{ "DATA", SMTP_DATA, "", false },
	{ "DATA x", SMTP_DATA, "x", false },
	{ "rSeT", SMTP_RSET, "", false },
	{ "NOOP anything goes", SMTP_NOOP, "anything goes", false },
	{ "VRFY a", SMTP_VRFY, "a", false },
	{ "EXPN a", SMTP_EXPN, "a", false },
	{ "HELP", SMTP_HELP, "", false },
	{ "QUIT\t", SMTP_QUIT, "", false },
	{ "QUIT\r", SMTP_UNKNOWN, "", true },
	{ "", SMTP_UNKNOWN, "", false },
	{ " QUIT", SMTP_UNKNOWN, "QUIT", false },
	{ "QUITX", SMTP_UNKNOWN, "", false },
	{ "MAILFROM:<a@b>", SMTP_UNKNOWN, "", false },
	{ "GET / HTTP/1.1", SMTP_UNKNOWN, "/ HTTP/1.1", false },
};

START_TEST(table)
{
	const char *line = cases[_i].line;
	struct smtp_command c;

	smtp_command_parse(line, strlen(line), &c);
	ck_assert_msg(c.verb == cases[_i].verb, "\"%s\"", line);
	ck_assert_msg(c.bad_form == cases[_i].bad_form, "\"%s\"", line);
	ck_assert_uint_eq(c.arg_len, strlen(cases[_i].arg));
	ck_assert_int_eq(strncmp(c.arg, cases[_i].arg, c.arg_len), 0);
}
END_TEST

START_TEST(nul_is_bad_form)
{
	struct smtp_command c;

	smtp_command_parse("NOOP \0", 6, &c);
	ck_assert(c.bad_form);
}
END_TEST

START_TEST(verbs_have_names)
{
	for (unsigned v = SMTP_UNKNOWN + 1; v < SMTP_VERB_COUNT; v++) {
		struct smtp_command c;
		const char *name = smtp_verb_name((enum smtp_verb)v);

		smtp_command_parse(name, strlen(name), &c);
		ck_assert_uint_eq(c.verb, v);
	}
}
END_TEST

static const struct {
	const char *text, *read;	/* "key=value;…", "!" where it goes wrong */
} params[] = {
	{ "", "" },
	{ "   ", "" },
	{ " SIZE=1000", "SIZE=1000;" },
	{ "SIZE=1  BODY=8BITMIME ", "SIZE=1;BODY=8BITMIME;" },
	{ " SMTPUTF8", "SMTPUTF8;" },
	{ " X-A=b+20c", "X-A=b+20c;" },
	{ " SIZE=", "!" },
	{ " =1", "!" },
	{ " -A=1", "!" },
	{ " A=b=c", "!" },
	{ " A_B", "!" },
	{ " A=\x80", "!" },
	{ "x<", "!" },
};

START_TEST(param_table)
{
	const char *at = params[_i].text, *end = at + strlen(at);
	enum smtp_param_result r;
	struct smtp_param p;
	char read[200] = "";

	while ((r = smtp_param_next(&at, end, &p)) == SMTP_PARAM_ONE) {
		strncat(read, p.key, p.key_len);
		if (p.value != NULL) {
			strcat(read, "=");
			strncat(read, p.value, p.value_len);
		}
		strcat(read, ";");
	}
	if (r == SMTP_PARAM_BAD)
		strcat(read, "!");
	ck_assert_str_eq(read, params[_i].read);
}
END_TEST

static const struct {
	const char *value;
	bool ok;
	uint64_t n;
} numbers[] = {
	{ "0", true, 0 },
	{ "1000", true, 1000 },
	{ "18446744073709551615", true, UINT64_MAX },
	{ "18446744073709551616", false, 0 },
	{ "99999999999999999999", false, 0 },
	{ "000000000000000000001", false, 0 },
	{ "-1", false, 0 },
	{ "1k", false, 0 },
	{ "", false, 0 },
};

START_TEST(number_table)
{
	struct smtp_param p = { .key = "SIZE", .key_len = 4, .value = numbers[_i].value,
	    .value_len = strlen(numbers[_i].value) };
	uint64_t n = 77;

	ck_assert(smtp_param_number(&p, &n) == numbers[_i].ok);
	ck_assert_uint_eq(n, numbers[_i].ok ? numbers[_i].n : 77);
}
END_TEST

static Suite *
command_suite(void)
{
	Suite *s = suite_create("smtp/command");
	TCase *tc = tcase_create("command");

	tcase_add_loop_test(tc, table, 0, COUNT_OF(cases));
	tcase_add_test(tc, nul_is_bad_form);
	tcase_add_test(tc, verbs_have_names);
	tcase_add_loop_test(tc, param_table, 0, COUNT_OF(params));
	tcase_add_loop_test(tc, number_table, 0, COUNT_OF(numbers));
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(command_suite)
