/*
 * test_log.c - the form of lines, foreign text in them, and a reader that
 * does not read.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mta/base/counters.h"
#include "mta/base/log.h"
#include "mta/base/loop.h"
#include "tests/unit/check_main.h"

static int pair[2];
static char got[1 << 20];

static void
setup(void)
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
	    pair), 0);
	log_open(NULL, pair[1], "rx");
}

static void
teardown(void)
{
	log_open(NULL, -1, "rx");
	close(pair[0]);
	close(pair[1]);
}

/* Everything that is there, up to size - 1 bytes. */
static const char *
read_log(void)
{
	size_t len = 0;
	ssize_t n;

	while ((n = read(pair[0], got + len, sizeof got - 1 - len)) > 0)
		len += (size_t)n;
	got[len] = '\0';
	return got;
}

START_TEST(form_of_a_line)
{
	log_event("session_open", "id=%d", 7);
	log_warn("odd", "%s", "");
	log_trace("hidden", "x=1");
	log_set_trace(true);
	log_trace("shown", "x=1");
	log_set_trace(false);
	log_fatal("end", "x=2");
	ck_assert_str_eq(read_log(), "0rx session_open id=7\n1rx odd\n"
	    "3rx shown x=1\n2rx end x=2\n");
}
END_TEST

START_TEST(no_line_of_a_peers_own)
{
	log_event("reply", "text=%s", "250 ok\r\n0queue accepted\x1b[0m");
	ck_assert_str_eq(read_log(),
	    "0rx reply text=250 ok  0queue accepted [0m\n");
}
END_TEST

static const struct {
	const char	*from, *to;
	size_t		 size;
} quotes[] = {
	{ "plain", "\"plain\"", 64 },
	{ "a \"b\" \\", "\"a \\\"b\\\" \\\\\"", 64 },
	{ "\n\xc3\xa9", "\"\\x0a\\xc3\\xa9\"", 64 },
	{ "cut here", "\"cut \"", 7 },
	{ "\x01", "\"\"", 6 },		/* an escape is never cut in two */
	{ "x", "", 2 },
};

START_TEST(quoted)
{
	char buf[64] = "poison";

	ck_assert_str_eq(log_quote(buf, quotes[_i].size, quotes[_i].from),
	    quotes[_i].to);
}
END_TEST

START_TEST(full_descriptor_drops_and_counts)
{
	char line[200];
	int lines = 0;

	memset(line, 'x', sizeof line - 1);
	line[sizeof line - 1] = '\0';
	while (counter_sum(C_log_dropped_total) < 10 && lines < 100000) {
		log_event("flood", "%s", line);
		lines++;
	}
	ck_assert_int_eq(counter_sum(C_log_dropped_total), 10);
	/* Nobody lost a part of a line, and the loss is told. */
	(void)read_log();
	for (int i = 0; i < 20; i++) {
		const size_t len = strlen(got);

		log_flush();
		ck_assert_uint_lt(len, sizeof got - 1);
		for (ssize_t n; (n = read(pair[0], got + strlen(got),
		    sizeof got - 1 - strlen(got))) > 0; )
			got[len + (size_t)n] = '\0';
	}
	ck_assert_ptr_nonnull(strstr(got, "1rx log_dropped n=10\n"));
	for (char *at = got; *at != '\0'; at = strchr(at, '\n') + 1) {
		if (strncmp(at, "1rx log_dropped", 15) == 0)
			continue;
		ck_assert_int_eq(strncmp(at, "0rx flood ", 10), 0);
		ck_assert_int_eq(strchr(at, '\n') - at, 10 + 199);
	}
}
END_TEST

static struct loop *loop;

static void
on_logging(void *ctx)
{
	log_event("from_loop", "%s", "");
	ck_assert_str_eq(read_log(), "");	/* not yet: once a turn */
	loop_stop(ctx);
}

START_TEST(written_at_the_end_of_a_turn)
{
	loop = loop_new();
	log_open(loop, pair[1], "tx2");
	loop_post(loop, on_logging, loop);
	loop_run(loop);
	log_flush();
	ck_assert_str_eq(read_log(), "0tx2 from_loop\n");
	log_open(NULL, -1, "tx2");
	loop_free(&loop);
}
END_TEST

START_TEST(bug_writes_then_aborts)
{
	bug("never %d", 5);
}
END_TEST

static Suite *
log_suite(void)
{
	Suite *s = suite_create("log");
	TCase *tc = tcase_create("log");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, form_of_a_line);
	tcase_add_test(tc, no_line_of_a_peers_own);
	tcase_add_loop_test(tc, quoted, 0, COUNT_OF(quotes));
	tcase_add_test(tc, full_descriptor_drops_and_counts);
	tcase_add_test(tc, written_at_the_end_of_a_turn);
	tcase_add_test_raise_signal(tc, bug_writes_then_aborts, SIGABRT);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(log_suite)
