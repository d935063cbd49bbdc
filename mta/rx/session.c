/*
 * session.c - the conversation: one row per state, one mover, the stream's
 * callbacks.  Never says 250 to a message (data.c does, when the queue has
 * it), never reads while something holds the session.
 * Read next: session.h (the walks); commands.c, data.c; listener.c above.
 */
#include "mta/rx/session.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mta/base/counters.h"
#include "mta/base/log.h"
#include "mta/base/loop.h"
#include "mta/rx/admit.h"
#include "mta/rx/listener.h"
#include "mta/rx/rx.h"
#include "mta/smtp/stream.h"
#include "queue/queue.h"

#define ERRORS_MAX 20		/* since the last message taken */
#define OUTPUT_MAX (64u << 10)	/* replies the client has not read */
#define LINGER_MS 1000		/* for last words to reach a client that still talks */

/* timed: the listener's idle time applies.  whole: drain waits for what goes on here. */
static const struct rx_row {
	const char	*name;
	size_t		(*input)(struct rx_session *, const uint8_t *, size_t);
	bool		 timed, whole;
} rows[] = {
	[RX_GREETED] = { "greeted", rx_commands_input, true, false },
	[RX_READY] = { "ready", rx_commands_input, true, false },
	[RX_MAIL] = { "mail", rx_commands_input, true, false },
	[RX_RCPT] = { "rcpt", rx_commands_input, true, false },
	[RX_DATA] = { "data", rx_data_input, true, true },
	[RX_COMMIT] = { "commit", NULL, false, true },
	[RX_CLOSING] = { "closing", NULL, false, false },
};
_Static_assert(COUNT_OF(rows) == RX_STATE_COUNT, "one row per rx_state");

const char *
rx_state_name(enum rx_state st)
{
	return rows[st].name;
}

const char *
rx_hostname(const struct rx_session *s)
{
	return s->cl->hostname != NULL ? s->cl->hostname : s->conf->conf->hostname;
}

static void
arm(struct rx_session *s)
{
	/* All holds but one are ours: the client cannot be blamed for the time. */
	bool timed = rows[s->state].timed && (s->holds & ~(unsigned)HOLD_OUTPUT) == 0;

	smtp_stream_timeout(s->stream, timed ? s->cl->idle_ms : 0);
}

void
rx_move(struct rx_session *s, enum rx_state to)
{
	if (to == s->state)
		return;
	log_trace("rx_state", "client=%s from=%s to=%s", s->client_text,
	    rows[s->state].name, rows[to].name);
	s->state = to;
}

void
rx_hold(struct rx_session *s, enum rx_hold why)
{
	s->holds |= why;
	smtp_stream_pause(s->stream, true);
	arm(s);
}

void
rx_release(struct rx_session *s, enum rx_hold why)
{
	if ((s->holds & why) == 0)
		return;
	s->holds &= ~(unsigned)why;
	if (s->holds != 0)
		return;
	smtp_stream_pause(s->stream, false);
	arm(s);
}

void
rx_say(struct rx_session *s, const char *line)
{
	struct buf *out = smtp_stream_begin(s->stream);

	buf_text(out, line);
	buf_text(out, "\r\n");
	smtp_stream_end(s->stream);
	if (line[0] == '5')
		s->errors++;
}

void
rx_sayf(struct rx_session *s, const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	rx_say(s, line);
}

/* Last words are said: no way back from here, also for a message under way. */
static void
part(struct rx_session *s, int64_t linger_ms)
{
	if (s->accept != NULL)
		queue_accept_cancel(s->rx->queue, &s->accept);
	rx_body_drop(&s->body, false);
	rx_move(s, RX_CLOSING);
	arm(s);
	smtp_stream_finish(s->stream, linger_ms);
}

void
rx_transaction_reset(struct rx_session *s)
{
	struct envelope *e = &s->envelope;

	/* These are the session's and the configuration's. */
	e->listener = e->client = e->helo = NULL;
	if (e->sender != NULL || e->recipients != NULL)
		envelope_free(e);
	s->recipients_cap = 0;
	s->declared = 0;
}

bool
rx_session_adopt(struct rx_session *s)
{
	if (s->listener->cl == NULL)
		return false;
	if (s->conf == s->listener->conf)
		return true;
	rx_conf_unref(&s->conf);
	s->conf = rx_conf_ref(s->listener->conf);
	s->cl = s->listener->cl;
	s->network = admit_client(s->cl, &s->client);
	return true;
}

/* The state may ask for the end: QUIT came, errors are too many, drain. */
static void
after_input(struct rx_session *s)
{
	if (s->state == RX_CLOSING) {
		part(s, 0);
	} else if (s->errors > ERRORS_MAX && !rows[s->state].whole) {
		rx_say(s, "421 4.7.0 too many errors, closing");
		part(s, LINGER_MS);
	} else if (s->rx->draining && !rows[s->state].whole) {
		rx_session_drain(s, true);
	}
}

static size_t
on_readable(void *ctx, const uint8_t *data, size_t n)
{
	struct rx_session *s = ctx;
	size_t used = 0;

	if (s->rx->squeezed)
		rx_hold(s, HOLD_QUEUE);
	while (used < n && s->holds == 0 && rows[s->state].input != NULL) {
		size_t k = rows[s->state].input(s, data + used, n - used);

		if (k == 0)
			break;
		used += k;
		after_input(s);
		if (smtp_stream_pending(s->stream) > OUTPUT_MAX)
			rx_hold(s, HOLD_OUTPUT);
	}
	if (s->state == RX_CLOSING)
		return n;
	if (used != 0)
		arm(s);		/* a command at a snail's pace gets no more time */
	return used;
}

static void
on_drained(void *ctx)
{
	struct rx_session *s = ctx;

	rx_release(s, HOLD_OUTPUT);
}

static void
on_closed(void *ctx, int err)
{
	struct rx_session *s = ctx;

	if (s->state != RX_CLOSING)
		log_trace("rx_lost", "client=%s state=%s err=%d", s->client_text,
		    rows[s->state].name, err);
	rx_session_free(s);
}

static void
on_timeout(void *ctx)
{
	struct rx_session *s = ctx;

	rx_say(s, "421 4.4.2 timeout, closing");
	part(s, LINGER_MS);
}

static const struct smtp_stream_ops stream_ops = {
	.on_readable = on_readable,
	.on_closed = on_closed,
	.on_timeout = on_timeout,
	.on_drained = on_drained,
};

void
rx_session_new(struct rx_listener *l, int fd, const struct conf_addr *client)
{
	struct rx_session *s = xcalloc(1, sizeof(*s));

	s->rx = l->rx;
	s->listener = rx_listener_enter(l);
	s->conf = rx_conf_ref(l->conf);
	s->cl = l->cl;
	s->client = *client;
	s->network = admit_client(s->cl, client);
	inet_ntop(client->family, client->ip, s->client_text, sizeof(s->client_text));
	list_add_tail(&s->rx->sessions, &s->node);
	s->stream = smtp_stream_new(s->rx->loop, fd, &stream_ops, s);
	counter_add(C_rx_sessions_total, 1);
	counter_add(C_rx_sessions_open, 1);
	rx_sayf(s, "220 %s ESMTP relayd", rx_hostname(s));
	arm(s);
}

static void
reap(void *ctx)
{
	free(ctx);
}

void
rx_session_free(struct rx_session *s)
{
	struct rx *rx = s->rx;

	if (s->retired)
		return;
	s->retired = true;
	list_del(&s->node);
	smtp_stream_free(&s->stream);
	if (s->accept != NULL)
		queue_accept_cancel(rx->queue, &s->accept);
	rx_body_drop(&s->body, false);
	rx_transaction_reset(s);
	free(s->helo);
	rx_conf_unref(&s->conf);
	rx_listener_leave(&s->listener);
	counter_add(C_rx_sessions_open, -1);
	loop_retire(rx->loop, s, reap);
	if (rx->draining && list_empty(&rx->sessions) && rx->on_empty != NULL)
		rx->on_empty(rx);
}

void
rx_session_drain(struct rx_session *s, bool now)
{
	if (s->state == RX_CLOSING || (rows[s->state].whole && !now))
		return;
	rx_say(s, "421 4.3.2 shutting down, come again");
	part(s, LINGER_MS);
}
