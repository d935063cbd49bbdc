/*
 * test_answer.c - what a message comes to: usable, absent or soft, and for how
 * long.
 */
#include "mta/dns/answer.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mta/base/fault.h"
#include "mta/dns/packet.h"
#include "tests/unit/check_main.h"

/* A message under construction: header, the question "far.test", records. */
struct msg {
	uint8_t	p[4096];
	size_t	n;
};

enum { ANSWER = 7, AUTHORITY = 9 };	/* where the count stands */

static void
begin(struct msg *m, uint16_t qtype, unsigned flags, unsigned rcode)
{
	memset(m, 0, sizeof *m);
	m->n = packet_query(m->p, 1, "far.test", qtype);
	m->p[2] = (uint8_t)(0x80 | flags >> 8);
	m->p[3] = (uint8_t)((flags & 0xf0) | rcode);
}

static void
put(struct msg *m, const void *p, size_t n)
{
	memcpy(m->p + m->n, p, n);
	m->n += n;
}

static size_t
wire(const char *name, uint8_t *out)
{
	uint8_t q[PACKET_QUERY_MAX];
	size_t n = packet_query(q, 0, name, 1);

	if (n == 0) {			/* the root */
		out[0] = 0;
		return 1;
	}
	memcpy(out, q + 12, n - 16);
	return n - 16;
}

static void
rr(struct msg *m, int section, const char *owner, unsigned type, uint32_t ttl,
    const void *rdata, size_t rdlen)
{
	uint8_t name[256], head[10] = {
		0, (uint8_t)type, 0, 1, (uint8_t)(ttl >> 24),
		(uint8_t)(ttl >> 16), (uint8_t)(ttl >> 8), (uint8_t)ttl,
		(uint8_t)(rdlen >> 8), (uint8_t)rdlen,
	};

	put(m, name, wire(owner, name));
	put(m, head, sizeof head);
	put(m, rdata, rdlen);
	if (++m->p[section] == 0)
		m->p[section - 1]++;
}

static void
cname(struct msg *m, const char *owner, const char *target, uint32_t ttl)
{
	uint8_t name[256];

	rr(m, ANSWER, owner, QTYPE_CNAME, ttl, name, wire(target, name));
}

static void
mx(struct msg *m, unsigned pref, const char *host)
{
	uint8_t rdata[300] = { (uint8_t)(pref >> 8), (uint8_t)pref };

	rr(m, ANSWER, "far.test", QTYPE_MX, 300, rdata, 2 + wire(host, rdata + 2));
}

static void
soa(struct msg *m, uint32_t ttl, uint32_t minimum)
{
	uint8_t rdata[24] = { 1, 'n', 0, 0 };

	for (int i = 0; i < 4; i++)
		rdata[20 + i] = (uint8_t)(minimum >> (24 - 8 * i));
	rr(m, AUTHORITY, "test", QTYPE_SOA, ttl, rdata, sizeof rdata);
}

#define RA 0x80u
#define AA 0x400u
#define TC 0x200u

static const uint8_t ip4[] = { 192, 0, 2, 1 };

static struct dns_answer
judged(const struct msg *m, uint16_t qtype)
{
	struct dns_answer a;

	memset(&a, 0x5a, sizeof a);		/* must be overwritten */
	answer_read(&a, m->p, m->n, "far.test", qtype);
	return a;
}

static void
expect(const struct msg *m, uint16_t qtype, uint16_t outcome, uint32_t ttl)
{
	struct dns_answer a = judged(m, qtype);

	ck_assert_uint_eq(a.outcome, outcome);
	ck_assert_uint_eq(a.ttl_s, ttl);
	answer_free(&a);
}

START_TEST(rcode)
{
	struct msg m;

	begin(&m, QTYPE_A, RA, (unsigned)_i);
	if (_i == 0 || _i == OUT_NXDOMAIN)
		return;
	expect(&m, QTYPE_A, (uint16_t)_i, ANSWER_SOFT_TTL_S);
	ck_assert_int_eq(dns_kind((uint16_t)_i), DNS_SOFT);
}
END_TEST

START_TEST(address)
{
	struct msg m;
	struct dns_answer a;

	begin(&m, QTYPE_A, RA, 0);
	rr(&m, ANSWER, "FAR.test", QTYPE_A, 7200, ip4, 4);
	rr(&m, ANSWER, "other.test", QTYPE_A, 1, ip4, 4);	/* not asked for */
	a = judged(&m, QTYPE_A);
	ck_assert_uint_eq(a.outcome, OUT_NOERROR);
	ck_assert_uint_eq(a.n, 1);
	ck_assert_uint_eq(a.ttl_s, ANSWER_TTL_MAX_S);
	ck_assert_mem_eq(a.rr[0].ip, ip4, 4);
	answer_free(&a);
	begin(&m, QTYPE_A, RA, 0);
	rr(&m, ANSWER, "far.test", QTYPE_A, 0xffffffff, ip4, 4);
	expect(&m, QTYPE_A, OUT_NOERROR, 0);
}
END_TEST

START_TEST(wrong_rdata_length_is_garbled)
{
	static const uint8_t zero[20];
	struct msg m;

	for (size_t n = 0; n < 20; n++) {
		begin(&m, QTYPE_A, RA, 0);
		rr(&m, ANSWER, "far.test", QTYPE_A, 9, ip4, 4);
		rr(&m, ANSWER, "far.test", QTYPE_A, 9, zero, n);
		expect(&m, QTYPE_A, n == 4 ? OUT_NOERROR : OUT_GARBLED, n == 4 ? 9 : 5);
		begin(&m, QTYPE_AAAA, RA, 0);
		rr(&m, ANSWER, "far.test", QTYPE_AAAA, 9, zero, n);
		expect(&m, QTYPE_AAAA, n == 16 ? OUT_NOERROR : OUT_GARBLED, n == 16 ? 9 : 5);
		begin(&m, QTYPE_MX, RA, 0);
		rr(&m, ANSWER, "far.test", QTYPE_MX, 9, zero, n);
		expect(&m, QTYPE_MX, n == 3 ? OUT_NOERROR : OUT_GARBLED, n == 3 ? 9 : 5);
	}
}
END_TEST

START_TEST(mx_sorted_and_bounded)
{
	struct msg m;
	struct dns_answer a;

	begin(&m, QTYPE_MX, RA, 0);
	for (unsigned i = 0; i < ANSWER_RRS_MAX + 5; i++)
		mx(&m, i % 7 * 100, "Mx.far.test");
	mx(&m, 1, "second.test");
	a = judged(&m, QTYPE_MX);
	ck_assert_uint_eq(a.total, ANSWER_RRS_MAX + 6);
	ck_assert_uint_eq(a.n, ANSWER_RRS_MAX);
	for (unsigned i = 1; i < a.n; i++)
		ck_assert_uint_le(a.rr[i - 1].pref, a.rr[i].pref);
	ck_assert_str_eq(a.rr[15].name, "second.test");
	ck_assert_str_eq(a.rr[0].name, "mx.far.test");
	answer_free(&a);
}
END_TEST

START_TEST(null_mx)
{
	struct msg m;
	struct dns_answer a;

	begin(&m, QTYPE_MX, RA, 0);
	mx(&m, 0, ".");
	a = judged(&m, QTYPE_MX);
	ck_assert(answer_null_mx(&a));
	answer_free(&a);
	mx(&m, 0, "mx.test");
	a = judged(&m, QTYPE_MX);
	ck_assert(!answer_null_mx(&a));
	answer_free(&a);
}
END_TEST

/* Absence: proven, or only claimed. */
static const struct {
	unsigned	flags, rcode;
	bool		soa, ns;
	uint16_t	outcome;
	uint32_t	ttl;
} absences[] = {
	{ RA, 0, true,	false, OUT_NODATA,   60 },
	{ AA, 0, true,	true,  OUT_NODATA,   60 },
	{ RA, 0, false, false, OUT_NODATA,   0 },	/* not remembered */
	{ RA, 0, false, true,  OUT_REFERRAL, 5 },
	{ AA, 0, false, true,  OUT_REFERRAL, 5 },
	{ 0,  0, true,	false, OUT_REFERRAL, 5 },	/* neither RA nor AA */
	{ RA, 3, true,	false, OUT_NXDOMAIN, 60 },
	{ RA, 3, false, false, OUT_NXDOMAIN, 0 },
	{ 0,  3, true,	false, OUT_REFERRAL, 5 },
	{ RA | TC, 0, true, false, OUT_TRUNCATED, 5 },
};

START_TEST(absence)
{
	static const uint8_t ns[] = { 1, 'n', 0 };
	struct msg m;

	begin(&m, QTYPE_A, absences[_i].flags, absences[_i].rcode);
	if (absences[_i].soa)
		soa(&m, 3600, 60);
	if (absences[_i].ns)
		rr(&m, AUTHORITY, "test", QTYPE_NS, 60, ns, sizeof ns);
	expect(&m, QTYPE_A, absences[_i].outcome, absences[_i].ttl);
}
END_TEST

START_TEST(negative_ttl_is_bounded)
{
	struct msg m;

	begin(&m, QTYPE_A, RA, 3);
	soa(&m, 86400, 86400);
	expect(&m, QTYPE_A, OUT_NXDOMAIN, ANSWER_NEGATIVE_TTL_MAX_S);
	begin(&m, QTYPE_A, RA, 3);
	soa(&m, 10, 86400);
	expect(&m, QTYPE_A, OUT_NXDOMAIN, 10);
}
END_TEST

START_TEST(chain)
{
	struct msg m;
	struct dns_answer a;
	char owner[16], target[16];

	/* In any order, up to eight. */
	begin(&m, QTYPE_A, RA, 0);
	rr(&m, ANSWER, "c8.test", QTYPE_A, 300, ip4, 4);
	for (int i = 7; i >= 0; i--) {
		sprintf(owner, i == 0 ? "far.test" : "c%d.test", i);
		sprintf(target, "c%d.test", i + 1);
		cname(&m, owner, target, i == 3 ? 30 : 600);
	}
	a = judged(&m, QTYPE_A);
	ck_assert_uint_eq(a.outcome, OUT_NOERROR);
	ck_assert_uint_eq(a.n, 1);
	ck_assert_uint_eq(a.chain, 8);
	ck_assert_uint_eq(a.ttl_s, 30);
	answer_free(&a);
	cname(&m, "c8.test", "c9.test", 600);
	expect(&m, QTYPE_A, OUT_CNAME_LOOP, 5);
}
END_TEST

START_TEST(chain_that_loops)
{
	struct msg m;

	begin(&m, QTYPE_A, RA, 0);
	cname(&m, "far.test", "b.test", 60);
	cname(&m, "b.test", "far.test", 60);
	expect(&m, QTYPE_A, OUT_CNAME_LOOP, 5);
	begin(&m, QTYPE_A, RA, 0);
	cname(&m, "far.test", "far.test", 60);
	expect(&m, QTYPE_A, OUT_CNAME_LOOP, 5);
}
END_TEST

START_TEST(chain_that_leads_out)
{
	struct msg m;
	struct dns_answer a;

	begin(&m, QTYPE_A, RA, 0);
	cname(&m, "far.test", "b.test", 60);
	a = judged(&m, QTYPE_A);
	ck_assert_str_eq(a.cname, "b.test");
	ck_assert_uint_eq(a.chain, 1);
	answer_free(&a);
	soa(&m, 60, 60);			/* now it is proven */
	expect(&m, QTYPE_A, OUT_NODATA, 60);
	begin(&m, QTYPE_A, RA, 3);
	cname(&m, "far.test", "b.test", 60);
	expect(&m, QTYPE_A, OUT_NXDOMAIN, 0);
}
END_TEST

/* No prefix and no single wrong octet may do more than be garbled. */
START_TEST(cut_and_bent_messages)
{
	struct msg m;
	struct dns_answer a;

	begin(&m, QTYPE_MX, RA, 0);
	cname(&m, "far.test", "b.test", 60);
	rr(&m, ANSWER, "b.test", QTYPE_MX, 60, "\0\5\3foo\xc0\x0c", 8);
	soa(&m, 60, 60);
	for (size_t n = 0; n < m.n; n++) {
		uint8_t *p = malloc(n + 1);

		memcpy(p, m.p, n);
		answer_read(&a, p, n, "far.test", QTYPE_MX);
		ck_assert(n >= 90 || a.outcome == OUT_GARBLED);
		answer_free(&a);
		free(p);
	}
	for (size_t at = 0; at < m.n; at++) {
		for (int v = 0; v < 256; v += 3) {
			uint8_t *p = malloc(m.n);

			memcpy(p, m.p, m.n);
			p[at] = (uint8_t)v;
			answer_read(&a, p, m.n, "far.test", QTYPE_MX);
			answer_free(&a);
			free(p);
		}
	}
}
END_TEST

START_TEST(a_query_is_no_answer)
{
	struct msg m;

	begin(&m, QTYPE_A, RA, 0);
	m.p[2] &= 0x7f;
	expect(&m, QTYPE_A, OUT_GARBLED, 5);
}
END_TEST

static const struct {
	uint16_t	outcome;
	enum dns_kind	kind;
	enum reason	reason;
	bool		not_here;
} outcomes[] = {
	{ OUT_NOERROR,	  DNS_USABLE, REASON_none,	   false },
	{ OUT_NXDOMAIN,	  DNS_ABSENT, REASON_dns_nxdomain, false },
	{ OUT_NODATA,	  DNS_ABSENT, REASON_dns_nodata,   false },
	{ OUT_SERVFAIL,	  DNS_SOFT,   REASON_dns_servfail, false },
	{ OUT_REFUSED,	  DNS_SOFT,   REASON_dns_refused,  true },
	{ OUT_NOTIMP,	  DNS_SOFT,   REASON_dns_refused,  true },
	{ OUT_REFERRAL,	  DNS_SOFT,   REASON_dns_refused,  true },
	{ OUT_FORMERR,	  DNS_SOFT,   REASON_dns_garbled,  false },
	{ 9,		  DNS_SOFT,   REASON_dns_servfail, false },
	{ OUT_TIMEOUT,	  DNS_SOFT,   REASON_dns_timeout,  false },
	{ OUT_NETWORK,	  DNS_SOFT,   REASON_dns_timeout,  false },
	{ OUT_GARBLED,	  DNS_SOFT,   REASON_dns_garbled,  false },
	{ OUT_TRUNCATED,  DNS_SOFT,   REASON_dns_garbled,  false },
	{ OUT_CNAME_LOOP, DNS_SOFT,   REASON_dns_garbled,  false },
};

START_TEST(outcome_means)
{
	const uint16_t o = outcomes[_i].outcome;

	ck_assert_int_eq(dns_kind(o), outcomes[_i].kind);
	ck_assert_int_eq(dns_reason(o), outcomes[_i].reason);
	ck_assert_int_eq(dns_not_here(o), outcomes[_i].not_here);
}
END_TEST

static Suite *
suite(void)
{
	Suite *s = suite_create("answer");
	TCase *tc = tcase_create("all");

	tcase_add_loop_test(tc, rcode, 0, 16);
	tcase_add_test(tc, address);
	tcase_add_test(tc, wrong_rdata_length_is_garbled);
	tcase_add_test(tc, mx_sorted_and_bounded);
	tcase_add_test(tc, null_mx);
	tcase_add_loop_test(tc, absence, 0, COUNT_OF(absences));
	tcase_add_test(tc, negative_ttl_is_bounded);
	tcase_add_test(tc, chain);
	tcase_add_test(tc, chain_that_loops);
	tcase_add_test(tc, chain_that_leads_out);
	tcase_add_test(tc, cut_and_bent_messages);
	tcase_add_test(tc, a_query_is_no_answer);
	tcase_add_loop_test(tc, outcome_means, 0, COUNT_OF(outcomes));
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(suite)
