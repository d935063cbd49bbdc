/*
 * sinksmtp.c - an SMTP server that takes everything, or answers by script, and
 * keeps account: every transaction in a log, every body in a file, every
 * "X-Bench: n" ticked off.  Must never relay, and never be slower than what it
 * measures.  Read next: lib/sinkscript.h (the script), lib/tally.h (the ticks).
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lab/lib/endpoint.h"
#include "tests/lab/lib/sinklog.h"
#include "tests/lab/lib/sinkscript.h"
#include "tests/lab/lib/tally.h"
#include "tests/lab/lib/undot.h"

#define IN_SIZE		65536
#define OUT_SIZE	16384
#define RCPTS_MAX	2000
#define LISTENERS_MAX	64
#define BENCH_HEAD	2048	/* X-Bench is looked for in so many octets */

enum kind { KIND_LISTENER = 0, KIND_CONTROL_LISTENER, KIND_SESSION, KIND_CONTROL };

enum state { STATE_COMMAND = 0, STATE_BODY, STATE_MUTE };

/* Whatever epoll watches; kind comes first in all. */
struct watched {
	enum kind	kind;
	int		fd;
};

struct listener {
	struct watched	w;
	char		where[ENDPOINT_TEXT];
};

struct session {
	struct watched	 w;
	struct session	*prev, *next;
	const char	*listen;
	unsigned long	 number;
	enum state	 state;
	bool		 closing;
	struct undot	 undot;
	size_t		 in_len;
	char		 in[IN_SIZE];
	size_t		 out_len;
	char		 out[OUT_SIZE];
	int64_t		 late_ms;	/* out is held back until then; 0: not */
	char		 helo[256], sender[320], params[256];
	char		*rcpts[RCPTS_MAX];
	size_t		 nrcpts;
	uint64_t	 size;
	uint32_t	 crc;
	size_t		 head_len;
	char		 head[BENCH_HEAD];
	uint8_t		*body;		/* only when bodies are kept */
	size_t		 body_room;
};

static int epfd;
static struct session *sessions;
static struct session *spare;		/* closed this turn, or earlier: reused */
static struct session *closed;
static struct sink_script script;
static struct tally tally;
static FILE *log_file;
static const char *keep_dir;
static const char *hostname = "sink.test";
static bool no_pipelining, no_ehlo_size, no_8bit;
static size_t size_offered = 104857600;
static unsigned long connections, open_sessions, most_sessions;
static unsigned long held_back;		/* replies that a script delayed */
static volatile sig_atomic_t stop;

/* ---- replies ---- */

static void
say(struct session *s, const char *text)
{
	size_t n = strlen(text);

	if (s->out_len + n + 2 > sizeof(s->out))
		return;
	memcpy(s->out + s->out_len, text, n);
	memcpy(s->out + s->out_len + n, "\r\n", 2);
	s->out_len += n + 2;
}

static void
flush(struct session *s)
{
	ssize_t n;

	if (s->late_ms || s->out_len == 0)
		return;
	n = send(s->w.fd, s->out, s->out_len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n == -1 && errno != EAGAIN)
		s->closing = true;
	s->out_len = 0;		/* 16 KiB of replies unread: not our concern */
}

static void
reset_on_close(int fd)
{
	const struct linger l = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
}

/* Says the usual reply or does what the script wants; true: the usual holds. */
static bool
stage(struct session *s, enum sink_stage at, const char *rcpt,
    const char *usual)
{
	struct sink_facts f = { s->listen, s->sender, rcpt, s->rcpts,
	    s->nrcpts };
	const struct sink_rule *r = script.nrules ?
	    sink_script_find(&script, at, &f) : NULL;

	switch (r ? r->act : SINK_USUAL) {
	case SINK_USUAL:
		say(s, usual);
		return true;
	case SINK_DELAY:
		say(s, usual);
		s->late_ms = endpoint_now_ms() + r->delay_ms;
		held_back++;
		return true;
	case SINK_REPLY:
		say(s, r->reply);
		return r->reply[0] == '2' || r->reply[0] == '3';
	case SINK_GARBAGE:
		say(s, "\x01\x02 this is no reply");
		return false;
	case SINK_SILENCE:
		s->state = STATE_MUTE;
		return false;
	case SINK_RESET:
		reset_on_close(s->w.fd);
		/* fall through */
	case SINK_CLOSE:
		s->closing = true;
		s->state = STATE_MUTE;
		return false;
	}
	return true;
}

/* ---- transactions ---- */

static void
forget_transaction(struct session *s)
{
	for (size_t i = 0; i < s->nrcpts; i++)
		free(s->rcpts[i]);
	s->nrcpts = 0;
	s->sender[0] = s->params[0] = '\0';
	s->size = 0;
	s->crc = 0;
	s->head_len = 0;
}

static void
write_down(struct session *s, bool taken)
{
	char name[32] = "";
	const struct sink_transaction t = { .listen = s->listen,
	    .session = s->number, .helo = s->helo, .sender = s->sender,
	    .params = s->params, .rcpts = s->rcpts, .nrcpts = s->nrcpts,
	    .size = s->size, .crc = s->crc, .file = name, .taken = taken };

	if (keep_dir)
		sink_keep(keep_dir, s->body, s->size, name, sizeof(name));
	if (log_file)
		sink_log(log_file, &t);
}

static void
end_of_body(struct session *s)
{
	bool taken;

	s->state = STATE_COMMAND;
	taken = stage(s, AT_DOT, NULL, "250 2.0.0 taken");
	write_down(s, taken);
	if (taken)
		tally_message(&tally, s->head, s->head_len, s->size, s->nrcpts);
	forget_transaction(s);
}

static void
body_octets(void *ctx, const char *p, size_t n)
{
	struct session *s = ctx;

	if (s->head_len < sizeof(s->head)) {
		size_t room = sizeof(s->head) - s->head_len;
		size_t m = n < room ? n : room;

		memcpy(s->head + s->head_len, p, m);
		s->head_len += m;
	}
	if (log_file)
		s->crc = tally_crc32(s->crc, p, n);
	if (keep_dir) {
		if (s->size + n > s->body_room) {
			s->body_room = (s->size + n) * 2;
			s->body = realloc(s->body, s->body_room);
			if (!s->body)
				abort();
		}
		memcpy(s->body + s->size, p, n);
	}
	s->size += n;
}

static size_t
read_body(struct session *s, const char *p, size_t n)
{
	bool end;
	size_t used = undot_feed(&s->undot, p, n, body_octets, s, &end);

	if (end)
		end_of_body(s);
	return used;
}

/* ---- commands ---- */

static void
reply_ehlo(struct session *s)
{
	char text[512];

	snprintf(text, sizeof(text), "250-%s%s%s", hostname,
	    no_pipelining ? "" : "\r\n250-PIPELINING",
	    no_8bit ? "" : "\r\n250-8BITMIME");
	if (!no_ehlo_size)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
		    "\r\n250-SIZE %zu", size_offered);
	strcat(text, "\r\n250 ENHANCEDSTATUSCODES");
	stage(s, AT_EHLO, NULL, text);
}

static void
on_mail(struct session *s, char *arg)
{
	char *params;
	const char *path = sink_cut_path(arg, &params);

	if (!path) {
		say(s, "501 5.5.4 no path");
		return;
	}
	forget_transaction(s);
	snprintf(s->sender, sizeof(s->sender), "%s", path[0] ? path : "<>");
	snprintf(s->params, sizeof(s->params), "%s", params);
	if (!stage(s, AT_MAIL, NULL, "250 2.1.0 ok"))
		s->sender[0] = '\0';
}

static void
on_rcpt(struct session *s, char *arg)
{
	char *params;
	const char *path = sink_cut_path(arg, &params);

	if (!path || !s->sender[0])
		say(s, path ? "503 5.5.1 MAIL first" : "501 5.5.4 no path");
	else if (s->nrcpts == RCPTS_MAX)
		say(s, "452 4.5.3 too many recipients");
	else if (stage(s, AT_RCPT, path, "250 2.1.5 ok"))
		s->rcpts[s->nrcpts++] = strdup(path);
}

static void
on_data(struct session *s)
{
	if (s->nrcpts == 0) {
		say(s, "554 5.5.1 no valid recipients");
		return;
	}
	if (stage(s, AT_DATA, NULL, "354 go on")) {
		s->state = STATE_BODY;
		s->undot.line_start = true;
	}
}

static void
on_command(struct session *s, char *line)
{
	if (strncasecmp(line, "EHLO ", 5) == 0) {
		snprintf(s->helo, sizeof(s->helo), "%s", line + 5);
		reply_ehlo(s);
	} else if (strncasecmp(line, "HELO ", 5) == 0) {
		snprintf(s->helo, sizeof(s->helo), "%s", line + 5);
		stage(s, AT_HELO, NULL, "250 sink.test");
	} else if (strncasecmp(line, "MAIL FROM:", 10) == 0) {
		on_mail(s, line + 10);
	} else if (strncasecmp(line, "RCPT TO:", 8) == 0) {
		on_rcpt(s, line + 8);
	} else if (strcasecmp(line, "DATA") == 0) {
		on_data(s);
	} else if (strcasecmp(line, "RSET") == 0) {
		if (stage(s, AT_RSET, NULL, "250 2.0.0 ok"))
			forget_transaction(s);
	} else if (strcasecmp(line, "NOOP") == 0) {
		say(s, "250 2.0.0 ok");
	} else if (strcasecmp(line, "QUIT") == 0) {
		stage(s, AT_QUIT, NULL, "221 2.0.0 bye");
		s->closing = true;
	} else {
		say(s, "500 5.5.2 what?");
	}
}

static size_t
read_command(struct session *s, char *p, size_t n)
{
	char *lf = memchr(p, '\n', n);

	if (!lf)
		return 0;
	*lf = '\0';
	if (lf > p && lf[-1] == '\r')
		lf[-1] = '\0';
	on_command(s, p);
	return (size_t)(lf - p) + 1;
}

static void
digest(struct session *s)
{
	size_t used = 0;

	/* A late reply holds the session up as a slow server would. */
	while (used < s->in_len && !s->closing && !s->late_ms) {
		size_t n = 0;

		if (s->state == STATE_COMMAND)
			n = read_command(s, s->in + used, s->in_len - used);
		else if (s->state == STATE_BODY)
			n = read_body(s, s->in + used, s->in_len - used);
		else
			n = s->in_len - used;
		if (n == 0)
			break;
		used += n;
	}
	memmove(s->in, s->in + used, s->in_len - used);
	s->in_len -= used;
	flush(s);
}

/* ---- sessions ---- */

static void
watch(struct watched *w)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = w };

	epoll_ctl(epfd, EPOLL_CTL_ADD, w->fd, &e);
}

static struct session *
session_get(void)
{
	struct session *s = spare;

	if (s)
		spare = s->next;
	else
		s = malloc(sizeof(*s));
	if (!s)
		abort();
	s->body = NULL;
	s->body_room = 0;
	s->nrcpts = s->in_len = s->out_len = s->head_len = 0;
	s->state = STATE_COMMAND;
	s->closing = false;
	s->late_ms = 0;
	s->helo[0] = '\0';
	forget_transaction(s);
	return s;
}

/* Events of this turn may still name it: memory is reused only after it. */
static void
session_close(struct session *s)
{
	close(s->w.fd);
	s->w.fd = -1;
	forget_transaction(s);
	free(s->body);
	if (s->prev)
		s->prev->next = s->next;
	else
		sessions = s->next;
	if (s->next)
		s->next->prev = s->prev;
	s->next = closed;
	closed = s;
	open_sessions--;
}

static void
session_open(struct listener *l, int fd)
{
	struct session *s = session_get();
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	s->w = (struct watched){ KIND_SESSION, fd };
	s->listen = l->where;
	s->number = ++connections;
	s->prev = NULL;
	s->next = sessions;
	if (sessions)
		sessions->prev = s;
	sessions = s;
	if (++open_sessions > most_sessions)
		most_sessions = open_sessions;
	watch(&s->w);
	stage(s, AT_CONNECT, NULL, "220 sink.test ESMTP");
	flush(s);
	if (s->closing && !s->late_ms)
		session_close(s);
}

static void
on_session(struct session *s)
{
	ssize_t n;

	if (s->w.fd == -1)
		return;
	if (s->in_len == sizeof(s->in)) {
		session_close(s);	/* more than a line can be */
		return;
	}
	n = recv(s->w.fd, s->in + s->in_len, sizeof(s->in) - s->in_len,
	    MSG_DONTWAIT);
	if (n == 0 || (n == -1 && errno != EAGAIN)) {
		session_close(s);
		return;
	}
	if (n == -1)
		return;
	s->in_len += (size_t)n;
	digest(s);
	if (s->closing && !s->late_ms)
		session_close(s);
}

static void
on_listener(struct listener *l)
{
	for (int i = 0; i < 64; i++) {
		int fd = accept4(l->w.fd, NULL, NULL,
		    SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd == -1)
			return;
		session_open(l, fd);
	}
}

/* Late replies whose time has come; the wait until the next, -1: none. */
static int
run_late(void)
{
	int64_t now = endpoint_now_ms(), wait = -1;
	struct session *next;

	for (struct session *s = sessions; s; s = next) {
		next = s->next;
		if (!s->late_ms)
			continue;
		if (s->late_ms > now) {
			if (wait == -1 || s->late_ms - now < wait)
				wait = s->late_ms - now;
			continue;
		}
		s->late_ms = 0;
		digest(s);
		if (s->closing && !s->late_ms)
			session_close(s);
	}
	return (int)wait;
}

/* ---- control ---- */

/* One line; every line gets exactly one line back. */
static void
control_line(int fd, const char *line)
{
	char why[256] = "";
	bool ok = true;

	if (strcmp(line, "count") == 0) {
		size_t n;

		tally_text(&tally, why, sizeof(why));
		n = strlen(why);
		snprintf(why + n, sizeof(why) - n, " connections=%lu most=%lu held_back=%lu",
		    connections, most_sessions, held_back);
		if (log_file)
			fflush(log_file);
	} else if (strcmp(line, "reset") == 0) {
		tally_reset(&tally);
		connections = most_sessions = held_back = 0;
	} else if (strncmp(line, "missing ", 8) == 0) {
		tally_missing(&tally, strtoul(line + 8, NULL, 10), why,
		    sizeof(why));
	} else {
		ok = sink_script_line(&script, line, why, sizeof(why));
	}
	dprintf(fd, "%s%s%s\n", ok ? "ok" : "error:", why[0] ? " " : "", why);
}

/* Who talks to us on the control socket; a place not of KIND_CONTROL is free. */
#define CONTROLS_MAX 64
static struct watched controls[CONTROLS_MAX];

static void
on_control(struct watched *w)
{
	char text[4096], *save = NULL;
	ssize_t n = recv(w->fd, text, sizeof(text) - 1, 0);

	if (n <= 0) {
		close(w->fd);
		w->kind = KIND_LISTENER;	/* free again */
		return;
	}
	text[n] = '\0';
	for (char *line = strtok_r(text, "\n", &save); line;
	    line = strtok_r(NULL, "\n", &save))
		control_line(w->fd, line);
}

static void
on_control_listener(struct watched *l)
{
	int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);

	for (size_t i = 0; fd != -1 && i < CONTROLS_MAX; i++) {
		if (controls[i].kind == KIND_CONTROL)
			continue;
		controls[i] = (struct watched){ KIND_CONTROL, fd };
		watch(&controls[i]);
		return;
	}
	if (fd != -1)
		close(fd);
}

static void
turn(void)
{
	struct epoll_event events[256];
	int wait = run_late();
	int n = epoll_wait(epfd, events, 256, wait);

	for (int i = 0; i < n; i++) {
		struct watched *w = events[i].data.ptr;

		switch (w->kind) {
		case KIND_LISTENER:
			on_listener((struct listener *)w);
			break;
		case KIND_CONTROL_LISTENER:
			on_control_listener(w);
			break;
		case KIND_SESSION:
			on_session((struct session *)w);
			break;
		case KIND_CONTROL:
			on_control(w);
			break;
		}
	}
	while (closed) {
		struct session *s = closed;

		closed = s->next;
		s->next = spare;
		spare = s;
	}
	/* A reader of the log sees what was taken before the sink went idle. */
	if (log_file && n < 256)
		fflush(log_file);
}

/* ---- start ---- */

static void
open_listener(struct listener *l, const char *where)
{
	struct endpoint e;

	snprintf(l->where, sizeof(l->where), "%s", where);
	l->w = (struct watched){ KIND_LISTENER, -1 };
	if (endpoint_parse(where, &e))
		l->w.fd = endpoint_bind(&e, SOCK_STREAM);
	if (l->w.fd == -1) {
		fprintf(stderr, "sinksmtp: %s: %s\n", where, strerror(errno));
		exit(71);
	}
	fcntl(l->w.fd, F_SETFL, O_NONBLOCK);
	watch(&l->w);
}

static void
on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static int
usage(void)
{
	fputs("usage: sinksmtp [-s SCRIPT] [-c SOCKET] [-l LOG] [-d DIR]\n"
	    "    [-x pipelining|size|8bitmime] [-S SIZE] ADDR:PORT...\n"
	    "-x leaves a keyword out of EHLO, -d keeps every body there\n",
	    stderr);
	return 64;
}

static void
leave_out(const char *keyword)
{
	no_pipelining |= strcmp(keyword, "pipelining") == 0;
	no_ehlo_size |= strcmp(keyword, "size") == 0;
	no_8bit |= strcmp(keyword, "8bitmime") == 0;
}

static bool
options(int argc, char **argv)
{
	static struct watched control = { KIND_CONTROL_LISTENER, -1 };
	char why[256];
	int opt;

	while ((opt = getopt(argc, argv, "s:c:l:d:x:S:")) != -1) {
		if (opt == 's' && !sink_script_load(&script, optarg, why,
		    sizeof(why))) {
			fprintf(stderr, "sinksmtp: %s\n", why);
			exit(78);
		} else if (opt == 'c') {
			control.fd = endpoint_control(optarg);
			watch(&control);
		} else if (opt == 'l') {
			log_file = fopen(optarg, "ae");
		} else if (opt == 'd') {
			keep_dir = optarg;
			mkdir(keep_dir, 0755);
		} else if (opt == 'x') {
			leave_out(optarg);
		} else if (opt == 'S') {
			size_offered = strtoul(optarg, NULL, 10);
		} else if (opt == '?') {
			return false;
		}
	}
	return optind < argc && argc - optind <= LISTENERS_MAX;
}

int
main(int argc, char **argv)
{
	static struct listener listeners[LISTENERS_MAX];
	const struct sigaction sa = { .sa_handler = on_signal };
	char text[256];

	endpoint_many_files();
	epfd = epoll_create1(EPOLL_CLOEXEC);
	if (!options(argc, argv))
		return usage();
	for (int i = optind; i < argc; i++)
		open_listener(&listeners[i - optind], argv[i]);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	puts("ready");
	fflush(stdout);
	while (!stop)
		turn();
	tally_text(&tally, text, sizeof(text));
	puts(text);
	if (log_file)
		fclose(log_file);
	return 0;
}
