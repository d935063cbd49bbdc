/*
 * test_dot.c - dot-stuffing both ways, in pieces of every size.  The smuggling
 * cases are those of December 2023: whatever is not CRLF "." CRLF is content.
 */
#include "mta/smtp/dot.h"

#include <string.h>

#include "tests/unit/check_main.h"

static const struct {
	const char *name, *wire, *content, *rest;	/* content NULL: no end in it */
	unsigned flags;
} in_cases[] = {
	{ "empty", ".\r\n", "", "", 0 },
	{ "one line", "a\r\n.\r\n", "a\r\n", "", 0 },
	{ "next command", "a\r\n.\r\nQUIT\r\n", "a\r\n", "QUIT\r\n", 0 },
	{ "stuffed", "..\r\n...a\r\n.\r\n", ".\r\n..a\r\n", "", 0 },
	{ "dot and text", ".a\r\n.\r\n", "a\r\n", "", 0 },
	{ "dot inside", "a.\r\nb.c\r\n.\r\n", "a.\r\nb.c\r\n", "", 0 },
	{ "empty lines", "\r\n\r\n.\r\n", "\r\n\r\n", "", 0 },
	{ "dot blank", ". \r\n.\r\n", " \r\n", "", 0 },
	{ "LF . LF", "a\n.\nb\r\n.\r\n", "a\n.\nb\r\n", "", SMTP_DOT_BARE_LF },
	{ "LF . CRLF", "a\n.\r\nb\r\n.\r\n", "a\n.\r\nb\r\n", "", SMTP_DOT_BARE_LF },
	{ "CRLF . LF", "a\r\n.\nb\r\n.\r\n", "a\r\n\nb\r\n", "", SMTP_DOT_BARE_LF },
	{ "CR . CR", "a\r.\rb\r\n.\r\n", "a\r.\rb\r\n", "", SMTP_DOT_BARE_CR },
	{ "CR . CRLF", "a\r.\r\nb\r\n.\r\n", "a\r.\r\nb\r\n", "", SMTP_DOT_BARE_CR },
	{ "CRLF . CR", "a\r\n.\rb\r\n.\r\n", "a\r\n\rb\r\n", "", SMTP_DOT_BARE_CR },
	{ "CRLF . CR CRLF", "a\r\n.\r\r\nb\r\n.\r\n", "a\r\n\r\r\nb\r\n", "", SMTP_DOT_BARE_CR },
	{ "CR CRLF . CR CRLF", "a\r\r\n.\r\r\nb\r\n.\r\n", "a\r\r\n\r\r\nb\r\n", "",
	  SMTP_DOT_BARE_CR },
	{ "LF CR . CRLF", "a\n\r.\r\n\r\n.\r\n", "a\n\r.\r\n\r\n", "",
	  SMTP_DOT_BARE_LF | SMTP_DOT_BARE_CR },
	{ "LF CRLF is a line end", "a\n\r\n.\r\n", "a\n\r\n", "", SMTP_DOT_BARE_LF },
	{ "CR at once", "\r.\r\n.\r\n", "\r.\r\n", "", SMTP_DOT_BARE_CR },
	{ "LF at once", "\n.\r\n.\r\n", "\n.\r\n", "", SMTP_DOT_BARE_LF },
	{ "8 bit", "\xc3\xa4\xff\r\n.\r\n", "\xc3\xa4\xff\r\n", "", 0 },
	{ "no end", "a\r\n..\r\n.", NULL, "", 0 },
	{ "no end, CR", "a\r\n.\r", NULL, "", 0 },
	{ "no line end", "a.\r\n", NULL, "", 0 },
};

/* Feeds in pieces cut at a and b. */
static size_t
feed(struct smtp_dot_in *d, const char *s, size_t n, size_t a, size_t b, struct buf *out)
{
	const size_t cuts[] = { 0, a, b, n };
	size_t used = 0;

	for (int i = 0; i < 3 && !d->done; i++) {
		size_t len = cuts[i + 1] - cuts[i], k;

		k = smtp_dot_in(d, s + cuts[i], len, out);
		ck_assert_uint_eq(k, d->done ? k : len);
		used += k;
	}
	return used;
}

static void
check_in(int i, size_t a, size_t b, struct buf *out)
{
	const char *wire = in_cases[i].wire;
	struct smtp_dot_in d = { .state = 0 };
	size_t n = strlen(wire), used;

	out->len = 0;
	used = feed(&d, wire, n, a, b, out);
	ck_assert_msg(d.flags == in_cases[i].flags, "%s: flags %u", in_cases[i].name, d.flags);
	if (in_cases[i].content == NULL) {
		ck_assert_msg(!d.done, "%s", in_cases[i].name);
		return;
	}
	ck_assert_msg(d.done, "%s: cut at %zu, %zu", in_cases[i].name, a, b);
	ck_assert_str_eq(buf_cstr(out), in_cases[i].content);
	ck_assert_str_eq(wire + used, in_cases[i].rest);
}

START_TEST(in_every_cut)
{
	size_t n = strlen(in_cases[_i].wire);
	struct buf out = { NULL, 0, 0 };

	for (size_t a = 0; a <= n; a++)
		for (size_t b = a; b <= n; b++)
			check_in(_i, a, b, &out);
	buf_free(&out);
}
END_TEST

START_TEST(in_octet_by_octet)
{
	const char *wire = in_cases[_i].wire;
	struct smtp_dot_in d = { .state = 0 };
	struct buf out = { NULL, 0, 0 };

	for (; *wire != '\0' && !d.done; wire++)
		ck_assert_uint_eq(smtp_dot_in(&d, wire, 1, &out), 1);
	ck_assert(d.done == (in_cases[_i].content != NULL));
	if (d.done)
		ck_assert_str_eq(buf_cstr(&out), in_cases[_i].content);
	ck_assert_uint_eq(d.flags, in_cases[_i].flags);
	buf_free(&out);
}
END_TEST

START_TEST(in_thrown_away)
{
	struct smtp_dot_in d = { .state = 0 };

	ck_assert_uint_eq(smtp_dot_in(&d, "a\nb\r\n.\r\nX", 9, NULL), 8);
	ck_assert(d.done);
	ck_assert_uint_eq(d.flags, SMTP_DOT_BARE_LF);
}
END_TEST

START_TEST(in_nul)
{
	struct smtp_dot_in d = { .state = 0 };
	struct buf out = { NULL, 0, 0 };

	smtp_dot_in(&d, "a\0b\r\n.\r\n", 8, &out);
	ck_assert(d.done);
	ck_assert_uint_eq(d.flags, SMTP_DOT_NUL);
	ck_assert_uint_eq(out.len, 5);
	buf_free(&out);
}
END_TEST

static const struct {
	const char *content, *wire;
} out_cases[] = {
	{ "", ".\r\n" },
	{ "a\r\n", "a\r\n.\r\n" },
	{ "a", "a\r\n.\r\n" },			/* SMTP cannot carry a line without end */
	{ ".", "..\r\n.\r\n" },
	{ ".\r\n", "..\r\n.\r\n" },
	{ "a\r\n.b\r\n..\r\n", "a\r\n..b\r\n...\r\n.\r\n" },
	{ "a.b\r\n", "a.b\r\n.\r\n" },
	{ "\r\n", "\r\n.\r\n" },
	{ "a\n.b\r\n", "a\n..b\r\n.\r\n" },	/* nothing to smuggle with */
	{ "a\n.\r\nMAIL\r\n", "a\n..\r\nMAIL\r\n.\r\n" },
	{ "a\n", "a\n\r\n.\r\n" },
	{ "a\r", "a\r\r\n.\r\n" },
	{ "\n", "\n\r\n.\r\n" },
};

START_TEST(out_every_cut)
{
	const char *content = out_cases[_i].content;
	size_t n = strlen(content);
	struct buf out = { NULL, 0, 0 };

	for (size_t a = 0; a <= n; a++) {
		for (size_t b = a; b <= n; b++) {
			struct smtp_dot_out d = { .in_line = false };

			out.len = 0;
			smtp_dot_out(&d, content, a, &out);
			smtp_dot_out(&d, content + a, b - a, &out);
			smtp_dot_out(&d, content + b, n - b, &out);
			smtp_dot_out_end(&d, &out);
			ck_assert_str_eq(buf_cstr(&out), out_cases[_i].wire);
		}
	}
	buf_free(&out);
}
END_TEST

/* All texts of seven octets over an alphabet of trouble come back as they went. */
START_TEST(there_and_back)
{
	static const char alphabet[] = "a.\r\n";
	struct buf wire = { NULL, 0, 0 }, back = { NULL, 0, 0 };

	for (unsigned code = 0; code < 1u << 14; code++) {
		struct smtp_dot_out o = { .in_line = false };
		struct smtp_dot_in d = { .state = 0 };
		char content[10];

		for (int i = 0; i < 7; i++)
			content[i] = alphabet[code >> (2 * i) & 3];
		memcpy(content + 7, "\r\n", 3);
		/* A dot after a bare LF is meant to come back doubled. */
		if (strstr(content, "\n.") != NULL &&
		    (content[0] == '\n' || strstr(content, "\n\n") != NULL ||
		    strstr(content, "a\n") != NULL || strstr(content, ".\n") != NULL))
			continue;
		wire.len = back.len = 0;
		smtp_dot_out(&o, content, 9, &wire);
		smtp_dot_out_end(&o, &wire);
		ck_assert_uint_eq(smtp_dot_in(&d, wire.data, wire.len, &back), wire.len);
		ck_assert(d.done);
		ck_assert_str_eq(buf_cstr(&back), content);
	}
	buf_free(&wire);
	buf_free(&back);
}
END_TEST

static Suite *
dot_suite(void)
{
	Suite *s = suite_create("smtp/dot");
	TCase *tc = tcase_create("dot");

	tcase_add_loop_test(tc, in_every_cut, 0, COUNT_OF(in_cases));
	tcase_add_loop_test(tc, in_octet_by_octet, 0, COUNT_OF(in_cases));
	tcase_add_test(tc, in_thrown_away);
	tcase_add_test(tc, in_nul);
	tcase_add_loop_test(tc, out_every_cut, 0, COUNT_OF(out_cases));
	tcase_add_test(tc, there_and_back);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(dot_suite)
