/*
 * cache.c - the answers of one set: a hash for finding, a list by use for
 * eviction.
 * Never reads the clock and never judges an answer: TTLs were clamped by
 * answer.c, and the asker decides whether a soft one will do.
 * Read next: resolver.c.
 */
#include "mta/dns/cache.h"

#include <stdlib.h>
#include <string.h>

#include "mta/base/hash.h"
#include "mta/base/list.h"
#include "mta/base/mem.h"
#include "mta/base/str.h"

struct row {
	struct list		by_use;
	struct dns_cached	e;
	size_t			keylen;
	char			key[];	/* two octets of type, then the name */
};

struct dns_cache {
	struct hash	*rows;
	struct list	 by_use;	/* most recent first */
	size_t		 max;
};

struct key {
	char	b[2 + 256];
	size_t	n;
};

static const void *
key_of(const void *value, size_t *n_r)
{
	const struct row *r = value;

	*n_r = r->keylen;
	return r->key;
}

static struct key
key_make(const char *name, uint16_t qtype)
{
	struct key k = { .b = { (char)(qtype >> 8), (char)qtype } };

	str_copy(k.b + 2, sizeof k.b - 2, name);
	str_lower(k.b + 2);
	k.n = 2 + strlen(k.b + 2);
	return k;
}

struct dns_cache *
cache_new(size_t max)
{
	struct dns_cache *c = xcalloc(1, sizeof *c);

	c->rows = hash_new(key_of);
	list_init(&c->by_use);
	c->max = max;
	return c;
}

static void
drop(struct dns_cache *c, struct row *r)
{
	hash_del(c->rows, r->key, r->keylen);
	list_del(&r->by_use);
	answer_free(&r->e.answer);
	free(r);
}

void
cache_free(struct dns_cache **c)
{
	if (*c == NULL)
		return;
	LIST_EACH_SAFE(it, &(*c)->by_use)
		drop(*c, LIST_OWNER(it, struct row, by_use));
	hash_free(&(*c)->rows);
	free(*c);
	*c = NULL;
}

const struct dns_cached *
cache_get(struct dns_cache *c, const char *name, uint16_t qtype, int64_t now_ms)
{
	const struct key k = key_make(name, qtype);
	struct row *r = hash_get(c->rows, k.b, k.n);

	if (r == NULL)
		return NULL;
	if (r->e.until_ms <= now_ms) {
		drop(c, r);
		return NULL;
	}
	list_del(&r->by_use);
	list_add_head(&c->by_use, &r->by_use);
	return &r->e;
}

void
cache_put(struct dns_cache *c, const char *name, uint16_t qtype,
    const struct dns_answer *a, const char *server, enum trace_transport via,
    int64_t now_ms)
{
	const struct key k = key_make(name, qtype);
	struct row *r = hash_get(c->rows, k.b, k.n);

	if (r != NULL)
		drop(c, r);
	if (a->ttl_s == 0)
		return;
	if (hash_count(c->rows) >= c->max)
		drop(c, LIST_OWNER(c->by_use.prev, struct row, by_use));
	r = xcalloc(1, sizeof *r + k.n + 1);
	memcpy(r->key, k.b, k.n);
	r->keylen = k.n;
	r->e.name = r->key + 2;
	r->e.qtype = qtype;
	answer_copy(&r->e.answer, a);
	str_copy(r->e.server, sizeof r->e.server, server);
	r->e.via = via;
	r->e.until_ms = now_ms + (int64_t)a->ttl_s * 1000;
	hash_put(c->rows, r);
	list_add_head(&c->by_use, &r->by_use);
}

bool
dns_name_below(const char *name, const char *zone)
{
	const size_t n = strlen(name), z = strlen(zone);

	if (n < z || !str_eq_nocase(name + n - z, zone))
		return false;
	return n == z || name[n - z - 1] == '.';
}

static size_t
drop_key(struct dns_cache *c, const char *name, uint16_t qtype)
{
	const struct key k = key_make(name, qtype);
	struct row *r = hash_get(c->rows, k.b, k.n);

	if (r == NULL)
		return 0;
	drop(c, r);
	return 1;
}

size_t
cache_flush(struct dns_cache *c, const char *name)
{
	size_t n = 0;
	struct key mx;
	struct row *r;

	if (name != NULL) {
		mx = key_make(name, 15);
		r = hash_get(c->rows, mx.b, mx.n);
		for (unsigned i = 0; r != NULL && i < r->e.answer.n; i++) {
			const char *host = r->e.answer.rr[i].name;

			if (!dns_name_below(host, name))
				n += drop_key(c, host, 1) +
				    drop_key(c, host, 28);
		}
	}
	LIST_EACH_SAFE(it, &c->by_use) {
		r = LIST_OWNER(it, struct row, by_use);
		if (name == NULL || dns_name_below(r->e.name, name)) {
			drop(c, r);
			n++;
		}
	}
	return n;
}

size_t
cache_drop_unusable(struct dns_cache *c)
{
	size_t n = 0;

	LIST_EACH_SAFE(it, &c->by_use) {
		struct row *r = LIST_OWNER(it, struct row, by_use);

		if (dns_kind(r->e.answer.outcome) != DNS_USABLE) {
			drop(c, r);
			n++;
		}
	}
	return n;
}

size_t
cache_count(const struct dns_cache *c)
{
	return hash_count(c->rows);
}

void
cache_each(struct dns_cache *c, int64_t now_ms,
    void (*row)(void *ctx, const struct dns_cached *e), void *ctx)
{
	LIST_EACH(it, &c->by_use) {
		const struct row *r = LIST_OWNER(it, struct row, by_use);

		if (r->e.until_ms > now_ms)
			row(ctx, &r->e);
	}
}
