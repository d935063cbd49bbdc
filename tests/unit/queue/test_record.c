/*
 * test_record.c - the bytes of segment headers, commits and records: round trips,
 * and that any flipped bit or other place is noticed.
 * Never touches a file.
 * Read next: queue/record.h.
 */
#include "queue/record.h"

#include <stdlib.h>
#include <string.h>

#include "mta/base/crc32c.h"
#include "tests/unit/check_main.h"

START_TEST(segment_header)
{
	const struct segment_header h = { .number = 7, .uuid = "0123456789abcde", .epoch = 99,
	    .era = 3, .prior = 12345678901, .size = 16u << 20 };
	struct segment_header got;
	uint8_t block[BLOCK];

	segment_header_encode(&h, block);
	ck_assert_int_eq(segment_header_decode(&got, block), 1);
	ck_assert_uint_eq(got.number, h.number);
	ck_assert_mem_eq(got.uuid, h.uuid, sizeof h.uuid);
	ck_assert_uint_eq(got.epoch, h.epoch);
	ck_assert_uint_eq(got.era, h.era);
	ck_assert_uint_eq(got.prior, h.prior);
	ck_assert_uint_eq(got.size, h.size);
	block[20] ^= 1;				/* the copy still tells */
	ck_assert_int_eq(segment_header_decode(&got, block), 1);
	ck_assert_uint_eq(got.prior, h.prior);
	block[SEGMENT_HEADER_COPY + 60] ^= 1;
	ck_assert_int_eq(segment_header_decode(&got, block), 0);
	segment_header_encode(&h, block);
	block[8] = 2;				/* version */
	const uint32_t crc = crc32c(0, block, 60);

	memcpy(block + 60, &crc, 4);
	ck_assert_int_eq(segment_header_decode(&got, block), -1);
}
END_TEST

START_TEST(commit_header)
{
	const struct commit_header h = { .number = 1, .offset = 8192, .epoch = 5, .seq = 77,
	    .durable = 70, .length = 100, .count = 2, .flags = COMMIT_SEALS, .payload_crc = 9 };
	struct commit_header got;
	uint8_t p[COMMIT_HEADER];

	for (size_t bit = 0; bit < COMMIT_HEADER * 8; bit++) {
		commit_header_encode(&h, p);
		p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		ck_assert_msg(!commit_header_decode(&got, p), "bit %zu", bit);
	}
	commit_header_encode(&h, p);
	ck_assert(commit_header_decode(&got, p));
	ck_assert_mem_eq(&got, &h, sizeof h);
}
END_TEST

static size_t
make(struct buf *b, const char *meta, const char *body)
{
	const size_t start = record_begin(b, RECORD_NOTE);

	buf_text(b, meta);
	record_meta_done(b, start);
	buf_text(b, body);
	record_end(b, start, (uint32_t)strlen(body), crc32c(0, body, strlen(body)));
	return start;
}

static const struct { const char *meta, *body; } records[] = {
	{ "", "" }, { "m", "" }, { "", "b" }, { "1234567", "12345678" },
	{ "twelve bytes", "and a body of some length" },
};

START_TEST(record_round_trip)
{
	const struct record_place at = { 42, 3, 4160 };
	struct buf b = { 0 };
	const size_t start = make(&b, records[_i].meta, records[_i].body);
	struct record_header h;

	record_seal(b.data + start, &at, 5);
	ck_assert_uint_eq(b.len % 8, 0);
	ck_assert_uint_eq(b.len, record_span(strlen(records[_i].meta), strlen(records[_i].body)));
	ck_assert(record_check(&h, b.data, b.len, &at));
	ck_assert_uint_eq(h.type, RECORD_NOTE);
	ck_assert_uint_eq(h.seq, 5);
	ck_assert_uint_eq(h.meta_len, strlen(records[_i].meta));
	ck_assert_uint_eq(h.body_len, strlen(records[_i].body));
	ck_assert_uint_eq(h.body_crc, crc32c(0, records[_i].body, strlen(records[_i].body)));
	ck_assert(!record_check(&h, b.data, RECORD_HEADER + h.meta_len - 1, &at));
	for (size_t i = 0; i < RECORD_HEADER + strlen(records[_i].meta); i++) {
		b.data[i] ^= 0x10;
		ck_assert_msg(!record_check(&h, b.data, b.len, &at), "byte %zu", i);
		b.data[i] ^= 0x10;
	}
	ck_assert(!record_check(&h, b.data, b.len, &(struct record_place){ 43, 3, 4160 }));
	ck_assert(!record_check(&h, b.data, b.len, &(struct record_place){ 42, 4, 4160 }));
	ck_assert(!record_check(&h, b.data, b.len, &(struct record_place){ 42, 3, 4168 }));
	buf_free(&b);
}
END_TEST

START_TEST(settle_round_trip)
{
	const struct settle_head head = { .wall_ms = 123, .n = 2 };
	const struct settle_item with = { .ordinal = 4, .state = RCPT_OWED, .flags = RCPT_HELD,
	    .reason = REASON_loop, .attempts = 65535, .next_wall_ms = -1, .prev_segment = 8,
	    .prev_offset = 9 };
	const struct settle_item without = { .ordinal = 5, .state = RCPT_DONE };
	struct settle_head h;
	struct settle_item i;
	struct status st, got;
	struct buf b = { 0 };
	struct rd r;

	status_set(&st, 5, 4, 6, STAGE_dns, REASON_loop, "round and round");
	settle_head_encode(&b, &head);
	settle_item_encode(&b, &with, &st);
	settle_item_encode(&b, &without, NULL);
	r = rd_of(b.data, b.len);
	ck_assert(settle_head_decode(&r, &h));
	ck_assert_uint_eq(h.n, 2);
	ck_assert(settle_item_decode(&r, &i));
	ck_assert(i.has_status && i.ordinal == 4 && i.prev_segment == 8 && i.prev_offset == 9);
	ck_assert_uint_eq(i.attempts, 65535);
	ck_assert_int_eq(i.next_wall_ms, -1);
	ck_assert(status_decode(&got, &i.status));
	ck_assert_str_eq(got.text, "round and round");
	ck_assert(settle_item_decode(&r, &i));
	ck_assert(!i.has_status && i.ordinal == 5 && i.state == RCPT_DONE);
	ck_assert_uint_eq(rd_left(&r), 0);
	for (size_t cut = 0; cut < b.len; cut++) {
		r = rd_of(b.data, cut);
		ck_assert(!(settle_head_decode(&r, &h) && settle_item_decode(&r, &i) &&
		    settle_item_decode(&r, &i)));
	}
	buf_free(&b);
}
END_TEST

static Suite *
record_suite(void)
{
	Suite *s = suite_create("record");
	TCase *tc = tcase_create("codec");

	tcase_add_test(tc, segment_header);
	tcase_add_test(tc, commit_header);
	tcase_add_loop_test(tc, record_round_trip, 0, (int)COUNT_OF(records));
	tcase_add_test(tc, settle_round_trip);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(record_suite)
