/*
 * lookup_host.c - from hosts to addresses, one preference at a time: families
 * by policy, guard, ourselves, the order to connect in (RESOLUTION 3, 4).
 * Never asks about a worse preference before the better ones failed, and
 * never lets a broken family keep a host back that the other one has.
 * Read next: policy.c, guard.c, lookup_ask.c.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "mta/base/clock.h"
#include "mta/base/log.h"
#include "mta/base/loop.h"
#include "mta/base/mem.h"
#include "mta/base/str.h"
#include "mta/dns/guard.h"
#include "mta/dns/lookup.h"
#include "mta/dns/packet.h"

#define SMTP_PORT 25

uint16_t
lookup_port(const struct nexthop *n)
{
	if (n->smarthost != NULL && n->smarthost->address.port != 0)
		return n->smarthost->address.port;
	return n->connector->port != 0 ? n->connector->port : SMTP_PORT;
}

/* ---- the group ---- */

static void
shuffle(size_t *v, size_t n)
{
	for (size_t i = n; i > 1; i--) {
		const size_t at = packet_random_id() % i, x = v[i - 1];

		v[i - 1] = v[at];
		v[at] = x;
	}
}

/* This host is ourselves: it and what follows it are no way out. */
static enum lookup_state
cut_at_ourselves(struct nexthop *n, const struct lookup_host *h)
{
	trace_note(n->trace, "%s is ourselves: MX of preference %u and worse "
	    "left out", h->f.name, h->f.pref);
	n->f.ours = h->f.name;
	n->nhosts = n->group;
	return LOOKUP_FOUND;
}

enum lookup_state
lookup_group(struct nexthop *n)
{
	n->group = n->group_end;
	if (n->group == n->nhosts)
		return LOOKUP_FOUND;
	while (n->group_end < n->nhosts &&
	    n->hosts[n->group_end].f.pref == n->hosts[n->group].f.pref)
		n->group_end++;
	for (size_t i = n->group; n->smarthost == NULL && i < n->group_end; i++)
		if (guard_own_name(n->conf, n->hosts[i].f.name))
			return cut_at_ourselves(n, &n->hosts[i]);
	return LOOKUP_HOSTS;
}

/* ---- the families of one host ---- */

void
lookup_take_host(struct lookup_question *lq, const struct dns_result *res)
{
	struct lookup_host *h = lq->host;
	struct policy_question *q = &h->f.q[lq->family];
	const struct dns_answer *a = res->answer;

	q->done = true;
	q->outcome = a->outcome;
	q->done_ms = clock_mono_ms();
	str_copy(h->f.server[lq->family], sizeof h->f.server[0], res->server);
	if (h->finished || a->n == 0)
		return;
	h->addrs[lq->family] = xcalloc(a->n, sizeof *h->addrs[0]);
	for (unsigned i = 0; i < a->n; i++) {
		struct conf_addr *to = &h->addrs[lq->family][i];

		to->family = a->rr[i].family;
		memcpy(to->ip, a->rr[i].ip, sizeof to->ip);
	}
	h->naddrs[lq->family] = a->n;
}

/* The trace says what the policy kept from being asked. */
static void
host_finish(struct nexthop *n, struct lookup_host *h)
{
	const struct conf_resolve *p = n->policy;
	enum family decider;

	h->finished = true;
	for (int f = 0; f < FAMILIES; f++) {
		if (h->q[f].ask == NULL)
			continue;
		dns_ask_cancel(&h->q[f].ask);
		trace_note(n->trace, "%s %s: not waited for, the other family "
		    "has an address", f == FAM_A ? "A" : "AAAA", h->f.name);
	}
	if (h->f.literal)
		return;
	if (!p->ipv6) {
		lookup_not_asked(n, h->f.name, QTYPE_AAAA);
		return;
	}
	if (p->on_failure != ON_FAILURE_STRICT ||
	    policy_host(p, h->f.q, &decider) != DNS_SOFT)
		return;
	for (int f = 0; f < FAMILIES; f++)
		if (!h->f.q[f].asked)
			lookup_not_asked(n, h->f.name, h->q[f].qtype);
	trace_note(n->trace, "%s discarded: on_failure=strict", h->f.name);
}

/* Asks what the policy wants asked now; returns when to look again, or -1. */
static int64_t
host_advance(struct nexthop *n, struct lookup_host *h)
{
	/* A host of the hosts file or a literal has no set and no questions. */
	const int64_t hedge_ms = n->set != NULL ? n->set->hedge_ms : 0;
	struct policy_step s;

	for (;;) {
		bool asked = false;

		s = policy_families(n->policy, hedge_ms, h->f.q,
		    clock_mono_ms());
		if (s.finished) {
			host_finish(n, h);
			return -1;
		}
		for (int f = 0; f < FAMILIES; f++) {
			if (!s.ask[f])
				continue;
			h->f.q[f].asked = true;
			h->f.q[f].asked_ms = clock_mono_ms();
			lookup_ask(&h->q[f]);
			asked = true;
		}
		if (!asked)
			return s.wait_ms;
	}
}

/* ---- addresses ---- */

static bool
already_given(const struct nexthop *n, const struct conf_addr *a)
{
	for (size_t i = 0; i < n->naddrs; i++)
		if (n->addrs[i].addr.family == a->family &&
		    memcmp(n->addrs[i].addr.ip, a->ip, sizeof a->ip) == 0)
			return true;
	return false;
}

/* May it be tried?  Notes why not. */
static bool
addr_allowed(struct nexthop *n, struct lookup_host *h,
    const struct conf_addr *a)
{
	const char *range = n->smarthost != NULL ? NULL :
	    guard_range(n->connector, a);
	struct conf_addr bare = *a;

	if (range == NULL)
		return true;
	bare.port = 0;
	h->f.guarded = range;
	conf_addr_text(&bare, h->f.guarded_ip);
	trace_note(n->trace, "%s: %s is %s, skipped (allow_addresses would "
	    "exempt it)", h->f.name, h->f.guarded_ip, range);
	log_warn("dns_guard", "connector=%s domain=%s host=%s address=%s "
	    "range=\"%s\"", n->connector->name, n->domain, h->f.name,
	    h->f.guarded_ip, range);
	return false;
}

static void
give_addr(struct nexthop *n, struct lookup_host *h, struct conf_addr a)
{
	struct nexthop_addr *to;

	a.port = lookup_port(n);
	if (!addr_allowed(n, h, &a))
		return;
	h->f.given = true;
	if (already_given(n, &a))
		return;
	n->addrs = xrealloc(n->addrs, (n->naddrs + 1) * sizeof *n->addrs);
	to = &n->addrs[n->naddrs++];
	memset(to, 0, sizeof *to);
	str_copy(to->host, sizeof to->host, h->f.name);
	to->addr = a;
	to->pref = h->f.pref;
	to->smarthost = n->smarthost != NULL;
}

/* The families of a host in turn, the one that worked or is preferred first. */
static void
give_host(struct nexthop *n, struct lookup_host *h)
{
	const sa_family_t worked = resolver_family(n->r, h->f.name);
	const enum family first = worked == AF_INET ? FAM_A :
	    worked == AF_INET6 ? FAM_AAAA :
	    n->policy->prefer == PREFER_IPV4 ? FAM_A : FAM_AAAA;
	const enum family second = first == FAM_A ? FAM_AAAA : FAM_A;

	for (size_t i = 0; i < h->naddrs[first] || i < h->naddrs[second]; i++) {
		if (i < h->naddrs[first])
			give_addr(n, h, h->addrs[first][i]);
		if (i < h->naddrs[second])
			give_addr(n, h, h->addrs[second][i]);
	}
}

static bool
host_is_ours(struct nexthop *n, const struct lookup_host *h)
{
	for (int f = 0; f < FAMILIES; f++) {
		for (size_t i = 0; i < h->naddrs[f]; i++) {
			struct conf_addr a = h->addrs[f][i];

			a.port = lookup_port(n);
			if (guard_ourselves(n->conf, &a, n->smarthost == NULL,
			    guard_address_is_local))
				return true;
		}
	}
	return false;
}

/* A host that strict discarded gives nothing, though a family may have it. */
static bool
host_usable(const struct nexthop *n, const struct lookup_host *h)
{
	enum family decider;

	return h->f.literal ||
	    policy_host(n->policy, h->f.q, &decider) == DNS_USABLE;
}

/* All hosts of the group are known: hand their addresses over, if any. */
static enum lookup_state
group_give(struct nexthop *n)
{
	const size_t count = n->group_end - n->group;
	size_t *order = xcalloc(count, sizeof *order);

	for (size_t i = 0; i < count; i++)
		order[i] = n->group + i;
	shuffle(order, count);
	free(n->addrs);
	n->addrs = NULL;
	n->naddrs = 0;
	for (size_t i = 0; i < count; i++) {
		struct lookup_host *h = &n->hosts[order[i]];

		if (host_is_ours(n, h)) {
			free(order);
			n->naddrs = 0;
			return cut_at_ourselves(n, h);
		}
	}
	for (size_t i = 0; i < count; i++)
		if (host_usable(n, &n->hosts[order[i]]))
			give_host(n, &n->hosts[order[i]]);
	free(order);
	if (n->naddrs == 0)
		return LOOKUP_GROUP;
	n->given = n->given_any = true;
	n->next = false;
	n->emit = true;
	n->step = (struct nexthop_step){
		.kind = NEXTHOP_TRY, .addrs = n->addrs, .naddrs = n->naddrs,
	};
	return LOOKUP_TRY;
}

enum lookup_state
lookup_hosts(struct nexthop *n)
{
	int64_t wait_ms = -1;
	bool all = true;

	for (size_t i = n->group; i < n->group_end; i++) {
		struct lookup_host *h = &n->hosts[i];
		int64_t ms;

		if (h->finished)
			continue;
		ms = host_advance(n, h);
		all = all && h->finished;
		if (ms >= 0 && (wait_ms == -1 || ms < wait_ms))
			wait_ms = ms;
	}
	if (all)
		return group_give(n);
	if (wait_ms >= 0)
		loop_timer_set(n->kick, wait_ms > 0 ? wait_ms : 1);
	return LOOKUP_HOSTS;
}
