/*
 * lookup_mx.c - from a target to its hosts: MX, implicit MX, null MX, the hosts
 * file, literals (RESOLUTION 4; RFC 5321 5.1, 7505).
 * Never falls from a failed MX question to addresses, but for a smarthost that
 * the operator named.  The hosts file is for smarthosts only.
 * Read next: lookup_host.c.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "mta/base/loop.h"
#include "mta/base/mem.h"
#include "mta/base/str.h"
#include "mta/dns/lookup.h"
#include "mta/dns/packet.h"

static struct lookup_host *
hosts_new(struct nexthop *n, size_t max)
{
	n->hosts = xcalloc(max + 1, sizeof *n->hosts);
	n->nhosts = 0;
	n->group = n->group_end = 0;
	return n->hosts;
}

static struct lookup_host *
host_add(struct nexthop *n, const char *name, uint16_t pref)
{
	static const uint16_t qtypes[FAMILIES] = { QTYPE_A, QTYPE_AAAA };
	struct lookup_host *h = &n->hosts[n->nhosts++];

	str_copy(h->f.name, sizeof h->f.name, name);
	h->f.pref = pref;
	for (int i = 0; i < FAMILIES; i++)
		h->q[i] = (struct lookup_question){
			.n = n, .host = h, .family = (enum family)i,
			.name = h->f.name, .qtype = qtypes[i],
		};
	return h;
}

static void
host_add_addr(struct lookup_host *h, const struct conf_addr *a)
{
	const enum family f = a->family == AF_INET ? FAM_A : FAM_AAAA;
	const size_t n = h->naddrs[f]++;

	h->addrs[f] = xrealloc(h->addrs[f], (n + 1) * sizeof *a);
	h->addrs[f][n] = *a;
}

/* A host that needs no question. */
static void
host_is_known(struct lookup_host *h)
{
	for (int i = 0; i < FAMILIES; i++)
		h->f.q[i] = (struct policy_question){
			.asked = true, .done = true, .outcome =
			    h->naddrs[i] != 0 ? OUT_NOERROR : OUT_NODATA,
		};
}

enum lookup_state
lookup_literal(struct nexthop *n, const struct conf_addr *a, const char *text)
{
	struct lookup_host *h;

	hosts_new(n, 1);
	h = host_add(n, text, 0);
	h->f.literal = true;
	if (a->family == AF_INET || n->policy->ipv6)
		host_add_addr(h, a);
	host_is_known(h);
	return LOOKUP_GROUP;
}

void
lookup_own_host(struct nexthop *n)
{
	hosts_new(n, 1);
	host_add(n, n->name, 0);
	n->f.implicit = true;
}

static void
trace_hosts_file(struct nexthop *n, const struct lookup_host *h, enum family f)
{
	struct trace_entry e = { .kind = TRACE_QUESTION };
	struct trace_question *t = &e.u.question;

	str_copy(t->set, sizeof t->set, "hosts");
	str_copy(t->server, sizeof t->server, "hosts");
	str_copy(t->name, sizeof t->name, n->name);
	t->via = VIA_HOSTS;
	t->qtype = h->q[f].qtype;
	t->nanswers = (uint16_t)h->naddrs[f];
	while (t->kept < h->naddrs[f] && t->kept < TRACE_ANSWERS_MAX) {
		struct trace_answer *a = &t->answers[t->kept];

		a->family = h->addrs[f][t->kept].family;
		memcpy(a->ip, h->addrs[f][t->kept].ip, 16);
		t->kept++;
	}
	trace_add(n->trace, &e);
}

bool
lookup_hosts_file(struct nexthop *n)
{
	struct lookup_host *h;

	hosts_new(n, 1);
	h = host_add(n, n->name, 0);
	for (size_t i = 0; i < n->conf->nhosts; i++) {
		const struct conf_host *c = &n->conf->hosts[i];

		if (str_eq_nocase(c->name, n->name) &&
		    (c->address.family == AF_INET || n->policy->ipv6))
			host_add_addr(h, &c->address);
	}
	if (h->naddrs[FAM_A] + h->naddrs[FAM_AAAA] == 0) {
		free(n->hosts);
		n->hosts = NULL;
		n->nhosts = 0;
		return false;
	}
	for (int f = 0; f < FAMILIES; f++)
		if (h->naddrs[f] != 0)
			trace_hosts_file(n, h, (enum family)f);
	host_is_known(h);
	return true;
}

/* An MX host may be written as an address, wrong as that is. */
static void
host_maybe_literal(struct nexthop *n, struct lookup_host *h)
{
	struct conf_addr a = { 0 };

	if (inet_pton(AF_INET, h->f.name, a.ip) == 1)
		a.family = AF_INET;
	else if (inet_pton(AF_INET6, h->f.name, a.ip) == 1)
		a.family = AF_INET6;
	else
		return;
	h->f.literal = true;
	if (a.family == AF_INET || n->policy->ipv6)
		host_add_addr(h, &a);
	host_is_known(h);
}

static bool
host_seen(const struct nexthop *n, const char *name)
{
	for (size_t i = 0; i < n->nhosts; i++)
		if (str_eq_nocase(n->hosts[i].f.name, name))
			return true;
	return false;
}

/* Hosts by preference, each once, "." ignored, at most max_mx_hosts. */
static void
take_hosts(struct nexthop *n, const struct dns_answer *a)
{
	hosts_new(n, a->n);
	n->f.left_out = a->total - a->n;
	for (unsigned i = 0; i < a->n; i++) {
		const struct trace_answer *r = &a->rr[i];

		if (strcmp(r->name, ".") == 0 || host_seen(n, r->name))
			continue;
		if (n->nhosts >= n->policy->max_mx_hosts)
			n->f.left_out++;
		else
			host_maybe_literal(n, host_add(n, r->name, r->pref));
	}
}

void
lookup_take_mx(struct nexthop *n, const struct dns_result *res)
{
	n->mx_done = true;
	n->f.mx_asked = true;
	n->f.mx = res->answer->outcome;
	str_copy(n->f.mx_server, sizeof n->f.mx_server, res->server);
	if (n->f.mx != OUT_NOERROR)
		return;
	n->f.null_mx = answer_null_mx(res->answer);
	if (!n->f.null_mx)
		take_hosts(n, res->answer);
}

enum lookup_state
lookup_mx(struct nexthop *n)
{
	if (n->mx.n == NULL) {
		n->mx = (struct lookup_question){
			.n = n, .name = n->name, .qtype = QTYPE_MX,
		};
		lookup_ask(&n->mx);
	}
	if (!n->mx_done)
		return LOOKUP_MX;
	if (n->f.mx == OUT_NOERROR && !n->f.null_mx)
		return LOOKUP_GROUP;
	if (n->smarthost == NULL && n->f.mx != OUT_NODATA)
		return LOOKUP_FOUND;
	if (n->f.null_mx)
		trace_note(n->trace, "%s: null MX of a smarthost passed over",
		    n->name);
	lookup_own_host(n);
	return LOOKUP_GROUP;
}
