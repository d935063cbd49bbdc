/*
 * resolver.c - plays the script of tests/fake/resolver.h through the contract
 * of mta/dns/nexthop.h: from the loop, once per start and next, never after
 * cancel.
 * Read next: tests/unit/tx.
 */
#include "tests/fake/resolver.h"

#include <stdlib.h>
#include <string.h>

#include "mta/base/loop.h"
#include "mta/base/str.h"
#include "queue/trace.h"

struct resolver {
	struct loop	*loop;
};

struct nexthop {
	struct loop_timer	*timer;
	nexthop_fn		*fn;
	void			*ctx;
	size_t			 at;
};

struct fake_resolver fake_resolver;

static struct resolver the_resolver;

void
fake_resolver_reset(void)
{
	memset(&fake_resolver, 0, sizeof fake_resolver);
}

void
fake_resolver_add(const char *host, unsigned n, uint16_t port, bool next)
{
	struct fake_group *g;
	struct nexthop_addr *a;

	if (next || fake_resolver.ngroups == 0)
		fake_resolver.ngroups++;
	g = &fake_resolver.groups[fake_resolver.ngroups - 1];
	a = &g->addrs[g->n++];
	str_copy(a->host, sizeof a->host, host);
	a->pref = (uint16_t)(10 * fake_resolver.ngroups);
	a->addr.port = port;
	a->addr.family = n == 0 ? AF_INET6 : AF_INET;
	if (n == 0) {
		a->addr.ip[15] = 1;
	} else {
		a->addr.ip[0] = 127;
		a->addr.ip[3] = (uint8_t)n;
	}
}

struct resolver *
resolver_new(struct loop *loop, const struct conf *conf)
{
	(void)conf;
	the_resolver.loop = loop;
	return &the_resolver;
}

void
resolver_free(struct resolver **r)
{
	*r = NULL;
}

void
resolver_reload(struct resolver *r, const struct conf *conf)
{
	(void)r;
	(void)conf;
	fake_resolver.nreloaded++;
}

size_t
resolver_flush(struct resolver *r, const char *name)
{
	(void)r;
	(void)name;
	return ++fake_resolver.nflushed;
}

void
resolver_cache_rows(struct resolver *r, const char *name,
    void (*row)(void *ctx, const struct dns_cache_row *), void *ctx)
{
	const struct dns_cache_row one = {
		.set = "system", .name = "far.test", .answer = "10 mx.far.test",
		.qtype = 15, .outcome = OUT_NOERROR, .ttl_ms = 1234,
	};

	(void)r;
	(void)name;
	row(ctx, &one);
}

void
resolver_server_rows(struct resolver *r,
    void (*row)(void *ctx, const struct dns_server_row *), void *ctx)
{
	const struct dns_server_row one = { .set = "system",
		.server = "10.0.0.53:53",
		.asked = 7 };

	(void)r;
	row(ctx, &one);
}

static void
on_timer(void *ctx)
{
	struct nexthop *n = ctx;
	struct nexthop_step step = { .kind = NEXTHOP_END };

	if (fake_resolver.silent)
		return;
	if (n->at < fake_resolver.ngroups) {
		step.kind = NEXTHOP_TRY;
		step.addrs = fake_resolver.groups[n->at].addrs;
		step.naddrs = fake_resolver.groups[n->at].n;
		n->at++;
	} else {
		step.status = fake_resolver.end;
		fake_resolver.nended++;
	}
	n->fn(n->ctx, &step);
}

struct nexthop *
nexthop_start(struct resolver *r, const struct nexthop_args *args,
    nexthop_fn *fn, void *ctx)
{
	struct nexthop *n = xcalloc(1, sizeof *n);

	n->fn = fn;
	n->ctx = ctx;
	n->timer = loop_timer_new(r->loop, on_timer, n);
	loop_timer_set(n->timer, 0);
	fake_resolver.nstarted++;
	fake_resolver.last_flags = args->flags;
	fake_resolver.last_ipv6 = args->connector->resolve.ipv6;
	trace_note(args->trace, "asked");
	return n;
}

void
nexthop_next(struct nexthop *n)
{
	fake_resolver.nnext++;
	loop_timer_set(n->timer, 0);
}

void
nexthop_cancel(struct nexthop **np)
{
	struct nexthop *n = *np;

	*np = NULL;
	if (n == NULL)
		return;
	loop_timer_free(&n->timer);
	free(n);
}

void
nexthop_family_worked(struct resolver *r, const char *host, sa_family_t family)
{
	(void)r;
	(void)host;
	(void)family;
	fake_resolver.nworked++;
}
