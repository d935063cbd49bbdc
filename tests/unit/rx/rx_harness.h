/*
 * rx_harness.h - a receiving side in the test's own loop: clients are the far
 * ends of socket pairs, the queue is the fake one.
 */
#pragma once

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "conf/conf.h"
#include "mta/base/loop.h"
#include "mta/rx/listener.h"
#include "mta/rx/rx.h"
#include "mta/rx/session.h"
#include "tests/fake/queue.h"

#define TURNS 12	/* more than any reaction takes */

static char h_conn[] = "out", h_route[] = "x.example", h_host[] = "mx.example",
    h_name[] = "in";
static char *h_domains[] = { h_route };
static struct conf_connector h_connector = { .name = h_conn, .enabled = true,
    .domains = h_domains, .ndomains = 1 };
static struct conf_cidr h_net = { AF_INET, 24, { 192, 0, 2 } };
static struct conf_listener h_listener;
static struct conf h_conf;

static struct loop *h_loop;
static struct rx h_rx;
static struct rx_listener *h_l;
static int h_turns;

static void
h_on_turn(void *ctx)
{
	(void)ctx;
	if (--h_turns <= 0)
		loop_stop(h_loop);
	else
		loop_post(h_loop, h_on_turn, NULL);
}

/* Runs what is due, without waiting for anything. */
static inline void
h_pump(int turns)
{
	h_turns = turns;
	loop_post(h_loop, h_on_turn, NULL);
	loop_run(h_loop);
}

static inline void
h_setup(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	bind(fd, (struct sockaddr *)&sin, sizeof(sin));
	listen(fd, 128);
	h_listener = (struct conf_listener){ .name = h_name, .clients = &h_net, .nclients = 1,
	    .address = { .family = AF_INET, .ip = { 127, 0, 0, 1 } },
	    .hostname = h_host, .size_bytes = 5000, .recipients = 5, .sessions = 4,
	    .idle_ms = 300000 };
	h_conf = (struct conf){ .refs = 1000, .generation = 1, .hostname = h_host,
	    .rx_processes = 1, .listeners = &h_listener, .nlisteners = 1,
	    .connectors = &h_connector, .nconnectors = 1, .spool = { .large_bytes = 2000 } };
	h_domains[0] = h_route;
	fake_queue_reset();
	h_loop = loop_new();
	rx_init(&h_rx, h_loop, &h_conf);
	rx_listener_open(&h_rx, 0, fd);
	h_l = LIST_OWNER(h_rx.listeners.next, struct rx_listener, node);
}

static inline void
h_teardown(void)
{
	rx_fini(&h_rx);
	h_pump(2);
	loop_free(&h_loop);
	fake_queue_reset();
}

/* A client at 192.0.2.7 (inside the network) or 198.51.100.7. */
static inline int
h_client(bool inside)
{
	struct conf_addr a = { .family = AF_INET, .ip = { 192, 0, 2, 7 } };
	int sv[2];

	if (!inside)
		memcpy(a.ip, (uint8_t[]){ 198, 51, 100, 7 }, 4);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv) == -1)
		return -1;
	rx_session_new(h_l, sv[0], &a);
	h_pump(3);
	return sv[1];
}

static inline void
h_send(int fd, const void *p, size_t n)
{
	const char *s = p;

	for (int tries = 0; n > 0 && tries < 100000; tries++) {
		ssize_t k = send(fd, s, n, MSG_NOSIGNAL);

		if (k == -1 && errno != EAGAIN)
			return;
		if (k == -1)
			h_pump(3);
		else {
			s += k;
			n -= (size_t)k;
		}
	}
}

/* All that has come, terminated.  eof_r: and the end with it. */
static inline size_t
h_read(int fd, char *buf, size_t size, bool *eof_r)
{
	size_t len = 0;
	ssize_t n;

	*eof_r = false;
	while (len < size - 1 && (n = recv(fd, buf + len, size - 1 - len, 0)) != -1) {
		if (n == 0) {
			*eof_r = true;
			break;
		}
		len += (size_t)n;
	}
	buf[len] = '\0';
	return len;
}

static inline bool
h_is_enhanced(const char *s)
{
	return s[0] >= '2' && s[0] <= '5' && s[1] == '.' && s[2] != '\0';
}

/* "250-a 250 b" -> codes with enhanced codes, joined by "|": "220|250|250 2.1.0". */
static inline void
h_codes(const char *replies, char *out, size_t size)
{
	size_t len = 0;

	out[0] = '\0';
	for (const char *s = replies, *lf; (lf = strchr(s, '\n')) != NULL; s = lf + 1) {
		int n = 3;

		if (s[3] == '-')
			continue;
		if (h_is_enhanced(s + 4))
			n = 4 + (int)strcspn(s + 4, " \r");
		len += (size_t)snprintf(out + len, size - len, "%s%.*s", len == 0 ? "" : "|",
		    n, s);
	}
}

/* Sends, lets all react, gives the codes of the replies; "!" at the end: closed. */
static inline const char *
h_talk(int fd, const char *s)
{
	static char replies[100000], codes[20000];
	bool eof;

	h_send(fd, s, strlen(s));
	h_pump(TURNS);
	h_read(fd, replies, sizeof(replies), &eof);
	h_codes(replies, codes, sizeof(codes) - 2);
	if (eof)
		strcat(codes, "!");
	return codes;
}

/* Until done(), with the helper thread in play; false: it never came. */
static inline bool
h_until(bool (*done)(void))
{
	for (int i = 0; i < 20000; i++) {
		if (done())
			return true;
		h_pump(2);
		nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
	}
	return false;
}
