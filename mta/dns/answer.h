/*
 * answer.h - the outcome of one DNS question: usable, absent or soft, with the
 * records that count (RESOLUTION 1).  Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "queue/status.h"
#include "queue/trace.h"

/* In the order of merging: the largest wins over families and MX hosts. */
enum dns_kind { DNS_ABSENT = 0, DNS_SOFT, DNS_USABLE };

#define ANSWER_RRS_MAX 100		/* more are counted, not kept */
#define ANSWER_CHAIN_MAX 8u		/* CNAMEs in a row */
#define ANSWER_TTL_MAX_S 3600u
#define ANSWER_NEGATIVE_TTL_MAX_S 300u
#define ANSWER_SOFT_TTL_S 5u		/* RFC 9520 3.2 */

struct dns_answer {
	uint16_t		 outcome;	/* enum trace_outcome or rcode */
	uint32_t		 ttl_s;		/* may be cached so long; 0: not at all */
	unsigned		 chain;		/* CNAMEs followed */
	unsigned		 total;		/* records that came */
	unsigned		 n;		/* of them here, MX by preference */
	struct trace_answer	*rr;		/* owned */
	char			 cname[256];	/* not "": the chain leads out, there */
};

enum dns_kind dns_kind(uint16_t outcome);
enum reason dns_reason(uint16_t outcome);	/* none for NOERROR */
/* REFUSED, NOTIMP, referral: "not served here". */
bool dns_not_here(uint16_t outcome);

/* Of two soft outcomes of one question the one to report: the larger weight. */
unsigned dns_soft_weight(uint16_t outcome);

/* Judges the message p; *a is overwritten.  name is what the question named. */
void answer_read(struct dns_answer *a, const uint8_t *p, size_t n,
    const char *name, uint16_t qtype);

void answer_set(struct dns_answer *a, uint16_t outcome);	/* one without records */
void answer_copy(struct dns_answer *to, const struct dns_answer *from);
void answer_free(struct dns_answer *a);		/* what hangs on it, not a itself */

/* MX that says "no mail here": "." alone, RFC 7505 3. */
bool answer_null_mx(const struct dns_answer *a);
