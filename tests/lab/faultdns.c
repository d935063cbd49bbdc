/*
 * faultdns.c - a DNS server that answers, fails and lies by script, per server
 * address, name and type; UDP and TCP, changeable while it runs.  Must never
 * do what the script does not say (no recursion, no caching).
 * Read next: dnsscript.h (the script), dnsanswer.h (the packets).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tests/lab/lib/dnsanswer.h"
#include "tests/lab/lib/dnsscript.h"
#include "tests/lab/lib/endpoint.h"

#define SERVERS_MAX	64
#define CLIENTS_MAX	256
#define DELAYED_MAX	4096
#define MESSAGE_MAX	65535

enum client_kind { CLIENT_FREE = 0, CLIENT_DNS, CLIENT_CONTROL };

/* One address that is served: a UDP and a TCP socket on the same port. */
struct server {
	char	where[ENDPOINT_TEXT];
	int	udp, tcp;
};

/* A TCP connection: of a resolver, or of whoever changes the script. */
struct client {
	enum client_kind kind;
	int		 fd;
	unsigned	 serial;	/* tells a reused slot from the old one */
	size_t		 server;
	size_t		 len;
	uint8_t		 in[MESSAGE_MAX + 2];
};

/* An answer that waits for its time. */
struct delayed {
	int64_t			 due_ms;
	bool			 tcp;
	size_t			 server;
	size_t			 client;
	unsigned		 serial;
	struct sockaddr_storage	 peer;
	socklen_t		 peer_len;
	uint8_t			*data;
	size_t			 len;
};

static struct server servers[SERVERS_MAX];
static size_t nservers;
static struct client *clients[CLIENTS_MAX];
static struct delayed delayed[DELAYED_MAX];
static size_t ndelayed;
static struct dns_script *script;
static const char *script_path;
static FILE *log_file;
static unsigned long queries;
static volatile sig_atomic_t stop, reload;

static void
log_query(const struct server *s, bool tcp, const struct dns_query *q)
{
	struct timespec t;
	char type[16];

	queries++;
	if (!log_file)
		return;
	clock_gettime(CLOCK_REALTIME, &t);
	fprintf(log_file, "%lld.%03ld %s %s %s %s\n", (long long)t.tv_sec,
	    t.tv_nsec / 1000000, s->where, tcp ? "tcp" : "udp", q->name,
	    dns_type_name(q->type, type));
	fflush(log_file);
}

static void
send_tcp(struct client *c, const uint8_t *data, size_t len)
{
	uint8_t head[2] = { (uint8_t)(len >> 8), (uint8_t)len };

	/* Loopback takes 64 KiB at once; a peer that does not read loses it. */
	if (send(c->fd, head, 2, MSG_MORE | MSG_NOSIGNAL) == -1 ||
	    send(c->fd, data, len, MSG_NOSIGNAL) == -1)
		perror("faultdns: tcp send");
}

static void
send_answer(const struct delayed *d)
{
	if (!d->tcp) {
		sendto(servers[d->server].udp, d->data, d->len, 0,
		    (const struct sockaddr *)&d->peer, d->peer_len);
		return;
	}
	if (clients[d->client] && clients[d->client]->kind == CLIENT_DNS &&
	    clients[d->client]->serial == d->serial)
		send_tcp(clients[d->client], d->data, d->len);
}

static void
answer(struct delayed *d, const uint8_t *query, size_t len)
{
	static uint8_t out[MESSAGE_MAX];
	struct dns_query q;
	struct dns_plan plan;

	if (!dns_query_parse(query, len, &q))
		return;
	log_query(&servers[d->server], d->tcp, &q);
	dns_script_plan(script, servers[d->server].where, d->tcp, q.name,
	    q.type, &plan);
	if (plan.drop)
		return;
	d->len = dns_answer_build(script, servers[d->server].where, d->tcp,
	    &q, query, len, &plan, out, sizeof(out));
	if (d->len == 0)
		return;
	d->data = out;
	if (plan.delay_ms == 0 || ndelayed == DELAYED_MAX) {
		send_answer(d);
		return;
	}
	d->due_ms = endpoint_now_ms() + plan.delay_ms;
	d->data = malloc(d->len);
	if (!d->data)
		return;
	memcpy(d->data, out, d->len);
	delayed[ndelayed++] = *d;
}

static void
on_udp(size_t server)
{
	uint8_t query[MESSAGE_MAX];

	for (int i = 0; i < 100; i++) {
		struct delayed d = { .server = server };
		ssize_t n;

		d.peer_len = sizeof(d.peer);
		n = recvfrom(servers[server].udp, query, sizeof(query),
		    MSG_DONTWAIT, (struct sockaddr *)&d.peer, &d.peer_len);
		if (n <= 0)
			return;
		answer(&d, query, (size_t)n);
	}
}

static void
client_close(size_t i)
{
	close(clients[i]->fd);
	clients[i]->kind = CLIENT_FREE;
}

static void
client_open(int listener, enum client_kind kind, size_t server)
{
	static unsigned serial;
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	size_t i = 0;

	if (fd == -1)
		return;
	while (i < CLIENTS_MAX && clients[i] && clients[i]->kind != CLIENT_FREE)
		i++;
	if (i < CLIENTS_MAX && !clients[i])
		clients[i] = malloc(sizeof(*clients[i]));
	if (i == CLIENTS_MAX || !clients[i]) {
		close(fd);
		return;
	}
	clients[i]->kind = kind;
	clients[i]->fd = fd;
	clients[i]->serial = ++serial;
	clients[i]->server = server;
	clients[i]->len = 0;
}

static void
on_dns_bytes(size_t i)
{
	struct client *c = clients[i];

	while (c->len >= 2) {
		size_t want = (size_t)c->in[0] << 8 | c->in[1];
		struct delayed d = { .tcp = true, .server = c->server,
		    .client = i, .serial = c->serial };

		if (c->len < want + 2)
			return;
		answer(&d, c->in + 2, want);
		memmove(c->in, c->in + want + 2, c->len - want - 2);
		c->len -= want + 2;
	}
}

static bool
reread(char *why, size_t size)
{
	struct dns_script *fresh = dns_script_load(script_path, why, size);

	if (!fresh)
		return false;
	dns_script_free(&script);
	script = fresh;
	return true;
}

/* One line of the control socket; every line gets exactly one line back. */
static void
control_line(int fd, char *line)
{
	char why[256] = "";
	bool ok = true;

	if (strcmp(line, "reload") == 0)
		ok = reread(why, sizeof(why));
	else if (strcmp(line, "queries") == 0)
		snprintf(why, sizeof(why), "%lu", queries);
	else
		ok = dns_script_line(script, line, why, sizeof(why));
	dprintf(fd, "%s%s%s\n", ok ? "ok" : "error:", why[0] ? " " : "", why);
}

static void
on_control_bytes(size_t i)
{
	struct client *c = clients[i];
	uint8_t *end;

	while ((end = memchr(c->in, '\n', c->len))) {
		size_t used = (size_t)(end - c->in) + 1;

		*end = '\0';
		control_line(c->fd, (char *)c->in);
		memmove(c->in, c->in + used, c->len - used);
		c->len -= used;
	}
}

static void
on_client(size_t i)
{
	struct client *c = clients[i];
	ssize_t n = recv(c->fd, c->in + c->len, sizeof(c->in) - c->len,
	    MSG_DONTWAIT);

	if (n <= 0) {
		if (n == 0 || errno != EAGAIN)
			client_close(i);
		return;
	}
	c->len += (size_t)n;
	if (c->kind == CLIENT_DNS)
		on_dns_bytes(i);
	else
		on_control_bytes(i);
}

/* Sends what is due; returns the wait until the next one, -1: none. */
static int
run_delayed(void)
{
	int64_t now = endpoint_now_ms(), wait = -1;

	for (size_t i = 0; i < ndelayed;) {
		if (delayed[i].due_ms <= now) {
			send_answer(&delayed[i]);
			free(delayed[i].data);
			delayed[i] = delayed[--ndelayed];
			continue;
		}
		if (wait == -1 || delayed[i].due_ms - now < wait)
			wait = delayed[i].due_ms - now;
		i++;
	}
	return (int)wait;
}

static void
open_server(const char *where)
{
	struct server *s = &servers[nservers];
	struct endpoint e;

	if (nservers == SERVERS_MAX || !endpoint_parse(where, &e)) {
		fprintf(stderr, "faultdns: bad address %s\n", where);
		exit(64);
	}
	snprintf(s->where, sizeof(s->where), "%s", where);
	s->udp = endpoint_bind(&e, SOCK_DGRAM);
	s->tcp = endpoint_bind(&e, SOCK_STREAM);
	if (s->udp == -1 || s->tcp == -1) {
		fprintf(stderr, "faultdns: %s: %s\n", where, strerror(errno));
		exit(71);
	}
	nservers++;
}

static void
on_signal(int sig)
{
	if (sig == SIGHUP)
		reload = 1;
	else
		stop = 1;
}

static void
set_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigaction(SIGHUP, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
}

static size_t
watch(struct pollfd *p, int control)
{
	size_t n = 0;

	p[n++] = (struct pollfd){ .fd = control, .events = POLLIN };
	for (size_t i = 0; i < nservers; i++) {
		p[n++] = (struct pollfd){ .fd = servers[i].udp, .events = POLLIN };
		p[n++] = (struct pollfd){ .fd = servers[i].tcp, .events = POLLIN };
	}
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		bool used = clients[i] && clients[i]->kind != CLIENT_FREE;

		p[n++] = (struct pollfd){ .fd = used ? clients[i]->fd : -1,
		    .events = POLLIN };
	}
	return n;
}

static void
serve(int control)
{
	static struct pollfd p[1 + 2 * SERVERS_MAX + CLIENTS_MAX];
	size_t n = watch(p, control), first = 1 + 2 * nservers;

	if (poll(p, n, run_delayed()) <= 0)
		return;
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (p[first + i].fd != -1 && p[first + i].revents)
			on_client(i);
	for (size_t i = 0; i < nservers; i++) {
		if (p[1 + 2 * i].revents)
			on_udp(i);
		if (p[2 + 2 * i].revents)
			client_open(servers[i].tcp, CLIENT_DNS, i);
	}
	if (p[0].revents)
		client_open(control, CLIENT_CONTROL, 0);
}

int
main(int argc, char **argv)
{
	char why[256];
	int control = -1, opt;

	while ((opt = getopt(argc, argv, "s:l:c:")) != -1) {
		if (opt == 's')
			script_path = optarg;
		else if (opt == 'l')
			log_file = fopen(optarg, "ae");
		else if (opt == 'c')
			control = endpoint_control(optarg);
	}
	if (!script_path || optind == argc) {
		fputs("usage: faultdns -s SCRIPT [-l LOG] [-c SOCKET] ADDR:PORT...\n",
		    stderr);
		return 64;
	}
	script = dns_script_load(script_path, why, sizeof(why));
	if (!script) {
		fprintf(stderr, "faultdns: %s\n", why);
		return 78;
	}
	for (int i = optind; i < argc; i++)
		open_server(argv[i]);
	set_signals();
	puts("ready");
	fflush(stdout);
	while (!stop) {
		if (reload) {
			bool ok = reread(why, sizeof(why));

			reload = 0;
			puts(ok ? "reloaded" : why);
			fflush(stdout);
		}
		serve(control);
	}
	return 0;
}
