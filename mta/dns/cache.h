/*
 * cache.h - answers of one resolver set, by name and type, as long as their TTL
 * (RESOLUTION 6).  Bounded: the least recently used goes first.  Time is an
 * argument; whether a soft or negative answer may be used is the caller's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mta/dns/answer.h"

struct dns_cache;

struct dns_cached {
	const char		*name;
	uint16_t		 qtype;
	struct dns_answer	 answer;	/* ttl_s as it was when it came */
	char			 server[64];
	enum trace_transport	 via;
	int64_t			 until_ms;	/* monotonic */
};

struct dns_cache *cache_new(size_t max);
void cache_free(struct dns_cache **c);

/* NULL: none, or too old.  Borrowed until the next call. */
const struct dns_cached *cache_get(struct dns_cache *c, const char *name,
    uint16_t qtype, int64_t now_ms);

/* Copies the answer; replaces an older one.  A TTL of 0 only removes. */
void cache_put(struct dns_cache *c, const char *name, uint16_t qtype,
    const struct dns_answer *a, const char *server, enum trace_transport via,
    int64_t now_ms);

/*
 * Drops what is at or below name, and the hosts its MX named; NULL: all.
 * Returns the number dropped.
 */
size_t cache_flush(struct dns_cache *c, const char *name);
size_t cache_drop_unusable(struct dns_cache *c);	/* soft and negative ones */
size_t cache_count(const struct dns_cache *c);

/* Newest first; row may not change the cache. */
void cache_each(struct dns_cache *c, int64_t now_ms,
    void (*row)(void *ctx, const struct dns_cached *e), void *ctx);

/* Is name the same as zone or below it? */
bool dns_name_below(const char *name, const char *zone);
