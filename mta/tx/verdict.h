/*
 * verdict.h - what a failed (or the last good) step of a delivery does to
 * recipients, message, destination and session.  Pure: facts in, effect out.
 *
 * fact                            recipient      message               destination
 * ------------------------------  -------------  --------------------  ---------------------
 * connect failed                  -              -                     next address; all: deferred
 * greeting 4xx, 5xx, lost         -              -                     next address; all: deferred
 * EHLO 5xx                        -              -                     HELO on the same session
 * EHLO 4xx, HELO 4xx 5xx, lost    -              -                     next address; all: deferred
 * MAIL 4xx                        -              defer all             -
 * MAIL 5xx                        -              fail all              -
 * RCPT 4xx                        defer          -                     -
 * RCPT 452, 552 too many          next transaction, or defer when none was taken
 * RCPT 5xx                        fail           -                     -
 * DATA 4xx, 5xx                   -              defer, fail all left  -
 * MAIL RCPT DATA 421              -              once more on another connection, then defer
 * lost, silent or garbled there   -              once more on another connection, then defer
 * anything said during the body   -              defer; maybe sent once the dot is written
 * dot 2xx                         -              delivered             it lives
 * dot 4xx, 5xx                    -              defer, fail all left  -
 * dot: any other reply, garbled,  -              defer, maybe sent     -
 *   premature, lost or silent
 *
 * Every 421, loss and breach of protocol ends the session besides.  "All left"
 * are the recipients that RCPT took.  soft_bounce turns each failure into a
 * deferral of the same text (verdict_soften).
 *
 * Sources: RFC 5321 4.2.1 (reply classes), 4.5.3.1.10 (too many recipients),
 * 4.5.4.1 (retry), 3.8 (421 and loss), RFC 3463 (status codes).
 */
#pragma once

#include <stdbool.h>

#include "mta/smtp/reply.h"
#include "queue/queue.h"
#include "queue/status.h"

/* What happened instead of (or as) a reply. */
enum verdict_fact {
	FACT_REPLY = 0,		/* a well-formed reply */
	FACT_LOST,		/* the peer closed or reset */
	FACT_SILENT,		/* our timer ran out */
	FACT_GARBLED,		/* not a reply, or one without end */
	FACT_PREMATURE,		/* a reply to nothing we had said */
};

/* Whom it hits. */
enum verdict_whom { HITS_NOBODY = 0, HITS_RECIPIENT, HITS_MESSAGE, HITS_DESTINATION };

struct verdict {
	enum verdict_whom	whom;
	enum queue_outcome	outcome;	/* of whom it hits; for the destination RETURNED */
	bool			maybe_sent;
	bool			again;		/* another connection may do better: once */
	bool			later;		/* the recipient belongs in the next transaction */
	bool			close;		/* the session is of no more use */
	struct status		status;
};

/*
 * Judges one step.  reply is looked at only for FACT_REPLY.  peer is
 * "host[address]:port".  err: errno of a loss, 0 for an orderly close.
 * dot_written: the final dot went to the stream.
 */
struct verdict_case {
	enum stage			 stage;
	enum verdict_fact		 fact;
	const struct smtp_reply		*reply;
	const char			*peer;
	int				 err;
	bool				 dot_written;
	bool				 ipv6;		/* the peer's address */
};
void verdict_judge(struct verdict *v, const struct verdict_case *c);

/* A connect that failed: refused, unreachable or timed out. */
void verdict_connect(struct status *st, const char *peer, int err);

/* A failure becomes a deferral: class 4, the reply stays in the text. */
void verdict_soften(enum queue_outcome *outcome, struct status *st);

/* Of two reasons why a destination failed, true when b says more than a. */
bool verdict_says_more(const struct status *a, const struct status *b);
