/*
 * dns.c - the scripted name server of the unit tests.
 * Never used outside tests; knows no more of DNS than it takes to misbehave.
 * One thread serves both transports; a lock guards script and counts.
 * Read next: dns.h (what it can be told), tests/unit/dns/test_resolver.c.
 */
#include "tests/fake/dns.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define RULES_MAX 128
#define PORTS_MAX 1024
#define LATER_MAX 64

struct rule {
	char		question[300], what[4096];
	unsigned	asked, asked_tcp;
};

struct later {
	int64_t			due_ms;
	struct sockaddr_in	to;
	size_t			n;
	uint8_t			p[512];
};

struct fake_dns {
	pthread_t	thread;
	pthread_mutex_t	lock;
	int		udp, tcp, stop[2];
	uint16_t	port;
	struct rule	rules[RULES_MAX];
	size_t		nrules;
	uint16_t	ports[PORTS_MAX];
	size_t		nports;
	struct later	later[LATER_MAX];
	size_t		nlater;
};

/* An answer being written. */
struct out {
	uint8_t	p[65536];
	size_t	n;
	bool	send, wrong_first;
	long	slow_ms;
};

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- writing ---- */

static void
put(struct out *o, const void *p, size_t n)
{
	memcpy(o->p + o->n, p, n);
	o->n += n;
}

static void
put16(struct out *o, unsigned v)
{
	put(o, (uint8_t[]){ (uint8_t)(v >> 8), (uint8_t)v }, 2);
}

static void
put32(struct out *o, uint32_t v)
{
	put16(o, v >> 16);
	put16(o, v & 0xffff);
}

static void
put_name(struct out *o, const char *s)
{
	while (*s != '\0' && strcmp(s, ".") != 0) {
		const size_t n = strcspn(s, ".");
		const uint8_t len = (uint8_t)n;

		put(o, &len, 1);
		put(o, s, n);
		s += n + (s[n] == '.');
	}
	put(o, "", 1);
}

static void
put_rr(struct out *o, const char *owner, unsigned type, uint32_t ttl,
    const char *rdata)
{
	size_t len_at, pref;
	uint8_t ip[16];

	put_name(o, owner);
	put16(o, type);
	put16(o, 1);
	put32(o, ttl);
	len_at = o->n;
	put16(o, 0);
	if (type == 1 && inet_pton(AF_INET, rdata, ip) == 1) {
		put(o, ip, 4);
	} else if (type == 28 && inet_pton(AF_INET6, rdata, ip) == 1) {
		put(o, ip, 16);
	} else if (type == 6) {
		put_name(o, "ns.test");
		put_name(o, "root.test");
		for (int i = 0; i < 5; i++)
			put32(o, 60);
	} else if (type == 15) {
		pref = strtoul(rdata, NULL, 10);
		put16(o, (unsigned)pref);
		put_name(o, strchr(rdata, ' ') + 1);
	} else {
		put_name(o, rdata);
	}
	o->p[len_at] = (uint8_t)((o->n - len_at - 2) >> 8);
	o->p[len_at + 1] = (uint8_t)(o->n - len_at - 2);
}

/* ---- the script ---- */

static bool
word(const char **s, const char *w)
{
	const size_t n = strlen(w);

	if (strncasecmp(*s, w, n) != 0 || ((*s)[n] != ' ' && (*s)[n] != '\0'))
		return false;
	*s += n;
	*s += strspn(*s, " ");
	return true;
}

static void
put_records(struct out *o, const char *owner, unsigned type, uint32_t ttl,
    const char *list)
{
	char copy[4096], *save = NULL;

	snprintf(copy, sizeof copy, "%s", list);
	for (char *r = strtok_r(copy, ",", &save); r != NULL;
	     r = strtok_r(NULL, ",", &save)) {
		put_rr(o, owner, type, ttl, r + strspn(r, " "));
		o->p[7]++;
	}
}

static void
say_error(struct out *o, unsigned rcode)
{
	o->p[3] = (uint8_t)(0x80 | rcode);
}

static void
say(struct out *o, const char *what, const char *name, unsigned type, bool tcp)
{
	static const char *const rcodes[] = {
		"", "formerr", "servfail", "nxdomain", "notimp", "refused",
	};
	uint32_t ttl = 300;
	char *end;

	for (;;) {
		if (word(&what, "wrongid")) {
			o->wrong_first = true;
		} else if (word(&what, "slow")) {
			o->slow_ms = strtol(what, &end, 10);
			what = end + strspn(end, " ");
		} else if (word(&what, "ttl")) {
			ttl = (uint32_t)strtoul(what, &end, 10);
			what = end + strspn(end, " ");
		} else if (word(&what, "tc")) {
			if (!tcp) {
				o->p[2] |= 2;
				return;
			}
		} else if (word(&what, "garbled")) {
			if (!tcp) {
				o->p[7] = 9;	/* records that are not there */
				return;
			}
		} else {
			break;
		}
	}
	for (unsigned i = 1; i < 6; i++) {
		if (word(&what, rcodes[i])) {
			say_error(o, i);
			if (i == 3) {
				put_rr(o, "test", 6, 60, "");
				o->p[9] = 1;
			}
			return;
		}
	}
	if (word(&what, "rcode")) {
		say_error(o, (unsigned)strtoul(what, NULL, 10));
	} else if (word(&what, "silence")) {
		o->send = false;
	} else if (word(&what, "noquestion")) {
		say_error(o, 2);
		o->p[5] = 0;
		o->n = 12;
	} else if (word(&what, "nodata")) {
		put_rr(o, "test", 6, 60, "");
		o->p[9] = 1;
	} else if (word(&what, "referral")) {
		o->p[3] = 0;
		put_rr(o, "test", 2, 60, "ns.test");
		o->p[9] = 1;
	} else if (word(&what, "empty")) {
		return;
	} else if (word(&what, "cname")) {
		char target[256];
		const size_t n = strcspn(what, " ");

		snprintf(target, sizeof target, "%.*s", (int)n, what);
		put_rr(o, name, 5, ttl, target);
		o->p[7]++;
		put_records(o, target, type, ttl, what + n);
	} else {
		put_records(o, name, type, ttl, what);
	}
}

/* ---- serving ---- */

static struct rule *
rule_of(struct fake_dns *f, const char *question)
{
	struct rule *r;

	for (size_t i = 0; i < f->nrules; i++)
		if (strcasecmp(f->rules[i].question, question) == 0)
			return &f->rules[i];
	if (f->nrules == RULES_MAX)
		abort();
	r = &f->rules[f->nrules++];
	snprintf(r->question, sizeof r->question, "%s", question);
	snprintf(r->what, sizeof r->what, "nxdomain");
	return r;
}

static void
answer(struct fake_dns *f, const uint8_t *q, size_t n, bool tcp, struct out *o)
{
	char name[256] = "", key[300];
	size_t at = 12, len = 0;
	struct rule *r;
	unsigned type;

	o->n = 0;
	o->send = o->wrong_first = false;
	o->slow_ms = 0;
	while (at < n && q[at] != 0 && len + q[at] + 2 < sizeof name) {
		len += (size_t)snprintf(name + len, sizeof name - len, "%s%.*s",
		    len != 0 ? "." : "", q[at], (const char *)q + at + 1);
		at += q[at] + 1u;
	}
	type = (unsigned)q[at + 1] << 8 | q[at + 2];
	snprintf(key, sizeof key, "%s %s", type == 1 ? "A" : type == 28 ?
	    "AAAA" : type == 15 ? "MX" : "?", name);
	put(o, q, at + 5);
	o->p[2] = 0x81;			/* QR, RD */
	o->p[3] = 0x80;			/* RA */
	o->send = true;
	pthread_mutex_lock(&f->lock);
	r = rule_of(f, key);
	r->asked++;
	r->asked_tcp += tcp;
	say(o, r->what, name, type, tcp);
	pthread_mutex_unlock(&f->lock);
}

static void
note_port(struct fake_dns *f, uint16_t port)
{
	pthread_mutex_lock(&f->lock);
	for (size_t i = 0; i < f->nports; i++) {
		if (f->ports[i] == port) {
			pthread_mutex_unlock(&f->lock);
			return;
		}
	}
	if (f->nports < PORTS_MAX)
		f->ports[f->nports++] = port;
	pthread_mutex_unlock(&f->lock);
}

static void
serve_udp(struct fake_dns *f, struct out *o)
{
	struct sockaddr_in from;
	socklen_t len = sizeof from;
	uint8_t q[512];
	ssize_t n = recvfrom(f->udp, q, sizeof q, 0, (void *)&from, &len);

	if (n < 17)
		return;
	note_port(f, from.sin_port);
	answer(f, q, (size_t)n, false, o);
	if (!o->send)
		return;
	if (o->slow_ms != 0 && f->nlater < LATER_MAX && o->n <= 512) {
		struct later *l = &f->later[f->nlater++];

		l->due_ms = now_ms() + o->slow_ms;
		l->to = from;
		l->n = o->n;
		memcpy(l->p, o->p, o->n);
		return;
	}
	if (o->wrong_first) {
		o->p[0] ^= 0x55;
		(void)!sendto(f->udp, o->p, o->n, 0, (void *)&from, len);
		(void)!sendto(f->udp, o->p, 0, 0, (void *)&from, len);
		o->p[0] ^= 0x55;
	}
	(void)!sendto(f->udp, o->p, o->n, 0, (void *)&from, len);
}

/* One connection, until the client closes it; tests ask one thing at a time. */
static void
serve_tcp(struct fake_dns *f, struct out *o)
{
	const struct timeval tv = { .tv_sec = 1 };
	uint8_t q[514];
	int fd = accept(f->tcp, NULL, NULL);

	if (fd == -1)
		return;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
	while (recv(fd, q, 2, MSG_WAITALL) == 2) {
		const size_t n = (size_t)q[0] << 8 | q[1];
		uint8_t head[2];

		if (n > 512 || recv(fd, q + 2, n, MSG_WAITALL) != (ssize_t)n)
			break;
		answer(f, q + 2, n, true, o);
		if (!o->send)
			continue;
		head[0] = (uint8_t)(o->n >> 8);
		head[1] = (uint8_t)o->n;
		(void)!send(fd, head, 2, MSG_NOSIGNAL | MSG_MORE);
		(void)!send(fd, o->p, o->n, MSG_NOSIGNAL);
	}
	close(fd);
}

static int
send_due(struct fake_dns *f)
{
	int wait = -1;

	for (size_t i = 0; i < f->nlater;) {
		struct later *l = &f->later[i];
		const int64_t left = l->due_ms - now_ms();

		if (left > 0) {
			if (wait == -1 || left < wait)
				wait = (int)left;
			i++;
			continue;
		}
		(void)!sendto(f->udp, l->p, l->n, 0, (void *)&l->to, sizeof l->to);
		*l = f->later[--f->nlater];
	}
	return wait;
}

static void *
serve(void *ctx)
{
	struct fake_dns *f = ctx;
	struct out *o = malloc(sizeof *o);
	struct pollfd p[] = {
		{ .fd = f->stop[0], .events = POLLIN },
		{ .fd = f->udp, .events = POLLIN },
		{ .fd = f->tcp, .events = POLLIN },
	};

	while (poll(p, 3, send_due(f)) != -1 && p[0].revents == 0) {
		if (p[1].revents != 0)
			serve_udp(f, o);
		if (p[2].revents != 0)
			serve_tcp(f, o);
	}
	free(o);
	return NULL;
}

static int
bound(int type, uint16_t *port)
{
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_port = htons(*port),
		.sin_addr = { .s_addr = htonl(INADDR_LOOPBACK) },
	};
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	if (bind(fd, (void *)&a, len) != 0) {
		close(fd);
		return -1;
	}
	getsockname(fd, (void *)&a, &len);
	*port = ntohs(a.sin_port);
	return fd;
}

struct fake_dns *
fake_dns_start(void)
{
	struct fake_dns *f = calloc(1, sizeof *f);

	pthread_mutex_init(&f->lock, NULL);
	do {
		f->port = 0;
		f->udp = bound(SOCK_DGRAM, &f->port);
		f->tcp = bound(SOCK_STREAM, &f->port);
		if (f->tcp == -1)
			close(f->udp);
	} while (f->tcp == -1);
	if (listen(f->tcp, 16) != 0 || pipe2(f->stop, O_CLOEXEC) != 0 ||
	    pthread_create(&f->thread, NULL, serve, f) != 0)
		abort();
	return f;
}

void
fake_dns_stop(struct fake_dns **f)
{
	(void)!write((*f)->stop[1], "", 1);
	pthread_join((*f)->thread, NULL);
	close((*f)->udp);
	close((*f)->tcp);
	close((*f)->stop[0]);
	close((*f)->stop[1]);
	pthread_mutex_destroy(&(*f)->lock);
	free(*f);
	*f = NULL;
}

uint16_t
fake_dns_port(const struct fake_dns *f)
{
	return f->port;
}

void
fake_dns_say(struct fake_dns *f, const char *question, const char *what)
{
	struct rule *r;

	pthread_mutex_lock(&f->lock);
	r = rule_of(f, question);
	snprintf(r->what, sizeof r->what, "%s", what);
	pthread_mutex_unlock(&f->lock);
}

unsigned
fake_dns_asked(struct fake_dns *f, const char *question)
{
	unsigned n;

	pthread_mutex_lock(&f->lock);
	n = rule_of(f, question)->asked;
	pthread_mutex_unlock(&f->lock);
	return n;
}

unsigned
fake_dns_asked_tcp(struct fake_dns *f, const char *question)
{
	unsigned n;

	pthread_mutex_lock(&f->lock);
	n = rule_of(f, question)->asked_tcp;
	pthread_mutex_unlock(&f->lock);
	return n;
}

unsigned
fake_dns_ports(struct fake_dns *f)
{
	unsigned n;

	pthread_mutex_lock(&f->lock);
	n = (unsigned)f->nports;
	pthread_mutex_unlock(&f->lock);
	return n;
}
