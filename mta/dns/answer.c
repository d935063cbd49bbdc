/*
 * answer.c - judges one DNS message: what came, whether absence is proven,
 * how long it may be remembered.
 * Never asks and never keeps time; a doubt is always "soft", never "absent",
 * for on absence mail is failed.  Sources: RFC 1034 3.6.2, 2181, 2308, 7505.
 * Read next: question.c (who asks), policy.c (what it means for the mail).
 */
#include "mta/dns/answer.h"

#include <stdlib.h>
#include <string.h>

#include "mta/base/mem.h"
#include "mta/base/str.h"
#include "mta/dns/packet.h"

#define CNAMES_MAX 16u

struct cname {
	char		owner[256], target[256];
	uint32_t	ttl;
};

/* What one walk over the message has found. */
struct walk {
	struct cname	 cnames[CNAMES_MAX];
	unsigned	 ncnames;
	bool		 too_many;	/* CNAMEs */
	bool		 soa, ns;	/* in the authority section */
	uint32_t	 negative_ttl;
};

enum dns_kind
dns_kind(uint16_t outcome)
{
	switch (outcome) {
	case OUT_NOERROR:
		return DNS_USABLE;
	case OUT_NXDOMAIN:
	case OUT_NODATA:
		return DNS_ABSENT;
	}
	return DNS_SOFT;
}

enum reason
dns_reason(uint16_t outcome)
{
	switch (outcome) {
	case OUT_NOERROR:
		return REASON_none;
	case OUT_NXDOMAIN:
		return REASON_dns_nxdomain;
	case OUT_NODATA:
		return REASON_dns_nodata;
	case OUT_REFUSED:
	case OUT_NOTIMP:
	case OUT_REFERRAL:
		return REASON_dns_refused;
	case OUT_TIMEOUT:
	case OUT_NETWORK:
	case OUT_NOT_ASKED:
		return REASON_dns_timeout;
	case OUT_FORMERR:
	case OUT_GARBLED:
	case OUT_CNAME_LOOP:
	case OUT_TRUNCATED:
		return REASON_dns_garbled;
	}
	return REASON_dns_servfail;	/* and every rcode above 5 */
}

bool
dns_not_here(uint16_t outcome)
{
	return dns_reason(outcome) == REASON_dns_refused;
}

unsigned
dns_soft_weight(uint16_t outcome)
{
	switch (dns_reason(outcome)) {
	case REASON_dns_servfail:
		return 4;
	case REASON_dns_garbled:
		return 3;
	case REASON_dns_timeout:
		return 2;
	default:
		return 1;	/* "not here" only if all say so */
	}
}

void
answer_set(struct dns_answer *a, uint16_t outcome)
{
	memset(a, 0, sizeof *a);
	a->outcome = outcome;
	if (dns_kind(outcome) == DNS_SOFT)
		a->ttl_s = ANSWER_SOFT_TTL_S;
}

void
answer_copy(struct dns_answer *to, const struct dns_answer *from)
{
	*to = *from;
	to->rr = NULL;
	if (from->n != 0) {
		to->rr = xmalloc(from->n * sizeof *to->rr);
		memcpy(to->rr, from->rr, from->n * sizeof *to->rr);
	}
}

void
answer_free(struct dns_answer *a)
{
	free(a->rr);
	memset(a, 0, sizeof *a);
}

bool
answer_null_mx(const struct dns_answer *a)
{
	for (unsigned i = 0; i < a->n; i++)
		if (strcmp(a->rr[i].name, ".") != 0)
			return false;
	return a->n != 0 && a->total == a->n;
}

/* The TTL of a negative answer: the lesser of SOA's own and MINIMUM. */
static bool
read_soa(const struct packet *pk, const struct packet_rr *rr, uint32_t *ttl_r)
{
	char name[PACKET_NAME_MAX];
	const size_t end = rr->rdata + rr->rdlen;
	size_t at = rr->rdata;
	const uint8_t *minimum;
	uint32_t ttl;

	for (int i = 0; i < 2; i++) {		/* MNAME, RNAME */
		size_t len = packet_name(pk->p, end, at, name);

		if (len == 0)
			return false;
		at += len;
	}
	if (end - at != 20)
		return false;
	minimum = pk->p + at + 16;
	ttl = (uint32_t)minimum[0] << 24 | (uint32_t)minimum[1] << 16 |
	    (uint32_t)minimum[2] << 8 | minimum[3];
	if (ttl > INT32_MAX)
		ttl = 0;
	*ttl_r = ttl < rr->ttl ? ttl : rr->ttl;
	return true;
}

static bool
read_cname(struct walk *w, const struct packet *pk, const struct packet_rr *rr)
{
	char target[PACKET_NAME_MAX];
	struct cname *c;

	if (packet_name(pk->p, rr->rdata + rr->rdlen, rr->rdata, target) !=
	    rr->rdlen)
		return false;
	if (w->ncnames == CNAMES_MAX) {
		w->too_many = true;
		return true;
	}
	c = &w->cnames[w->ncnames++];
	c->ttl = rr->ttl;
	return str_copy(c->owner, sizeof c->owner, rr->owner) &&
	    str_copy(c->target, sizeof c->target, target);
}

/* All CNAMEs of the answer section; false: garbled. */
static bool
walk_cnames(struct walk *w, struct packet pk)
{
	struct packet_rr rr;

	for (;;) {
		if (!packet_next(&pk, &rr))
			return false;
		if (rr.section != SECTION_ANSWER)
			return true;
		if (rr.class_ == 1 && rr.type == QTYPE_CNAME &&
		    !read_cname(w, &pk, &rr))
			return false;
	}
}

/* SOA and NS of the authority section; false: garbled. */
static bool
walk_authority(struct walk *w, struct packet pk)
{
	struct packet_rr rr;

	for (;;) {
		if (!packet_next(&pk, &rr))
			return false;
		if (rr.section == SECTION_END)
			return true;
		if (rr.section != SECTION_AUTHORITY || rr.class_ != 1)
			continue;
		if (rr.type == QTYPE_NS)
			w->ns = true;
		if (rr.type == QTYPE_SOA) {
			if (!read_soa(&pk, &rr, &w->negative_ttl))
				return false;
			w->soa = true;
		}
	}
}

static bool
read_record(struct trace_answer *r, const struct packet *pk,
    const struct packet_rr *rr)
{
	const uint8_t *rdata = pk->p + rr->rdata;
	char host[PACKET_NAME_MAX];

	memset(r, 0, sizeof *r);
	if (rr->type == QTYPE_A || rr->type == QTYPE_AAAA) {
		const size_t want = rr->type == QTYPE_A ? 4 : 16;

		if (rr->rdlen != want)
			return false;
		r->family = rr->type == QTYPE_A ? AF_INET : AF_INET6;
		memcpy(r->ip, rdata, want);
		return true;
	}
	if (rr->rdlen < 3 || packet_name(pk->p, rr->rdata + rr->rdlen,
	    rr->rdata + 2, host) != rr->rdlen - 2)
		return false;
	r->pref = (uint16_t)(rdata[0] << 8 | rdata[1]);
	if (!str_copy(r->name, sizeof r->name, host))
		r->name[0] = '\0';	/* too odd to be asked */
	return true;
}

/* Keeps a record; MX in order of preference, the worst fall off the end. */
static void
keep_record(struct dns_answer *a, const struct trace_answer *r)
{
	unsigned at = a->n;

	a->total++;
	if (r->family == 0 && r->name[0] == '\0')
		return;
	while (at > 0 && r->family == 0 && a->rr[at - 1].pref > r->pref)
		at--;
	if (at == ANSWER_RRS_MAX)
		return;
	if (a->rr == NULL)
		a->rr = xmalloc(ANSWER_RRS_MAX * sizeof *a->rr);
	if (a->n == ANSWER_RRS_MAX)
		a->n--;
	memmove(&a->rr[at + 1], &a->rr[at], (a->n - at) * sizeof *a->rr);
	a->rr[at] = *r;
	a->n++;
}

/* All records of the type at name; false: garbled. */
static bool
walk_records(struct dns_answer *a, struct packet pk, const char *name,
    uint16_t qtype)
{
	struct packet_rr rr;
	struct trace_answer r;

	for (;;) {
		if (!packet_next(&pk, &rr))
			return false;
		if (rr.section != SECTION_ANSWER)
			return true;
		if (rr.class_ != 1 || rr.type != qtype ||
		    !str_eq_nocase(rr.owner, name))
			continue;
		if (!read_record(&r, &pk, &rr))
			return false;
		if (rr.ttl < a->ttl_s)
			a->ttl_s = rr.ttl;
		keep_record(a, &r);
	}
}

/* Where the chain from name ends; NULL: loop, or longer than allowed. */
static const char *
follow(const struct walk *w, const char *name, struct dns_answer *a)
{
	for (unsigned i = 0; i < w->ncnames;) {
		if (!str_eq_nocase(w->cnames[i].owner, name)) {
			i++;
			continue;
		}
		if (++a->chain > ANSWER_CHAIN_MAX)
			return NULL;
		if (w->cnames[i].ttl < a->ttl_s)
			a->ttl_s = w->cnames[i].ttl;
		name = w->cnames[i].target;
		i = 0;
	}
	return w->too_many ? NULL : name;
}

/* NOERROR or NXDOMAIN without the records: proven, or not? */
static void
judge_absence(struct dns_answer *a, const struct packet *pk, const char *end)
{
	struct walk w = { 0 };
	const uint32_t chain_ttl = a->ttl_s;
	const unsigned chain = a->chain;

	if (!walk_authority(&w, *pk)) {
		answer_set(a, OUT_GARBLED);
		return;
	}
	if (pk->rcode == 0 && chain != 0 && !w.soa) {
		str_copy(a->cname, sizeof a->cname, end);
		return;
	}
	if ((!pk->ra && !pk->aa) || (pk->rcode == 0 && w.ns && !w.soa)) {
		answer_set(a, OUT_REFERRAL);
		return;
	}
	answer_set(a, pk->rcode == 0 ? OUT_NODATA : OUT_NXDOMAIN);
	a->chain = chain;
	a->ttl_s = w.negative_ttl < chain_ttl ? w.negative_ttl : chain_ttl;
	if (a->ttl_s > ANSWER_NEGATIVE_TTL_MAX_S)
		a->ttl_s = ANSWER_NEGATIVE_TTL_MAX_S;
}

static void
judge(struct dns_answer *a, const struct packet *pk, const char *name,
    uint16_t qtype)
{
	struct walk w = { 0 };
	const char *end;

	a->ttl_s = ANSWER_TTL_MAX_S;
	if (!walk_cnames(&w, *pk)) {
		answer_set(a, OUT_GARBLED);
		return;
	}
	end = follow(&w, name, a);
	if (end == NULL) {
		answer_set(a, OUT_CNAME_LOOP);
		return;
	}
	if (pk->rcode == 0 && !walk_records(a, *pk, end, qtype)) {
		answer_free(a);
		answer_set(a, OUT_GARBLED);
		return;
	}
	if (a->total == 0)
		judge_absence(a, pk, end);
}

void
answer_read(struct dns_answer *a, const uint8_t *p, size_t n, const char *name,
    uint16_t qtype)
{
	struct packet pk;

	memset(a, 0, sizeof *a);
	if (!packet_open(&pk, p, n) || !pk.qr)
		answer_set(a, OUT_GARBLED);
	else if (pk.rcode != OUT_NOERROR && pk.rcode != OUT_NXDOMAIN)
		answer_set(a, (uint16_t)pk.rcode);
	else if (pk.tc)
		answer_set(a, OUT_TRUNCATED);
	else
		judge(a, &pk, name, qtype);
}
