/*
 * status.h - what the world (or relayd itself) said about one recipient or one
 * destination: for retry, records, log, DSN and metrics alike.
 *
 * A status is never about this machine's own trouble: that is a struct fault.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "mta/base/mem.h"

/* X(name): the fixed reason classes, in the order of their numbers on disk. */
#define REASONS(X) \
	X(none) \
	X(dns_servfail) X(dns_timeout) X(dns_refused) X(dns_garbled) \
	X(dns_nxdomain) X(dns_nodata) X(null_mx) \
	X(connect_refused) X(connect_timeout) X(connect_unreachable) \
	X(tls_required) X(tls_handshake) X(tls_verify) X(auth_failed) \
	X(smtp_greeting) X(smtp_4xx) X(smtp_5xx) X(smtp_protocol) \
	X(peer_lost) X(loop) X(expired) X(held) X(policy) X(local)

enum reason {
#define X(name) REASON_##name,
	REASONS(X)
#undef X
	REASON_COUNT
};

/* X(name): where in an attempt it happened. */
#define STAGES(X) \
	X(none) X(dns) X(connect) X(greeting) X(ehlo) X(tls) X(auth) \
	X(mail) X(rcpt) X(data) X(body) X(dot) X(quit) X(queue)

enum stage {
#define X(name) STAGE_##name,
	STAGES(X)
#undef X
	STAGE_COUNT
};

#define STATUS_TEXT_MAX 512

struct status {
	uint8_t		class_;		/* 2 delivered, 4 deferred, 5 failed: RFC 3463 2 */
	uint16_t	subject;	/* RFC 3463 3: 0..999 */
	uint16_t	detail;
	uint16_t	reply;		/* SMTP reply code, 0: none */
	enum stage	stage;
	enum reason	reason;
	bool		remote;		/* true: said by the peer; false: our finding */
	char		text[STATUS_TEXT_MAX];	/* one line of printable ASCII */
	char		peer[128];	/* "host[address]:port" that said it, or "" */
};

const char *reason_name(enum reason r);		/* "dns_servfail" */
int reason_parse(const char *name);		/* -1: unknown */
const char *stage_name(enum stage s);
bool reason_is_dns(enum reason r);		/* retried by the dns schedule, woken by flush */

#define STATUS_CODE_MAX 16
const char *status_code(const struct status *st, char buf[STATUS_CODE_MAX]);	/* "4.4.3" */

void status_set(struct status *st, uint8_t class_, uint16_t subject, uint16_t detail,
    enum stage stage, enum reason reason, const char *fmt, ...) PRINTF_LIKE(7, 8);

void status_encode(const struct status *st, struct buf *b);
bool status_decode(struct status *st, struct rd *r);	/* false: nonsense, *st zeroed */
