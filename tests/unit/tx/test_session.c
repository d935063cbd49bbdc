/*
 * test_session.c - one peer, and all the ways in which it can let us down: a
 * catalogue of named misbehaviours, and what each does to the recipients.
 * Never looks inside a session.  Read next: bed.h, mta/tx/verdict.h.
 */
// LINK-FAKE: queue_tx resolver peer role
#include <stdio.h>
#include <unistd.h>

#include "tests/unit/check_main.h"
#include "tests/unit/tx/bed.h"

#define STEP_BY_STEP "250-peer\r\n250 8BITMIME\r\n"

static struct bed bed;
static struct peer *peer;

static void
open_with(const struct peer_script *scripts, size_t n)
{
	bed_open(&bed);
	peer = peer_new(bed.loop, "127.0.0.1", scripts, n);
	fake_resolver_add("mx.far.test", 1, peer->port, false);
}

static const struct misbehaviour {
	const char		*name;
	struct peer_script	 script;
	enum queue_outcome	 outcome;
	unsigned		 class_;	/* of the recipient; 0: none given */
	enum stage		 stage;
	enum reason		 reason;
	bool			 maybe_sent;
	unsigned		 connections;
	bool			 dest_failed;
} catalogue[] = {
	{ "none", { 0 }, OUTCOME_DELIVERED, 2, STAGE_dot, REASON_none, false, 1,
	    false },
	{ "none, step by step", { .ehlo = STEP_BY_STEP }, OUTCOME_DELIVERED, 2,
	    STAGE_dot, REASON_none, false, 1, false },
	{ "HELO only", { .ehlo = "502 what\r\n" }, OUTCOME_DELIVERED, 2,
	    STAGE_dot, REASON_none, false, 1, false },
	{ "greeting 4xx", { .greeting = "450 later\r\n" }, OUTCOME_RETURNED, 0,
	    0, REASON_smtp_greeting, false, 1, true },
	{ "greeting 5xx", { .greeting = "554 no service\r\n" },
	    OUTCOME_RETURNED, 0, 0, REASON_smtp_greeting, false, 1, true },
	{ "greeting 421", { .greeting = "421 busy\r\n!" }, OUTCOME_RETURNED, 0,
	    0, REASON_smtp_greeting, false, 1, true },
	{ "closes at once", { .greeting = "!" }, OUTCOME_RETURNED, 0, 0,
	    REASON_smtp_greeting, false, 1, true },
	{ "never greets", { .greeting = "~" }, OUTCOME_RETURNED, 0, 0,
	    REASON_smtp_greeting, false, 1, true },
	{ "greets in HTTP", { .greeting = "HTTP/1.1 400 Bad Request\r\n" },
	    OUTCOME_RETURNED, 0, 0, REASON_smtp_protocol, false, 1, true },
	{ "greets and talks on", { .greeting = "220 hello\r\n250 ok\r\n" },
	    OUTCOME_RETURNED, 0, 0, REASON_smtp_protocol, false, 1, true },
	{ "EHLO 4xx", { .ehlo = "451 no\r\n" }, OUTCOME_RETURNED, 0, 0,
	    REASON_smtp_4xx, false, 1, true },
	{ "EHLO, HELO 5xx", { .ehlo = "502 no\r\n", .helo = "550 no\r\n" },
	    OUTCOME_RETURNED, 0, 0, REASON_smtp_5xx, false, 1, true },
	{ "lost at EHLO", { .ehlo = "!" }, OUTCOME_RETURNED, 0, 0,
	    REASON_peer_lost, false, 1, true },
	{ "MAIL 4xx", { .mail = "451 4.3.0 not now\r\n" }, OUTCOME_DEFERRED, 4,
	    STAGE_mail, REASON_smtp_4xx, false, 1, false },
	{ "MAIL 5xx", { .mail = "550 5.7.1 go away\r\n" }, OUTCOME_FAILED, 5,
	    STAGE_mail, REASON_smtp_5xx, false, 1, false },
	{ "MAIL 5xx, DATA 5xx",
	    { .mail = "550 no\r\n",
		.rcpt = "503 no\r\n",
		.data = "503 no\r\n" },
	    OUTCOME_FAILED, 5, STAGE_mail, REASON_smtp_5xx, false, 1, false },
	{ "MAIL 5xx, by steps",
	    { .ehlo = STEP_BY_STEP, .mail = "550 5.7.1 go away\r\n" },
	    OUTCOME_FAILED, 5, STAGE_mail, REASON_smtp_5xx, false, 1, false },
	{ "MAIL 421", { .mail = "421 4.3.2 closing\r\n!" }, OUTCOME_DEFERRED, 4,
	    STAGE_mail, REASON_smtp_4xx, false, 2, false },
	{ "lost at MAIL", { .mail = "!" }, OUTCOME_DEFERRED, 4, STAGE_mail,
	    REASON_peer_lost, false, 2, false },
	{ "silent at MAIL", { .mail = "~", .rcpt = "~", .data = "~" },
	    OUTCOME_DEFERRED, 4, STAGE_mail, REASON_peer_lost, false, 2,
	    false },
	{ "nonsense at MAIL", { .mail = "ok\r\n" }, OUTCOME_DEFERRED, 4,
	    STAGE_mail, REASON_smtp_protocol, false, 2, false },
	{ "3xx at MAIL", { .mail = "354 what\r\n" }, OUTCOME_DEFERRED, 4,
	    STAGE_mail, REASON_smtp_protocol, false, 2, false },
	{ "RCPT 4xx", { .rcpt = "450 4.2.0 grey\r\n" }, OUTCOME_DEFERRED, 4,
	    STAGE_rcpt, REASON_smtp_4xx, false, 1, false },
	{ "RCPT 5xx", { .rcpt = "550 5.1.1 unknown\r\n" }, OUTCOME_FAILED, 5,
	    STAGE_rcpt, REASON_smtp_5xx, false, 1, false },
	{ "RCPT 5xx, DATA 554",
	    { .rcpt = "550 unknown\r\n",
		.data = "554 no valid recipients\r\n" },
	    OUTCOME_FAILED, 5, STAGE_rcpt, REASON_smtp_5xx, false, 1, false },
	{ "RCPT 5xx, by steps",
	    { .ehlo = STEP_BY_STEP, .rcpt = "550 unknown\r\n" }, OUTCOME_FAILED,
	    5, STAGE_rcpt, REASON_smtp_5xx, false, 1, false },
	{ "RCPT 552", { .rcpt = "552 too many recipients\r\n" },
	    OUTCOME_DEFERRED, 4, STAGE_rcpt, REASON_smtp_4xx, false, 1, false },
	{ "RCPT 552 5.2.2", { .rcpt = "552 5.2.2 mailbox full\r\n" },
	    OUTCOME_FAILED, 5, STAGE_rcpt, REASON_smtp_5xx, false, 1, false },
	{ "RCPT 421", { .rcpt = "421 closing\r\n!" }, OUTCOME_DEFERRED, 4,
	    STAGE_rcpt, REASON_smtp_4xx, false, 2, false },
	{ "lost at RCPT", { .rcpt = "!" }, OUTCOME_DEFERRED, 4, STAGE_rcpt,
	    REASON_peer_lost, false, 2, false },
	{ "DATA 4xx", { .data = "451 4.3.0 no\r\n" }, OUTCOME_DEFERRED, 4,
	    STAGE_data, REASON_smtp_4xx, false, 1, false },
	{ "DATA 5xx", { .data = "554 5.6.0 no\r\n" }, OUTCOME_FAILED, 5,
	    STAGE_data, REASON_smtp_5xx, false, 1, false },
	{ "DATA 250", { .data = "250 ok\r\n" }, OUTCOME_DEFERRED, 4, STAGE_data,
	    REASON_smtp_protocol, false, 2, false },
	{ "lost at DATA", { .data = "!" }, OUTCOME_DEFERRED, 4, STAGE_data,
	    REASON_peer_lost, false, 2, false },
	{ "lost after 354", { .data = "354 go on\r\n!" }, OUTCOME_DEFERRED, 4,
	    STAGE_dot, REASON_peer_lost, true, 1, false },
	{ "answers too early", { .data = "354 go on\r\n250 ok\r\n" },
	    OUTCOME_DEFERRED, 4, STAGE_dot, REASON_smtp_protocol, true, 1,
	    false },
	{ "dot 4xx", { .dot = "451 4.3.0 disk\r\n" }, OUTCOME_DEFERRED, 4,
	    STAGE_dot, REASON_smtp_4xx, false, 1, false },
	{ "dot 5xx", { .dot = "554 5.7.1 spam\r\n" }, OUTCOME_FAILED, 5,
	    STAGE_dot, REASON_smtp_5xx, false, 1, false },
	{ "dot 421", { .dot = "421 4.3.2 closing\r\n!" }, OUTCOME_DEFERRED, 4,
	    STAGE_dot, REASON_smtp_4xx, false, 1, false },
	{ "lost at the dot", { .dot = "!" }, OUTCOME_DEFERRED, 4, STAGE_dot,
	    REASON_peer_lost, true, 1, false },
	{ "half a reply", { .dot = "250-almost\r\n!" }, OUTCOME_DEFERRED, 4,
	    STAGE_dot, REASON_peer_lost, true, 1, false },
	{ "silent at the dot", { .dot = "~" }, OUTCOME_DEFERRED, 4, STAGE_dot,
	    REASON_peer_lost, true, 1, false },
	{ "nonsense at the dot", { .dot = "accepted\r\n" }, OUTCOME_DEFERRED, 4,
	    STAGE_dot, REASON_smtp_protocol, true, 1, false },
	{ "mixed codes at dot", { .dot = "250-ok\r\n550 no\r\n" },
	    OUTCOME_DEFERRED, 4, STAGE_dot, REASON_smtp_protocol, true, 1,
	    false },
	{ "354 at the dot", { .dot = "354 more\r\n" }, OUTCOME_DEFERRED, 4,
	    STAGE_dot, REASON_smtp_protocol, true, 1, false },
	{ "lines at the dot",
	    { .dot = "250-2.0.0 ok\r\n250-2.0.0 and\r\n250 2.0.0 more\r\n" },
	    OUTCOME_DELIVERED, 2, STAGE_dot, REASON_none, false, 1, false },
	{ "two replies at dot", { .dot = "250 2.0.0 ok\r\n250 2.0.0 ok\r\n" },
	    OUTCOME_DELIVERED, 2, STAGE_dot, REASON_none, false, 1, false },
};

START_TEST(misbehaves)
{
	const struct misbehaviour *m = &catalogue[_i];
	const struct fake_settle *s;
	uint64_t lease;

	open_with(&m->script, 1);
	bed.connectors[0].command_timeout_ms = 60;
	bed.connectors[0].dot_timeout_ms = 60;
	lease = fake_queue_lease(&(struct fake_lease){ .dest = 1 });
	bed_settle_all(&bed);
	s = fake_queue_settle(lease, 0);
	ck_assert_ptr_nonnull(s);
	ck_assert_msg(s->outcome == m->outcome, "%s: outcome %d, text %s",
	    m->name, s->outcome, s->status.text);
	ck_assert_msg(s->status.class_ == m->class_, "%s: class %u", m->name,
	    s->status.class_);
	ck_assert_msg(s->maybe_sent == m->maybe_sent, "%s: maybe_sent",
	    m->name);
	ck_assert_msg(peer->connections == m->connections, "%s: %u connections",
	    m->name, peer->connections);
	ck_assert_msg((fake_queue.nfailed > 0) == m->dest_failed,
	    "%s: destination", m->name);
	if (m->dest_failed) {
		ck_assert_uint_eq(fake_queue.failed[0].status.class_, 4);
		ck_assert_str_eq(reason_name(
				     fake_queue.failed[0].status.reason),
		    reason_name(m->reason));
		ck_assert_uint_gt(fake_queue.failed[0].trace_len, 0);
	} else {
		ck_assert_msg(s->status.stage == m->stage, "%s: stage %s",
		    m->name, stage_name(s->status.stage));
		ck_assert_str_eq(reason_name(s->status.reason),
		    reason_name(m->reason));
		ck_assert_msg((s->trace_len > 0) ==
			(m->outcome != OUTCOME_DELIVERED),
		    "%s: trace", m->name);
	}
	bed_close(&bed, &peer);
}
END_TEST

START_TEST(huge_reply_is_bounded)
{
	char *huge = malloc((1 << 20) + 16);
	struct peer_script script = { .dot = huge };
	const struct fake_settle *s;
	uint64_t lease;
	size_t n = 0;

	while (n < 1 << 20)
		n += (size_t)sprintf(huge + n, "250-and so on and on\r\n");
	open_with(&script, 1);
	lease = fake_queue_lease(&(struct fake_lease){ .dest = 1 });
	bed_settle_all(&bed);
	s = fake_queue_settle(lease, 0);
	ck_assert_int_eq(s->outcome, OUTCOME_DEFERRED);
	ck_assert(s->maybe_sent);
	bed_close(&bed, &peer);
	free(huge);
}
END_TEST

START_TEST(each_recipient_has_its_outcome)
{
	static const struct peer_script scripts[] = { { 0 },
		{ .ehlo = STEP_BY_STEP } };
	static const enum queue_outcome want[] = {
		OUTCOME_DELIVERED,
		OUTCOME_FAILED,
		OUTCOME_DEFERRED,
		OUTCOME_DELIVERED,
	};
	uint64_t lease;

	open_with(&scripts[_i], 1);
	lease = fake_queue_lease(&(struct fake_lease){ .dest = 1,
	    .rcpts =
		"yes@far.test nobody@far.test later@far.test two@far.test" });
	bed_settle_all(&bed);
	for (uint32_t i = 0; i < COUNT_OF(want); i++)
		ck_assert_int_eq(fake_queue_settle(lease, i)->outcome, want[i]);
	ck_assert_str_eq(fake_queue_settle(lease, 1)->status.peer,
	    fake_queue_settle(lease, 0)->status.peer);
	ck_assert_ptr_nonnull(strstr(fake_queue_settle(lease, 1)->status.text,
	    "said: 550 5.1.1 no such user"));
	ck_assert_uint_eq(peer->messages, 1);
	ck_assert_uint_eq(fake_queue.nat_dot, 1);
	bed_close(&bed, &peer);
}
END_TEST

/* 452 for the third: it goes in a transaction of its own; alone it would be deferred. */
START_TEST(too_many_recipients_go_again)
{
	static const struct peer_script script = { 0 };
	uint64_t lease;

	open_with(&script, 1);
	lease = fake_queue_lease(&(struct fake_lease){ .dest = 1,
	    .rcpts = "a@far.test b@far.test many@far.test" });
	bed_settle_all(&bed);
	ck_assert_int_eq(fake_queue_settle(lease, 0)->outcome,
	    OUTCOME_DELIVERED);
	ck_assert_int_eq(fake_queue_settle(lease, 2)->outcome,
	    OUTCOME_DEFERRED);
	ck_assert_uint_eq(fake_queue_settle(lease, 2)->status.reply, 452);
	ck_assert_uint_eq(peer_heard(peer, "RCPT TO:<many@far.test>"), 2);
	ck_assert_uint_eq(peer_heard(peer, "RCPT TO:<a@far.test>"), 1);
	ck_assert_uint_eq(fake_queue.nended, 1);
	bed_close(&bed, &peer);
}
END_TEST

START_TEST(all_refused_but_354_gets_a_lone_dot)
{
	static const struct peer_script script = {
		.dot = "554 no valid recipients\r\n"
	};
	uint64_t one, two;

	open_with(&script, 1);
	one = fake_queue_lease(&(struct fake_lease){ .dest = 1,
	    .rcpts = "nobody@far.test none@far.test" });
	two = fake_queue_lease(
	    &(struct fake_lease){ .dest = 1, .rcpts = "no@far.test" });
	bed_settle_all(&bed);
	ck_assert_int_eq(fake_queue_settle(one, 0)->outcome, OUTCOME_FAILED);
	ck_assert_uint_eq(fake_queue_settle(one, 0)->status.reply, 550);
	ck_assert_int_eq(fake_queue_settle(two, 0)->outcome, OUTCOME_FAILED);
	ck_assert_uint_eq(peer->body.len, 0);
	ck_assert_uint_eq(fake_queue.nat_dot, 0);
	ck_assert_uint_eq(peer->resets, 0);
	bed_close(&bed, &peer);
	}
END_TEST

START_TEST(many_messages_on_one_connection)
{
	static const struct peer_script script = { 0 };

	open_with(&script, 1);
	bed.connectors[0].concurrency = 1;
	for (int i = 0; i < 50; i++)
		fake_queue_lease(&(struct fake_lease){ .dest = 1 });
	bed_settle_all(&bed);
	ck_assert_uint_eq(peer->messages, 50);
	ck_assert_uint_eq(peer->connections, 1);
	bed_close(&bed, &peer);
	/* The connection was idle: it ended with QUIT. */
}
END_TEST

START_TEST(messages_per_connection_are_bounded)
{
	static const struct peer_script script = { 0 };

	open_with(&script, 1);
	bed.connectors[0].concurrency = 1;
	bed.connectors[0].messages = 10;
	for (int i = 0; i < 30; i++)
		fake_queue_lease(&(struct fake_lease){ .dest = 1 });
	bed_settle_all(&bed);
	ck_assert_uint_eq(peer->messages, 30);
	ck_assert_uint_eq(peer->connections, 3);
	ck_assert_uint_eq(fake_resolver.nstarted, 1);	/* the address that worked is known */
	bed_close(&bed, &peer);
}
END_TEST

/* The second transaction finds the connection closed: no blame, another one is opened. */
/* An idle time of nothing is not an endless one. */
START_TEST(no_idle_time_parts_at_once)
{
	static const struct peer_script script = { 0 };

	open_with(&script, 1);
	bed.connectors[0].idle_ms = 0;
	fake_queue_lease(&(struct fake_lease){ .dest = 1 });
	bed_settle_all(&bed);
	bed_run(&bed, bed_quiet, &bed);
	ck_assert_uint_eq(peer_heard(peer, "QUIT"), 1);
	bed_close(&bed, &peer);
}
END_TEST

START_TEST(stale_connection_is_no_loss)
{
	static const struct peer_script script = { .mail = "!",
		.from_message = 2 };

	open_with(&script, 1);
	bed.connectors[0].concurrency = 1;
	for (int i = 0; i < 6; i++)
		fake_queue_lease(&(struct fake_lease){ .dest = 1 });
	bed_settle_all(&bed);
	ck_assert_uint_eq(peer->messages, 6);
	for (uint64_t i = 1; i <= 6; i++)
		ck_assert_int_eq(fake_queue_settle(i, 0)->outcome,
		    OUTCOME_DELIVERED);
	bed_close(&bed, &peer);
}
END_TEST

START_TEST(body_is_dot_stuffed)
{
	static const struct peer_script script = { 0 };

	open_with(&script, 1);
	fake_queue_lease(&(struct fake_lease){ .dest = 1,
	    .body = "A: b\r\n\r\n.one\r\n..two\r\n.\r\nend" });
	bed_settle_all(&bed);
	ck_assert_str_eq(buf_cstr(&peer->body),
	    "A: b\r\n\r\n..one\r\n...two\r\n..\r\nend\r\n");
	bed_close(&bed, &peer);
}
END_TEST

static int
body_file(size_t n)
{
	char path
	    [] = "/tmp/relayd-test-XXXXXX",
	line[] =
	    ".234567890123456789012345678901234567890123456789012345678901\r\n";
	const int fd = mkstemp(path);

	ck_assert_int_ne(fd, -1);
	unlink(path);
	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(write(fd, line, 63), 63);
	return fd;
}

START_TEST(body_comes_from_a_file)
{
	static const struct peer_script script = { 0 };
	const size_t lines = 10000;

	open_with(&script, 1);
	fake_queue_lease(&(struct fake_lease){ .dest = 1,
	    .body_fd = body_file(lines),
	    .size = lines * 63 });
	bed_settle_all(&bed);
	ck_assert_int_eq(fake_queue_settle(1, 0)->outcome, OUTCOME_DELIVERED);
	ck_assert_uint_eq(peer->body.len, lines * 64);
	ck_assert_uint_eq(fake_queue.nat_dot, 1);
	bed_close(&bed, &peer);
}
END_TEST

START_TEST(short_file_is_our_own_trouble)
{
	static const struct peer_script script = { 0 };

	open_with(&script, 1);
	fake_queue_lease(&(struct fake_lease){ .dest = 1,
	    .body_fd = body_file(10),
	    .size = 10000 });
	bed_settle_all(&bed);
	ck_assert_int_eq(fake_queue_settle(1, 0)->outcome, OUTCOME_DEFERRED);
	ck_assert_int_eq(fake_queue_settle(1, 0)->status.reason, REASON_local);
	ck_assert(!fake_queue_settle(1, 0)->maybe_sent);
	ck_assert_uint_eq(peer->messages, 0);
	bed_close(&bed, &peer);
}
END_TEST

START_TEST(too_large_is_not_even_tried)
{
	static const struct peer_script script = {
		.ehlo = "250-peer\r\n250-PIPELINING\r\n250 SIZE 10\r\n"
	};

	open_with(&script, 1);
	fake_queue_lease(&(struct fake_lease){ .dest = 1 });
	bed_settle_all(&bed);
	ck_assert_int_eq(fake_queue_settle(1, 0)->outcome, OUTCOME_FAILED);
	ck_assert_uint_eq(fake_queue_settle(1, 0)->status.subject, 3);
	ck_assert_uint_eq(fake_queue_settle(1, 0)->status.detail, 4);
	ck_assert_uint_eq(peer_heard(peer, "MAIL"), 0);
	bed_close(&bed, &peer);
}
END_TEST

START_TEST(parameters_follow_the_offer)
{
	static const struct { const char *ehlo, *mail; } rows[] = {
		{ NULL, "MAIL FROM:<a@here.test> SIZE=21 BODY=8BITMIME\n" },
		{ "250-peer\r\n250 8BITMIME\r\n", "MAIL FROM:<a@here.test> BODY=8BITMIME\n" },
		{ "250-peer\r\n250 size\r\n", "MAIL FROM:<a@here.test> SIZE=21\n" },
		{ "250 peer\r\n", "MAIL FROM:<a@here.test>\n" },
	};
	const struct peer_script script = { .ehlo = rows[_i].ehlo };

	open_with(&script, 1);
	fake_queue_lease(&(struct fake_lease){ .dest = 1, .body_8bit = true });
	bed_settle_all(&bed);
	ck_assert_uint_eq(peer_heard(peer, rows[_i].mail), 1);
	ck_assert_int_eq(fake_queue_settle(1, 0)->outcome, OUTCOME_DELIVERED);
	bed_close(&bed, &peer);
}
END_TEST

START_TEST(soft_bounce_defers)
{
	static const struct peer_script script = { 0 };

	open_with(&script, 1);
	bed.connectors[0].soft_bounce = true;
	fake_queue_lease(&(struct fake_lease){ .dest = 1,
	    .rcpts = "nobody@far.test yes@far.test" });
	bed_settle_all(&bed);
	ck_assert_int_eq(fake_queue_settle(1, 0)->outcome, OUTCOME_DEFERRED);
	ck_assert_uint_eq(fake_queue_settle(1, 0)->status.class_, 4);
	ck_assert_uint_eq(fake_queue_settle(1, 0)->status.reply, 550);
	ck_assert_int_eq(fake_queue_settle(1, 1)->outcome, OUTCOME_DELIVERED);
	bed_close(&bed, &peer);
}
END_TEST

START_TEST(helo_when_told)
{
	static const struct peer_script script = { 0 };

	open_with(&script, 1);
	bed.connectors[0].force_helo = true;
	fake_queue_lease(&(struct fake_lease){ .dest = 1 });
	bed_settle_all(&bed);
	ck_assert_uint_eq(peer_heard(peer, "EHLO"), 0);
	ck_assert_uint_eq(peer_heard(peer, "HELO relay.test\n"), 1);
	bed_close(&bed, &peer);
}
END_TEST

START_TEST(control_characters_never_reach_the_wire)
{
	static const struct peer_script script = { 0 };

	open_with(&script, 1);
	fake_queue_lease(
	    &(struct fake_lease){ .dest = 1, .rcpts = "a@far.test>\r\nRCPT" });
	bed_settle_all(&bed);
	ck_assert_int_eq(fake_queue_settle(1, 0)->outcome, OUTCOME_FAILED);
	ck_assert_uint_eq(peer_heard(peer, "RCPT"), 0);
	bed_close(&bed, &peer);
}
END_TEST

/* Greets, then drops every transaction: after four the destination waits, the rest untried. */
START_TEST(barren_sessions_defer_the_destination)
{
	static const struct peer_script script = { .mail = "!" };
	unsigned returned = 0;

	open_with(&script, 1);
	for (int i = 0; i < 10; i++)
		fake_queue_lease(&(struct fake_lease){ .dest = 1 });
	bed_settle_all(&bed);
	for (uint64_t i = 1; i <= 10; i++)
		returned +=
		    fake_queue_settle(i, 0)->outcome == OUTCOME_RETURNED;
	ck_assert_uint_ge(returned, 7);
	ck_assert_uint_eq(fake_queue.nfailed, 1);
	ck_assert_uint_le(peer->connections, 5);
	bed_close(&bed, &peer);
}
END_TEST

static Suite *
session_suite(void)
{
	Suite *s = suite_create("session");
	TCase *tc = tcase_create("session");

	tcase_set_timeout(tc, 30);
	tcase_add_loop_test(tc, misbehaves, 0, COUNT_OF(catalogue));
	tcase_add_test(tc, huge_reply_is_bounded);
	tcase_add_loop_test(tc, each_recipient_has_its_outcome, 0, 2);
	tcase_add_test(tc, too_many_recipients_go_again);
	tcase_add_test(tc, all_refused_but_354_gets_a_lone_dot);
	tcase_add_test(tc, many_messages_on_one_connection);
	tcase_add_test(tc, messages_per_connection_are_bounded);
	tcase_add_test(tc, no_idle_time_parts_at_once);
	tcase_add_test(tc, stale_connection_is_no_loss);
	tcase_add_test(tc, body_is_dot_stuffed);
	tcase_add_test(tc, body_comes_from_a_file);
	tcase_add_test(tc, short_file_is_our_own_trouble);
	tcase_add_test(tc, too_large_is_not_even_tried);
	tcase_add_loop_test(tc, parameters_follow_the_offer, 0, 4);
	tcase_add_test(tc, soft_bounce_defers);
	tcase_add_test(tc, helo_when_told);
	tcase_add_test(tc, control_characters_never_reach_the_wire);
	tcase_add_test(tc, barren_sessions_defer_the_destination);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(session_suite)
