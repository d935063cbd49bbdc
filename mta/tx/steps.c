/*
 * steps.c - a delivering session state by state: what is written on entering
 * one, and where its reply leads.
 * Never moves the session (session.c does), never decides what a failure means
 * (verdict.c), never opens a connection (attempt.c).
 * Read next: session.h (the walks), session.c (the table).
 */
#include "mta/tx/steps.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mta/base/log.h"
#include "mta/base/str.h"
#include "mta/tx/attempt.h"
#include "mta/tx/dispatch.h"
#include "mta/tx/job.h"
#include "mta/tx/tx.h"
#include "mta/tx/way.h"
#include "queue/trace.h"

#define PIECE_MAX (64u << 10)

static void
judge_reply(struct tx_session *s, enum stage stage, const struct smtp_reply *r,
    struct verdict *v)
{
	const struct verdict_case c = {
		.stage = stage, .fact = FACT_REPLY, .reply = r, .peer = s->peer,
		.dot_written = s->dot_written,
	};

	verdict_judge(v, &c);
}

void
step_trace(struct tx_session *s, enum stage stage, const char *text)
{
	struct trace_entry e = { .kind = TRACE_REPLY };
	struct buf *trace = s->attempt != NULL ? &s->attempt->trace : &s->trace;

	e.u.reply.stage = stage;
	str_copy(e.u.reply.peer, sizeof e.u.reply.peer, s->peer);
	str_copy(e.u.reply.text, sizeof e.u.reply.text, text);
	trace_add(trace, &e);
}

static void
trace_reply(struct tx_session *s, enum stage stage, const struct smtp_reply *r)
{
	char text[sizeof r->text + 8];

	snprintf(text, sizeof text, "%u %s", r->code, r->text);
	step_trace(s, stage, text);
}

/* ---- greeting, EHLO, HELO: the attempt's ---- */

static enum tx_state
handshake_failed(struct tx_session *s, const struct verdict *v)
{
	struct tx_attempt *a = s->attempt;

	s->attempt = NULL;
	list_del(&s->link);
	tx_attempt_failed(a, s, &v->status, 0);
	return v->close ? TX_CLOSED : TX_QUIT;
}

static enum tx_state
ready(struct tx_session *s)
{
	struct tx_attempt *a = s->attempt;

	s->attempt = NULL;
	list_del(&s->link);
	tx_attempt_ready(a, s);
	s->trace_base = s->trace.len;
	return next_job(s);
}

enum tx_state
greeting_reply(struct tx_session *s, const struct smtp_reply *r)
{
	struct verdict v;

	trace_reply(s, STAGE_greeting, r);
	judge_reply(s, STAGE_greeting, r, &v);
	if (v.whom != HITS_NOBODY)
		return handshake_failed(s, &v);
	return s->way->k->force_helo ? TX_HELO : TX_EHLO;
}

static void
say_hello(struct tx_session *s, const char *verb)
{
	const char *name =
	    s->way->k->helo != NULL ? s->way->k->helo : s->way->conf->hostname;

	smtp_stream_printf(s->stream, "%s %s\r\n", verb, name);
	s->expected++;
}

void
ehlo_enter(struct tx_session *s)
{
	say_hello(s, "EHLO");
}

void
helo_enter(struct tx_session *s)
{
	say_hello(s, "HELO");
}

static void
read_offer(struct tx_session *s)
{
	const char *line;

	for (unsigned i = 1; (line = smtp_reply_line(&s->parser, i)) != NULL;
	     i++) {
		if (str_eq_nocase(line, "PIPELINING")) {
			s->pipelining = true;
		} else if (str_eq_nocase(line, "8BITMIME")) {
			s->eightbit = true;
		} else if (str_eq_nocase(line, "SIZE")) {
			s->size = true;
		} else if (str_starts_nocase(line, "SIZE ")) {
			s->size = true;
			s->size_max = strtoull(line + 5, NULL, 10);
		}
	}
}

enum tx_state
ehlo_reply(struct tx_session *s, const struct smtp_reply *r)
{
	struct verdict v;

	trace_reply(s, STAGE_ehlo, r);
	if (smtp_reply_permanent(r))
		return TX_HELO;
	judge_reply(s, STAGE_ehlo, r, &v);
	if (v.whom != HITS_NOBODY)
		return handshake_failed(s, &v);
	read_offer(s);
	return ready(s);
}

enum tx_state
helo_reply(struct tx_session *s, const struct smtp_reply *r)
{
	struct verdict v;

	trace_reply(s, STAGE_ehlo, r);
	judge_reply(s, STAGE_ehlo, r, &v);
	if (v.whom != HITS_NOBODY)
		return handshake_failed(s, &v);
	return ready(s);
}

/* ---- between transactions ---- */

static void
settle(struct tx_session *s)
{
	tx_job_settle(&s->job, s->tx->queue, &s->trace);
	s->trace.len = s->trace_base;
}

/* Who is still open gets another transaction, while each brings some on. */
static void
job_over(struct tx_session *s, bool progress)
{
	struct tx_job *job = s->job;

	s->finished++;
	tx_dest_progress(s->dest, s);
	tx_job_round_over(job, progress);
	if (!progress || tx_job_next(job, 0, RCPT_TODO) == job->n) {
		settle(s);
		return;
	}
	s->job = NULL;
	s->trace.len = s->trace_base;
	tx_dest_again(s->dest, job);
}

void
step_broken(struct tx_session *s, const struct verdict *v)
{
	struct tx_dest *d = s->dest;
	struct tx_job *job = s->job;
	const bool barren = s->finished == 0;
	/* Who closed an idle connection as we took it up refused nothing. */
	const bool stale = s->state == TX_MAIL && !barren && !v->status.remote;
	/* From the body on it hits only those whom RCPT took. */
	const bool at_dot = !v->again &&
	    (s->state == TX_DOT || s->state == TX_BODY);
	bool open;

	step_trace(s, v->status.stage, v->status.text);
	if (!at_dot)
		tx_job_reset(job);
	open = tx_job_next(job, 0, RCPT_TODO) < job->n;
	if (v->again && open && (stale || job->losses++ == 0)) {
		s->job = NULL;
		tx_dest_again(d, job);
	} else {
		tx_job_judge_all(job, at_dot ? RCPT_TAKEN : RCPT_TODO, v);
		tx_job_round_over(job, false);
		settle(s);
	}
	s->dest = NULL;
	tx_dest_left(d, s, barren ? &v->status : NULL);
}

static bool
clean(const char *address)
{
	for (; *address != '\0'; address++)
		if ((unsigned char)*address < ' ' || *address == 0x7f)
			return false;
	return true;
}

/* What this peer would refuse for sure, or must never go on a command line. */
static bool
unfit(const struct tx_session *s, const struct tx_job *job, struct verdict *v)
{
	const struct envelope *e = &job->lease->envelope;
	bool ok = clean(e->sender);

	*v = (struct verdict){
		.whom = HITS_MESSAGE, .outcome = OUTCOME_FAILED,
	};
	for (uint32_t i = 0; ok && i < e->nrecipients; i++)
		ok = clean(e->recipients[i].address);
	if (!ok) {
		status_set(&v->status, 5, 1, 3, STAGE_mail, REASON_policy,
		    "control character in an address");
		return true;
	}
	if (s->size_max == 0 || job->lease->size <= s->size_max)
		return false;
	status_set(&v->status, 5, 3, 4, STAGE_mail, REASON_smtp_5xx,
	    "message of %llu octets is larger than the %llu that %s takes",
	    (unsigned long long)job->lease->size,
	    (unsigned long long)s->size_max, s->peer);
	str_copy(v->status.peer, sizeof v->status.peer, s->peer);
	return true;
}

enum tx_state
next_job(struct tx_session *s)
{
	struct tx_job *job;
	struct verdict v;

	for (;;) {
		if (s->dest == NULL || !tx_dest_wants(s->dest, s) ||
		    s->messages >= s->way->k->messages)
			return TX_QUIT;
		job = tx_dest_next(s->dest);
		if (job == NULL)	/* no time to idle, not: no end of it */
			return s->way->k->idle_ms == 0 ? TX_QUIT : TX_IDLE;
		job->soft = s->way->k->soft_bounce;
		s->job = job;
		if (!unfit(s, job, &v))
			break;
		tx_job_judge_all(job, RCPT_TODO, &v);
		settle(s);
	}
	s->messages++;
	s->batched = s->pipelining && s->way->k->pipelining;
	s->dot_written = false;
	s->dot = (struct smtp_dot_out){ 0 };
	s->body_at = 0;
	return TX_MAIL;
}

void
idle_enter(struct tx_session *s)
{
	list_del(&s->link);
	list_add_head(&s->dest->idle, &s->link);
	list_del(&s->idle_link);
	list_add_tail(&s->tx->pool.idle, &s->idle_link);
}

/* ---- MAIL, RCPT, DATA ---- */

static void
put_rcpt(struct tx_session *s, struct buf *b, uint32_t i)
{
	buf_text(b, "RCPT TO:<");
	buf_text(b, s->job->lease->envelope.recipients[i].address);
	buf_text(b, ">\r\n");
	s->expected++;
}

static void
put_mail(struct tx_session *s, struct buf *b)
{
	const struct queue_lease *l = s->job->lease;

	buf_text(b, "MAIL FROM:<");
	buf_text(b, l->envelope.sender);
	buf_text(b, ">");
	if (s->size)
		buf_printf(b, " SIZE=%llu", (unsigned long long)l->size);
	if (l->envelope.body_8bit && s->eightbit)
		buf_text(b, " BODY=8BITMIME");
	buf_text(b, "\r\n");
	s->expected++;
}

static void
put_data(struct tx_session *s, struct buf *b)
{
	buf_text(b, "DATA\r\n");
	s->expected++;
}

static void
say_8bit(const struct tx_session *s)
{
	char id[MSGID_TEXT_MAX];

	log_event("sent_8bit",
	    "id=%s peer=%s text=\"8BITMIME is not offered, sent as it is\"",
	    msgid_text(&s->job->lease->id, id), s->peer);
}

void
mail_enter(struct tx_session *s)
{
	struct tx_job *job = s->job;
	struct buf *b;

	list_del(&s->idle_link);
	list_del(&s->link);
	list_add_tail(&s->dest->busy, &s->link);
	if (job->lease->envelope.body_8bit && !s->eightbit)
		say_8bit(s);
	b = smtp_stream_begin(s->stream);
	put_mail(s, b);
	if (s->batched) {
		for (uint32_t i = 0;
		     (i = tx_job_next(job, i, RCPT_TODO)) < job->n; i++)
			put_rcpt(s, b, i);
		put_data(s, b);
	}
	smtp_stream_end(s->stream);
}

enum tx_state
mail_reply(struct tx_session *s, const struct smtp_reply *r)
{
	struct verdict v;

	judge_reply(s, STAGE_mail, r, &v);
	if (v.close) {
		step_broken(s, &v);
		return TX_CLOSED;
	}
	if (v.whom == HITS_NOBODY) {
		s->rcpt_at = tx_job_next(s->job, 0, RCPT_TODO);
		return TX_RCPT;
	}
	trace_reply(s, STAGE_mail, r);
	tx_job_judge_all(s->job, RCPT_TODO, &v);
	if (s->batched)
		return TX_SKIP;
	job_over(s, false);
	return next_job(s);
}

/* Only the reply to DATA matters: the peer may have taken it all the same. */
enum tx_state
skip_reply(struct tx_session *s, const struct smtp_reply *r)
{
	struct verdict v;

	if (r->code == 421) {
		judge_reply(s, STAGE_mail, r, &v);
		step_broken(s, &v);
		return TX_CLOSED;
	}
	if (s->expected > 0)
		return TX_SKIP;
	if (smtp_reply_go_on(r))
		return TX_DOT;
	job_over(s, false);
	return next_job(s);
}

void
rcpt_enter(struct tx_session *s)
{
	if (s->batched)
		return;
	put_rcpt(s, smtp_stream_begin(s->stream), s->rcpt_at);
	smtp_stream_end(s->stream);
}

enum tx_state
rcpt_reply(struct tx_session *s, const struct smtp_reply *r)
{
	struct tx_job *job = s->job;
	struct verdict v;

	judge_reply(s, STAGE_rcpt, r, &v);
	if (v.close) {
		step_broken(s, &v);
		return TX_CLOSED;
	}
	if (v.whom == HITS_NOBODY) {
		job->rcpts[s->rcpt_at].state = RCPT_TAKEN;
	} else {
		trace_reply(s, STAGE_rcpt, r);
		tx_job_judge(job, s->rcpt_at, &v);
	}
	s->rcpt_at = tx_job_next(job, s->rcpt_at + 1, RCPT_TODO);
	if (s->rcpt_at < job->n)
		return TX_RCPT;
	if (s->batched || tx_job_next(job, 0, RCPT_TAKEN) < job->n)
		return TX_DATA;
	job_over(s, false);
	return TX_RSET;
}

void
data_enter(struct tx_session *s)
{
	if (s->batched)
		return;
	put_data(s, smtp_stream_begin(s->stream));
	smtp_stream_end(s->stream);
}

enum tx_state
data_reply(struct tx_session *s, const struct smtp_reply *r)
{
	const bool taken = tx_job_next(s->job, 0, RCPT_TAKEN) < s->job->n;
	struct verdict v;

	judge_reply(s, STAGE_data, r, &v);
	if (v.close) {
		step_broken(s, &v);
		return TX_CLOSED;
	}
	if (v.whom == HITS_NOBODY)
		return taken && s->job->lease->body == NULL ?
		    body_piece(s) : TX_DOT;
	if (taken) {
		trace_reply(s, STAGE_data, r);
		tx_job_judge_all(s->job, RCPT_TAKEN, &v);
	}
	job_over(s, false);
	return TX_RSET;
}

/* ---- the message ---- */

static enum tx_state
body_unreadable(struct tx_session *s, const char *why)
{
	struct verdict v = {
		.whom = HITS_MESSAGE, .outcome = OUTCOME_DEFERRED,
	};
	struct tx_dest *d = s->dest;
	char id[MSGID_TEXT_MAX];

	log_warn("body_unreadable", "id=%s why=\"%s\"",
	    msgid_text(&s->job->lease->id, id), why);
	status_set(&v.status, 4, 3, 0, STAGE_body, REASON_local,
	    "cannot read the message: %s", why);
	tx_job_judge_all(s->job, RCPT_TAKEN, &v);
	tx_job_round_over(s->job, false);
	settle(s);
	s->dest = NULL;
	tx_dest_left(d, s, NULL);
	return TX_CLOSED;
}

enum tx_state
body_piece(struct tx_session *s)
{
	const struct queue_lease *l = s->job->lease;
	const uint64_t left = l->size - s->body_at;
	uint8_t piece[PIECE_MAX];
	ssize_t n;

	if (left == 0)
		return TX_DOT;
	do
		n = pread(l->body_fd, piece,
		    left < sizeof piece ? left : sizeof piece,
		    (off_t)s->body_at);
	while (n == -1 && errno == EINTR);
	if (n <= 0)
		return body_unreadable(s,
		    n == 0 ? "file is too short" : strerror(errno));
	smtp_dot_out(&s->dot, piece, (size_t)n, smtp_stream_begin(s->stream));
	smtp_stream_end(s->stream);
	s->body_at += (uint64_t)n;
	return s->body_at == l->size ? TX_DOT : TX_BODY;
}

void
dot_enter(struct tx_session *s)
{
	const struct queue_lease *l = s->job->lease;
	struct buf *b;

	if (tx_job_next(s->job, 0, RCPT_TAKEN) == s->job->n) {
		/* 354 for nobody: an empty message, it has no recipient. */
		s->dot = (struct smtp_dot_out){ 0 };
		b = smtp_stream_begin(s->stream);
	} else {
		queue_at_dot(s->tx->queue, l);
		b = smtp_stream_begin(s->stream);
		if (l->body != NULL)
			smtp_dot_out(&s->dot, l->body, l->size, b);
	}
	smtp_dot_out_end(&s->dot, b);
	smtp_stream_end(s->stream);
	s->dot_written = true;
	s->expected++;
}

enum tx_state
dot_reply(struct tx_session *s, const struct smtp_reply *r)
{
	const bool taken = tx_job_next(s->job, 0, RCPT_TAKEN) < s->job->n;
	struct verdict v;

	judge_reply(s, STAGE_dot, r, &v);
	if (v.close) {
		step_broken(s, &v);
		return TX_CLOSED;
	}
	if (taken) {
		if (v.outcome != OUTCOME_DELIVERED)
			trace_reply(s, STAGE_dot, r);
		tx_job_judge_all(s->job, RCPT_TAKEN, &v);
	}
	job_over(s, taken && v.outcome == OUTCOME_DELIVERED);
	return next_job(s);
}

/* ---- the end ---- */

void
rset_enter(struct tx_session *s)
{
	smtp_stream_printf(s->stream, "RSET\r\n");
	s->expected++;
}

enum tx_state
rset_reply(struct tx_session *s, const struct smtp_reply *r)
{
	if (smtp_reply_ok(r))
		return next_job(s);
	return r->code == 421 ? TX_CLOSED : TX_QUIT;
}

void
quit_enter(struct tx_session *s)
{
	struct tx_dest *d = s->dest;

	list_del(&s->idle_link);
	list_del(&s->link);
	list_add_tail(&s->tx->leaving, &s->link);
	s->dest = NULL;
	if (d != NULL)
		tx_dest_left(d, s, NULL);
	smtp_stream_printf(s->stream, "QUIT\r\n");
	s->expected++;
}

enum tx_state
quit_reply(struct tx_session *s, const struct smtp_reply *r)
{
	(void)s;
	(void)r;
	return TX_CLOSED;
}
