/*
 * dnsanswer.c - DNS packets for faultdns (RFC 1035 4).  Never decides what to
 * answer: the plan does; shares no code with the daemon's own walker.
 * Read next: dnsscript.h (plans), faultdns.c (who sends it).
 */
#include "tests/lab/lib/dnsanswer.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HEADER		12
#define CNAME_HOPS	8

enum { QR = 0x80, AA = 0x04, TC = 0x02, RD = 0x01, RA = 0x80 };

/* What is being written; counts go into the header at the end. */
struct out {
	uint8_t		*p;
	size_t		 len, size;
	unsigned	 answers, authority, additional;
	bool		 full;
};

static void
put(struct out *o, const void *data, size_t n)
{
	if (o->len + n > o->size) {
		o->full = true;
		return;
	}
	memcpy(o->p + o->len, data, n);
	o->len += n;
}

static void
put16(struct out *o, unsigned v)
{
	uint8_t b[2] = { (uint8_t)(v >> 8), (uint8_t)v };

	put(o, b, 2);
}

static void
put32(struct out *o, uint32_t v)
{
	put16(o, v >> 16);
	put16(o, v & 0xffff);
}

static void
put_name(struct out *o, const char *name)
{
	while (*name && strcmp(name, ".") != 0) {
		size_t n = strcspn(name, ".");
		uint8_t len = (uint8_t)(n > 63 ? 63 : n);

		put(o, &len, 1);
		put(o, name, len);
		name += n;
		if (*name == '.')
			name++;
	}
	put(o, "", 1);
}

bool
dns_query_parse(const uint8_t *msg, size_t len, struct dns_query *q)
{
	size_t at = HEADER, n = 0;

	memset(q, 0, sizeof(*q));
	if (len < HEADER + 5 || (msg[2] & QR) || msg[4] != 0 || msg[5] != 1)
		return false;
	while (at < len && msg[at] != 0) {
		size_t label = msg[at++];

		if (label > 63 || at + label > len ||
		    n + label + 2 > sizeof(q->name))
			return false;
		if (n)
			q->name[n++] = '.';
		for (size_t i = 0; i < label; i++)
			q->name[n++] = (char)tolower(msg[at++]);
	}
	if (at + 5 > len)
		return false;
	if (n == 0)
		strcpy(q->name, ".");
	q->id = (uint16_t)(msg[0] << 8 | msg[1]);
	q->type = (unsigned)(msg[at + 1] << 8 | msg[at + 2]);
	q->question_end = at + 5;
	q->recursion = (msg[2] & RD) != 0;
	q->edns = msg[11] == 1 && len > at + 5;
	return true;
}

static void
put_head(struct out *o, const char *owner, unsigned type, uint32_t ttl_s)
{
	put_name(o, owner);
	put16(o, type);
	put16(o, 1);
	put32(o, ttl_s);
}

/* Writes the length of what was written since at. */
static void
close_rdata(struct out *o, size_t at)
{
	size_t n = o->len - at - 2;

	if (o->full)
		return;
	o->p[at] = (uint8_t)(n >> 8);
	o->p[at + 1] = (uint8_t)n;
}

static void
put_rdata(struct out *o, unsigned type, const char *text)
{
	uint8_t ip[16];
	char *end;

	if (type == T_A && inet_pton(AF_INET, text, ip) == 1) {
		put(o, ip, 4);
	} else if (type == T_AAAA && inet_pton(AF_INET6, text, ip) == 1) {
		put(o, ip, 16);
	} else if (type == T_MX) {
		put16(o, (unsigned)strtoul(text, &end, 10));
		put_name(o, end + strspn(end, " \t"));
	} else if (type == T_TXT) {
		uint8_t n = (uint8_t)(strlen(text) > 255 ? 255 : strlen(text));

		put(o, &n, 1);
		put(o, text, n);
	} else {
		put_name(o, text);
	}
}

static void
put_record(struct out *o, const char *owner, unsigned type, uint32_t ttl_s,
    const char *text)
{
	size_t at;

	put_head(o, owner, type, ttl_s);
	at = o->len;
	put16(o, 0);
	put_rdata(o, type, text);
	close_rdata(o, at);
}

/* "10 mx1.far.test, 20 mx2.far.test": one record a part. */
static void
put_list(struct out *o, const char *owner, unsigned type, uint32_t ttl_s,
    const char *list)
{
	char copy[DNS_RDATA_TEXT], *save = NULL;

	strcpy(copy, list);
	for (char *part = strtok_r(copy, ",", &save); part;
	    part = strtok_r(NULL, ",", &save)) {
		put_record(o, owner, type, ttl_s, part + strspn(part, " "));
		o->answers++;
	}
}

static void
put_soa(struct out *o, const struct dns_zone *z)
{
	static const uint32_t times[5] = { 1, 3600, 600, 86400, 60 };
	char contact[DNS_NAME_TEXT + 16];
	size_t at;

	if (!z)
		return;
	snprintf(contact, sizeof(contact), "hostmaster.%s", z->name);
	put_head(o, z->name, T_SOA, 60);
	at = o->len;
	put16(o, 0);
	put_name(o, z->nns ? z->ns[0] : z->name);
	put_name(o, contact);
	for (size_t i = 0; i < 5; i++)
		put32(o, times[i]);
	close_rdata(o, at);
}

/* The target's own records, and where they are a CNAME again theirs. */
static void
put_chain(struct out *o, const struct dns_script *s, const char *where,
    const struct dns_query *q, const struct dns_plan *plan)
{
	struct dns_plan next = *plan;
	char owner[DNS_NAME_TEXT];

	strcpy(owner, q->name);
	for (int i = 0; i < CNAME_HOPS && next.act == ACT_CNAME; i++) {
		put_record(o, owner, T_CNAME, next.ttl_s, next.rdata);
		o->answers++;
		if (q->type == T_CNAME)
			return;
		snprintf(owner, sizeof(owner), "%.255s", next.rdata);
		if (!dns_script_peek(s, where, owner, q->type, &next))
			return;
	}
	if (next.act == ACT_ANSWER)
		put_list(o, owner, q->type, next.ttl_s, next.rdata);
}

/* NODATA and NXDOMAIN; at the top of a zone also its SOA and NS. */
static void
put_absent(struct out *o, const struct dns_script *s, const struct dns_query *q)
{
	const struct dns_zone *z = dns_script_zone(s, q->name);
	bool apex = z && strcasecmp(z->name, q->name) == 0;

	if (apex && q->type == T_SOA) {
		put_soa(o, z);
		o->answers++;
	} else if (apex && q->type == T_NS && z->nns) {
		for (size_t i = 0; i < z->nns; i++)
			put_record(o, z->name, T_NS, 60, z->ns[i]);
		o->answers += (unsigned)z->nns;
	} else if (z) {
		put_soa(o, z);
		o->authority++;
	}
}

static void
put_short_rdata(struct out *o, const struct dns_query *q)
{
	static const uint8_t stump[3] = { 127, 0, 0 };
	size_t n = q->type == T_MX ? 1 : 3;

	put_head(o, q->name, q->type, 60);
	put16(o, (unsigned)n);
	put(o, stump, n);
	o->answers++;
}

static void
put_referral(struct out *o, const struct dns_query *q)
{
	put_record(o, q->name, T_NS, 60, "ns.elsewhere.test");
	o->authority++;
}

static void
put_loop(struct out *o)
{
	put16(o, 0xc000 | (unsigned)o->len);
	put16(o, T_A);
	put16(o, 1);
	put32(o, 60);
	put16(o, 4);
	put32(o, 0x7f000001);
	o->answers++;
}

static void
put_cname_loop(struct out *o, const struct dns_query *q)
{
	char other[DNS_NAME_TEXT + 8];

	snprintf(other, sizeof(other), "loop.%s", q->name);
	put_record(o, q->name, T_CNAME, 60, other);
	put_record(o, other, T_CNAME, 60, q->name);
	o->answers += 2;
}

static void
put_garbage(struct out *o, const struct dns_query *q, enum dns_garbage kind)
{
	switch (kind) {
	case GARBAGE_SHORT_RDATA:
		put_short_rdata(o, q);
		break;
	case GARBAGE_REFERRAL:
		put_referral(o, q);
		break;
	case GARBAGE_LOOP:
		put_loop(o);
		break;
	case GARBAGE_CNAME_LOOP:
		put_cname_loop(o, q);
		break;
	case GARBAGE_WRONG_ID:
	case GARBAGE_WRONG_QUESTION:
	case GARBAGE_CUT:
		put_record(o, q->name, q->type, 60, q->type == T_MX ?
		    "10 wrong.test" : q->type == T_AAAA ? "::1" : "127.0.0.99");
		o->answers++;
		break;
	default:
		break;
	}
}

/* Faults of the finished message; its length. */
static size_t
spoil(uint8_t *p, size_t len, enum dns_garbage kind)
{
	switch (kind) {
	case GARBAGE_WRONG_ID:
		p[0] ^= 0x5a;
		return len;
	case GARBAGE_WRONG_QUESTION:
		p[HEADER + 1] = p[HEADER + 1] == 'z' ? 'y' : 'z';
		return len;
	case GARBAGE_CUT:
		return len - 3;
	case GARBAGE_NOISE:
		memset(p, 0xee, 7);
		return 7;
	case GARBAGE_NOQUESTION:
		p[3] = 2;
		memset(p + 4, 0, 8);
		return HEADER;
	default:
		return len;
	}
}

static void
put_header(uint8_t *p, const struct out *o, const struct dns_query *q,
    const struct dns_plan *plan)
{
	bool proven = plan->act == ACT_GARBAGE ?
	    plan->garbage != GARBAGE_REFERRAL :
	    plan->act != ACT_RCODE || plan->rcode == 0 || plan->rcode == 3;

	p[0] = (uint8_t)(q->id >> 8);
	p[1] = (uint8_t)q->id;
	p[2] = (uint8_t)(QR | (proven ? AA : 0) | (plan->truncate ? TC : 0) |
	    (q->recursion ? RD : 0));
	p[3] = (uint8_t)(plan->act == ACT_RCODE ? plan->rcode : 0);
	p[5] = 1;
	p[7] = (uint8_t)o->answers;
	p[9] = (uint8_t)o->authority;
	p[11] = (uint8_t)o->additional;
}

static void
put_body(struct out *o, const struct dns_script *s, const char *where,
    const struct dns_query *q, const struct dns_plan *plan)
{
	switch (plan->act) {
	case ACT_ANSWER:
		put_list(o, q->name, q->type, plan->ttl_s, plan->rdata);
		break;
	case ACT_CNAME:
		put_chain(o, s, where, q, plan);
		break;
	case ACT_GARBAGE:
		put_garbage(o, q, plan->garbage);
		break;
	case ACT_NODATA:
		put_absent(o, s, q);
		break;
	case ACT_RCODE:
		if (plan->rcode == 3)
			put_absent(o, s, q);
		break;
	case ACT_DROP:
		break;
	}
}

static void
put_opt(struct out *o)
{
	put(o, "", 1);
	put16(o, T_OPT);
	put16(o, 1232);
	put32(o, 0);
	put16(o, 0);
	o->additional++;
}

size_t
dns_answer_build(const struct dns_script *s, const char *where, bool tcp,
    const struct dns_query *q, const uint8_t *msg, size_t len,
    const struct dns_plan *plan, uint8_t *out, size_t size)
{
	struct out o = { .p = out, .size = size, .len = HEADER };

	(void)len;
	memset(out, 0, HEADER);
	put(&o, msg + HEADER, q->question_end - HEADER);
	if (!plan->truncate)
		put_body(&o, s, where, q, plan);
	if (q->edns && plan->act != ACT_GARBAGE)
		put_opt(&o);
	if (o.full)
		return 0;
	/* Plain UDP carries 512 octets (RFC 1035 4.2.1). */
	if (!tcp && !q->edns && o.len > 512) {
		struct dns_plan cut = *plan;

		cut.truncate = true;
		return dns_answer_build(s, where, tcp, q, msg, len, &cut, out, size);
	}
	put_header(out, &o, q, plan);
	return plan->act == ACT_GARBAGE ? spoil(out, o.len, plan->garbage) : o.len;
}
