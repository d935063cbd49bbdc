/*
 * test_listener.c - real connections over loopback: the session limit, the
 * end of descriptors, sockets that are replaced, reload and close.
 */
// LINK-FAKE: queue
#include "mta/rx/listener.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "tests/unit/check_main.h"
#include "tests/unit/rx/rx_harness.h"

/* Connects to the harness's listener; connects at once, the backlog takes it. */
static int
dial(int listening)
{
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(getsockname(listening, (struct sockaddr *)&sin, &len), 0);
	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&sin, len), 0);
	ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

START_TEST(loopback_is_a_client_like_any)
{
	int fd = dial(h_l->fd);

	ck_assert_str_eq(h_talk(fd, "EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<b@x.example>\r\n"),
	    "220|250|250 2.1.0|550 5.7.1");		/* 127.0.0.1 is not in 192.0.2.0/24 */
	close(fd);
}
END_TEST

START_TEST(session_limit)
{
	int fds[6];

	for (int i = 0; i < 6; i++) {
		fds[i] = dial(h_l->fd);
		ck_assert_str_eq(h_talk(fds[i], ""), i < 4 ? "220" : "421 4.3.2!");
	}
	close(fds[0]);
	h_pump(TURNS);
	fds[0] = dial(h_l->fd);
	ck_assert_str_eq(h_talk(fds[0], ""), "220");
	for (int i = 0; i < 6; i++)
		close(fds[i]);
}
END_TEST

/* Several processes listen on one socket: each takes its share of the limit. */
START_TEST(session_limit_is_shared)
{
	int fds[3];

	h_conf.rx_processes = 3;	/* 4 sessions: 2 for each */
	for (int i = 0; i < 3; i++) {
		fds[i] = dial(h_l->fd);
		ck_assert_str_eq(h_talk(fds[i], ""), i < 2 ? "220" : "421 4.3.2!");
	}
	for (int i = 0; i < 3; i++)
		close(fds[i]);
}
END_TEST

START_TEST(many_at_once)
{
	enum { N = 100 };
	int fds[N];

	h_listener.sessions = N;
	for (int i = 0; i < N; i++)
		fds[i] = dial(h_l->fd);
	h_pump(TURNS);
	ck_assert_uint_eq(h_l->sessions, N);
	for (int i = 0; i < N; i++)
		close(fds[i]);
}
END_TEST

static bool
accepted(void)
{
	return h_l->sessions == 1;
}

START_TEST(out_of_descriptors)
{
	struct rlimit before, none;
	int fd = dial(h_l->fd), spare = dup(fd);

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	close(spare);
	none.rlim_cur = (rlim_t)spare;		/* the lowest free number is beyond */
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	ck_assert_str_eq(h_talk(fd, ""), "421 4.3.2!");
	ck_assert_int_ne(h_rx.reserve_fd, -1);	/* taken again */
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	close(fd);
	fd = dial(h_l->fd);
	ck_assert(h_until(accepted));		/* after a rest it accepts again */
	close(fd);
}
END_TEST

START_TEST(new_socket_takes_the_place)
{
	struct rx_listener *l = h_l;
	int fd = dial(h_l->fd), copy = dup(h_l->fd);

	ck_assert_str_eq(h_talk(fd, ""), "220");
	rx_listener_open(&h_rx, 0, copy);
	ck_assert_ptr_eq(h_rx.listeners.next, &l->node);
	ck_assert_int_eq(l->fd, copy);
	ck_assert_str_eq(h_talk(fd, "EHLO c\r\nMAIL FROM:<>\r\n"), "250|250 2.1.0");
	close(fd);
	fd = dial(copy);
	ck_assert_str_eq(h_talk(fd, ""), "220");
	close(fd);
}
END_TEST

START_TEST(unknown_number_is_closed)
{
	int fd = dup(h_l->fd);

	rx_listener_open(&h_rx, 7, fd);
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
	ck_assert_ptr_eq(h_rx.listeners.next, h_rx.listeners.prev);
}
END_TEST

START_TEST(closed_listener_outlived_by_its_session)
{
	int fd = dial(h_l->fd);

	ck_assert_str_eq(h_talk(fd, "EHLO c\r\n"), "220|250");
	rx_listener_close(h_l);
	rx_listener_close(h_l);			/* twice is harmless */
	h_pump(TURNS);
	ck_assert_str_eq(h_talk(fd, "NOOP\r\n"), "250 2.0.0");
	ck_assert_str_eq(h_talk(fd, "MAIL FROM:<>\r\n"), "421 4.3.2!");
	close(fd);
}
END_TEST

static unsigned empties;

static void
on_empty(struct rx *rx)
{
	(void)rx;
	empties++;
}

START_TEST(drain_says_when_all_are_gone)
{
	int fd = dial(h_l->fd);

	ck_assert_str_eq(h_talk(fd, ""), "220");
	h_rx.on_empty = on_empty;
	rx_drain(&h_rx);
	ck_assert_uint_eq(empties, 0);
	ck_assert_str_eq(h_talk(fd, ""), "421 4.3.2!");
	close(fd);
	h_pump(TURNS);
	ck_assert_uint_eq(empties, 1);
}
END_TEST

START_TEST(drain_with_nobody_there)
{
	empties = 0;
	h_rx.on_empty = on_empty;
	rx_drain(&h_rx);
	ck_assert_uint_eq(empties, 1);
}
END_TEST

static Suite *
listener_suite(void)
{
	Suite *s = suite_create("rx/listener");
	TCase *tc = tcase_create("listener");

	tcase_add_checked_fixture(tc, h_setup, h_teardown);
	tcase_add_test(tc, loopback_is_a_client_like_any);
	tcase_add_test(tc, session_limit);
	tcase_add_test(tc, session_limit_is_shared);
	tcase_add_test(tc, many_at_once);
	tcase_add_test(tc, out_of_descriptors);
	tcase_add_test(tc, new_socket_takes_the_place);
	tcase_add_test(tc, unknown_number_is_closed);
	tcase_add_test(tc, closed_listener_outlived_by_its_session);
	tcase_add_test(tc, drain_says_when_all_are_gone);
	tcase_add_test(tc, drain_with_nobody_there);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(listener_suite)
