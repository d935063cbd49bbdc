/*
 * session.c - the table of states, the one function that moves a session, and
 * what the stream tells it.
 * Never knows what a reply means (steps.c, verdict.c) and frees nothing inside
 * a callback: a closed session is retired.
 * Read next: steps.c.
 */
#include "mta/tx/session.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mta/base/clock.h"
#include "mta/base/counters.h"
#include "mta/base/log.h"
#include "mta/tx/attempt.h"
#include "mta/tx/dispatch.h"
#include "mta/tx/job.h"
#include "mta/tx/steps.h"
#include "mta/tx/tx.h"
#include "mta/tx/way.h"

#define QUIT_WAIT_MS 5000	/* a courtesy: nobody's mail depends on it */

/* Whose trouble it is when the peer vanishes, is silent or talks nonsense. */
enum tx_loss { LOSS_NOBODY = 0, LOSS_ATTEMPT, LOSS_JOB };

/* How long a state waits (RFC 5321 4.5.3.2): a field of the connector. */
#define WAIT(field) offsetof(struct conf_connector, field)
#define CONNECT WAIT(connect_timeout_ms)
#define COMMAND WAIT(command_timeout_ms)
#define DATA WAIT(data_timeout_ms)
#define DOT WAIT(dot_timeout_ms)
#define IDLE WAIT(idle_ms)
#define FIXED 0

typedef enum tx_state tx_reply_fn(struct tx_session *, const struct smtp_reply *);

static void closed_enter(struct tx_session *s);

static const struct tx_row {
	const char	*name;
	void		(*enter)(struct tx_session *);	/* NULL: only wait */
	tx_reply_fn	*reply;		/* NULL: the peer must be silent */
	size_t		 wait;
	enum stage	 stage;		/* where a failure happened */
	enum tx_loss	 loss;
} rows[] = {
	[TX_CONNECT]  = { "connect",  NULL,         NULL,           CONNECT, STAGE_connect,  LOSS_ATTEMPT },
	[TX_GREETING] = { "greeting", NULL,         greeting_reply, COMMAND, STAGE_greeting, LOSS_ATTEMPT },
	[TX_EHLO]     = { "ehlo",     ehlo_enter,   ehlo_reply,     COMMAND, STAGE_ehlo,     LOSS_ATTEMPT },
	[TX_HELO]     = { "helo",     helo_enter,   helo_reply,     COMMAND, STAGE_ehlo,     LOSS_ATTEMPT },
	[TX_IDLE]     = { "idle",     idle_enter,   NULL,           IDLE,    STAGE_none,     LOSS_NOBODY },
	[TX_MAIL]     = { "mail",     mail_enter,   mail_reply,     COMMAND, STAGE_mail,     LOSS_JOB },
	[TX_RCPT]     = { "rcpt",     rcpt_enter,   rcpt_reply,     COMMAND, STAGE_rcpt,     LOSS_JOB },
	[TX_SKIP]     = { "skip",     NULL,         skip_reply,     COMMAND, STAGE_mail,     LOSS_JOB },
	[TX_DATA]     = { "data",     data_enter,   data_reply,     DATA,    STAGE_data,     LOSS_JOB },
	[TX_BODY]     = { "body",     NULL,         NULL,           DATA,    STAGE_body,     LOSS_JOB },
	[TX_DOT]      = { "dot",      dot_enter,    dot_reply,      DOT,     STAGE_dot,      LOSS_JOB },
	[TX_RSET]     = { "rset",     rset_enter,   rset_reply,     COMMAND, STAGE_none,     LOSS_NOBODY },
	[TX_QUIT]     = { "quit",     quit_enter,   quit_reply,     FIXED,   STAGE_quit,     LOSS_NOBODY },
	[TX_CLOSED]   = { "closed",   closed_enter, NULL,           FIXED,   STAGE_none,     LOSS_NOBODY },
};
_Static_assert(COUNT_OF(rows) == TX_STATE_COUNT, "one row per tx_state");

const char *
tx_state_name(enum tx_state s)
{
	return rows[s].name;
}

static int64_t
wait_ms(const struct tx_session *s, enum tx_state st)
{
	if (rows[st].wait == FIXED)
		return QUIT_WAIT_MS;
	return *(const int64_t *)((const char *)s->way->k + rows[st].wait);
}

static void
session_move(struct tx_session *s, enum tx_state to)
{
	log_trace("tx_state", "peer=%s from=%s to=%s", s->peer,
	    rows[s->state].name, rows[to].name);
	s->state = to;
	if (to != TX_CLOSED)
		smtp_stream_timeout(s->stream, wait_ms(s, to));
	if (rows[to].enter != NULL)
		rows[to].enter(s);
}

static void
session_reap(void *ctx)
{
	struct tx_session *s = ctx;

	tx_way_unref(&s->way);
	smtp_reply_parser_free(&s->parser);
	buf_free(&s->trace);
	free(s);
}

static void
closed_enter(struct tx_session *s)
{
	struct tx_dest *d = s->dest;

	if (s->retired)
		return;
	s->retired = true;
	s->dest = NULL;
	list_del(&s->link);
	list_del(&s->idle_link);
	smtp_stream_free(&s->stream);
	if (d != NULL)
		tx_dest_left(d, s, NULL);
	tx_pool_give(&s->tx->pool, &s->slot);
	counter_add(C_tx_sessions_open, -1);
	loop_retire(s->tx->loop, s, session_reap);
}

static void
attempt_lost(struct tx_session *s, enum verdict_fact fact, int err)
{
	struct tx_attempt *a = s->attempt;
	struct verdict v;
	const struct verdict_case c = {
		.stage = rows[s->state].stage,
		.fact = fact,
		.peer = s->peer,
		.err = err,
	};

	if (s->state == TX_CONNECT) {
		err = fact == FACT_SILENT ? ETIMEDOUT :
		    err == 0		  ? ECONNRESET :
					    err;
		verdict_connect(&v.status, s->peer, err);
	} else {
		err = 0;
		verdict_judge(&v, &c);
		step_trace(s, c.stage, v.status.text);
	}
	s->attempt = NULL;
	list_del(&s->link);
	tx_attempt_failed(a, s, &v.status, err);
}

/* It cannot go on: whoever it was held for is told, then it is closed. */
static void
session_break(struct tx_session *s, enum verdict_fact fact, int err)
{
	struct verdict v;
	const struct verdict_case c = {
		.stage = rows[s->state].stage,
		.fact = fact,
		.peer = s->peer,
		.err = err,
		.dot_written = s->dot_written,
	};

	switch (rows[s->state].loss) {
	case LOSS_ATTEMPT:
		attempt_lost(s, fact, err);
		break;
	case LOSS_JOB:
		verdict_judge(&v, &c);
		step_broken(s, &v);
		break;
	case LOSS_NOBODY:
		break;
	}
	session_move(s, TX_CLOSED);
}

/* ---- what the stream tells ---- */

static void
on_connected(void *ctx)
{
	struct tx_session *s = ctx;

	s->expected = 1;
	tx_attempt_connected(s->attempt, s);
	session_move(s, TX_GREETING);
}

/*
 * Replies are taken only for what was written before they came: one that
 * arrives together with the last expected one answers nothing, and neither
 * does one to a dot that is still here.
 */
static size_t
on_readable(void *ctx, const uint8_t *data, size_t n)
{
	struct tx_session *s = ctx;
	const bool dot_here =
	    s->state == TX_DOT && smtp_stream_pending(s->stream) > 0;
	unsigned awaited = dot_here ? 0 : s->expected;
	enum smtp_reply_result result;
	struct smtp_reply r;

	for (size_t at = 0; at < n && !s->retired; ) {
		if (awaited == 0) {
			session_break(s, FACT_PREMATURE, 0);
			break;
		}
		at +=
		    smtp_reply_feed(&s->parser, data + at, n - at, &r, &result);
		if (result == SMTP_REPLY_MORE)
			break;
		if (result == SMTP_REPLY_MALFORMED) {
			session_break(s, FACT_GARBLED, 0);
			break;
		}
		awaited--;
		s->expected--;
		session_move(s, rows[s->state].reply(s, &r));
	}
	return n;
}

static void
on_closed(void *ctx, int err)
{
	session_break(ctx, FACT_LOST, err);
}

static void
on_timeout(void *ctx)
{
	struct tx_session *s = ctx;

	if (s->state == TX_IDLE)
		session_move(s, TX_QUIT);
	else
		session_break(s, FACT_SILENT, 0);
}

static void
on_drained(void *ctx)
{
	struct tx_session *s = ctx;

	if (s->state == TX_BODY && smtp_stream_pending(s->stream) == 0)
		session_move(s, body_piece(s));
}

static const struct smtp_stream_ops stream_ops = {
	.on_connected = on_connected,
	.on_readable = on_readable,
	.on_closed = on_closed,
	.on_timeout = on_timeout,
	.on_drained = on_drained,
};

/* ---- from outside ---- */

static int
connect_to(const struct conf_addr *a, int *err_r)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
		.sin6_port = htons(a->port) };
	struct sockaddr_in in4 = { .sin_family = AF_INET,
		.sin_port = htons(a->port) };
	const bool v4 = a->family == AF_INET;
	const struct sockaddr *sa =
	    v4 ? (const struct sockaddr *)&in4 : (const struct sockaddr *)&in6;
	const int on = 1;
	int fd;

	memcpy(&in4.sin_addr, a->ip, 4);
	memcpy(&in6.sin6_addr, a->ip, 16);
	fd = socket(a->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1) {
		*err_r = errno;
		return -1;
	}
	/* Best effort: without it the last piece may wait 40 ms. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (connect(fd, sa, v4 ? sizeof in4 : sizeof in6) == -1 &&
	    errno != EINPROGRESS) {
		*err_r = errno;
		close(fd);
		return -1;
	}
	return fd;
}

void
tx_peer_name(const struct nexthop_addr *at, char *buf, size_t size)
{
	struct conf_addr bare = at->addr;
	char ip[64];
	size_t n;

	bare.port = 0;
	conf_addr_text(&bare, ip);
	n = strlen(ip);
	if (ip[0] == '[' && n > 2) {	/* we add brackets ourselves */
		memmove(ip, ip + 1, n);
		ip[n - 2] = '\0';
	}
	snprintf(buf, size, "%s[%s]:%u", at->host, ip, at->addr.port);
}

struct tx_session *
tx_session_new(struct tx_attempt *a, size_t number, int *err_r)
{
	const int fd = connect_to(&a->addrs[number].addr, err_r);
	struct tx_session *s;

	counter_add(C_tx_connects_total, 1);
	if (fd == -1)
		return NULL;
	s = xcalloc(1, sizeof *s);
	list_init(&s->link);
	list_init(&s->idle_link);
	s->tx = a->tx;
	s->way = tx_way_ref(a->way);
	s->attempt = a;
	s->at = a->addrs[number];
	s->at_number = number;
	s->began_mono_ms = clock_mono_ms();
	tx_peer_name(&s->at, s->peer, sizeof s->peer);
	s->stream = smtp_stream_new_connecting(a->tx->loop, fd, &stream_ops, s);
	counter_add(C_tx_sessions_open, 1);
	session_move(s, TX_CONNECT);
	return s;
}

void
tx_session_wake(struct tx_session *s)
{
	if (!s->retired && s->state == TX_IDLE)
		session_move(s, next_job(s));
}

void
tx_session_dismiss(struct tx_session *s)
{
	if (!s->retired && s->state == TX_IDLE)
		session_move(s, TX_QUIT);
}

void
tx_session_abort(struct tx_session *s)
{
	struct verdict v;
	const struct verdict_case c = {
		.stage = rows[s->state].stage,
		.fact = FACT_LOST,
		.peer = s->peer,
		.err = ECANCELED,
		.dot_written = true,
	};

	if (s->retired)
		return;
	s->attempt = NULL;
	if (s->job != NULL) {
		if (s->dot_written) {
			verdict_judge(&v, &c);
			tx_job_judge_all(s->job, RCPT_TAKEN, &v);
			tx_job_round_over(s->job, false);
		}
		tx_job_reset(s->job);
		tx_job_settle(&s->job, s->tx->queue, &s->trace);
	}
	session_move(s, TX_CLOSED);
}
