/*
 * packet.c - builds DNS questions and walks DNS answers (RFC 1035 4).
 * Never trusts a length or a pointer: every read is checked against the end,
 * compression pointers must point backwards, a name is at most 255 octets.
 * Judges nothing: what an answer means is answer.c's business.
 * Read next: answer.c.
 */
#include "mta/dns/packet.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "mta/base/log.h"
#include "mta/base/str.h"

#define NAME_OCTETS_MAX 255u
#define LABEL_MAX 63u
#define CLASS_IN 1u

static uint16_t
get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t
get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static uint8_t *
put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
	return p + 2;
}

/* One octet of a label, escapes undone; -1: a broken escape. */
static int
unescape(const char **s)
{
	const char *c = *s;

	if (*c != '\\') {
		*s = c + 1;
		return (unsigned char)*c;
	}
	if (c[1] >= '0' && c[1] <= '2' && c[2] >= '0' && c[2] <= '9' &&
	    c[3] >= '0' && c[3] <= '9') {
		int v = (c[1] - '0') * 100 + (c[2] - '0') * 10 + (c[3] - '0');

		*s = c + 4;
		return v <= 255 ? v : -1;
	}
	if (c[1] == '\0' || (c[1] >= '0' && c[1] <= '9'))
		return -1;
	*s = c + 2;
	return (unsigned char)c[1];
}

/* The wire form of a name; returns its length, 0 when it is none. */
static size_t
wire_name(uint8_t out[NAME_OCTETS_MAX], const char *name)
{
	size_t len_at = 0, n = 1;

	for (const char *s = name; *s != '\0';) {
		if (*s == '.') {
			if (n - len_at - 1 == 0)
				return 0;	/* empty label */
			out[len_at] = (uint8_t)(n - len_at - 1);
			if (*++s == '\0') {	/* trailing dot */
				out[n] = 0;
				return n + 1;
			}
			len_at = n++;
		} else {
			int octet = unescape(&s);

			if (octet == -1 || n - len_at - 1 == LABEL_MAX)
				return 0;
			out[n++] = (uint8_t)octet;
		}
		if (n >= NAME_OCTETS_MAX)	/* the root label must fit */
			return 0;
	}
	if (n - len_at - 1 == 0)
		return 0;
	out[len_at] = (uint8_t)(n - len_at - 1);
	out[n] = 0;
	return n + 1;
}

bool
packet_name_ok(const char *name)
{
	uint8_t wire[NAME_OCTETS_MAX];

	return wire_name(wire, name) != 0;
}

uint16_t
packet_random_id(void)
{
	static uint8_t pool[256];	/* role state: fresh randomness */
	static size_t left;

	if (left < 2) {
		ssize_t n;

		do {
			n = getrandom(pool, sizeof pool, 0);
		} while (n == -1 && errno == EINTR);
		if (n != (ssize_t)sizeof pool)
			bug("getrandom gave %zd octets", n);
		left = sizeof pool;
	}
	left -= 2;
	return get16(pool + left);
}

size_t
packet_query(uint8_t out[PACKET_QUERY_MAX], uint16_t id, const char *name,
    uint16_t qtype)
{
	static const uint8_t rest[] = { 1, 0, 0, 1, 0, 0, 0, 0, 0, 0 };
	uint8_t *p = put16(out, id);	/* then RD, one question, no more */
	size_t n;

	memcpy(p, rest, sizeof rest);
	p += sizeof rest;
	n = wire_name(p, name);
	if (n == 0)
		return 0;
	p = put16(p + n, qtype);
	p = put16(p, CLASS_IN);
	return (size_t)(p - out);
}

/* Appends one octet of a label to text; the array holds any 255 octets. */
static char *
put_octet(char *t, uint8_t c)
{
	if (c <= ' ' || c >= 127 || c == '.' || c == '\\')
		return t + sprintf(t, "\\%03u", c);
	*t = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
	return t + 1;
}

size_t
packet_name(const uint8_t *p, size_t n, size_t at, char text[PACKET_NAME_MAX])
{
	size_t taken = 0, lowest = at, octets = 1;
	char *t = text;

	for (;;) {
		unsigned len;

		if (at >= n)
			return 0;
		len = p[at];
		if ((len & 0xc0) == 0xc0) {
			size_t to;

			if (at + 1 >= n)
				return 0;
			to = (len & 0x3f) << 8 | p[at + 1];
			if (taken == 0)
				taken = at + 2 - lowest;
			if (to >= lowest)	/* only ever backwards */
				return 0;
			at = lowest = to;
			continue;
		}
		if ((len & 0xc0) != 0)		/* RFC 6891 5: not in use */
			return 0;
		if (len == 0)
			break;
		octets += len + 1;
		if (octets > NAME_OCTETS_MAX || at + 1 + len > n)
			return 0;
		if (t != text)
			*t++ = '.';
		for (unsigned i = 1; i <= len; i++)
			t = put_octet(t, p[at + i]);
		at += len + 1;
	}
	if (t == text)
		*t++ = '.';
	*t = '\0';
	return taken != 0 ? taken : at + 1 - lowest;
}

bool
packet_is_answer(const uint8_t *query, size_t qlen, const uint8_t *p, size_t n)
{
	char asked[PACKET_NAME_MAX], got[PACKET_NAME_MAX];
	size_t qn, an;

	if (n < PACKET_HEADER_LEN || memcmp(query, p, 2) != 0 ||
	    (p[2] & 0x80) == 0 || get16(p + 4) != 1)
		return false;
	qn = packet_name(query, qlen, PACKET_HEADER_LEN, asked);
	an = packet_name(p, n, PACKET_HEADER_LEN, got);
	if (qn == 0 || an == 0 || strcmp(asked, got) != 0)
		return false;
	if (PACKET_HEADER_LEN + an + 4 > n)
		return false;
	return memcmp(query + PACKET_HEADER_LEN + qn,
	    p + PACKET_HEADER_LEN + an, 4) == 0;
}

bool
packet_open(struct packet *pk, const uint8_t *p, size_t n)
{
	char name[PACKET_NAME_MAX];
	unsigned questions;

	memset(pk, 0, sizeof *pk);
	if (n < PACKET_HEADER_LEN)
		return false;
	pk->p = p;
	pk->n = n;
	pk->qr = (p[2] & 0x80) != 0;
	pk->aa = (p[2] & 0x04) != 0;
	pk->tc = (p[2] & 0x02) != 0;
	pk->ra = (p[3] & 0x80) != 0;
	pk->rcode = p[3] & 0x0f;
	questions = get16(p + 4);
	pk->left[SECTION_ANSWER] = get16(p + 6);
	pk->left[SECTION_AUTHORITY] = get16(p + 8);
	pk->at = PACKET_HEADER_LEN;
	if (questions > 1)
		return false;
	if (questions == 1) {
		size_t len = packet_name(p, n, pk->at, name);

		if (len == 0 || pk->at + len + 4 > n)
			return false;
		pk->at += len + 4;
	}
	return true;
}

bool
packet_next(struct packet *pk, struct packet_rr *rr)
{
	const uint8_t *fixed;
	size_t len;

	rr->section = SECTION_ANSWER;
	while (rr->section != SECTION_END && pk->left[rr->section] == 0)
		rr->section++;
	if (rr->section == SECTION_END)
		return true;
	len = packet_name(pk->p, pk->n, pk->at, rr->owner);
	if (len == 0 || pk->n - pk->at - len < 10)
		return false;
	fixed = pk->p + pk->at + len;
	rr->type = get16(fixed);
	rr->class_ = get16(fixed + 2);
	rr->ttl = get32(fixed + 4);
	if (rr->ttl > INT32_MAX)
		rr->ttl = 0;
	rr->rdlen = get16(fixed + 8);
	rr->rdata = pk->at + len + 10;
	if (rr->rdlen > pk->n - rr->rdata)
		return false;
	pk->at = rr->rdata + rr->rdlen;
	pk->left[rr->section]--;
	return true;
}
