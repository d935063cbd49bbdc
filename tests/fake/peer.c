/*
 * peer.c - an SMTP server that does as its script says.
 * Never blocks the loop it shares with what it tests.
 * Read next: tests/unit/tx/test_session.c.
 */
#include "tests/fake/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mta/base/list.h"
#include "mta/base/log.h"
#include "mta/base/loop.h"
#include "mta/base/str.h"

struct conn {
	struct list			 link;
	struct peer			*peer;
	const struct peer_script	*script;
	int				 fd;
	struct loop_io			*io;
	struct buf			 in, out;
	unsigned			 message;
	bool				 in_data, closing, dead;
};

static void
conn_reap(void *ctx)
{
	struct conn *c = ctx;

	buf_free(&c->in);
	buf_free(&c->out);
	free(c);
}

static void
conn_close(struct conn *c)
{
	if (c->dead)
		return;
	c->dead = true;
	c->peer->open--;
	list_del(&c->link);
	loop_io_free(&c->io);
	close(c->fd);
	loop_retire(c->peer->loop, c, conn_reap);
}

static void
conn_flush(struct conn *c)
{
	while (c->out.len > 0) {
		ssize_t n = send(c->fd, c->out.data, c->out.len,
		    MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n == -1 && errno == EAGAIN) {
			loop_io_want(c->io, true, true);
			return;
		}
		if (n == -1) {
			conn_close(c);
			return;
		}
		memmove(c->out.data, c->out.data + n, c->out.len - (size_t)n);
		c->out.len -= (size_t)n;
	}
	loop_io_want(c->io, true, false);
	if (c->closing)
		conn_close(c);
}

static void
say(struct conn *c, const char *scripted, const char *good)
{
	const char *text = scripted != NULL ? scripted : good;
	size_t n = strlen(text);

	if (strcmp(text, "~") == 0)
		return;
	if (text[0] == '!') {
		c->closing = true;
		return;
	}
	if (n > 0 && text[n - 1] == '!') {
		c->closing = true;
		n--;
	}
	buf_add(&c->out, text, n);
}

static const char *
rcpt_answer(const char *line)
{
	if (str_starts_nocase(line, "RCPT TO:<no"))
		return "550 5.1.1 no such user\r\n";
	if (str_starts_nocase(line, "RCPT TO:<later"))
		return "451 4.7.1 come back\r\n";
	if (str_starts_nocase(line, "RCPT TO:<many"))
		return "452 4.5.3 too many\r\n";
	return "250 2.1.5 ok\r\n";
}

static void
command(struct conn *c, const char *line)
{
	const struct peer_script *s = c->script;
	static const struct peer_script good;

	buf_text(&c->peer->said, line);
	buf_text(&c->peer->said, "\n");
	if (str_starts_nocase(line, "MAIL "))
		c->message++;
	if (c->message < s->from_message)
		s = &good;
	if (str_starts_nocase(line, "EHLO ")) {
		say(c, c->script->ehlo,
		    "250-peer\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE "
		    "1000000\r\n");
	} else if (str_starts_nocase(line, "HELO ")) {
		say(c, c->script->helo, "250 peer\r\n");
	} else if (str_starts_nocase(line, "MAIL ")) {
		say(c, s->mail, "250 2.1.0 ok\r\n");
	} else if (str_starts_nocase(line, "RCPT ")) {
		say(c, s->rcpt, rcpt_answer(line));
	} else if (str_eq_nocase(line, "DATA")) {
		say(c, s->data, "354 go on\r\n");
		c->in_data =
		    s->data == NULL || str_starts_nocase(s->data, "354");
		c->peer->body.len = 0;
	} else if (str_eq_nocase(line, "RSET")) {
		c->peer->resets++;
		say(c, s->rset, "250 ok\r\n");
	} else if (str_eq_nocase(line, "QUIT")) {
		c->peer->quits++;
		say(c, "221 bye\r\n!", NULL);
	} else {
		say(c, "500 what\r\n", NULL);
	}
}

static void
one_line(struct conn *c, char *line, size_t n)
{
	static const struct peer_script good;
	const struct peer_script *s =
	    c->message < c->script->from_message ? &good : c->script;

	if (!c->in_data) {
		line[n - 1] = '\0';
		if (n > 1 && line[n - 2] == '\r')
			line[n - 2] = '\0';
		command(c, line);
		return;
	}
	if (strncmp(line, ".\r\n", n) != 0 || n != 3) {
		buf_add(&c->peer->body, line, n);
		return;
	}
	c->in_data = false;
	c->peer->messages++;
	say(c, s->dot, "250 2.0.0 queued\r\n");
}

static void
on_conn(void *ctx, bool readable, bool writable)
{
	struct conn *c = ctx;
	ssize_t n;
	uint8_t *lf;

	(void)writable;
	if (c->dead)
		return;
	if (readable) {
		n = recv(c->fd, buf_room(&c->in, 65536), 65536, MSG_DONTWAIT);
		if (n == 0 || (n == -1 && errno != EAGAIN)) {
			conn_close(c);
			return;
		}
		c->in.len += n > 0 ? (size_t)n : 0;
	}
	while (!c->closing && c->in.len > 0 &&
	    (lf = memchr(c->in.data, '\n', c->in.len)) != NULL) {
		const size_t len = (size_t)(lf - c->in.data) + 1;
		char *line = xstrndup((char *)c->in.data, len);

		one_line(c, line, len);
		free(line);
		memmove(c->in.data, c->in.data + len, c->in.len - len);
		c->in.len -= len;
	}
	conn_flush(c);
}

static void
on_listen(void *ctx, bool readable, bool writable)
{
	struct peer *p = ctx;
	struct conn *c;
	int fd;

	(void)readable;
	(void)writable;
	fd = accept4(p->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd == -1)
		return;
	c = xcalloc(1, sizeof *c);
	c->peer = p;
	c->fd = fd;
	c->script = &p->scripts[p->connections < p->nscripts ? p->connections :
							       p->nscripts - 1];
	p->connections++;
	if (++p->open > p->most_open)
		p->most_open = p->open;
	list_add_tail(p->conns, &c->link);
	c->io = loop_io_new(p->loop, fd, on_conn, c);
	loop_io_want(c->io, true, false);
	say(c, c->script->greeting, "220 peer ESMTP\r\n");
	conn_flush(c);
}

struct peer *
peer_new(struct loop *loop, const char *ip, const struct peer_script *scripts,
    size_t n)
{
	struct peer *p = xcalloc(1, sizeof *p);
	struct sockaddr_in a = { .sin_family = AF_INET };
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6 };
	const bool v6 = strchr(ip, ':') != NULL;
	struct sockaddr *sa =
	    v6 ? (struct sockaddr *)&a6 : (struct sockaddr *)&a;
	socklen_t len = v6 ? sizeof a6 : sizeof a;

	inet_pton(AF_INET, ip, &a.sin_addr);
	inet_pton(AF_INET6, ip, &a6.sin6_addr);
	p->loop = loop;
	p->scripts = scripts;
	p->nscripts = n;
	p->conns = xcalloc(1, sizeof *p->conns);
	list_init(p->conns);
	p->fd = socket(sa->sa_family,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (p->fd == -1 || bind(p->fd, sa, len) == -1 ||
	    listen(p->fd, 128) == -1 || getsockname(p->fd, sa, &len) == -1)
		bug("peer: %s", strerror(errno));
	p->port = ntohs(v6 ? a6.sin6_port : a.sin_port);
	p->io = loop_io_new(loop, p->fd, on_listen, p);
	loop_io_want(p->io, true, false);
	return p;
}

void
peer_free(struct peer **pp)
{
	struct peer *p = *pp;

	*pp = NULL;
	if (p == NULL)
		return;
	while (!list_empty(p->conns))
		conn_close(LIST_OWNER(p->conns->next, struct conn, link));
	loop_io_free(&p->io);
	close(p->fd);
	buf_free(&p->said);
	buf_free(&p->body);
	free(p->conns);
	free(p);
}

unsigned
peer_heard(struct peer *p, const char *text)
{
	const char *s = buf_cstr(&p->said);
	unsigned n = 0;

	for (; (s = strstr(s, text)) != NULL; s += strlen(text))
		n++;
	return n;
}
