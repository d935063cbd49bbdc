/*
 * test_crc32c.c - the vectors of RFC 3720 B.4, both ways of computing, and
 * sums continued at every place.
 */
#include <string.h>

#include "mta/base/crc32c.h"
#include "mta/base/fault.h"
#include "tests/unit/check_main.h"

uint32_t crc32c_by_table(uint32_t crc, const void *p, size_t n);

static void
fill_vector(int which, uint8_t v[32])
{
	for (int i = 0; i < 32; i++)
		v[i] = which == 0 ? 0 : which == 1 ? 0xff :
		    (uint8_t)(which == 2 ? i : 31 - i);
}

START_TEST(vectors)
{
	static const uint32_t sums[] = {
		0x8a9136aa, 0x62a8ab43, 0x46dd794e, 0x113fdb5c,
	};
	uint8_t v[32];

	fill_vector(_i, v);
	ck_assert_uint_eq(crc32c(0, v, sizeof v), sums[_i]);
	ck_assert_uint_eq(crc32c_by_table(0, v, sizeof v), sums[_i]);
}
END_TEST

START_TEST(check_string)
{
	ck_assert_uint_eq(crc32c(0, "123456789", 9), 0xe3069283);
	ck_assert_uint_eq(crc32c(0, "", 0), 0);
}
END_TEST

START_TEST(continued_and_both_ways)
{
	uint8_t p[67];

	for (size_t i = 0; i < sizeof p; i++)
		p[i] = (uint8_t)(i * 37 + 11);
	for (size_t n = 0; n <= sizeof p; n++) {
		const uint32_t whole = crc32c(0, p, n);

		ck_assert_uint_eq(crc32c_by_table(0, p, n), whole);
		for (size_t cut = 0; cut <= n; cut++)
			ck_assert_uint_eq(crc32c(crc32c(0, p, cut), p + cut,
			    n - cut), whole);
	}
}
END_TEST

static Suite *
crc32c_suite(void)
{
	Suite *s = suite_create("crc32c");
	TCase *tc = tcase_create("crc32c");

	tcase_add_loop_test(tc, vectors, 0, 4);
	tcase_add_test(tc, check_string);
	tcase_add_test(tc, continued_and_both_ways);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(crc32c_suite)
