/*
 * test_render.c - tables fitted to a width, and foreign text made harmless.
 * Must never let a control character through.
 * Read next: mta/ctl/render.c.
 */
#include "tests/unit/check_main.h"

#include <stdio.h>
#include <string.h>

#include "mta/ctl/render.h"

static const struct table_column columns[] = {
	{ "Hop", false, 6 }, { "Count", true, 0 }, { "Error", false, 8 },
};

static char *
draw(unsigned width, bool colour, const char *error)
{
	struct buf b = { 0 };
	struct table t;
	char *s;

	table_begin(&t, columns, 3, width, colour, &b);
	table_cell(&t, "far.test");
	table_cellf(&t, "%d", 3);
	table_cell(&t, error);
	table_row(&t);
	table_cell(&t, "x");		/* the rest is missing */
	table_row(&t);
	table_end(&t);
	s = xstrdup(buf_cstr(&b));
	buf_free(&b);
	return s;
}

static const struct { unsigned width; bool colour; const char *error, *want; } tables[] = {
	{ 0, false, "451 4.4.3 no answer",
	  "Hop       Count  Error\n"
	  "far.test      3  451 4.4.3 no answer\n"
	  "x             -  -\n" },
	{ 80, false, "short",
	  "Hop       Count  Error\n"
	  "far.test      3  short\n"
	  "x             -  -\n" },
	{ 30, false, "451 4.4.3 no answer",
	  "Hop       Count  Error\n"
	  "far.test      3  451 4.4.3 n..\n"
	  "x             -  -\n" },
	{ 20, false, "451 4.4.3 no answer",	/* everything at its least, then it overflows */
	  "Hop     Count  Error\n"
	  "far...      3  451 4...\n"
	  "x           -  -\n" },
	{ 0, true, "e",
	  "\033[1mHop       Count  Error\033[0m\n"
	  "far.test      3  e\n"
	  "x             -  -\n" },
	{ 0, false, "\033[2Jevil\n\xc2\x9b",
	  "Hop       Count  Error\n"
	  "far.test      3  ?[2Jevil??\n"
	  "x             -  -\n" },
	{ 0, false, "",
	  "Hop       Count  Error\n"
	  "far.test      3  -\n"
	  "x             -  -\n" },
};

START_TEST(tables_fit)
{
	char *s = draw(tables[_i].width, tables[_i].colour, tables[_i].error);

	ck_assert_str_eq(s, tables[_i].want);
	free(s);
}
END_TEST

/* Only the end of an id tells one message from another. */
static const struct { unsigned width; const char *want; } ids[] = {
	{ 0, "         Id  N\n01M855FYYAP  1\n\xc3\xa9""123456789b  1\n" },
	{ 14, "         Id  N\n01M855FYYAP  1\n\xc3\xa9""123456789b  1\n" },
	{ 10, "     Id  N\n..FYYAP  1\n..6789b  1\n" },
	{ 3, "     Id  N\n..FYYAP  1\n..6789b  1\n" },
};

START_TEST(ids_keep_their_end)
{
	static const struct table_column id[] = { { "Id", true, 7 }, { "N", false, 0 } };
	static const char *const rows[] = { "01M855FYYAP", "\xc3\xa9""123456789b" };
	struct buf b = { 0 };
	struct table t;

	table_begin(&t, id, 2, ids[_i].width, false, &b);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		table_cell(&t, rows[i]);
		table_cell(&t, "1");
		table_row(&t);
	}
	table_end(&t);
	ck_assert_str_eq(buf_cstr(&b), ids[_i].want);
	buf_free(&b);
}
END_TEST

START_TEST(no_rows_no_title)
{
	struct buf b = { 0 };
	struct table t;

	table_begin(&t, columns, 3, 80, false, &b);
	table_end(&t);
	table_end(&t);		/* twice is harmless */
	ck_assert_uint_eq(b.len, 0);
}
END_TEST

START_TEST(long_tables_stream)
{
	struct buf b = { 0 };
	struct table t;

	table_begin(&t, columns, 3, 0, false, &b);
	for (int i = 0; i < TABLE_SAMPLE - 1; i++) {
		table_cell(&t, "a");
		table_row(&t);
	}
	ck_assert_uint_eq(b.len, 0);
	table_cell(&t, "a");
	table_row(&t);
	ck_assert_uint_gt(b.len, 0);
	b.len = 0;
	table_cell(&t, "longer than the sample");
	table_row(&t);
	ck_assert_str_eq(buf_cstr(&b), "longer than the sample      -  -\n");
	table_end(&t);
	buf_free(&b);
}
END_TEST

static const struct { uint64_t n; const char *want; } sizes[] = {
	{ 0, "0b" }, { 1023, "1023b" }, { 1024, "1.0k" }, { 4300, "4.2k" },
	{ 17u << 20, "17M" }, { 5ull << 40, "5.0T" }, { 5000ull << 40, "5000T" },
};

START_TEST(sizes_are_short)
{
	char buf[16];

	ck_assert_str_eq(render_bytes(sizes[_i].n, buf), sizes[_i].want);
}
END_TEST

START_TEST(times_are_told)
{
	struct buf b = { 0 };
	char next[40];

	render_when(&b, 1800000000123, 1800000012123);
	ck_assert_str_eq(buf_cstr(&b), "2027-01-15T08:00:00Z (12s ago)");
	b.len = 0;
	render_when(&b, 0, 5);
	ck_assert_str_eq(buf_cstr(&b), "-");
	ck_assert_str_eq(render_next(2000, 1000, next, sizeof next), "in 1s");
	ck_assert_str_eq(render_next(1000, 1000, next, sizeof next), "now");
	ck_assert_str_eq(render_next(0, 1000, next, sizeof next), "-");
	buf_free(&b);
}
END_TEST

static Suite *
suite(void)
{
	Suite *s = suite_create("ctl/render");
	TCase *tc = tcase_create("render");

	tcase_add_loop_test(tc, tables_fit, 0, COUNT_OF(tables));
	tcase_add_loop_test(tc, ids_keep_their_end, 0, COUNT_OF(ids));
	tcase_add_test(tc, no_rows_no_title);
	tcase_add_test(tc, long_tables_stream);
	tcase_add_loop_test(tc, sizes_are_short, 0, COUNT_OF(sizes));
	tcase_add_test(tc, times_are_told);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(suite)
