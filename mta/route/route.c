/*
 * route.c - recipient domain to connector, by one hash lookup per label.
 * Must never resolve, log or keep state between calls: routing is computed.
 * Read next: route.h (the order of patterns), conf/check.c (no doubles).
 */
#include "mta/route/route.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "mta/base/hash.h"
#include "mta/base/mem.h"

/*
 * "example.com" is kept so; "*.example.com" as ".example.com", so that the tail
 * of a domain from any of its dots is a key as it stands.
 */
struct pattern {
	const char			*key;		/* borrowed from conf */
	const struct conf_connector	*connector;	/* borrowed from conf */
};

struct router {
	struct hash			*patterns;	/* owned; into rows */
	struct pattern			*rows;		/* owned */
	size_t				 nrows;
	const struct conf_connector	*rest;		/* "*", or NULL */
};

static const void *
pattern_key(const void *value, size_t *n_r)
{
	const struct pattern *p = value;

	*n_r = strlen(p->key);
	return p->key;
}

static void
router_add(struct router *r, const char *pattern,
    const struct conf_connector *k)
{
	const char *key = pattern + (strncmp(pattern, "*.", 2) == 0);
	struct pattern *p;

	if (strcmp(pattern, "*") == 0) {
		if (r->rest == NULL)
			r->rest = k;
		return;
	}
	if (hash_get(r->patterns, key, strlen(key)) != NULL)
		return;
	p = &r->rows[r->nrows++];
	*p = (struct pattern){ .key = key, .connector = k };
	hash_put(r->patterns, p);
}

struct router *
router_new(const struct conf *conf)
{
	struct router *r = xcalloc(1, sizeof(*r));
	size_t n = 1;

	for (size_t i = 0; i < conf->nconnectors; i++)
		n += conf->connectors[i].ndomains;
	r->patterns = hash_new(pattern_key);
	r->rows = xcalloc(n, sizeof(*r->rows));
	for (size_t i = 0; i < conf->nconnectors; i++) {
		const struct conf_connector *k = &conf->connectors[i];

		for (size_t j = 0; j < k->ndomains; j++)
			router_add(r, k->domains[j], k);
	}
	return r;
}

void
router_free(struct router **r)
{
	if (*r == NULL)
		return;
	hash_free(&(*r)->patterns);
	free((*r)->rows);
	free(*r);
	*r = NULL;
}

const struct conf_connector *
router_find(const struct router *r, const char *domain)
{
	const struct pattern *p = NULL;

	if (*domain == '[')
		return r->rest;
	if (*domain != '.')
		p = hash_get(r->patterns, domain, strlen(domain));
	while (p == NULL) {
		domain = strchr(domain + (*domain == '.'), '.');
		if (domain == NULL)
			return r->rest;
		p = hash_get(r->patterns, domain, strlen(domain));
	}
	return p->connector;
}

bool
route_key(const struct conf_connector *k, const char *domain,
    char buf[ROUTE_KEY_MAX])
{
	int n = snprintf(buf, ROUTE_KEY_MAX, "%s/%s", k->name,
	    k->nsmarthosts > 0 ? "*" : domain);

	return n > 0 && n < ROUTE_KEY_MAX;
}
