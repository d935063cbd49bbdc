/*
 * test_str.c - tables of texts and what becomes of them.
 */
#include <string.h>

#include "mta/base/fault.h"
#include "mta/base/str.h"
#include "tests/unit/check_main.h"

static const struct {
	const char	*text;
	bool		 good;
	int64_t		 ms;
} durations[] = {
	{ "200ms", true, 200 },		{ "30s", true, 30000 },
	{ "4m", true, 240000 },		{ "2h", true, 7200000 },
	{ "1d", true, 86400000 },	{ "0s", true, 0 },
	{ "", false, 0 },		{ "5", false, 0 },
	{ "s", false, 0 },		{ "-5s", false, 0 },
	{ "+5s", false, 0 },		{ "5 s", false, 0 },
	{ " 5s", false, 0 },		{ "5S", false, 0 },
	{ "5sec", false, 0 },		{ "1h30m", false, 0 },
	{ "1.5h", false, 0 },
	{ "99999999999999999999s", false, 0 },
	{ "9223372036854775807s", false, 0 },
};

START_TEST(duration)
{
	int64_t ms = -1;

	ck_assert(str_duration(durations[_i].text, &ms) == durations[_i].good);
	if (durations[_i].good)
		ck_assert_int_eq(ms, durations[_i].ms);
}
END_TEST

static const struct {
	const char	*text;
	bool		 good;
	uint64_t	 bytes;
} sizes[] = {
	{ "512b", true, 512 },		{ "64k", true, 65536 },
	{ "16M", true, 16777216 },	{ "2G", true, 2147483648 },
	{ "1K", true, 1024 },		{ "20g", true, 21474836480 },
	{ "64", false, 0 },		{ "k", false, 0 },
	{ "64kb", false, 0 },		{ "-1k", false, 0 },
	{ "1.5M", false, 0 },		{ "18446744073709551615G", false, 0 },
};

START_TEST(size)
{
	uint64_t bytes = 1;

	ck_assert(str_size(sizes[_i].text, &bytes) == sizes[_i].good);
	if (sizes[_i].good)
		ck_assert_uint_eq(bytes, sizes[_i].bytes);
}
END_TEST

static const struct {
	const char	*from, *to;
	size_t		 n;		/* of from; 0: all */
} safes[] = {
	{ "550 no such user", "550 no such user", 0 },
	{ "a\r\nb", "a b", 0 },		{ "a \t\v b", "a b", 0 },
	{ "\x1b[31mred", "?[31mred", 0 },
	{ "caf\xc3\xa9", "caf??", 0 },	{ "a\0b", "a?b", 3 },
	{ "\x7f", "?", 0 },		{ "", "", 0 },
	{ " x ", " x ", 0 },
	{ "longer than the place for it", "longer than the pla", 0 },
};

START_TEST(safe)
{
	const size_t n = safes[_i].n ? safes[_i].n : strlen(safes[_i].from);
	char dst[20] = "poison";

	str_safe(dst, sizeof dst, safes[_i].from, n);
	ck_assert_str_eq(dst, safes[_i].to);
}
END_TEST

static const struct {
	const char	*a, *b;
	unsigned	 distance;
} pairs[] = {
	{ "", "", 0 },			{ "", "abc", 3 },
	{ "retry", "retry", 0 },	{ "rtery", "retry", 1 },
	{ "lsit", "list", 1 },		{ "queu", "queue", 1 },
	{ "tires", "tries", 1 },	{ "kitten", "sitting", 3 },
};

START_TEST(distance)
{
	ck_assert_uint_eq(str_distance(pairs[_i].a, pairs[_i].b),
	    pairs[_i].distance);
	ck_assert_uint_eq(str_distance(pairs[_i].b, pairs[_i].a),
	    pairs[_i].distance);
}
END_TEST

START_TEST(distance_of_long_texts)
{
	char a[200], b[200];

	memset(a, 'a', sizeof a);
	memset(b, 'b', sizeof b);
	a[199] = b[199] = '\0';
	ck_assert_uint_eq(str_distance(a, b), 64);
}
END_TEST

START_TEST(copies_and_compares)
{
	char dst[4];

	ck_assert(str_copy(dst, sizeof dst, "abc"));
	ck_assert_str_eq(dst, "abc");
	ck_assert(!str_copy(dst, sizeof dst, "abcd"));
	ck_assert_str_eq(dst, "abc");
	ck_assert(str_eq_nocase("StartTLS", "STARTTLS"));
	ck_assert(!str_eq_nocase("a", "ab"));
	ck_assert(!str_eq_nocase("@", "`"));	/* differ by 0x20 all the same */
	ck_assert(str_starts_nocase("MAIL FROM:<>", "mail from:"));
	ck_assert(!str_starts_nocase("MA", "mail"));
	str_copy(dst, sizeof dst, "A\xc4Z");
	str_lower(dst);
	ck_assert_str_eq(dst, "a\xc4z");
}
END_TEST

static Suite *
str_suite(void)
{
	Suite *s = suite_create("str");
	TCase *tc = tcase_create("str");

	tcase_add_loop_test(tc, duration, 0, COUNT_OF(durations));
	tcase_add_loop_test(tc, size, 0, COUNT_OF(sizes));
	tcase_add_loop_test(tc, safe, 0, COUNT_OF(safes));
	tcase_add_loop_test(tc, distance, 0, COUNT_OF(pairs));
	tcase_add_test(tc, distance_of_long_texts);
	tcase_add_test(tc, copies_and_compares);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(str_suite)
