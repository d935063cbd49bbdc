/*
 * test_wire.c - every form of the door goes through its wire and comes back the
 * same; cut short anywhere, it is refused and nothing is read past the end.
 */
#include <stdio.h>
#include <string.h>

#include "mta/door/ask.h"
#include "mta/door/inspect.h"
#include "tests/unit/check_main.h"

static struct status
some_status(void)
{
	struct status st;

	status_set(&st, 4, 4, 3, STAGE_dns, REASON_dns_servfail, "AAAA mx.far.test: SERVFAIL");
	return st;
}

static void
put_request(struct buf *b)
{
	const struct inspect_request q = {
		.verb = INSPECT_RETRY, .flags = INSPECT_DRY_RUN, .with = (char *)"ipv6=false",
		.filter = { .domain = (char *)"far.test", .older_ms = 60000, .reason = (char *)"dns_servfail" },
	};

	inspect_request_encode(&q, b);
}

static bool
get_request(struct rd *r)
{
	struct inspect_request q = { 0 };
	const bool ok = inspect_request_decode(&q, r);

	if (ok) {
		ck_assert_int_eq(q.verb, INSPECT_RETRY);
		ck_assert_uint_eq(q.flags, INSPECT_DRY_RUN);
		ck_assert_str_eq(q.filter.domain, "far.test");
		ck_assert_ptr_null(q.filter.id);
		ck_assert_int_eq(q.filter.older_ms, 60000);
		ck_assert_str_eq(q.with, "ipv6=false");
		inspect_request_free(&q);
	}
	return ok;
}

static void
put_dest(struct buf *b)
{
	struct inspect_dest d = {
		.connector = "internet", .domain = "far.test", .state = STATE_RETRY, .count = 100,
		.messages = 99, .oldest_wall_ms = 5, .next_wall_ms = 7, .failures = 3, .deferred = true,
		.status = some_status(), .ntraces = 2,
	};

	d.traces[0] = (struct inspect_trace){ .wall_ms = 11, .status = some_status(),
	    .trace = (uint8_t *)(uintptr_t)"abc", .trace_len = 3 };
	d.traces[1] = (struct inspect_trace){ .wall_ms = 12, .status = some_status() };
	inspect_dest_encode(&d, b);
}

static bool
get_dest(struct rd *r)
{
	struct inspect_dest d;
	const bool ok = inspect_dest_decode(&d, r);

	if (ok) {
		ck_assert_str_eq(d.domain, "far.test");
		ck_assert_uint_eq(d.count, 100);
		ck_assert_int_eq(d.status.reason, REASON_dns_servfail);
		ck_assert_uint_eq(d.ntraces, 2);
		ck_assert_mem_eq(d.traces[0].trace, "abc", 3);
		ck_assert_int_eq(d.traces[1].wall_ms, 12);
		inspect_dest_free(&d);
	}
	return ok;
}

static void
put_item(struct buf *b)
{
	const struct inspect_item i = {
		.id = { { 1, 2, 3 } }, .connector = (char *)"c", .domain = (char *)"d.test",
		.state = STATE_SUSPENDED, .size = 1ull << 33, .recipients = 2, .reason = REASON_smtp_4xx,
	};

	inspect_item_encode(&i, b);
}

static bool
get_item(struct rd *r)
{
	struct inspect_item i;
	const bool ok = inspect_item_decode(&i, r);

	if (ok) {
		ck_assert_ptr_null(i.sender);
		ck_assert_uint_eq(i.size, 1ull << 33);
		ck_assert_uint_eq(i.id.b[2], 3);
		ck_assert_int_eq(i.reason, REASON_smtp_4xx);
		inspect_item_free(&i);
	}
	return ok;
}

static void
put_message(struct buf *b)
{
	struct recipient to[2] = { { .address = (char *)"a@x.test" }, { .address = (char *)"b@y.test" } };
	struct inspect_rcpt rcpts[2] = {
		{ .address = to[0].address, .connector = (char *)"c", .domain = (char *)"x.test", .word = "queued",
		  .nhistory = 1, .history = { { 5, OUTCOME_DEFERRED, some_status() } } },
		{ .address = to[1].address, .connector = (char *)"c", .domain = (char *)"y.test", .word = "owed" },
	};
	const struct inspect_message m = {
		.envelope = { .sender = (char *)"", .listener = (char *)"l", .client = (char *)"", .helo = (char *)"",
		    .recipients = to, .nrecipients = 2 },
		.size = 77, .nrcpts = 2, .rcpts = rcpts,
	};

	inspect_message_encode(&m, b);
}

static bool
get_message(struct rd *r)
{
	struct inspect_message m;
	const bool ok = inspect_message_decode(&m, r);

	if (ok) {
		ck_assert_uint_eq(m.size, 77);
		ck_assert_uint_eq(m.nrcpts, 2);
		ck_assert_str_eq(m.rcpts[1].word, "owed");
		ck_assert_int_eq(m.rcpts[0].history[0].status.reason, REASON_dns_servfail);
		ck_assert_str_eq(m.envelope.recipients[1].address, "b@y.test");
		inspect_message_free(&m);
	}
	return ok;
}

static void
put_answer(struct buf *b)
{
	struct ask_answer a = { .verdict = 4, .status = some_status(), .ms = 12, .ntargets = 1,
	    .trace = (uint8_t *)(uintptr_t)"xy", .trace_len = 2 };

	strcpy(a.targets[0].host, "mx.far.test");
	strcpy(a.targets[0].peer, "127.0.0.1:25");
	ask_answer_encode(&a, b);
}

static bool
get_answer(struct rd *r)
{
	struct ask_answer a;
	const bool ok = ask_answer_decode(&a, r);

	if (ok) {
		ck_assert_uint_eq(a.verdict, 4);
		ck_assert_uint_eq(a.ntargets, 1);
		ck_assert_str_eq(a.targets[0].peer, "127.0.0.1:25");
		ck_assert_uint_eq(a.trace_len, 2);
		ask_answer_free(&a);
	}
	return ok;
}

static void
put_ask(struct buf *b)
{
	const struct ask_request q = { .verb = ASK_RESOLVE, .connector = (char *)"c", .domain = (char *)"far.test",
	    .kept = (uint8_t *)(uintptr_t)"kept", .kept_len = 4 };

	ask_request_encode(&q, b);
}

static bool
get_ask(struct rd *r)
{
	struct ask_request q;
	const bool ok = ask_request_decode(&q, r);

	if (ok) {
		ck_assert_str_eq(q.domain, "far.test");
		ck_assert_ptr_null(q.with);
		ck_assert_mem_eq(q.kept, "kept", 4);
		ask_request_free(&q);
	}
	return ok;
}

static const struct {
	void	(*put)(struct buf *);
	bool	(*get)(struct rd *);
} forms[] = {
	{ put_request, get_request }, { put_dest, get_dest }, { put_item, get_item },
	{ put_message, get_message }, { put_answer, get_answer }, { put_ask, get_ask },
};

START_TEST(there_and_back)
{
	struct buf b = { 0 };
	struct rd r;

	forms[_i].put(&b);
	r = rd_of(b.data, b.len);
	ck_assert(forms[_i].get(&r));
	ck_assert_uint_eq(rd_left(&r), 0);
	buf_free(&b);
}
END_TEST

START_TEST(cut_anywhere_is_refused)
{
	struct buf b = { 0 };

	forms[_i].put(&b);
	for (size_t n = 0; n < b.len; n++) {
		uint8_t *part = xmalloc(n + 1);		/* its own block: ASan sees one byte too far */
		struct rd r;

		memcpy(part, b.data, n);
		r = rd_of(part, n);
		ck_assert(!forms[_i].get(&r));
		free(part);
	}
	buf_free(&b);
}
END_TEST

START_TEST(one_owner_for_each_destination)
{
	unsigned hits[3] = { 0 };
	char name[32];

	for (unsigned i = 0; i < 3000; i++) {
		unsigned w;

		snprintf(name, sizeof name, "d%u.test", i);
		w = ask_owner("internet", name, 3);
		ck_assert_uint_lt(w, 3);
		ck_assert_uint_eq(w, ask_owner("internet", name, 3));
		hits[w]++;
	}
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_gt(hits[i], 700);
}
END_TEST

static Suite *
suite(void)
{
	Suite *s = suite_create("door wire");
	TCase *tc = tcase_create("forms");

	tcase_add_loop_test(tc, there_and_back, 0, COUNT_OF(forms));
	tcase_add_loop_test(tc, cut_anywhere_is_refused, 0, COUNT_OF(forms));
	tcase_add_test(tc, one_owner_for_each_destination);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(suite)
