/*
 * packet.h - DNS messages as octets (RFC 1035 4): builds one question, walks
 * an answer without ever leaving it.  Pure but for packet_random_id().
 *
 * Names are text: lower case, labels joined by dots, no trailing dot, the root
 * is ".".  Octets that are not printable, blanks, dots inside a label and the
 * backslash are \DDD, so that every name survives the way there and back.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mta/base/fault.h"

enum {
	QTYPE_A = 1, QTYPE_NS = 2, QTYPE_CNAME = 5, QTYPE_SOA = 6,
	QTYPE_MX = 15, QTYPE_AAAA = 28,
};

#define PACKET_HEADER_LEN 12u
#define PACKET_QUERY_MAX (PACKET_HEADER_LEN + 255u + 4u)
#define PACKET_NAME_MAX 1025	/* 255 octets, all escaped */

/* Can it be asked: labels of 1 to 63 octets, 255 in all, not the root. */
bool packet_name_ok(const char *name);

uint16_t packet_random_id(void);	/* getrandom(2), buffered */

/* One question, RD set, no EDNS.  Returns its length; 0: not a name. */
size_t packet_query(uint8_t out[PACKET_QUERY_MAX], uint16_t id,
    const char *name, uint16_t qtype);

/* Is p an answer (QR) to this query: same id and the same one question? */
bool packet_is_answer(const uint8_t *query, size_t qlen, const uint8_t *p,
    size_t n);

enum packet_section { SECTION_ANSWER = 0, SECTION_AUTHORITY, SECTION_END };

/* A walk over the records of one message; p is borrowed. */
struct packet {
	const uint8_t	*p;
	size_t		 n, at;
	unsigned	 rcode;
	bool		 qr, tc, aa, ra;
	unsigned	 left[2];	/* records not yet read: answer, authority */
};

struct packet_rr {
	enum packet_section	section;
	char			owner[PACKET_NAME_MAX];
	uint16_t		type, class_;
	uint32_t		ttl;	/* above 2^31-1 counts as 0: RFC 2181 8 */
	size_t			rdata;	/* offset in the message */
	size_t			rdlen;
};

/* Reads the header and steps over the question; false: garbled. */
MUST_CHECK bool packet_open(struct packet *pk, const uint8_t *p, size_t n);

/* The next record of answer and authority; section END: no more.  False: garbled. */
MUST_CHECK bool packet_next(struct packet *pk, struct packet_rr *rr);

/*
 * The name at offset at into text; returns the octets it takes there, 0 when
 * it leaves the message, loops, or is longer than 255 octets.
 */
size_t packet_name(const uint8_t *p, size_t n, size_t at,
    char text[PACKET_NAME_MAX]);
