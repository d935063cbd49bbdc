/*
 * data.c - content of a message: read, checked as it comes, kept, and given
 * to the queue.  The only place that says 250 to a message, and only in
 * on_accepted() with QUEUE_DONE.
 * Never keeps what will be refused; still reads it to its end.
 * Read next: body.h (where it is kept), received.h, queue/queue.h.
 */
#include <stdio.h>

#include "mta/base/counters.h"
#include "mta/base/log.h"
#include "mta/rx/rx.h"
#include "mta/rx/session.h"
#include "mta/smtp/stream.h"
#include "queue/queue.h"

static void on_accepted(void *ctx, enum queue_result result, const struct status *status);

static void
on_room(void *ctx)
{
	struct rx_session *s = ctx;

	rx_release(s, HOLD_BODY);
}

/* The transaction is over, however it went. */
static void
over(struct rx_session *s, bool taken)
{
	rx_body_drop(&s->body, taken);
	rx_transaction_reset(s);
	rx_move(s, RX_READY);
	rx_release(s, HOLD_COMMIT);
	if (s->rx->draining)
		rx_session_drain(s, true);
}

static void
refuse(struct rx_session *s, const char *line)
{
	char id[MSGID_TEXT_MAX], quoted[600];

	counter_add(C_rx_refused_total, 1);
	log_event("refused", "id=%s client=%s reply=%s size=%llu listener=%s",
	    msgid_text(&s->id, id), s->client_text, log_quote(quoted, sizeof(quoted), line),
	    (unsigned long long)s->content, s->cl->name);
	rx_say(s, line);
	over(s, false);
}

/* Our trouble or the queue's no: 4.3.1 is 452, other class 4 is 451. */
static void
refuse_by(struct rx_session *s, const struct status *st)
{
	char code[STATUS_CODE_MAX], line[640];
	unsigned reply = st->reply;

	if (reply < 400 || reply > 599)
		reply = st->class_ == 5 ? 554 :
		    st->subject == 3 && st->detail == 1 ? 452 : 451;
	(void)snprintf(line, sizeof(line), "%u %s %s", reply, status_code(st, code),
	    st->text[0] != '\0' ? st->text : "cannot take it now");
	refuse(s, line);
}

enum rx_state
rx_data_begin(struct rx_session *s)
{
	const int64_t now = clock_wall_ms();
	struct rx_body *b = &s->body;
	struct envelope *e = &s->envelope;
	char id[MSGID_TEXT_MAX];

	msgid_mint(&s->id, now);
	e->arrival_wall_ms = now;
	s->dot = (struct smtp_dot_in){ .state = 0 };
	s->received = (struct received_count){ .n = 0 };
	s->content = 0;
	s->discard = false;
	b->room = on_room;
	b->ctx = s;
	rx_body_begin(b, s->rx, &s->id, s->conf->conf->spool.large_bytes, s->declared);
	received_write(&b->mem, &(struct rx_received){
		.helo = s->helo, .client = &s->client, .hostname = rx_hostname(s),
		.esmtp = s->esmtp, .id = msgid_text(&s->id, id),
		.recipient = e->nrecipients == 1 ? e->recipients[0].address : NULL,
		.date = rx_date(s->rx, now),
	});
	rx_say(s, "354 go on, end with a dot on a line of its own");
	return RX_DATA;
}

static void
submit(struct rx_session *s)
{
	struct envelope *e = &s->envelope;
	const struct rx_body *b = &s->body;
	struct queue_message m = {
		.id = s->id,
		.envelope = e,
		.body = b->file == NULL ? b->mem.data : NULL,
		.size = b->size,
		.body_file = b->file != NULL,
		.body_crc = b->crc,
	};

	e->listener = s->cl->name;
	e->client = s->client_text;
	e->helo = s->helo;
	s->accept = queue_accept(s->rx->queue, &m, on_accepted, s);
	if (queue_pressure(s->rx->queue) > QUEUE_PRESSURE)
		s->rx->squeezed = true;
}

/* All content is kept, or could not be. */
static void
on_ready(void *ctx)
{
	struct rx_session *s = ctx;

	if (s->body.failed)
		refuse_by(s, &s->body.status);
	else
		submit(s);
}

static void
taken(struct rx_session *s)
{
	const struct envelope *e = &s->envelope;
	char id[MSGID_TEXT_MAX], quoted[512];

	msgid_text(&s->id, id);
	rx_sayf(s, "250 2.0.0 queued as %s", id);
	s->errors = 0;
	counter_add(C_rx_messages_total, 1);
	counter_add(C_rx_recipients_total, e->nrecipients);
	counter_add(C_rx_bytes_total, (int64_t)s->body.size);
	log_event("received", "id=%s client=%s sender=%s nrcpt=%u size=%llu listener=%s",
	    id, s->client_text, log_quote(quoted, sizeof(quoted), e->sender),
	    e->nrecipients, (unsigned long long)s->body.size, s->cl->name);
	over(s, true);
}

static void
on_accepted(void *ctx, enum queue_result result, const struct status *status)
{
	struct rx_session *s = ctx;

	s->accept = NULL;
	switch (result) {
	case QUEUE_DONE:
		taken(s);
		return;
	case QUEUE_REFUSED:
		refuse_by(s, status);
		return;
	case QUEUE_UNKNOWN:
		break;
	}
	refuse(s, "451 4.3.0 the queue does not answer, come again");
}

/* What refuses a message for good, whatever else it holds; NULL: nothing. */
static const char *
objection(const struct rx_session *s)
{
	if (s->cl->size_bytes != 0 && s->content > s->cl->size_bytes)
		return "552 5.3.4 message too big";
	if ((s->dot.flags & (SMTP_DOT_BARE_LF | SMTP_DOT_BARE_CR)) != 0)
		return "550 5.6.11 bare CR or LF in content";
	if (s->received.n > RECEIVED_MAX)
		return "554 5.4.6 too many hops";
	return NULL;
}

/* The dot was read. */
static void
end_of_content(struct rx_session *s)
{
	const char *no = objection(s);

	rx_move(s, RX_COMMIT);
	if (no != NULL) {
		refuse(s, no);
		return;
	}
	rx_hold(s, HOLD_COMMIT);
	s->body.ready = on_ready;
	if (rx_body_end(&s->body))
		on_ready(s);
}

/* Nothing of it is needed any more but its end. */
static void
stop_keeping(struct rx_session *s)
{
	s->discard = true;
	rx_body_drop(&s->body, false);
}

size_t
rx_data_input(struct rx_session *s, const uint8_t *data, size_t n)
{
	struct rx_body *b = &s->body;
	bool keep = !s->discard && !b->failed;
	size_t before = b->mem.len, used;

	used = smtp_dot_in(&s->dot, data, n, keep ? &b->mem : NULL);
	s->content += keep ? b->mem.len - before : used;
	if (keep) {
		received_count(&s->received, b->mem.data + before, b->mem.len - before);
		if (objection(s) != NULL)
			stop_keeping(s);
		else if (!rx_body_grew(b) && !s->dot.done)
			rx_hold(s, HOLD_BODY);
	}
	if (s->dot.done)
		end_of_content(s);
	return used;
}
