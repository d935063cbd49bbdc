/*
 * test_packet.c - questions built, names walked, and messages that mean harm.
 */
#include "mta/dns/packet.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/check_main.h"

static const struct { const char *name; bool ok; } names[] = {
	{ "far.test", true },
	{ "far.test.", true },
	{ "_dmarc.far_test", true },
	{ "a\\046b.test", true },
	{ "\\255\\000.test", true },
	{ "", false },
	{ ".", false },
	{ "a..b", false },
	{ ".a", false },
	{ "a..", false },
	{ "a\\", false },
	{ "a\\25", false },
	{ "a\\256.test", false },
	{ "a23456789012345678901234567890123456789012345678901234567890123.x", true },
	{ "a234567890123456789012345678901234567890123456789012345678901234.x", false },
};

START_TEST(name_may_be_asked)
{
	ck_assert_msg(packet_name_ok(names[_i].name) == names[_i].ok, "%s",
	    names[_i].name);
}
END_TEST

START_TEST(name_of_255_octets_is_the_longest)
{
	char name[300] = "";

	for (int i = 0; i < 3; i++)
		strcat(name, "a23456789012345678901234567890123456789012345678901234567890123.");
	strcat(name, "b234567890123456789012345678901234567890123456789012345678901");
	ck_assert(packet_name_ok(name));
	strcat(name, "2");
	ck_assert(!packet_name_ok(name));
}
END_TEST

START_TEST(query_octets)
{
	static const uint8_t want[] = {
		0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0,
		3, 'f', 'a', 'r', 4, 't', 'e', 's', 't', 0, 0, 28, 0, 1,
	};
	uint8_t q[PACKET_QUERY_MAX];

	ck_assert_uint_eq(packet_query(q, 0x1234, "far.test", QTYPE_AAAA), sizeof want);
	ck_assert_mem_eq(q, want, sizeof want);
	ck_assert_uint_eq(packet_query(q, 1, "a..b", QTYPE_A), 0);
}
END_TEST

START_TEST(odd_name_survives_both_ways)
{
	uint8_t q[PACKET_QUERY_MAX];
	char name[PACKET_NAME_MAX];
	size_t n = packet_query(q, 1, "A\\046b\\255.\\092x.Test", QTYPE_A);

	ck_assert_uint_eq(packet_name(q, n, 12, name), n - 16);
	ck_assert_str_eq(name, "a\\046b\\255.\\092x.test");
}
END_TEST

START_TEST(ids_differ)
{
	unsigned same = 0;
	uint16_t last = packet_random_id();

	for (int i = 0; i < 1000; i++) {
		uint16_t id = packet_random_id();

		same += id == last;
		last = id;
	}
	ck_assert_uint_lt(same, 10);
}
END_TEST

static const struct {
	const char	*why;
	uint8_t		 p[32];
	size_t		 n, at;
	size_t		 taken;		/* 0: refused */
	const char	*text;
} wire[] = {
	{ "plain", { 1, 'a', 1, 'B', 0 }, 5, 0, 5, "a.b" },
	{ "root", { 0 }, 1, 0, 1, "." },
	{ "pointer back", { 1, 'a', 0, 1, 'b', 0xc0, 0 }, 7, 3, 4, "b.a" },
	{ "pointer to pointer", { 1, 'a', 0, 0xc0, 0, 0xc0, 3 }, 7, 5, 2, "a" },
	{ "pointer to itself", { 0xc0, 0 }, 2, 0, 0, "" },
	{ "pointer forward", { 0xc0, 2, 1, 'a', 0 }, 5, 0, 0, "" },
	{ "loop of two", { 1, 'a', 0xc0, 4, 1, 'b', 0xc0, 0 }, 8, 4, 0, "" },
	{ "pointer into own start", { 1, 'a', 0xc0, 0 }, 4, 0, 0, "" },
	{ "half a pointer", { 1, 'a', 0xc0 }, 3, 0, 0, "" },
	{ "pointer past the end", { 1, 'a', 0xc0, 99 }, 4, 0, 0, "" },
	{ "label past the end", { 9, 'a', 'b' }, 3, 0, 0, "" },
	{ "no root", { 1, 'a' }, 2, 0, 0, "" },
	{ "reserved label type", { 0x40, 'a', 0 }, 3, 0, 0, "" },
	{ "begins past the end", { 0 }, 1, 7, 0, "" },
};

START_TEST(name_on_the_wire)
{
	char text[PACKET_NAME_MAX] = "";
	/* On the heap, so that the sanitizer sees a step beyond. */
	uint8_t *p = malloc(wire[_i].n);

	memcpy(p, wire[_i].p, wire[_i].n);
	ck_assert_uint_eq(packet_name(p, wire[_i].n, wire[_i].at, text), wire[_i].taken);
	if (wire[_i].taken != 0)
		ck_assert_str_eq(text, wire[_i].text);
	free(p);
}
END_TEST

START_TEST(pointers_that_build_a_long_name_end)
{
	uint8_t p[1024];
	char text[PACKET_NAME_MAX];
	size_t n = 0;

	/* Each label of 63, then a pointer to the one before: 255 is exceeded. */
	for (int i = 0; i < 10; i++) {
		size_t before = i == 0 ? 0 : n - 66;

		p[n++] = 63;
		memset(p + n, 'x', 63);
		n += 63;
		p[n++] = i == 0 ? 0 : (uint8_t)(0xc0 | before >> 8);
		p[n++] = (uint8_t)before;
	}
	ck_assert_uint_eq(packet_name(p, n, n - 66, text), 0);
	ck_assert_uint_eq(packet_name(p, n, 66 * 2, text), 66);
}
END_TEST

START_TEST(answers_are_matched)
{
	uint8_t q[PACKET_QUERY_MAX], a[PACKET_QUERY_MAX];
	size_t n = packet_query(q, 77, "far.test", QTYPE_MX);

	memcpy(a, q, n);
	ck_assert_msg(!packet_is_answer(q, n, a, n), "a query is no answer");
	a[2] |= 0x80;
	ck_assert(packet_is_answer(q, n, a, n));
	a[13] = 'F';			/* case is not significant */
	ck_assert(packet_is_answer(q, n, a, n));
	for (size_t i = 0; i < n; i++)
		ck_assert(!packet_is_answer(q, n, a, i));
	a[13] = 'g';
	ck_assert(!packet_is_answer(q, n, a, n));
	a[13] = 'f';
	a[0] ^= 1;
	ck_assert(!packet_is_answer(q, n, a, n));
	a[0] ^= 1;
	a[n - 3] ^= 1;			/* type */
	ck_assert(!packet_is_answer(q, n, a, n));
	a[n - 3] ^= 1;
	a[5] = 0;			/* no question */
	ck_assert(!packet_is_answer(q, n, a, n));
}
END_TEST

static Suite *
suite(void)
{
	Suite *s = suite_create("packet");
	TCase *tc = tcase_create("all");

	tcase_add_loop_test(tc, name_may_be_asked, 0, COUNT_OF(names));
	tcase_add_test(tc, name_of_255_octets_is_the_longest);
	tcase_add_test(tc, query_octets);
	tcase_add_test(tc, odd_name_survives_both_ways);
	tcase_add_test(tc, ids_differ);
	tcase_add_loop_test(tc, name_on_the_wire, 0, COUNT_OF(wire));
	tcase_add_test(tc, pointers_that_build_a_long_name_end);
	tcase_add_test(tc, answers_are_matched);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(suite)
