/*
 * test_listen.c - both families on "*", one on an address, and names for both.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mta/proc/listen.h"
#include "tests/unit/check_main.h"

static uint16_t
free_port(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	socklen_t size = sizeof in;
	const int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &size), 0);
	close(fd);
	return ntohs(in.sin_port);
}

static int
connect_v4(uint16_t port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
	const int fd = socket(AF_INET, SOCK_STREAM, 0);
	int err;

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	err = connect(fd, (struct sockaddr *)&in, sizeof in) == -1 ? errno : 0;
	close(fd);
	return err;
}

START_TEST(wildcard_takes_ipv4)
{
	struct conf_listener l = { .any = true };
	struct fault f;
	char text[64];
	int fd = -1, again = -1;

	l.address.family = AF_INET6;
	l.address.port = free_port();
	ck_assert(listen_tcp(&l, &fd, &f));
	ck_assert_int_eq(connect_v4(l.address.port), 0);
	ck_assert(!listen_tcp(&l, &again, &f));
	ck_assert_int_eq(f.err, EADDRINUSE);
	ck_assert_int_eq(strncmp(f.text, listen_text(&l, text),
	    strlen(listen_text(&l, text))), 0);
	close(fd);
	ck_assert_int_eq(connect_v4(l.address.port), ECONNREFUSED);
}
END_TEST

START_TEST(same_and_text)
{
	struct conf_listener a = { .any = true }, b = { 0 }, c = { 0 };
	char text[64];

	ck_assert(conf_addr_parse("127.0.0.1", &b.address));
	ck_assert(conf_addr_parse("127.0.0.1:25", &c.address));
	ck_assert(listen_same(&b, &c));		/* 25 is what none means */
	ck_assert(!listen_same(&a, &b));
	ck_assert_str_eq(listen_text(&a, text), "*:25");
	ck_assert_str_eq(listen_text(&b, text), "127.0.0.1:25");
	ck_assert(conf_addr_parse("[::1]:2525", &c.address));
	ck_assert(!listen_same(&b, &c));
	ck_assert_str_eq(listen_text(&c, text), "[::1]:2525");
}
END_TEST

START_TEST(control_path_too_long)
{
	char path[200];
	struct fault f;
	int fd = -1;

	memset(path, 'a', sizeof path);
	path[0] = '/';
	path[sizeof path - 1] = '\0';
	ck_assert(!listen_control(path, NULL, &fd, &f));
	ck_assert_ptr_nonnull(strstr(f.text, "longer than 107"));
}
END_TEST

static Suite *
listen_suite(void)
{
	Suite *s = suite_create("listen");
	TCase *tc = tcase_create("listen");

	tcase_add_test(tc, wildcard_takes_ipv4);
	tcase_add_test(tc, same_and_text);
	tcase_add_test(tc, control_path_too_long);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(listen_suite)
