/*
 * session.h - one SMTP conversation with a client, receiving side.
 *
 * Walks (RFC 5321 4.1.4):
 *
 *   greeted -> ready -> mail -> rcpt -> data -> commit -> ready …
 *
 * EHLO and RSET lead from any of the first four back to ready; QUIT, too many
 * errors, drain and silence lead to closing.  commit waits for the queue (for
 * a large body first for the writer), and the client waits with it: no command
 * is read until the message is safe or refused.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "mta/base/list.h"
#include "mta/rx/body.h"
#include "mta/rx/received.h"
#include "mta/smtp/command.h"
#include "mta/smtp/dot.h"
#include "queue/envelope.h"

struct queue_accept;
struct rx;
struct rx_conf;
struct rx_listener;
struct smtp_stream;

enum rx_state {
	RX_GREETED = 0,	/* 220 said, no EHLO yet */
	RX_READY,	/* between transactions */
	RX_MAIL,	/* sender known, no recipient */
	RX_RCPT,	/* at least one recipient */
	RX_DATA,	/* content comes */
	RX_COMMIT,	/* content is there, the queue has not answered */
	RX_CLOSING,	/* last words said */
	RX_STATE_COUNT	/* last: the table of rows is checked against it */
};

/* Why nothing is read from the client for now; any of them holds. */
enum rx_hold {
	HOLD_COMMIT = 1,	/* the queue has not answered */
	HOLD_BODY = 2,		/* the body's file is behind */
	HOLD_QUEUE = 4,		/* too much on its way to the queue, all sessions */
	HOLD_OUTPUT = 8,	/* the client does not read our replies */
};

struct rx_session {
	struct list		 node;		/* in rx->sessions */
	struct rx		*rx;		/* borrowed */
	struct rx_listener	*listener;	/* counted */
	struct rx_conf		*conf;		/* counted; taken anew at MAIL */
	const struct conf_listener *cl;		/* of conf */
	const struct conf_cidr	*network;	/* of cl, that the client is in; NULL: none */
	struct smtp_stream	*stream;	/* owned */
	enum rx_state		 state;
	unsigned		 holds;		/* HOLD_* */
	unsigned		 errors;	/* 5xx since the last message taken */
	bool			 esmtp;		/* EHLO, not HELO */
	bool			 skipping;	/* the rest of a line that is too long */
	bool			 retired;
	struct conf_addr	 client;
	char			 client_text[64];	/* without port and brackets */
	char			*helo;		/* owned; NULL before EHLO */

	/* The transaction. */
	struct envelope		 envelope;	/* listener, client and helo are borrowed */
	uint32_t		 recipients_cap;
	uint64_t		 declared;	/* SIZE=; 0: not said */
	struct msgid		 id;
	struct smtp_dot_in	 dot;
	struct received_count	 received;
	struct rx_body		 body;
	uint64_t		 content;	/* octets received; with stuffing once refused */
	bool			 discard;	/* refused already: only the end is of interest */
	struct queue_accept	*accept;	/* NULL: none under way */
};

/* fd (given) is connected; greets.  The session frees itself when it ends. */
void rx_session_new(struct rx_listener *l, int fd, const struct conf_addr *client);
/* Without a word, at once. */
void rx_session_free(struct rx_session *s);
/* Drain: 421 now, or after the transaction under way. */
void rx_session_drain(struct rx_session *s, bool now);

const char *rx_state_name(enum rx_state st);
const char *rx_hostname(const struct rx_session *s);	/* as this listener calls us */

/* ---- for commands.c and data.c ---- */

/* The only way to another state; logs it at trace. */
void rx_move(struct rx_session *s, enum rx_state to);
void rx_hold(struct rx_session *s, enum rx_hold why);
void rx_release(struct rx_session *s, enum rx_hold why);
/* One line, complete with code; 5xx count as errors. */
void rx_say(struct rx_session *s, const char *line);
void rx_sayf(struct rx_session *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
void rx_transaction_reset(struct rx_session *s);
/* Takes the newest configuration; false: our listener is gone. */
MUST_CHECK bool rx_session_adopt(struct rx_session *s);

/* Reads one command line; returns octets consumed, 0: not complete. */
size_t rx_commands_input(struct rx_session *s, const uint8_t *data, size_t n);
/* Reads content. */
size_t rx_data_input(struct rx_session *s, const uint8_t *data, size_t n);
/* DATA was said: prepares, says 354. */
enum rx_state rx_data_begin(struct rx_session *s);
