/*
 * resolver.c - the sets of the running configuration with cache and health, the
 * families that worked, and the rows that relayctl shows.
 * Never asks: that is question.c.  Sets that a reload did not change live on;
 * changed ones live until the last lookup that began with them ends.
 * Read next: question.c, nexthop.c.
 */
#include "mta/dns/resolver.h"

#include <ares.h>
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "mta/base/clock.h"
#include "mta/base/counters.h"
#include "mta/base/hash.h"
#include "mta/base/log.h"
#include "mta/base/loop.h"
#include "mta/base/mem.h"
#include "mta/base/str.h"
#include "mta/dns/cache.h"
#include "mta/dns/channel.h"

#define CACHE_MAX 10000u	/* answers a set */
#define FAMILIES_MAX 10000u
#define FAMILY_MS (10 * 60 * 1000)

struct family_row {
	struct list	 by_age;	/* newest first */
	sa_family_t	 family;
	int64_t		 until_ms;
	char		 host[];
};

static const void *
family_key(const void *value, size_t *n_r)
{
	const struct family_row *f = value;

	*n_r = strlen(f->host);
	return f->host;
}

/* ---- sets ---- */

static bool
same_server(const struct conf_addr *a, const struct conf_addr *b)
{
	return a->family == b->family && a->port == b->port &&
	    memcmp(a->ip, b->ip, a->family == AF_INET ? 4 : 16) == 0;
}

static bool
set_is(const struct dns_set *s, const struct conf_resolvers *c)
{
	if (strcmp(s->name, c->name) != 0 || s->nservers != c->nservers ||
	    s->timeout_ms != c->timeout_ms || s->hedge_ms != c->hedge_ms ||
	    s->cooldown_ms != c->cooldown_ms || s->tries != c->tries ||
	    s->protocol != c->protocol)
		return false;
	for (size_t i = 0; i < s->nservers; i++)
		if (!same_server(&s->servers[i].addr, &c->servers[i]))
			return false;
	return true;
}

static struct dns_set *
set_new(struct resolver *r, const struct conf_resolvers *c)
{
	struct dns_set *s = xcalloc(1, sizeof *s);

	s->r = r;
	str_copy(s->name, sizeof s->name, c->name);
	s->nservers = c->nservers;
	s->servers = xcalloc(c->nservers + 1, sizeof *s->servers);
	for (size_t i = 0; i < c->nservers; i++) {
		struct conf_addr shown = c->servers[i];

		s->servers[i].addr = c->servers[i];
		if (shown.port == 0)
			shown.port = 53;
		conf_addr_text(&shown, s->servers[i].text);
	}
	s->timeout_ms = c->timeout_ms;
	s->hedge_ms = c->hedge_ms;
	s->cooldown_ms = c->cooldown_ms;
	s->tries = c->tries != 0 ? c->tries : 1;
	s->protocol = c->protocol;
	s->cache = cache_new(CACHE_MAX);
	list_init(&s->questions);
	list_init(&s->tries_out);
	list_add_tail(&r->sets, &s->node);
	return s;
}

static void
set_free(struct dns_set *s)
{
	for (size_t i = 0; i < s->nservers; i++) {
		dns_channel_free(&s->servers[i].udp);
		dns_channel_free(&s->servers[i].tcp);
	}
	free(s->servers);
	cache_free(&s->cache);
	list_del(&s->node);
	free(s);
}

struct dns_set *
resolver_set(struct resolver *r, const struct conf_resolvers *c)
{
	LIST_EACH(it, &r->sets) {
		struct dns_set *s = LIST_OWNER(it, struct dns_set, node);

		if (set_is(s, c)) {
			s->refs++;
			return s;
		}
	}
	struct dns_set *s = set_new(r, c);

	s->refs = 1;
	return s;
}

static void
reap_set(void *ctx)
{
	struct dns_set *s = ctx;

	s->retired = false;
	if (s->refs == 0)		/* it may have been wanted again */
		set_free(s);
}

void
dns_set_unref(struct dns_set **sp)
{
	struct dns_set *s = *sp;

	*sp = NULL;
	if (s == NULL || --s->refs != 0 || s->retired)
		return;
	/* Not now: we may be inside a callback of one of its channels. */
	s->retired = true;
	loop_retire(s->r->loop, s, reap_set);
}

/* ---- the resolver ---- */

static void
take_sets(struct resolver *r, const struct conf *conf)
{
	struct dns_set **now = xcalloc(conf->nsets + 1, sizeof *now);

	for (size_t i = 0; i < conf->nsets; i++)
		now[i] = resolver_set(r, &conf->sets[i]);
	LIST_EACH_SAFE(it, &r->sets) {
		struct dns_set *s = LIST_OWNER(it, struct dns_set, node);

		if (s->current) {
			s->current = false;
			dns_set_unref(&s);
		}
	}
	for (size_t i = 0; i < conf->nsets; i++) {
		if (now[i]->current)	/* two of the same: one count */
			dns_set_unref(&now[i]);
		else
			now[i]->current = true;
	}
	free(now);
}

struct resolver *
resolver_new(struct loop *loop, const struct conf *conf)
{
	struct resolver *r = xcalloc(1, sizeof *r);

	if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
		bug("c-ares cannot be initialised");
	r->loop = loop;
	list_init(&r->sets);
	list_init(&r->waiting);
	list_init(&r->families_by_age);
	r->families = hash_new(family_key);
	take_sets(r, conf);
	return r;
}

void
resolver_reload(struct resolver *r, const struct conf *conf)
{
	take_sets(r, conf);
	LIST_EACH(it, &r->sets) {
		struct dns_set *s = LIST_OWNER(it, struct dns_set, node);

		cache_drop_unusable(s->cache);
		questions_stale(s, NULL);
	}
}

static void
family_drop(struct resolver *r, struct family_row *f)
{
	hash_del(r->families, f->host, strlen(f->host));
	list_del(&f->by_age);
	free(f);
}

/* All lookups are cancelled before. */
void
resolver_free(struct resolver **rp)
{
	struct resolver *r = *rp;

	if (r == NULL)
		return;
	*rp = NULL;
	LIST_EACH_SAFE(it, &r->sets) {
		struct dns_set *s = LIST_OWNER(it, struct dns_set, node);

		questions_stop(s);
		s->refs = 0;
		if (s->retired)
			list_del(&s->node);	/* the loop frees it */
		else
			set_free(s);
	}
	LIST_EACH_SAFE(it, &r->families_by_age)
		family_drop(r, LIST_OWNER(it, struct family_row, by_age));
	hash_free(&r->families);
	free(r);
	ares_library_cleanup();
}

static void
flush_families(struct resolver *r, const char *name)
{
	LIST_EACH_SAFE(it, &r->families_by_age) {
		struct family_row *f =
		    LIST_OWNER(it, struct family_row, by_age);

		if (name == NULL || dns_name_below(f->host, name))
			family_drop(r, f);
	}
}

size_t
resolver_flush(struct resolver *r, const char *name)
{
	size_t n = 0;

	LIST_EACH(it, &r->sets) {
		struct dns_set *s = LIST_OWNER(it, struct dns_set, node);

		n += cache_flush(s->cache, name);
		questions_stale(s, name);
		for (size_t i = 0; i < s->nservers; i++)
			server_alive(&s->servers[i]);
	}
	flush_families(r, name);
	return n;
}

bool
resolver_cached(struct dns_set *s, const char *name, uint16_t qtype, bool fresh,
    struct dns_result *res)
{
	const int64_t now_ms = clock_mono_ms();
	const struct dns_cached *e = cache_get(s->cache, name, qtype, now_ms);

	if (e == NULL || (fresh && dns_kind(e->answer.outcome) != DNS_USABLE))
		return false;
	counter_add(C_dns_cache_hits_total, 1);
	*res = (struct dns_result){
		.answer = &e->answer, .server = e->server, .via = e->via,
		.source = SRC_CACHED,
		.ttl_s = (uint32_t)((e->until_ms - now_ms + 999) / 1000),
	};
	return true;
}

/* ---- the family that worked last ---- */

void
nexthop_family_worked(struct resolver *r, const char *host, sa_family_t family)
{
	const size_t n = strlen(host);
	struct family_row *f = hash_get(r->families, host, n);

	if (f != NULL)
		family_drop(r, f);
	if (hash_count(r->families) >= FAMILIES_MAX)
		family_drop(r, LIST_OWNER(r->families_by_age.prev,
		    struct family_row, by_age));
	f = xcalloc(1, sizeof *f + n + 1);
	memcpy(f->host, host, n);
	f->family = family;
	f->until_ms = clock_mono_ms() + FAMILY_MS;
	hash_put(r->families, f);
	list_add_head(&r->families_by_age, &f->by_age);
}

sa_family_t
resolver_family(struct resolver *r, const char *host)
{
	const struct family_row *f = hash_get(r->families, host, strlen(host));

	return f != NULL && f->until_ms > clock_mono_ms() ? f->family : 0;
}

/* ---- rows for people ---- */

struct rows {
	const struct dns_set	*set;
	const char		*name;
	int64_t			 now_ms;
	void			(*row)(void *ctx, const struct dns_cache_row *);
	void			*ctx;
};

static void
on_cached(void *ctx, const struct dns_cached *e)
{
	const struct rows *rows = ctx;
	struct buf text = { 0 };
	char ip[INET6_ADDRSTRLEN];

	if (rows->name != NULL && !dns_name_below(e->name, rows->name))
		return;
	for (unsigned i = 0; i < e->answer.n; i++) {
		const struct trace_answer *a = &e->answer.rr[i];

		if (i != 0)
			buf_text(&text, ", ");
		if (a->family != 0)
			buf_text(&text, inet_ntop(a->family, a->ip, ip,
			    sizeof ip));
		else
			buf_printf(&text, "%u %s", a->pref, a->name);
	}
	rows->row(rows->ctx, &(struct dns_cache_row){
		.set = rows->set->name, .name = e->name,
		.answer = buf_cstr(&text), .qtype = e->qtype,
		.outcome = e->answer.outcome,
		.ttl_ms = e->until_ms - rows->now_ms,
	});
	buf_free(&text);
}

void
resolver_cache_rows(struct resolver *r, const char *name,
    void (*row)(void *ctx, const struct dns_cache_row *), void *ctx)
{
	struct rows rows = {
		.name = name, .now_ms = clock_mono_ms(), .row = row, .ctx = ctx,
	};

	LIST_EACH(it, &r->sets) {
		rows.set = LIST_OWNER(it, struct dns_set, node);
		cache_each(rows.set->cache, rows.now_ms, on_cached, &rows);
	}
}

void
resolver_server_rows(struct resolver *r,
    void (*row)(void *ctx, const struct dns_server_row *), void *ctx)
{
	const int64_t now_ms = clock_mono_ms();

	LIST_EACH(it, &r->sets) {
		const struct dns_set *s = LIST_OWNER(it, struct dns_set, node);

		for (size_t i = 0; s->current && i < s->nservers; i++) {
			const struct dns_server *sv = &s->servers[i];
			const int64_t left = sv->cooldown_until_ms - now_ms;

			row(ctx, &(struct dns_server_row){
				.set = s->name, .server = sv->text,
				.asked = sv->asked, .answered = sv->answered,
				.timeouts = sv->timeouts,
				.servfail = sv->servfail,
				.avg_ms = sv->answered == 0 ? 0 :
				    (uint32_t)(sv->ms_sum / sv->answered),
				.cooldown_ms = sv->cooldown_until_ms != 0 &&
				    left > 0 ? left : 0,
			});
		}
	}
}
