/*
 * test_trace.c - entries kept and read back, the bound, and the lines.
 */
#include "queue/trace.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/check_main.h"

static struct trace_entry
question(void)
{
	struct trace_entry e = { .kind = TRACE_QUESTION, .wall_ms = 42 };
	struct trace_question *q = &e.u.question;

	strcpy(q->set, "internal");
	strcpy(q->server, "10.0.0.53:53");
	strcpy(q->name, "mx.far.test");
	q->via = VIA_UDP;
	q->qtype = 28;
	q->outcome = OUT_SERVFAIL;
	q->ms = 2;
	return e;
}

static const char *
line_of(const struct trace_entry *e)
{
	static char line[600];

	trace_line(e, line, sizeof line);
	return line;
}

START_TEST(wire_and_back)
{
	struct buf b = { 0 };
	struct trace_entry e = question(), back;
	struct trace_question *q = &e.u.question;
	struct rd r;

	q->outcome = OUT_NOERROR;
	q->nanswers = 9;
	q->kept = 3;
	q->answers[0] = (struct trace_answer){ .family = AF_INET, .ip = { 192, 0, 2, 1 } };
	q->answers[1] = (struct trace_answer){ .family = AF_INET6, .ip = { 0x20, 1 } };
	q->answers[2] = (struct trace_answer){ .pref = 10, .name = "mx.far.test" };
	trace_add(&b, &e);
	trace_note(&b, "%s", "second\nline");
	r = rd_of(b.data, b.len);
	ck_assert(trace_next(&r, &back));
	ck_assert_int_eq(back.wall_ms, 42);
	ck_assert_mem_eq(&back.u.question, &e.u.question, sizeof e.u.question);
	ck_assert(trace_next(&r, &back));
	ck_assert_str_eq(back.u.note, "second line");
	ck_assert_int_ne(back.wall_ms, 0);
	ck_assert(!trace_next(&r, &back));
	ck_assert(!r.bad);
	for (size_t n = 1; n < b.len; n++) {	/* cut anywhere */
		r = rd_of(b.data, n);
		while (trace_next(&r, &back))
			;
	}
	buf_free(&b);
}
END_TEST

START_TEST(nonsense_ends_it)
{
	struct buf b = { 0 };
	struct trace_entry e = question(), back;
	struct rd r;

	trace_add(&b, &e);
	for (size_t at = 0; at < b.len; at++) {
		for (int v = 0; v < 256; v += 5) {
			const uint8_t was = b.data[at];

			b.data[at] = (uint8_t)v;
			r = rd_of(b.data, b.len);
			while (trace_next(&r, &back))
				line_of(&back);
			b.data[at] = was;
		}
	}
	buf_free(&b);
}
END_TEST

START_TEST(later_kinds_are_stepped_over)
{
	struct buf b = { 0 };
	struct trace_entry e = question(), back;
	struct rd r;

	trace_add(&b, &e);
	b.data[0] = 99;
	trace_note(&b, "known");
	r = rd_of(b.data, b.len);
	ck_assert(trace_next(&r, &back));
	ck_assert_str_eq(back.u.note, "known");
	buf_free(&b);
}
END_TEST

START_TEST(bounded_with_a_count)
{
	struct buf b = { 0 };
	struct trace_entry big = question(), back;
	struct rd r;
	unsigned entries = 0, last = 0;

	big.u.question.kept = TRACE_ANSWERS_MAX;
	memset(big.u.question.name, 'n', 255);
	for (int i = 0; i < TRACE_ANSWERS_MAX; i++)
		memset(big.u.question.answers[i].name, 'x', 255);
	trace_add(&b, &big);
	ck_assert_uint_lt(b.len, 8u << 10);	/* what trace.c counts on */
	for (int i = 0; i < 20; i++)
		trace_add(&b, &big);
	ck_assert_uint_le(b.len, TRACE_MAX);
	trace_note(&b, "small, but after the left-out");
	r = rd_of(b.data, b.len);
	while (trace_next(&r, &back)) {
		entries++;
		if (back.kind == TRACE_LEFT_OUT)
			last = back.u.left_out;
	}
	ck_assert(!r.bad);
	ck_assert_int_eq(back.kind, TRACE_LEFT_OUT);	/* the last one */
	ck_assert_uint_eq(entries - 1 + last, 22);
	buf_free(&b);
}
END_TEST

START_TEST(lines)
{
	struct trace_entry e = question();

	ck_assert_str_eq(line_of(&e), "internal 10.0.0.53:53 udp AAAA mx.far.test SERVFAIL 2 ms");
	e.u.question.source = SRC_CACHED;
	e.u.question.outcome = OUT_NOERROR;
	e.u.question.qtype = 15;
	e.u.question.ttl_s = 300;
	e.u.question.nanswers = 3;
	e.u.question.kept = 1;
	e.u.question.answers[0] = (struct trace_answer){ .pref = 10, .name = "mx.test" };
	ck_assert_str_eq(line_of(&e), "internal 10.0.0.53:53 udp MX "
	    "mx.far.test NOERROR cached ttl 300 -> 10 mx.test and 2 more");
	e = (struct trace_entry){ .kind = TRACE_CONNECT };
	strcpy(e.u.connect.host, "mx.test");
	strcpy(e.u.connect.peer, "192.0.2.1:25");
	e.u.connect.err = ECONNREFUSED;
	e.u.connect.ms = 3;
	ck_assert_str_eq(line_of(&e), "connect mx.test 192.0.2.1:25 Connection refused 3 ms");
	e = (struct trace_entry){ .kind = TRACE_LEFT_OUT, .u.left_out = 3 };
	ck_assert_str_eq(line_of(&e), "3 entries left out");
}
END_TEST

static const struct { uint16_t outcome; const char *name; } outcomes[] = {
	{ OUT_NOERROR, "NOERROR" }, { OUT_SERVFAIL, "SERVFAIL" },
	{ 9, "rcode 9" }, { OUT_NODATA, "NODATA" }, { OUT_TIMEOUT, "timeout" },
	{ OUT_NOT_ASKED, "not asked" }, { OUT_CNAME_LOOP, "CNAME loop" },
};

START_TEST(outcome_names)
{
	char buf[24];

	ck_assert_str_eq(trace_outcome_name(outcomes[_i].outcome, buf), outcomes[_i].name);
}
END_TEST

static Suite *
suite(void)
{
	Suite *s = suite_create("trace");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, wire_and_back);
	tcase_add_test(tc, nonsense_ends_it);
	tcase_add_test(tc, later_kinds_are_stepped_over);
	tcase_add_test(tc, bounded_with_a_count);
	tcase_add_test(tc, lines);
	tcase_add_loop_test(tc, outcome_names, 0, COUNT_OF(outcomes));
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(suite)
