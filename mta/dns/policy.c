/*
 * policy.c - the rules of a resolution policy as functions of what is known.
 * Never asks, waits or reads the clock: nexthop.c does, and brings outcomes
 * here.  Unknown is never absent: only proof in everything the policy asks
 * fails a mail.
 * Read next: finding.c (the same in words), nexthop_host.c (who asks).
 */
#include "mta/dns/policy.h"

#include <string.h>

static enum dns_kind
kind_of(const struct policy_question *q)
{
	return q->done ? dns_kind(q->outcome) : DNS_SOFT;
}

static bool
usable(const struct policy_question *q)
{
	return q->done && dns_kind(q->outcome) == DNS_USABLE;
}

/* One family has addresses: how much longer for the other. */
static struct policy_step
within_grace(const struct conf_resolve *p, const struct policy_question *won,
    int64_t now_ms)
{
	const int64_t left = won->done_ms + p->grace_ms - now_ms;

	if (left <= 0)
		return (struct policy_step){ .finished = true, .wait_ms = -1 };
	return (struct policy_step){ .wait_ms = left };
}

static struct policy_step
step_both(const struct conf_resolve *p, const struct policy_question *q,
    int64_t now_ms)
{
	struct policy_step s = { .wait_ms = -1 };

	for (int f = 0; f < FAMILIES; f++)
		s.ask[f] = !q[f].asked;
	if (s.ask[FAM_A] || s.ask[FAM_AAAA])
		return s;
	s.finished = q[FAM_A].done && q[FAM_AAAA].done;
	if (s.finished || p->on_failure == ON_FAILURE_STRICT)
		return s;
	for (int f = 0; f < FAMILIES; f++)
		if (usable(&q[f]))
			return within_grace(p, &q[f], now_ms);
	return s;
}

/* a-first, aaaa-first: the second is asked only for want of the first. */
static struct policy_step
step_ordered(const struct conf_resolve *p, int64_t hedge_ms,
    const struct policy_question *q, enum family first, int64_t now_ms)
{
	const enum family second = first == FAM_A ? FAM_AAAA : FAM_A;
	const bool strict = p->on_failure == ON_FAILURE_STRICT;
	struct policy_step s = { .wait_ms = -1 };

	if (!q[first].asked) {
		s.ask[first] = true;
		return s;
	}
	if (q[first].done) {
		const enum dns_kind kind = dns_kind(q[first].outcome);

		if (kind == DNS_USABLE || (strict && kind == DNS_SOFT))
			s.finished = true;
		else if (!q[second].asked)
			s.ask[second] = true;
		else
			s.finished = q[second].done;
		return s;
	}
	if (strict)
		return s;
	if (!q[second].asked) {
		const int64_t left = q[first].asked_ms + hedge_ms - now_ms;

		s.ask[second] = left <= 0;
		s.wait_ms = left > 0 ? left : -1;
		return s;
	}
	return usable(&q[second]) ? within_grace(p, &q[second], now_ms) : s;
}

struct policy_step
policy_families(const struct conf_resolve *p, int64_t hedge_ms,
    const struct policy_question q[FAMILIES], int64_t now_ms)
{
	if (!p->ipv6)
		return (struct policy_step){
			.ask = { [FAM_A] = !q[FAM_A].asked },
			.finished = q[FAM_A].done, .wait_ms = -1,
		};
	switch (p->order) {
	case ORDER_A_FIRST:
		return step_ordered(p, hedge_ms, q, FAM_A, now_ms);
	case ORDER_AAAA_FIRST:
		return step_ordered(p, hedge_ms, q, FAM_AAAA, now_ms);
	case ORDER_BOTH:
		break;
	}
	return step_both(p, q, now_ms);
}

enum dns_kind
policy_host(const struct conf_resolve *p,
    const struct policy_question q[FAMILIES], enum family *decider)
{
	const enum family first =
	    p->order == ORDER_AAAA_FIRST && p->ipv6 ? FAM_AAAA : FAM_A;
	const enum family second = first == FAM_A ? FAM_AAAA : FAM_A;

	*decider = first;
	if (!p->ipv6)
		return kind_of(&q[FAM_A]);
	if (p->on_failure == ON_FAILURE_STRICT) {
		for (int i = 0; i < FAMILIES; i++) {
			*decider = i == 0 ? first : second;
			if (q[*decider].asked &&
			    kind_of(&q[*decider]) == DNS_SOFT)
				return DNS_SOFT;
		}
		*decider = first;
	}
	if (!q[second].asked && kind_of(&q[first]) == DNS_USABLE)
		return DNS_USABLE;
	if (kind_of(&q[second]) > kind_of(&q[first]))
		*decider = second;
	return kind_of(&q[*decider]);
}

bool
policy_escalates(const struct conf_resolve *p, enum policy_found found)
{
	return found == FOUND_SOFT || found == FOUND_NOT_HERE ||
	    (found == FOUND_ABSENT && p->nxdomain == NXDOMAIN_ESCALATE);
}

size_t
policy_combine(const enum policy_found *found, size_t n, bool *hard)
{
	size_t proof = n;

	*hard = false;
	for (size_t i = 0; i < n; i++) {
		if (found[i] == FOUND_SOFT)
			return i;
		if (proof == n && found[i] != FOUND_NOT_HERE)
			proof = i;
	}
	*hard = proof != n;
	return proof != n ? proof : 0;
}

/* Plays the families to their end with answers that come at once. */
static enum dns_kind
play_host(const struct conf_resolve *p, const uint16_t outcomes[FAMILIES],
    struct policy_question q[FAMILIES], enum family *decider)
{
	struct policy_step s;

	for (int64_t now = 0;; now += s.wait_ms > 0 ? s.wait_ms : 1) {
		s = policy_families(p, 0, q, now);
		if (s.finished)
			return policy_host(p, q, decider);
		for (int f = 0; f < FAMILIES; f++)
			if (s.ask[f])
				q[f] = (struct policy_question){
					.asked = true, .done = true,
					.outcome = outcomes[f],
					.asked_ms = now, .done_ms = now,
				};
	}
}

enum policy_verdict
policy_table(const struct conf_resolve *p, uint16_t mx,
    const uint16_t outcomes[FAMILIES], enum reason *reason_r,
    bool asked_r[FAMILIES])
{
	struct policy_question q[FAMILIES] = { 0 };
	enum family decider = FAM_A;
	uint16_t outcome = mx;
	enum dns_kind kind = dns_kind(mx);

	if (kind == DNS_USABLE || mx == OUT_NODATA) {
		kind = play_host(p, outcomes, q, &decider);
		outcome = q[decider].outcome;
	}
	if (asked_r != NULL)
		for (int f = 0; f < FAMILIES; f++)
			asked_r[f] = q[f].asked;
	*reason_r = kind == DNS_USABLE ? REASON_none : dns_reason(outcome);
	/* An MX host without addresses is no host, not no domain. */
	if (kind == DNS_ABSENT && q[FAM_A].asked + q[FAM_AAAA].asked > 0)
		*reason_r = REASON_dns_nodata;
	if (kind == DNS_USABLE)
		return POLICY_DELIVER;
	if (kind == DNS_SOFT || p->nxdomain == NXDOMAIN_DEFER)
		return POLICY_DEFER;
	return POLICY_FAIL;
}
