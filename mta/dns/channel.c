/*
 * channel.c - c-ares 1.18.1 as a carrier of packets, and nothing more: ids,
 * retries, timeouts and judgement are ours.
 * Never destroys a c-ares channel and never sends from inside one of its
 * callbacks (they may run inside ares_send): what they report is noted and
 * handed on by a timer.  Read next: channel.h, question.c.
 */
#include "mta/dns/channel.h"

#include <ares.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "mta/base/counters.h"
#include "mta/base/list.h"
#include "mta/base/log.h"
#include "mta/base/loop.h"
#include "mta/base/mem.h"
#include "mta/dns/packet.h"

#define CARRIER_QUESTIONS 64u
#define WIRE_SLACK_MS 500	/* c-ares forgets a question so long after us */
#define RECV_AT_ONCE 64		/* stray packets taken off a socket in one go */

struct watch {
	struct list	 node;
	struct carrier	*carrier;
	int		 fd;
	struct loop_io	*io;
};

/* One c-ares channel with its socket. */
struct carrier {
	struct list		 node;		/* in channel->carriers */
	struct dns_channel		*channel;
	ares_channel		 ares;
	struct list		 watches;
	struct list		 wires;		/* what c-ares still holds */
	struct loop_timer	*forget;	/* c-ares drops what is overdue */
	unsigned		 used, out;
};

/* A question as c-ares holds it; may outlive the ask. */
struct wire {
	struct list		 node;
	struct carrier		*carrier;
	struct dns_packet_ask	*ask;		/* NULL: nobody waits now */
	size_t			 n;
	uint8_t			 query[PACKET_QUERY_MAX];
};

struct dns_packet_ask {
	struct list		 node;		/* in channel's asks or ended */
	struct dns_channel		*channel;
	struct wire		*wire;		/* NULL: c-ares is done */
	struct loop_timer	*timer;
	dns_channel_fn		*fn;
	void			*ctx;
	enum channel_end	 end;
	uint8_t			*reply;		/* owned */
	size_t			 reply_len;
};

struct dns_channel {
	struct loop		*loop;
	struct conf_addr	 server;
	bool			 tcp;
	struct list		 carriers;	/* first: the one in use */
	struct list		 asks, ended;
	struct loop_timer	*hand_on;
};

/* ---- c-ares calls these ---- */

static ares_socket_t
on_socket(int family, int type, int protocol, void *ctx)
{
	(void)ctx;
	return socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
}

static int
on_close(ares_socket_t fd, void *ctx)
{
	(void)ctx;
	return close(fd);
}

static int
on_connect(ares_socket_t fd, const struct sockaddr *sa, ares_socklen_t n,
    void *ctx)
{
	(void)ctx;
	return connect(fd, sa, n);
}

static ares_ssize_t
on_send(ares_socket_t fd, const struct iovec *iov, int n, void *ctx)
{
	const struct msghdr m = {
		.msg_iov = (struct iovec *)(uintptr_t)iov,
		.msg_iovlen = (size_t)n,
	};

	(void)ctx;
	return sendmsg(fd, &m, MSG_NOSIGNAL);
}

static bool
was_asked(const struct carrier *c, const uint8_t *p, size_t n)
{
	LIST_EACH(it, &c->wires) {
		const struct wire *w = LIST_OWNER(it, struct wire, node);

		if (packet_is_answer(w->query, w->n, p, n))
			return true;
	}
	return false;
}

/*
 * A datagram that answers none of our questions is not an answer: c-ares must
 * not see it (an empty one would even make it give up the server).
 */
static ares_ssize_t
on_recv(ares_socket_t fd, void *p, size_t size, int flags,
    struct sockaddr *from, ares_socklen_t *from_len, void *ctx)
{
	const struct carrier *c = ctx;

	if (c->channel->tcp)
		return recv(fd, p, size, flags);
	for (int i = 0; i < RECV_AT_ONCE; i++) {
		ssize_t n = recvfrom(fd, p, size, flags, from, from_len);

		if (n == -1)
			return -1;
		if (was_asked(c, p, (size_t)n))
			return n;
		counter_add(C_dns_ignored_packets_total, 1);
	}
	errno = EAGAIN;
	return -1;
}

static const struct ares_socket_functions socket_functions = {
	.asocket = on_socket, .aclose = on_close, .aconnect = on_connect,
	.arecvfrom = on_recv, .asendv = on_send,
};

static void
on_ready(void *ctx, bool readable, bool writable)
{
	struct watch *w = ctx;
	const int fd = w->fd;		/* w may be gone when this returns */

	ares_process_fd(w->carrier->ares, readable ? fd : ARES_SOCKET_BAD,
	    writable ? fd : ARES_SOCKET_BAD);
}

static void
on_socket_state(void *ctx, ares_socket_t fd, int readable, int writable)
{
	struct carrier *c = ctx;
	struct watch *w = NULL;

	LIST_EACH(it, &c->watches)
		if (LIST_OWNER(it, struct watch, node)->fd == fd)
			w = LIST_OWNER(it, struct watch, node);
	if (!readable && !writable) {
		if (w == NULL)
			return;
		list_del(&w->node);
		loop_io_free(&w->io);
		free(w);
		return;
	}
	if (w == NULL) {
		w = xcalloc(1, sizeof *w);
		w->carrier = c;
		w->fd = fd;
		w->io = loop_io_new(c->channel->loop, fd, on_ready, w);
		list_add_tail(&c->watches, &w->node);
	}
	loop_io_want(w->io, readable != 0, writable != 0);
}

/* The ask is over; its function is called by the timer. */
static void
ask_end(struct dns_packet_ask *a, enum channel_end end)
{
	a->end = end;
	loop_timer_clear(a->timer);
	list_del(&a->node);
	list_add_tail(&a->channel->ended, &a->node);
	loop_timer_set(a->channel->hand_on, 0);
}

static void
on_answer(void *ctx, int status, int timeouts, unsigned char *p, int n)
{
	struct wire *w = ctx;
	struct dns_packet_ask *a = w->ask;

	(void)timeouts;
	list_del(&w->node);
	w->carrier->out--;
	loop_timer_set(w->carrier->channel->hand_on, 0);
	free(w);
	if (a == NULL)
		return;
	a->wire = NULL;
	if (status == ARES_SUCCESS && p != NULL && n > 0) {
		a->reply = xmalloc((size_t)n);
		a->reply_len = (size_t)n;
		memcpy(a->reply, p, a->reply_len);
		ask_end(a, CHANNEL_ANSWER);
	} else if (status == ARES_ETIMEOUT) {
		ask_end(a, CHANNEL_SILENCE);
	} else {
		ask_end(a, CHANNEL_BROKEN);
	}
}

/* ---- carriers ---- */

static void
on_forget(void *ctx)
{
	struct carrier *c = ctx;

	ares_process_fd(c->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	if (c->out != 0)
		loop_timer_set(c->forget, WIRE_SLACK_MS);
}

static bool
set_server(struct carrier *c)
{
	const struct conf_addr *s = &c->channel->server;
	const int port = s->port != 0 ? s->port : 53;
	struct ares_addr_port_node node = {
		.family = s->family, .udp_port = port, .tcp_port = port,
	};

	memcpy(&node.addr, s->ip, s->family == AF_INET ? 4 : 16);
	return ares_set_servers_ports(c->ares, &node) == ARES_SUCCESS;
}

/*
 * Everything is given, so that c-ares reads neither resolv.conf nor the
 * environment.  Its own time limit only clears what we have long given up.
 */
static bool
carrier_init(struct carrier *c, int64_t timeout_ms)
{
	struct in_addr none = { .s_addr = htonl(INADDR_LOOPBACK) };
	char lookups[] = "b";
	struct ares_options o = {
		.flags = ARES_FLAG_NOCHECKRESP | ARES_FLAG_IGNTC |
		    ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES |
		    (c->channel->tcp ? ARES_FLAG_USEVC : 0),
		.timeout = (int)(timeout_ms + WIRE_SLACK_MS),
		.tries = 1, .ndots = 1, .lookups = lookups,
		.servers = &none, .nservers = 1,
		.sock_state_cb = on_socket_state, .sock_state_cb_data = c,
	};

	if (ares_init_options(&c->ares, &o, ARES_OPT_FLAGS |
	    ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS |
	    ARES_OPT_LOOKUPS | ARES_OPT_SERVERS | ARES_OPT_DOMAINS |
	    ARES_OPT_SORTLIST | ARES_OPT_NOROTATE |
	    ARES_OPT_SOCK_STATE_CB) != ARES_SUCCESS)
		return false;
	ares_set_socket_functions(c->ares, &socket_functions, c);
	if (set_server(c))
		return true;
	ares_destroy(c->ares);
	return false;
}

static void
carrier_free(struct carrier *c)
{
	ares_destroy(c->ares);	/* ends what is out: on_answer() */
	loop_timer_free(&c->forget);
	list_del(&c->node);
	free(c);
}

static struct carrier *
carrier_in_use(struct dns_channel *ch, int64_t timeout_ms)
{
	struct carrier *c;

	if (!list_empty(&ch->carriers)) {
		c = LIST_OWNER(ch->carriers.next, struct carrier, node);
		if (c->used < CARRIER_QUESTIONS)
			return c;
	}
	c = xcalloc(1, sizeof *c);
	c->channel = ch;
	list_init(&c->watches);
	list_init(&c->wires);
	if (!carrier_init(c, timeout_ms)) {
		log_warn("dns_channel", "what=\"c-ares could not be set up\"");
		free(c);
		return NULL;
	}
	c->forget = loop_timer_new(ch->loop, on_forget, c);
	list_add_head(&ch->carriers, &c->node);
	return c;
}

/* ---- the channel ---- */

static void
ask_free(struct dns_packet_ask *a)
{
	if (a->wire != NULL)
		a->wire->ask = NULL;
	loop_timer_free(&a->timer);
	list_del(&a->node);
	free(a->reply);
	free(a);
}

/* Outside all callbacks of c-ares: hands on what ended, drops worn carriers. */
static void
on_hand_on(void *ctx)
{
	struct dns_channel *ch = ctx;

	while (!list_empty(&ch->ended)) {
		struct dns_packet_ask *a =
		    LIST_OWNER(ch->ended.next, struct dns_packet_ask, node);
		uint8_t *reply = a->reply;
		const size_t n = a->reply_len;
		const enum channel_end end = a->end;
		dns_channel_fn *fn = a->fn;
		void *fn_ctx = a->ctx;

		a->reply = NULL;
		ask_free(a);
		fn(fn_ctx, end, reply, n);
		free(reply);
	}
	LIST_EACH_SAFE(it, &ch->carriers) {
		struct carrier *c = LIST_OWNER(it, struct carrier, node);

		if (c->used >= CARRIER_QUESTIONS && c->out == 0)
			carrier_free(c);
	}
}

static void
on_silence(void *ctx)
{
	struct dns_packet_ask *a = ctx;

	if (a->wire != NULL)
		a->wire->ask = NULL;
	a->wire = NULL;
	ask_end(a, CHANNEL_SILENCE);
}

struct dns_channel *
dns_channel_new(struct loop *loop, const struct conf_addr *server, bool tcp)
{
	struct dns_channel *ch = xcalloc(1, sizeof *ch);

	ch->loop = loop;
	ch->server = *server;
	ch->tcp = tcp;
	list_init(&ch->carriers);
	list_init(&ch->asks);
	list_init(&ch->ended);
	ch->hand_on = loop_timer_new(loop, on_hand_on, ch);
	return ch;
}

void
dns_channel_free(struct dns_channel **chp)
{
	struct dns_channel *ch = *chp;

	if (ch == NULL)
		return;
	*chp = NULL;
	LIST_EACH_SAFE(it, &ch->asks)
		ask_free(LIST_OWNER(it, struct dns_packet_ask, node));
	LIST_EACH_SAFE(it, &ch->ended)
		ask_free(LIST_OWNER(it, struct dns_packet_ask, node));
	LIST_EACH_SAFE(it, &ch->carriers)
		carrier_free(LIST_OWNER(it, struct carrier, node));
	loop_timer_free(&ch->hand_on);
	free(ch);
}

static void
send_query(struct dns_channel *ch, struct dns_packet_ask *a,
    const uint8_t *query, size_t n, int64_t timeout_ms)
{
	struct carrier *c = carrier_in_use(ch, timeout_ms);
	struct wire *w;

	if (c == NULL || n > PACKET_QUERY_MAX) {
		ask_end(a, CHANNEL_BROKEN);
		return;
	}
	w = xcalloc(1, sizeof *w);
	w->carrier = c;
	w->ask = a;
	w->n = n;
	memcpy(w->query, query, n);
	a->wire = w;
	list_add_tail(&c->wires, &w->node);
	c->used++;
	c->out++;
	if (!loop_timer_is_set(c->forget))
		loop_timer_set(c->forget, timeout_ms + 2 * WIRE_SLACK_MS);
	ares_send(c->ares, query, (int)n, on_answer, w);
}

struct dns_packet_ask *
dns_channel_ask(struct dns_channel *ch, const uint8_t *query, size_t n,
    int64_t timeout_ms, dns_channel_fn *fn, void *ctx)
{
	struct dns_packet_ask *a = xcalloc(1, sizeof *a);

	a->channel = ch;
	a->fn = fn;
	a->ctx = ctx;
	a->timer = loop_timer_new(ch->loop, on_silence, a);
	loop_timer_set(a->timer, timeout_ms);
	list_add_tail(&ch->asks, &a->node);
	counter_add(C_dns_questions_total, 1);
	send_query(ch, a, query, n, timeout_ms);
	return a;
}

void
dns_channel_abandon(struct dns_packet_ask **a)
{
	if (*a != NULL)
		ask_free(*a);
	*a = NULL;
}
