/*
 * verdict.c - what a step of a delivery does to recipients, message and
 * destination.  Knows replies and stages; never touches sockets, timers or the
 * queue: it fills a struct verdict that steps.c and attempt.c carry out.
 * Sources: RFC 5321 4.2.1, 4.5.3.1.10, 4.5.4.1, RFC 3463; the policy as a
 * table is in verdict.h.  Read next: steps.c (who asks).
 */
#include "mta/tx/verdict.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Who is hit by a bad end of each stage, and what was said last. */
static const struct stage_row {
	enum verdict_whom	 whom;
	const char		*doing;		/* "in reply to …" */
} stage_rows[STAGE_COUNT] = {
	[STAGE_none]     = { HITS_NOBODY,      "idling" },
	[STAGE_connect]  = { HITS_DESTINATION, "connecting" },
	[STAGE_greeting] = { HITS_DESTINATION, "greeting" },
	[STAGE_ehlo]     = { HITS_DESTINATION, "EHLO" },
	[STAGE_mail]     = { HITS_MESSAGE,     "MAIL FROM" },
	[STAGE_rcpt]     = { HITS_RECIPIENT,   "RCPT TO" },
	[STAGE_data]     = { HITS_MESSAGE,     "DATA" },
	[STAGE_body]     = { HITS_MESSAGE,     "sending the message" },
	[STAGE_dot]      = { HITS_MESSAGE,     "end of data" },
	[STAGE_quit]     = { HITS_NOBODY,      "QUIT" },
};

static void
status_said(struct status *st, const struct verdict_case *c, uint8_t class_,
    enum reason reason)
{
	const struct smtp_reply *r = c->reply;
	const bool enhanced = r->has_enhanced;
	char code[24] = "";

	if (enhanced)
		snprintf(code, sizeof code, "%u.%u.%u ", r->class_, r->subject,
		    r->detail);
	status_set(st, class_, enhanced ? r->subject : 0,
	    enhanced ? r->detail : 0, c->stage, reason,
	    "%s said: %u %s%s%s%s%s", c->peer, r->code, code, r->text,
	    class_ == 2			   ? "" :
		c->stage == STAGE_greeting ? " (at the " :
					     " (in reply to ",
	    class_ == 2 ? "" : stage_rows[c->stage].doing,
	    class_ == 2 ? "" : ")");
	st->reply = (uint16_t)r->code;
	st->remote = true;
	snprintf(st->peer, sizeof st->peer, "%s", c->peer);
}

static void
status_found(struct status *st, const struct verdict_case *c)
{
	const char *doing = stage_rows[c->stage].doing;

	switch (c->fact) {
	case FACT_LOST:
		status_set(st, 4, 4, 2, c->stage, REASON_peer_lost,
		    "lost the connection with %s while %s%s (%s)", c->peer,
		    c->stage == STAGE_body ? "" : "waiting at ", doing,
		    c->err == 0 ? "closed by the peer" : strerror(c->err));
		break;
	case FACT_SILENT:
		status_set(st, 4, 4, 2, c->stage, REASON_peer_lost,
		    "%s was silent too long at %s", c->peer, doing);
		break;
	case FACT_PREMATURE:
		status_set(st, 4, 5, 0, c->stage, REASON_smtp_protocol,
		    "%s answered before it was its turn, at %s", c->peer,
		    doing);
		break;
	default:
		status_set(st, 4, 5, 0, c->stage, REASON_smtp_protocol,
		    "%s sent no valid SMTP reply at %s", c->peer, doing);
	}
	snprintf(st->peer, sizeof st->peer, "%s", c->peer);
}

static void
judge_break(struct verdict *v, const struct verdict_case *c)
{
	const bool before_dot = c->stage == STAGE_mail ||
	    c->stage == STAGE_rcpt || c->stage == STAGE_data;

	status_found(&v->status, c);
	v->close = true;
	v->whom = stage_rows[c->stage].whom;
	if (v->whom == HITS_DESTINATION) {
		if (c->stage == STAGE_greeting)
			v->status.reason =
			    c->fact == FACT_LOST || c->fact == FACT_SILENT ?
			    REASON_smtp_greeting :
			    REASON_smtp_protocol;
		v->outcome = OUTCOME_RETURNED;
		return;
	}
	/* Breaking off at one recipient hits all of them. */
	if (v->whom == HITS_RECIPIENT)
		v->whom = HITS_MESSAGE;
	v->outcome = OUTCOME_DEFERRED;
	v->maybe_sent = c->dot_written;
	v->again = before_dot ||
	    (c->stage == STAGE_body && !c->dot_written && c->fact == FACT_LOST);
}

/* RFC 5321 4.5.3.1.10: 552 in this place means 452. */
static bool
too_many(const struct smtp_reply *r)
{
	if (r->code != 452 && r->code != 552)
		return false;
	return !r->has_enhanced || (r->subject == 5 && r->detail == 3);
}

static bool
expected(const struct verdict_case *c)
{
	if (c->stage == STAGE_data)
		return c->reply->code == 354;
	return c->reply->code / 100 == 2;
}

static void
judge_good(struct verdict *v, const struct verdict_case *c)
{
	v->whom = HITS_NOBODY;
	if (c->stage != STAGE_dot)
		return;
	v->whom = HITS_MESSAGE;
	v->outcome = OUTCOME_DELIVERED;
	status_said(&v->status, c, 2, REASON_none);
}

void
verdict_judge(struct verdict *v, const struct verdict_case *c)
{
	struct verdict_case odd = *c;
	unsigned class_;

	v->whom = HITS_NOBODY;
	v->outcome = OUTCOME_RETURNED;
	v->maybe_sent = v->again = v->later = v->close = false;
	v->status.class_ = 0;
	if (c->fact != FACT_REPLY) {
		judge_break(v, c);
		return;
	}
	if (expected(c)) {
		judge_good(v, c);
		return;
	}
	class_ = c->reply->code / 100;
	if (class_ != 4 && class_ != 5) {	/* 2xx to DATA, 3xx elsewhere */
		odd.fact = FACT_GARBLED;
		judge_break(v, &odd);
		return;
	}
	v->whom = stage_rows[c->stage].whom;
	v->close = c->reply->code == 421;
	if (v->whom == HITS_DESTINATION) {
		/* It waits, whatever the class: only replies about the mail may fail it. */
		status_said(&v->status, c, 4,
		    c->stage == STAGE_greeting ? REASON_smtp_greeting :
			class_ == 4	       ? REASON_smtp_4xx :
						 REASON_smtp_5xx);
		v->outcome = OUTCOME_RETURNED;
		return;
	}
	if (c->stage == STAGE_rcpt && too_many(c->reply)) {
		v->later = true;
		class_ = 4;
	}
	status_said(&v->status, c, (uint8_t)class_,
	    class_ == 4 ? REASON_smtp_4xx : REASON_smtp_5xx);
	v->outcome = class_ == 4 ? OUTCOME_DEFERRED : OUTCOME_FAILED;
	v->again = v->close && c->stage != STAGE_dot && c->stage != STAGE_body;
	if (v->close && v->whom == HITS_RECIPIENT)
		v->whom = HITS_MESSAGE;	/* 421 is about the service */
}

/* Errors that say more about this machine than about the peer. */
static bool
local_trouble(int err)
{
	return err == EMFILE || err == ENFILE || err == ENOBUFS ||
	    err == ENOMEM || err == EADDRNOTAVAIL;
}

void
verdict_connect(struct status *st, const char *peer, int err)
{
	switch (err) {
	case ECONNREFUSED:
		status_set(st, 4, 4, 1, STAGE_connect, REASON_connect_refused,
		    "%s refused the connection", peer);
		break;
	case ETIMEDOUT:
		status_set(st, 4, 4, 1, STAGE_connect, REASON_connect_timeout,
		    "%s did not answer the connect", peer);
		break;
	default:
		status_set(st, 4, 4, 1, STAGE_connect,
		    REASON_connect_unreachable, "cannot connect to %s: %s",
		    peer, err == 0 ? "closed" : strerror(err));
	}
	if (local_trouble(err)) {
		st->subject = 3;
		st->detail = 0;
		st->reason = REASON_local;
	}
	snprintf(st->peer, sizeof st->peer, "%s", peer);
}

void
verdict_soften(enum queue_outcome *outcome, struct status *st)
{
	if (*outcome != OUTCOME_FAILED)
		return;
	*outcome = OUTCOME_DEFERRED;
	st->class_ = 4;
}

/* A server that talked says more than one that could not be reached. */
bool
verdict_says_more(const struct status *a, const struct status *b)
{
	if (a->class_ == 0)
		return true;
	if (b->class_ == 0)
		return false;
	if (a->remote != b->remote)
		return b->remote;
	return b->stage > a->stage;
}
