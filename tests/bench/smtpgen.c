/*
 * smtpgen.c - a fast SMTP client for measurements and crash tests: N
 * connections, M numbered messages; notes every number that got its 250.
 * Must never count a message as taken without a 2xx reply to its dot.
 * Read next: tests/lab/lib/tally.h (the far end, which ticks the numbers off).
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/lab/lib/endpoint.h"

#define IN_SIZE 8192

/* What the next reply is about. */
enum wait_for { W_GREETING = 0, W_EHLO, W_MAIL, W_RCPT, W_DATA, W_DOT, W_QUIT, W_CONNECT };

struct conn {
	int		 fd;
	enum wait_for	 wait;
	bool		 ok;		/* no refusal so far in this transaction */
	unsigned	 rcpts_left;
	long		 number;	/* of the message under way; -1: none */
	long		 sent_here;	/* messages on this connection */
	int64_t		 began_us, retry_us;
	size_t		 in_len;
	char		 in[IN_SIZE];
	const char	*out;		/* what is left to write */
	size_t		 out_len;
	char		*buffer;	/* owned: the bytes of out */
};

struct options {
	struct endpoint	 to;
	long		 messages, first;
	unsigned	 connections, rcpts;
	long		 per_connection;	/* 0: no bound */
	size_t		 size;
	bool		 pipelining;
	bool		 patient;		/* go on after refusals and losses */
	long		 rate;			/* messages a second, 0: no bound */
	double		 deadline_s;
	const char	*sender, *domain;
	unsigned	 domains;		/* d0.DOMAIN, d1.DOMAIN … when above 1 */
	const char	*taken_path;
};

static struct options opt = { .messages = 1000, .connections = 10, .rcpts = 1, .size = 1024, .deadline_s = 600,
    .sender = "bench@here.test", .domain = "far.test", .domains = 1 };
static struct conn *conns;
static int epfd;
static long next_number, taken, refused, lost, retries;
static long *again;		/* numbers to send once more */
static size_t nagain;
static FILE *taken_file;
static char *filler;
static uint32_t *latency_us;
static char last_error[256];
static int64_t start_us;
static volatile sig_atomic_t stop;

static int64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static long
done_count(void)
{
	return taken + (opt.patient ? 0 : refused + lost);
}

static void
watch(struct conn *c, int op, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = c };

	epoll_ctl(epfd, op, c->fd, &e);
}

static void
connect_start(struct conn *c)
{
	int one = 1;

	c->fd = socket(opt.to.addr.ss_family,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd == -1) {
		perror("smtpgen: socket");
		exit(71);
	}
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	c->in_len = c->out_len = 0;
	c->sent_here = 0;
	c->number = -1;
	c->wait = W_CONNECT;
	connect(c->fd, (struct sockaddr *)&opt.to.addr, opt.to.len);
	watch(c, EPOLL_CTL_ADD, EPOLLOUT);
}

/* The message under way counts as neither taken nor refused. */
static void
conn_lost(struct conn *c, const char *why)
{
	if (why)
		snprintf(last_error, sizeof(last_error), "%s", why);
	close(c->fd);
	c->fd = -1;
	if (c->number != -1) {
		if (opt.patient) {
			again[nagain++] = c->number;
			retries++;
		} else {
			lost++;
		}
		c->number = -1;
	}
	c->retry_us = now_us() + (why ? 20000 : 0);
}

static void
write_out(struct conn *c)
{
	while (c->out_len) {
		ssize_t n = send(c->fd, c->out, c->out_len, MSG_NOSIGNAL);

		if (n == -1 && errno == EAGAIN) {
			watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
			return;
		}
		if (n == -1) {
			conn_lost(c, strerror(errno));
			return;
		}
		c->out += n;
		c->out_len -= (size_t)n;
	}
	watch(c, EPOLL_CTL_MOD, EPOLLIN);
}

static void
send_text(struct conn *c, size_t n)
{
	c->out = c->buffer;
	c->out_len = n;
	write_out(c);
}

static size_t
put_envelope(struct conn *c, char *p)
{
	char domain[256];
	char *start = p;

	snprintf(domain, sizeof(domain), "%s", opt.domain);
	if (opt.domains > 1)
		snprintf(domain, sizeof(domain), "d%ld.%s",
		    c->number % (long)opt.domains, opt.domain);
	p += sprintf(p, "MAIL FROM:<%s>\r\n", opt.sender);
	if (!opt.pipelining)
		return (size_t)(p - start);
	for (unsigned i = 0; i < opt.rcpts; i++)
		p += sprintf(p, "RCPT TO:<u%u@%s>\r\n", i, domain);
	p += sprintf(p, "DATA\r\n");
	return (size_t)(p - start);
}

static size_t
put_rcpt(struct conn *c, char *p)
{
	if (opt.domains > 1)
		return (size_t)sprintf(p, "RCPT TO:<u%u@d%ld.%s>\r\n",
		    c->rcpts_left, c->number % (long)opt.domains, opt.domain);
	return (size_t)sprintf(p, "RCPT TO:<u%u@%s>\r\n", c->rcpts_left,
	    opt.domain);
}

static size_t
put_body(struct conn *c, char *p)
{
	char *start = p;
	size_t n;

	p += sprintf(p, "From: <%s>\r\nTo: <u0@%s>\r\nSubject: bench\r\n"
	    "Message-ID: <%ld.bench@here.test>\r\nX-Bench: %ld\r\n\r\n",
	    opt.sender, opt.domain, c->number, c->number);
	n = (size_t)(p - start);
	if (opt.size > n) {
		memcpy(p, filler, opt.size - n);
		p += opt.size - n;
	}
	if (p[-1] == '\r')
		p--;		/* cut between CR and LF */
	if (p[-1] != '\n')
		p += sprintf(p, "\r\n");
	p += sprintf(p, ".\r\n");
	return (size_t)(p - start);
}

/* -1: nothing to send now. */
static long
take_number(void)
{
	if (opt.rate) {
		int64_t us = now_us() - start_us;

		if (next_number >= us * opt.rate / 1000000)
			return -1;
	}
	if (nagain)
		return again[--nagain];
	return next_number < opt.messages ? opt.first + next_number++ : -1;
}

static void
begin_message(struct conn *c)
{
	bool full = opt.per_connection && c->sent_here == opt.per_connection;

	c->number = full ? -1 : take_number();
	if (c->number == -1) {
		if (opt.rate && !full && done_count() < opt.messages) {
			c->wait = W_EHLO;	/* idle until its time */
			c->retry_us = now_us() + 1000;
			return;
		}
		if (nagain == 0 && !full && opt.patient &&
		    done_count() < opt.messages) {
			c->wait = W_EHLO;	/* another's loss may come */
			c->retry_us = now_us() + 20000;
			return;
		}
		c->wait = W_QUIT;
		send_text(c, (size_t)sprintf(c->buffer, "QUIT\r\n"));
		return;
	}
	c->sent_here++;
	c->began_us = now_us();
	c->ok = true;
	c->rcpts_left = opt.rcpts;
	c->wait = W_MAIL;
	send_text(c, put_envelope(c, c->buffer));
}

static void
message_done(struct conn *c, const char *line)
{
	if (c->ok && line[0] == '2') {
		if (taken < opt.messages)
			latency_us[taken] = (uint32_t)(now_us() - c->began_us);
		taken++;
		if (taken_file)
			fprintf(taken_file, "%ld\n", c->number);
	} else {
		snprintf(last_error, sizeof(last_error), "%.200s", line);
		if (opt.patient) {
			again[nagain++] = c->number;
			retries++;
		} else {
			refused++;
		}
	}
	c->number = -1;
	begin_message(c);
}

static void
refuse_transaction(struct conn *c, const char *line)
{
	c->ok = false;
	snprintf(last_error, sizeof(last_error), "%.200s", line);
}

/* Without pipelining a refusal ends the transaction; with it DATA still answers. */
static void
on_envelope_reply(struct conn *c, const char *line)
{
	bool good = line[0] == '2';

	if (!good)
		refuse_transaction(c, line);
	if (!good && !opt.pipelining) {
		message_done(c, line);
		return;
	}
	if (c->wait == W_RCPT)
		c->rcpts_left--;
	if (c->rcpts_left) {
		c->wait = W_RCPT;
		if (!opt.pipelining)
			send_text(c, put_rcpt(c, c->buffer));
		return;
	}
	c->wait = W_DATA;
	if (!opt.pipelining)
		send_text(c, (size_t)sprintf(c->buffer, "DATA\r\n"));
}

static void
on_reply(struct conn *c, const char *line)
{
	switch (c->wait) {
	case W_CONNECT:
	case W_GREETING:
		if (line[0] != '2') {
			conn_lost(c, line);
			return;
		}
		c->wait = W_EHLO;
		c->retry_us = 0;
		send_text(c, (size_t)sprintf(c->buffer, "EHLO gen.test\r\n"));
		break;
	case W_EHLO:
		begin_message(c);
		break;
	case W_MAIL:
	case W_RCPT:
		on_envelope_reply(c, line);
		break;
	case W_DATA:
		if (line[0] != '3') {
			refuse_transaction(c, line);
			message_done(c, line);
			break;
		}
		c->wait = W_DOT;
		send_text(c, put_body(c, c->buffer));
		break;
	case W_DOT:
		message_done(c, line);
		break;
	case W_QUIT:
		conn_lost(c, NULL);
		break;
	}
}

static void
on_input(struct conn *c)
{
	size_t used = 0;
	char *lf;
	ssize_t n = recv(c->fd, c->in + c->in_len, IN_SIZE - c->in_len, 0);

	if (n == -1 && errno == EAGAIN)
		return;
	if (n <= 0) {
		conn_lost(c, n == 0 ? "connection closed" : strerror(errno));
		return;
	}
	c->in_len += (size_t)n;
	while (c->fd != -1 &&
	    (lf = memchr(c->in + used, '\n', c->in_len - used))) {
		char *line = c->in + used;

		used = (size_t)(lf - c->in) + 1;
		*lf = '\0';
		if (lf - line > 4 && line[3] == '-')
			continue;
		on_reply(c, line);
	}
	if (c->fd == -1)
		return;
	memmove(c->in, c->in + used, c->in_len - used);
	c->in_len -= used;
	if (c->in_len == IN_SIZE)
		conn_lost(c, "line too long");
}

static void
on_event(struct conn *c, uint32_t events)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (c->fd == -1)
		return;
	if (c->wait == W_CONNECT) {
		getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len);
		if (err) {
			conn_lost(c, strerror(err));
			return;
		}
		c->wait = W_GREETING;
		watch(c, EPOLL_CTL_MOD, EPOLLIN);
		return;
	}
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		on_input(c);
	if (c->fd != -1 && events & EPOLLOUT)
		write_out(c);
}

/* Connections whose time has come; false: there is nothing left to wait for. */
static bool
wake(void)
{
	int64_t now = now_us();
	bool left = done_count() < opt.messages;
	bool any = false;

	for (unsigned i = 0; i < opt.connections; i++) {
		struct conn *c = &conns[i];

		if (c->fd != -1) {
			any = true;
			if (c->wait == W_EHLO && c->retry_us &&
			    c->retry_us <= now) {
				c->retry_us = 0;
				begin_message(c);
			}
		} else if (left && (nagain || next_number < opt.messages) &&
		    c->retry_us <= now) {
			any = true;
			connect_start(c);
		} else if (left && opt.patient) {
			any = true;
		}
	}
	return any;
}

static int
by_value(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void
report(double seconds)
{
	long n = taken < opt.messages ? taken : opt.messages;

	qsort(latency_us, (size_t)n, sizeof(*latency_us), by_value);
	printf("taken=%ld refused=%ld lost=%ld retries=%ld seconds=%.3f "
	    "rate=%.0f p50_ms=%.2f p99_ms=%.2f", taken, refused, lost,
	    retries, seconds, seconds > 0 ? (double)taken / seconds : 0,
	    n ? latency_us[n / 2] / 1000.0 : 0,
	    n ? latency_us[n * 99 / 100] / 1000.0 : 0);
	printf(" last_error=\"%s\"\n", last_error);
}

static int
usage(void)
{
	fputs("usage: smtpgen [-c CONNECTIONS] [-m MESSAGES] [-n PER_CONNECTION]"
	    " [-l SIZE]\n    [-r RCPTS] [-f SENDER] [-d DOMAIN] [-D DOMAINS]"
	    " [-i FIRST] [-R RATE] [-t SECONDS]\n"
	    "    [-a TAKEN_FILE] [-p] [-k] ADDR:PORT\n"
	    "-p pipelines, -k keeps at it until every message is taken\n",
	    stderr);
	return 64;
}

static bool
options(int argc, char **argv)
{
	int o;

	while ((o = getopt(argc, argv, "c:m:n:l:r:f:d:D:i:R:t:a:pk")) != -1) {
		switch (o) {
		case 'c': opt.connections = (unsigned)atoi(optarg); break;
		case 'm': opt.messages = atol(optarg); break;
		case 'n': opt.per_connection = atol(optarg); break;
		case 'l': opt.size = strtoul(optarg, NULL, 10); break;
		case 'r': opt.rcpts = (unsigned)atoi(optarg); break;
		case 'f': opt.sender = optarg; break;
		case 'd': opt.domain = optarg; break;
		case 'D': opt.domains = (unsigned)atoi(optarg); break;
		case 'i': opt.first = atol(optarg); break;
		case 'R': opt.rate = atol(optarg); break;
		case 't': opt.deadline_s = atof(optarg); break;
		case 'a': opt.taken_path = optarg; break;
		case 'p': opt.pipelining = true; break;
		case 'k': opt.patient = true; break;
		default: return false;
		}
	}
	return optind == argc - 1 && endpoint_parse(argv[optind], &opt.to) &&
	    opt.connections && opt.messages > 0 && opt.rcpts;
}

static void
prepare(void)
{
	size_t room = opt.size + 1024 + (size_t)opt.rcpts * 320;

	endpoint_many_files();
	filler = malloc(opt.size + 1);
	conns = calloc(opt.connections, sizeof(*conns));
	again = calloc((size_t)opt.messages + 1, sizeof(*again));
	latency_us = calloc((size_t)opt.messages, sizeof(*latency_us));
	if (!filler || !conns || !again || !latency_us)
		abort();
	for (size_t i = 0; i < opt.size; i++)
		filler[i] = i % 72 == 70 ? '\r' : i % 72 == 71 ? '\n' :
		    (char)('a' + i % 26);
	for (unsigned i = 0; i < opt.connections; i++) {
		conns[i].fd = -1;
		conns[i].buffer = malloc(room);
		if (!conns[i].buffer)
			abort();
	}
	if (opt.taken_path)
		taken_file = fopen(opt.taken_path, "we");
}

static void
on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

int
main(int argc, char **argv)
{
	const struct sigaction sa = { .sa_handler = on_signal };
	struct epoll_event events[256];
	double seconds;

	if (!options(argc, argv))
		return usage();
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	prepare();
	epfd = epoll_create1(EPOLL_CLOEXEC);
	start_us = now_us();
	while (!stop && wake()) {
		int n = epoll_wait(epfd, events, 256, opt.rate ? 1 : 20);

		for (int i = 0; i < n; i++)
			on_event(events[i].data.ptr, events[i].events);
		if ((double)(now_us() - start_us) / 1e6 > opt.deadline_s)
			stop = 1;
	}
	seconds = (double)(now_us() - start_us) / 1e6;
	if (taken_file)
		fclose(taken_file);
	report(seconds);
	return taken == opt.messages ? 0 : 1;
}
