/*
 * test_stream.c - a stream against a socket of the test's own: what is shown,
 * when it is sent, how it ends, and that nothing comes after free.
 */
#include "mta/smtp/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "mta/base/loop.h"
#include "tests/unit/check_main.h"

static struct loop *loop;
static int turns, peer;

/* The owner: notes what it hears, consumes as the test tells it to. */
static struct owner {
	struct smtp_stream *s;
	char	 seen[200];	/* consumed */
	size_t	 shown;		/* the most shown at once */
	unsigned readable, closed, timeouts, drained, connected;
	int	 err;
	enum { TAKE_ALL = 0, TAKE_LINES, TAKE_NONE } take;
	bool	 echo, pause, free_on_read, free_on_close, free_on_timeout;
	bool	 inside_call;	/* a call into the stream is under way */
} o;

static void
on_turn(void *ctx)
{
	(void)ctx;
	if (--turns <= 0)
		loop_stop(loop);
	else
		loop_post(loop, on_turn, NULL);
}

static void
pump(void)
{
	turns = 8;
	loop_post(loop, on_turn, NULL);
	loop_run(loop);
}

static size_t
on_readable(void *ctx, const uint8_t *data, size_t n)
{
	const uint8_t *lf = memrchr(data, '\n', n);
	size_t used = o.take == TAKE_ALL ? n : 0;

	(void)ctx;
	ck_assert(!o.inside_call);
	o.readable++;
	if (n > o.shown)
		o.shown = n;
	if (o.take == TAKE_LINES && lf != NULL)
		used = (size_t)(lf + 1 - data);
	if (strlen(o.seen) + used < sizeof(o.seen))
		strncat(o.seen, (const char *)data, used);
	if (o.echo)
		smtp_stream_write(o.s, data, used);
	if (o.pause)
		smtp_stream_pause(o.s, true);
	if (o.free_on_read)
		smtp_stream_free(&o.s);
	return used;
}

static void
on_closed(void *ctx, int err)
{
	(void)ctx;
	ck_assert(!o.inside_call);
	o.closed++;
	o.err = err;
	if (o.free_on_close)
		smtp_stream_free(&o.s);
}

static void
on_timeout(void *ctx)
{
	(void)ctx;
	o.timeouts++;
	if (o.free_on_timeout)
		smtp_stream_free(&o.s);
}

static void
on_drained(void *ctx)
{
	(void)ctx;
	ck_assert(!o.inside_call);
	o.drained++;
}

static void
on_connected(void *ctx)
{
	(void)ctx;
	ck_assert(!o.inside_call);
	o.connected++;
}

static const struct smtp_stream_ops ops = {
	on_connected, on_readable, on_closed, on_timeout, on_drained,
};

static void
setup(void)
{
	int sv[2];

	loop = loop_new();
	o = (struct owner){ .take = TAKE_ALL };
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
	peer = sv[1];
	o.s = smtp_stream_new(loop, sv[0], &ops, NULL);
}

static void
teardown(void)
{
	smtp_stream_free(&o.s);
	pump();
	loop_free(&loop);
	if (peer != -1)
		close(peer);
}

static void
say(const char *s)
{
	ck_assert_int_eq(send(peer, s, strlen(s), MSG_NOSIGNAL), (ssize_t)strlen(s));
}

static const char *
heard(void)
{
	static char buf[500];
	ssize_t n = recv(peer, buf, sizeof(buf) - 1, 0);

	buf[n > 0 ? n : 0] = '\0';
	return n == 0 ? "EOF" : buf;
}

START_TEST(reads_and_answers)
{
	o.echo = true;
	say("abc");
	pump();
	ck_assert_str_eq(o.seen, "abc");
	ck_assert_str_eq(heard(), "abc");
	ck_assert_uint_eq(o.drained, 1);
}
END_TEST

START_TEST(rest_is_shown_again)
{
	o.take = TAKE_LINES;
	say("one\ntw");
	pump();
	ck_assert_str_eq(o.seen, "one\n");
	say("o\nthree");
	pump();
	ck_assert_str_eq(o.seen, "one\ntwo\n");
	close(peer);
	peer = -1;
	pump();
	ck_assert_uint_eq(o.closed, 1);
	ck_assert_str_eq(o.seen, "one\ntwo\n");
}
END_TEST

START_TEST(writes_gather)
{
	o.inside_call = true;
	smtp_stream_write(o.s, "a", 1);
	smtp_stream_printf(o.s, "%s%d", "b", 3);
	buf_text(smtp_stream_begin(o.s), "c");
	smtp_stream_end(o.s);
	ck_assert_uint_eq(smtp_stream_pending(o.s), 4);
	o.inside_call = false;
	ck_assert_int_eq(recv(peer, (char[1]){ 0 }, 1, 0), -1);
	pump();
	ck_assert_str_eq(heard(), "ab3c");
	ck_assert_uint_eq(o.drained, 1);
	ck_assert_uint_eq(smtp_stream_pending(o.s), 0);
}
END_TEST

START_TEST(big_output_waits_for_the_peer)
{
	static char data[4 << 20], got[4 << 20];
	size_t len = 0;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 7 >> 3);
	smtp_stream_write(o.s, data, sizeof(data));
	pump();
	ck_assert_uint_gt(smtp_stream_pending(o.s), 0);
	ck_assert_uint_eq(o.drained, 0);
	for (int i = 0; i < 100000 && len < sizeof(got); i++) {
		ssize_t n = recv(peer, got + len, sizeof(got) - len, 0);

		if (n == -1)
			pump();
		else
			len += (size_t)n;
	}
	pump();
	ck_assert_uint_eq(len, sizeof(got));
	ck_assert_mem_eq(got, data, sizeof(got));
	ck_assert_uint_eq(o.drained, 1);
}
END_TEST

START_TEST(input_is_bounded)
{
	static char data[4096];
	size_t sent = 0;

	o.take = TAKE_NONE;
	for (int i = 0; i < 500; i++) {
		ssize_t n = send(peer, data, sizeof(data), MSG_NOSIGNAL);

		sent += n > 0 ? (size_t)n : 0;
		pump();
	}
	ck_assert_uint_eq(o.shown, SMTP_STREAM_READ_MAX);
	ck_assert_uint_lt(sent, 500 * sizeof(data));
	ck_assert_uint_eq(o.closed, 0);		/* full is not ended */
	o.take = TAKE_ALL;
	smtp_stream_pause(o.s, true);
	smtp_stream_pause(o.s, false);
	for (int i = 0; i < 20; i++)
		pump();
	ck_assert_int_gt(send(peer, data, 1, MSG_NOSIGNAL), 0);
}
END_TEST

START_TEST(pause_holds_input_and_end)
{
	smtp_stream_pause(o.s, true);
	say("abc");
	shutdown(peer, SHUT_WR);
	pump();
	ck_assert_uint_eq(o.readable, 0);
	ck_assert_uint_eq(o.closed, 0);
	o.inside_call = true;
	smtp_stream_pause(o.s, false);
	o.inside_call = false;
	pump();
	ck_assert_str_eq(o.seen, "abc");
	ck_assert_uint_eq(o.closed, 1);
}
END_TEST

START_TEST(pause_from_inside_keeps_the_rest)
{
	o.take = TAKE_LINES;
	o.pause = true;
	say("one\ntwo");
	pump();
	say("\n");
	pump();
	ck_assert_uint_eq(o.readable, 1);
	ck_assert_str_eq(o.seen, "one\n");
	o.pause = false;
	smtp_stream_pause(o.s, false);
	pump();
	ck_assert_str_eq(o.seen, "one\ntwo\n");
}
END_TEST

START_TEST(half_closed_peer_gets_its_answer)
{
	o.echo = true;
	say("abc");
	shutdown(peer, SHUT_WR);
	pump();
	ck_assert_str_eq(heard(), "abc");
	ck_assert_uint_eq(o.closed, 1);
	ck_assert_int_eq(o.err, 0);
}
END_TEST

START_TEST(end_is_told_once)
{
	close(peer);
	peer = -1;
	pump();
	smtp_stream_write(o.s, "x", 1);
	pump();
	ck_assert_uint_eq(o.closed, 1);
	ck_assert_int_eq(o.err, 0);
}
END_TEST

/* A server says 421 and closes while we write: its words must still be read. */
START_TEST(last_words_of_the_peer_are_read)
{
	say("421 bye\r\n");
	close(peer);
	peer = -1;
	smtp_stream_write(o.s, "MAIL\r\n", 6);
	pump();
	ck_assert_str_eq(o.seen, "421 bye\r\n");
	ck_assert_uint_eq(o.closed, 1);
}
END_TEST

START_TEST(finish_sends_then_closes)
{
	smtp_stream_write(o.s, "bye", 3);
	o.inside_call = true;
	smtp_stream_finish(o.s, 0);
	o.inside_call = false;
	pump();
	ck_assert_str_eq(heard(), "bye");
	ck_assert_str_eq(heard(), "EOF");
	ck_assert_uint_eq(o.closed, 1);
	ck_assert_int_eq(o.err, 0);
}
END_TEST

START_TEST(finish_lingers)
{
	smtp_stream_write(o.s, "bye", 3);
	smtp_stream_finish(o.s, 60000);
	pump();
	say("still talking");
	pump();
	ck_assert_uint_eq(o.readable, 0);
	ck_assert_uint_eq(o.closed, 0);
	ck_assert_str_eq(heard(), "bye");
	ck_assert_str_eq(heard(), "EOF");
	close(peer);
	peer = -1;
	pump();
	ck_assert_uint_eq(o.closed, 1);
}
END_TEST

START_TEST(finish_works_while_paused)
{
	smtp_stream_pause(o.s, true);
	smtp_stream_write(o.s, "bye", 3);
	smtp_stream_finish(o.s, 0);
	pump();
	ck_assert_str_eq(heard(), "bye");
	ck_assert_uint_eq(o.closed, 1);
}
END_TEST

static void
nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 3000000 }, NULL);
	pump();
}

START_TEST(timeout_comes_once)
{
	smtp_stream_timeout(o.s, 60000);
	smtp_stream_timeout(o.s, 1);	/* earlier than the one before */
	nap();
	nap();
	ck_assert_uint_eq(o.timeouts, 1);
	ck_assert_uint_eq(o.closed, 0);
}
END_TEST

START_TEST(timeout_is_moved_or_cleared)
{
	smtp_stream_timeout(o.s, 1);
	smtp_stream_timeout(o.s, 60000);
	nap();
	ck_assert_uint_eq(o.timeouts, 0);
	smtp_stream_timeout(o.s, 1);
	smtp_stream_timeout(o.s, 0);
	nap();
	ck_assert_uint_eq(o.timeouts, 0);
}
END_TEST

START_TEST(free_from_inside)
{
	o.free_on_read = _i == 0;
	o.free_on_close = _i == 1;
	o.free_on_timeout = _i == 2;
	o.echo = true;
	if (_i == 2) {
		smtp_stream_timeout(o.s, 1);
		nap();
	} else {
		say("abc");
		close(peer);
		peer = -1;
		pump();
	}
	ck_assert_ptr_null(o.s);
	ck_assert_uint_eq(o.closed, _i == 1);
}
END_TEST

START_TEST(nothing_after_free)
{
	smtp_stream_write(o.s, "x", 1);
	smtp_stream_timeout(o.s, 1);
	say("abc");
	smtp_stream_free(&o.s);
	nap();
	ck_assert_uint_eq(o.readable + o.closed + o.timeouts + o.drained, 0);
	smtp_stream_free(&o.s);		/* NULL by now */
}
END_TEST

/* Freed at the end of a turn, after a post that runs only in the next. */
static void
free_in_hook(void *ctx)
{
	(void)ctx;
	if (o.s != NULL) {
		smtp_stream_write(o.s, "x", 1);
		smtp_stream_free(&o.s);
	}
}

START_TEST(freed_in_a_turn_hook)
{
	loop_on_turn(loop, free_in_hook, NULL);
	pump();
	ck_assert_ptr_null(o.s);
	ck_assert_uint_eq(o.drained, 0);
}
END_TEST

/* A connecting stream to a port that listens or does not. */
static void
dial(bool listening)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);
	int l = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET,
	    SOCK_STREAM | SOCK_NONBLOCK, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(bind(l, (struct sockaddr *)&sin, len), 0);
	ck_assert_int_eq(getsockname(l, (struct sockaddr *)&sin, &len), 0);
	if (listening)
		ck_assert_int_eq(listen(l, 1), 0);
	(void)connect(fd, (struct sockaddr *)&sin, len);
	smtp_stream_free(&o.s);
	o.s = smtp_stream_new_connecting(loop, fd, &ops, NULL);
	smtp_stream_write(o.s, "early", 5);	/* waits for the connection */
	if (!listening) {
		close(l);
		return;
	}
	close(peer);
	peer = accept4(l, NULL, NULL, SOCK_NONBLOCK);
	close(l);
}

START_TEST(connects)
{
	dial(true);
	for (int i = 0; i < 1000 && (o.connected == 0 || o.drained == 0); i++)
		pump();
	ck_assert_uint_eq(o.connected, 1);
	ck_assert_str_eq(heard(), "early");
	say("220\r\n");
	pump();
	ck_assert_str_eq(o.seen, "220\r\n");
}
END_TEST

START_TEST(connection_refused)
{
	dial(false);
	for (int i = 0; i < 1000 && o.closed == 0; i++)
		pump();
	ck_assert_uint_eq(o.connected, 0);
	ck_assert_uint_eq(o.closed, 1);
	ck_assert_int_eq(o.err, ECONNREFUSED);
}
END_TEST

START_TEST(failed_connect_is_not_told_while_paused)
{
	dial(false);
	smtp_stream_pause(o.s, true);
	for (int i = 0; i < 100; i++)
		pump();
	ck_assert_uint_eq(o.closed, 0);
	smtp_stream_pause(o.s, false);
	pump();
	ck_assert_uint_eq(o.closed, 1);
	ck_assert_int_eq(o.err, ECONNREFUSED);
}
END_TEST

static Suite *
stream_suite(void)
{
	Suite *s = suite_create("smtp/stream");
	TCase *tc = tcase_create("stream");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, reads_and_answers);
	tcase_add_test(tc, rest_is_shown_again);
	tcase_add_test(tc, writes_gather);
	tcase_add_test(tc, big_output_waits_for_the_peer);
	tcase_add_test(tc, input_is_bounded);
	tcase_add_test(tc, pause_holds_input_and_end);
	tcase_add_test(tc, pause_from_inside_keeps_the_rest);
	tcase_add_test(tc, half_closed_peer_gets_its_answer);
	tcase_add_test(tc, end_is_told_once);
	tcase_add_test(tc, last_words_of_the_peer_are_read);
	tcase_add_test(tc, finish_sends_then_closes);
	tcase_add_test(tc, finish_lingers);
	tcase_add_test(tc, finish_works_while_paused);
	tcase_add_test(tc, timeout_comes_once);
	tcase_add_test(tc, timeout_is_moved_or_cleared);
	tcase_add_loop_test(tc, free_from_inside, 0, 3);
	tcase_add_test(tc, nothing_after_free);
	tcase_add_test(tc, freed_in_a_turn_hook);
	tcase_add_test(tc, connects);
	tcase_add_test(tc, connection_refused);
	tcase_add_test(tc, failed_connect_is_not_told_while_paused);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(stream_suite)
