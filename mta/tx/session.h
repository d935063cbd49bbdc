/*
 * session.h - one SMTP conversation with a peer, from connect to close.
 *
 * Walks of a delivering session:
 *
 *   connect greeting (ehlo [helo] | helo) ready
 *   ready = (mail rcpt+ data [body] dot [rset] | idle)* quit closed
 *
 *   mail -> skip -> [dot]   MAIL was refused after RCPT and DATA had gone with
 *                           it: their replies are waited for, and a 354 gets a
 *                           lone dot.  Never QUIT before replies are in.
 *   rcpt -> rset            every recipient refused, step by step
 *   body                    only a message that comes from a file, piece by piece
 *
 * From any state: peer lost, timer or nonsense -> closed; the table row says
 * whose trouble that is, verdict.h what kind.  Before ready the session is its
 * attempt's, afterwards its destination's.  TLS will stand between ehlo and
 * mail, and go back to ehlo (RFC 3207 4.2).
 *
 * With PIPELINING (RFC 2920) MAIL, all RCPT and DATA go in one write; the state
 * is then that of the reply expected next, and "expected" counts the replies
 * still out.  A reply that comes when none was out is premature.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "mta/base/list.h"
#include "mta/base/mem.h"
#include "mta/dns/nexthop.h"
#include "mta/smtp/dot.h"
#include "mta/smtp/reply.h"
#include "mta/smtp/stream.h"
#include "mta/tx/pool.h"
#include "mta/tx/verdict.h"

struct tx;
struct tx_attempt;
struct tx_dest;
struct tx_job;
struct tx_way;

enum tx_state {
	TX_CONNECT = 0,	/* TCP */
	TX_GREETING,
	TX_EHLO,
	TX_HELO,
	TX_IDLE,	/* nothing to send */
	TX_MAIL,
	TX_RCPT,	/* the reply to one RCPT, again for each */
	TX_SKIP,	/* replies that a refused MAIL made pointless */
	TX_DATA,
	TX_BODY,	/* a piece of a large body is on its way */
	TX_DOT,		/* dot written */
	TX_RSET,
	TX_QUIT,
	TX_CLOSED,
	TX_STATE_COUNT	/* last */
};

#define TX_PEER_MAX 336

struct tx_session {
	struct list		 link;		/* attempt's tries; dest's busy or idle; tx->leaving */
	struct list		 idle_link;	/* in the pool's idle list, oldest first */
	struct tx		*tx;		/* borrowed */
	struct tx_way		*way;		/* shared */
	struct smtp_stream	*stream;	/* owned: closes the socket */
	struct tx_attempt	*attempt;	/* borrowed; until it is ready or failed */
	struct tx_dest		*dest;		/* borrowed; from ready until it leaves */
	struct tx_job		*job;		/* owned: the transaction under way */
	struct tx_slot		 slot;		/* held from ready on */
	struct nexthop_addr	 at;
	size_t			 at_number;	/* in its attempt's group */
	char			 peer[TX_PEER_MAX];	/* "host[address]:port" */
	int64_t			 began_mono_ms;
	enum tx_state		 state;
	bool			 retired;

	/* offered in the reply to EHLO */
	bool			 pipelining, eightbit, size;
	uint64_t		 size_max;	/* 0: no limit named */

	/* replies */
	struct smtp_reply_parser parser;
	unsigned		 expected;

	/* transaction */
	uint32_t		 rcpt_at;	/* whose reply is next */
	bool			 batched;	/* MAIL, RCPT, DATA went in one write */
	struct smtp_dot_out	 dot;
	uint64_t		 body_at;	/* octets of the body written */
	bool			 dot_written;

	struct buf		 trace;		/* of the attempt that made it … */
	size_t			 trace_base;	/* … to here; a job's own entries are cut off again */
	unsigned		 messages;	/* transactions begun */
	unsigned		 finished;	/* transactions that came to an end */
};

/*
 * Begins to connect to that address of the attempt's group.  NULL: err_r tells
 * why not.  Answers, from the loop only: tx_attempt_connected(), then tx_attempt_ready() or tx_attempt_failed().
 */
struct tx_session *tx_session_new(struct tx_attempt *a, size_t number, int *err_r);

/* An idle session looks for work again. */
void tx_session_wake(struct tx_session *s);
/* No more work for it: an idle one says QUIT at once, a busy one after its transaction. */
void tx_session_dismiss(struct tx_session *s);
/*
 * Closes at once, saying nothing to the attempt: a job is given back, or maybe
 * sent if its dot was written.
 */
void tx_session_abort(struct tx_session *s);

/* "host[address]:port", TX_PEER_MAX. */
void tx_peer_name(const struct nexthop_addr *at, char *buf, size_t size);
const char *tx_state_name(enum tx_state s);
