/*
 * listener.c - accepts connections, as many per turn as leave the others room.
 * Never blocks, never stops for good: without free descriptors it still tells
 * clients to come again, by one that it holds in reserve.
 * Read next: listener.h; session.c.
 */
#include "mta/rx/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf/addr.h"
#include "mta/base/counters.h"
#include "mta/base/log.h"
#include "mta/base/loop.h"
#include "mta/rx/rx.h"
#include "mta/rx/session.h"

#define ACCEPTS_PER_TURN 64
#define AGAIN_MS 100

/* An eventfd, not a copy of the socket: a copy would keep a closed port open. */
static void
reserve_take(struct rx_listener *l)
{
	if (l->rx->reserve_fd == -1)
		l->rx->reserve_fd = eventfd(0, EFD_CLOEXEC);
}

/* A dual-stack socket shows IPv4 clients as ::ffff:a.b.c.d. */
static void
client_of(const struct sockaddr_storage *ss, struct conf_addr *a)
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)ss;
	const struct sockaddr_in *four = (const struct sockaddr_in *)ss;

	memset(a, 0, sizeof(*a));
	a->family = AF_INET;
	if (ss->ss_family == AF_INET) {
		a->port = ntohs(four->sin_port);
		memcpy(a->ip, &four->sin_addr, 4);
	} else if (ss->ss_family == AF_INET6) {
		a->port = ntohs(six->sin6_port);
		if (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr)) {
			memcpy(a->ip, six->sin6_addr.s6_addr + 12, 4);
			return;
		}
		a->family = AF_INET6;
		memcpy(a->ip, &six->sin6_addr, 16);
	}
}

/* Without a session: there is room for none. */
static void
send_away(int fd)
{
	static const char line[] = "421 4.3.2 too many sessions, come again\r\n";

	(void)send(fd, line, sizeof(line) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
	counter_add(C_rx_refused_total, 1);
}

static unsigned
sessions_max(const struct rx_listener *l)
{
	unsigned n = l->conf->conf->rx_processes;

	return n > 1 ? (l->cl->sessions + n - 1) / n : l->cl->sessions;
}

/* The reserve pays for one more accept, only to say why not. */
static void
out_of_descriptors(struct rx_listener *l)
{
	int fd;

	if (l->rx->reserve_fd != -1) {
		close(l->rx->reserve_fd);
		l->rx->reserve_fd = -1;
		fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd != -1)
			send_away(fd);
		reserve_take(l);
	}
}

static void
rest(struct rx_listener *l, int err)
{
	log_warn("rx_accept_failed", "listener=%s err=\"%s\"", l->cl->name,
	    strerror(err));
	loop_io_want(l->io, false, false);
	loop_timer_set(l->again, AGAIN_MS);
}

/* True: look for another one. */
static bool
accept_one(struct rx_listener *l)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct conf_addr client;
	int fd = accept4(l->fd, (struct sockaddr *)&ss, &len,
	    SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd == -1) {
		int err = errno;

		if (err == EAGAIN || err == EWOULDBLOCK)
			return false;
		if (err == EINTR || err == ECONNABORTED)
			return true;
		if (err == EMFILE || err == ENFILE)
			out_of_descriptors(l);
		rest(l, err);
		return false;
	}
	if (l->sessions >= sessions_max(l)) {
		send_away(fd);
		return true;
	}
	client_of(&ss, &client);
	rx_session_new(l, fd, &client);
	return true;
}

static void
on_listening(void *ctx, bool readable, bool writable)
{
	struct rx_listener *l = ctx;

	(void)readable;
	(void)writable;
	for (int i = 0; i < ACCEPTS_PER_TURN && l->cl != NULL; i++)
		if (!accept_one(l))
			return;
}

static void
on_again(void *ctx)
{
	struct rx_listener *l = ctx;

	reserve_take(l);
	loop_io_want(l->io, true, false);
}

static bool
same_address(const struct conf_listener *a, const struct conf_listener *b)
{
	return a->any == b->any && a->address.port == b->address.port &&
	    (a->any || conf_addr_same_ip(&a->address, &b->address));
}

static struct rx_listener *
find(const struct rx *rx, const struct conf_listener *cl)
{
	LIST_EACH(it, &rx->listeners) {
		struct rx_listener *l = LIST_OWNER(it, struct rx_listener, node);

		if (same_address(l->cl, cl))
			return l;
	}
	return NULL;
}

static struct rx_listener *
listener_new(struct rx *rx, const struct conf_listener *cl)
{
	struct rx_listener *l = xcalloc(1, sizeof(*l));

	l->rx = rx;
	l->conf = rx_conf_ref(rx->conf);
	l->cl = cl;
	l->fd = -1;
	l->again = loop_timer_new(rx->loop, on_again, l);
	list_add_tail(&rx->listeners, &l->node);
	return l;
}

static void
socket_close(struct rx_listener *l)
{
	loop_timer_clear(l->again);
	loop_io_free(&l->io);
	close(l->fd);
	l->fd = -1;
}

void
rx_listener_open(struct rx *rx, uint32_t number, int fd)
{
	const struct conf *conf = rx->conf->conf;
	struct rx_listener *l;
	int on = 1;

	if (number >= conf->nlisteners || rx->draining) {
		if (!rx->draining)
			log_warn("rx_listener_unknown", "number=%u", number);
		close(fd);
		return;
	}
	l = find(rx, &conf->listeners[number]);
	if (l == NULL)
		l = listener_new(rx, &conf->listeners[number]);
	else
		socket_close(l);	/* the new one takes its place */
	l->fd = fd;
	/* Accepted sockets inherit it; other families do not know it. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	reserve_take(l);
	l->io = loop_io_new(rx->loop, fd, on_listening, l);
	loop_io_want(l->io, true, false);
}

void
rx_listener_reload(struct rx_listener *l)
{
	const struct conf *conf = l->rx->conf->conf;

	for (size_t i = 0; i < conf->nlisteners; i++) {
		if (!same_address(l->cl, &conf->listeners[i]))
			continue;
		rx_conf_unref(&l->conf);
		l->conf = rx_conf_ref(l->rx->conf);
		l->cl = &conf->listeners[i];
		return;
	}
	rx_listener_close(l);
}

static void
reap(void *ctx)
{
	struct rx_listener *l = ctx;

	rx_conf_unref(&l->conf);
	free(l);
}

void
rx_listener_close(struct rx_listener *l)
{
	if (l->cl == NULL)
		return;
	l->cl = NULL;
	list_del(&l->node);
	socket_close(l);
	loop_timer_free(&l->again);
	if (l->sessions == 0)
		loop_retire(l->rx->loop, l, reap);
}

struct rx_listener *
rx_listener_enter(struct rx_listener *l)
{
	l->sessions++;
	return l;
}

void
rx_listener_leave(struct rx_listener **lp)
{
	struct rx_listener *l = *lp;

	*lp = NULL;
	if (--l->sessions == 0 && l->cl == NULL)
		loop_retire(l->rx->loop, l, reap);
}
