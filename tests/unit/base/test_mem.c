/*
 * test_mem.c - buffers grow and keep their content; the wire form comes back
 * as it went in; a reader that runs short is bad for good.
 */
#include <string.h>

#include "mta/base/mem.h"
#include "tests/unit/check_main.h"

START_TEST(wire_round_trip)
{
	struct buf b = { 0 };
	struct rd r;
	size_t n;
	char cut[4];
	char *s;

	buf_u8(&b, 0xfe);
	buf_u16(&b, 0xfedc);
	buf_u32(&b, 0xfedcba98);
	buf_u64(&b, 0xfedcba9876543210);
	buf_i64(&b, -5);
	buf_str(&b, "text");
	buf_str(&b, "");
	buf_str(&b, NULL);
	buf_bytes(&b, "a\0b", 3);
	buf_str(&b, "longer than four");
	ck_assert_uint_eq(b.data[1], 0xdc);	/* little endian */

	r = rd_of(b.data, b.len);
	ck_assert_uint_eq(rd_u8(&r), 0xfe);
	ck_assert_uint_eq(rd_u16(&r), 0xfedc);
	ck_assert_uint_eq(rd_u32(&r), 0xfedcba98);
	ck_assert(rd_u64(&r) == 0xfedcba9876543210);
	ck_assert_int_eq(rd_i64(&r), -5);
	s = rd_str(&r);
	ck_assert_str_eq(s, "text");
	free(s);
	s = rd_str(&r);
	ck_assert_str_eq(s, "");
	free(s);
	ck_assert_ptr_null(rd_str(&r));
	ck_assert(!r.bad);
	ck_assert_mem_eq(rd_bytes(&r, &n), "a\0b", 3);
	ck_assert_uint_eq(n, 3);
	rd_copy_str(&r, cut, sizeof cut);
	ck_assert_str_eq(cut, "lon");
	ck_assert(!r.bad);
	ck_assert_uint_eq(rd_left(&r), 0);
	buf_free(&b);
}
END_TEST

START_TEST(short_reads_stay_bad)
{
	const uint8_t three[] = { 1, 2, 3 };
	struct rd r = rd_of(three, sizeof three);
	char text[8] = "poison";
	size_t n = 9;

	ck_assert_uint_eq(rd_u32(&r), 0);
	ck_assert(r.bad);
	ck_assert_uint_eq(rd_u8(&r), 0);	/* though a byte is there */
	ck_assert_ptr_null(rd_bytes(&r, &n));
	ck_assert_uint_eq(n, 0);
	ck_assert_ptr_null(rd_str(&r));
	rd_copy_str(&r, text, sizeof text);
	ck_assert_str_eq(text, "");
	ck_assert_uint_eq(rd_left(&r), 0);
}
END_TEST

/* A length that says more than there is, up to the largest that fits. */
START_TEST(lying_lengths)
{
	static const uint32_t lengths[] = { 5, 0x7fffffff, 0xfffffffe };
	struct buf b = { 0 };
	struct rd r;
	size_t n;

	buf_u32(&b, lengths[_i]);
	buf_text(&b, "four");
	r = rd_of(b.data, b.len);
	ck_assert_ptr_null(rd_bytes(&r, &n));
	ck_assert(r.bad);
	r = rd_of(b.data, b.len);
	ck_assert_ptr_null(rd_str(&r));
	ck_assert(r.bad);
	buf_free(&b);
}
END_TEST

START_TEST(nul_inside_text_is_bad)
{
	struct buf b = { 0 };
	struct rd r;

	buf_bytes(&b, "a\0b", 3);
	r = rd_of(b.data, b.len);
	ck_assert_ptr_null(rd_str(&r));
	ck_assert(r.bad);
	buf_free(&b);
}
END_TEST

START_TEST(growth_and_text)
{
	struct buf b = { 0 };

	for (int i = 0; i < 1000; i++)
		buf_printf(&b, "%03d,", i);
	ck_assert_uint_eq(b.len, 4000);
	ck_assert_uint_eq(strlen(buf_cstr(&b)), 4000);
	ck_assert_uint_eq(b.len, 4000);
	ck_assert(strncmp(buf_cstr(&b) + 3996, "999,", 5) == 0);
	buf_set_u32(&b, 0, 0x41424344);
	ck_assert_mem_eq(b.data, "DCBA", 4);
	buf_free(&b);
	ck_assert_ptr_null(b.data);
	ck_assert_str_eq(buf_cstr(&b), "");	/* usable after free */
	buf_free(&b);
}
END_TEST

static Suite *
mem_suite(void)
{
	Suite *s = suite_create("mem");
	TCase *tc = tcase_create("mem");

	tcase_add_test(tc, wire_round_trip);
	tcase_add_test(tc, short_reads_stay_bad);
	tcase_add_loop_test(tc, lying_lengths, 0, 3);
	tcase_add_test(tc, nul_inside_text_is_bad);
	tcase_add_test(tc, growth_and_text);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(mem_suite)
