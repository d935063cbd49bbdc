/*
 * envelope.h - message ids, and the envelope of a message (RFC 5321 2.3.1).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mta/base/mem.h"

/* 128 bits: 48 of wall clock in ms, then random.  Orders by time. */
struct msgid {
	uint8_t	b[16];
};

#define MSGID_TEXT_MAX 27	/* 26 characters of Crockford base 32, and 0 */

void msgid_mint(struct msgid *id, int64_t now_wall_ms);	/* random by getrandom(2), buffered */
const char *msgid_text(const struct msgid *id, char buf[MSGID_TEXT_MAX]);
bool msgid_parse(const char *s, struct msgid *id);		/* whole form only */
bool msgid_has_tail(const struct msgid *id, const char *tail);	/* ASCII case ignored */
int64_t msgid_wall_ms(const struct msgid *id);

struct recipient {
	char	*address;	/* as given in RCPT, without <>; owned */
	char	*orcpt;		/* RFC 3461 ORCPT as given or NULL; owned */
	uint8_t	 notify;	/* NOTIFY_* bits; 0: not given */
};

enum { NOTIFY_NEVER = 1, NOTIFY_SUCCESS = 2, NOTIFY_FAILURE = 4, NOTIFY_DELAY = 8 };

struct envelope {
	char			*sender;	/* "" is the null reverse-path */
	char			*envid;		/* RFC 3461 or NULL */
	char			*listener;	/* its name; "" for our own DSNs */
	char			*client;	/* "192.0.2.7" or "" */
	char			*helo;		/* what the client called itself */
	uint8_t			 ret;		/* 0 not given, 1 FULL, 2 HDRS */
	bool			 body_8bit;	/* BODY=8BITMIME */
	bool			 smtputf8;
	int64_t			 arrival_wall_ms;
	struct recipient	*recipients;	/* ordinal = index */
	uint32_t		 nrecipients;
};

void envelope_free(struct envelope *e);		/* what hangs on it, not e itself */
void envelope_encode(const struct envelope *e, struct buf *b);
bool envelope_decode(struct envelope *e, struct rd *r);	/* false: nonsense, *e emptied */

/* The domain of an address in lower case, no trailing dot, into buf; false: none or too long. */
#define DOMAIN_MAX 256
bool address_domain(const char *address, char buf[DOMAIN_MAX]);
