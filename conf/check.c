/*
 * check.c - what needs more than one value to judge: doubles, unknown names,
 * values that contradict each other.  Fills resolve.sets.
 * Must never change a value, and must bear a half-read configuration: all
 * errors of a file are shown at once.  Read next: load.c (who calls).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "conf/addr.h"
#include "conf/load.h"
#include "conf/value.h"
#include "mta/base/hash.h"
#include "mta/base/str.h"

struct check {
	struct report		*r;
	const config_setting_t	*root;
	struct conf		*c;
};

/*
 * Where element i of n stands: g.key[i], or g.key when it is one value, or when
 * elements were refused, so that counts differ.
 */
static const config_setting_t *
place(const config_setting_t *g, const char *key, size_t i, size_t n)
{
	const config_setting_t *v = NULL;

	if (config_setting_is_group(g))
		v = config_setting_get_member(g, key);
	if (v == NULL)
		return g;
	if (config_setting_is_group(v) || !config_setting_is_aggregate(v) ||
	    (size_t)config_setting_length(v) != n)
		return v;
	return config_setting_get_elem(v, (unsigned)i);
}

/* The group of that name below g, or g when it is not in the file. */
static const config_setting_t *
group(const config_setting_t *g, const char *key)
{
	const config_setting_t *v = config_setting_is_group(g) ?
	    config_setting_get_member(g, key) : NULL;

	return v != NULL ? v : g;
}

static bool
given(const config_setting_t *g, const char *key)
{
	return config_setting_is_group(g) &&
	    config_setting_get_member(g, key) != NULL;
}

/* Two listeners that the kernel would not both bind. */
static bool
overlap(const struct conf_listener *a, const struct conf_listener *b)
{
	if (a->address.port != b->address.port)
		return false;
	if (a->any || b->any)
		return true;
	if (a->address.family != b->address.family)
		return false;
	return conf_addr_any(&a->address) || conf_addr_any(&b->address) ||
	    conf_addr_same_ip(&a->address, &b->address);
}

static void
check_listener(struct check *ck, size_t i)
{
	const struct conf *c = ck->c;
	const struct conf_listener *l = &c->listeners[i];
	const config_setting_t *g = place(
	    ck->root, "listeners", i, c->nlisteners);

	for (size_t j = 0; l->address.port != 0 && j < i; j++) {
		const struct conf_listener *o = &c->listeners[j];
		char *where = report_where(ck->r,
		    place(ck->root, "listeners", j, c->nlisteners));

		if (overlap(l, o))
			report_error(ck->r, g, "address",
			    "is also taken by the listener of %s, wanted "
			    "another address or port",
			    where);
		else if (strcmp(l->name, o->name) == 0)
			report_error(ck->r, g, "name", "\"%s\" is also the "
			    "name of the listener of %s, wanted another",
			    l->name, where);
		free(where);
	}
	for (size_t j = 0; j < l->nclients; j++)
		if (l->clients[j].bits == 0)
			report_warn(ck->r, place(g, "clients", j, l->nclients),
			    NULL, "everyone may send through us: an open relay");
}

static void
check_set(struct check *ck, struct conf_resolvers *set)
{
	const config_setting_t *sets = group(ck->root, "resolvers");
	const config_setting_t *g = group(sets, set->name);

	if (!given(sets, set->name))
		return;			/* "system" of resolv.conf */
	for (size_t i = 0; i < set->nservers; i++) {
		for (size_t j = 0; j < i; j++) {
			if (conf_addr_same_ip(
				&set->servers[i], &set->servers[j]) &&
			    set->servers[i].port == set->servers[j].port)
				report_error(ck->r, place(g, "servers", i,
				    set->nservers), NULL, "is listed twice, "
				    "wanted each server once");
		}
	}
	if (set->hedge_ms >= set->timeout_ms && set->nservers > 1)
		report_warn(ck->r, g, "hedge", "is not below timeout, so the "
		    "next server is only asked after a timeout");
}

/* One pattern of one connector, for finding doubles. */
struct pattern {
	const char	*text;		/* borrowed */
	size_t		 connector, index;
};

static const void *
pattern_key(const void *value, size_t *n_r)
{
	const struct pattern *p = value;

	*n_r = strlen(p->text);
	return p->text;
}

static const config_setting_t *
connector_place(struct check *ck, size_t i)
{
	return place(ck->root, "connectors", i, ck->c->nconnectors);
}

static void
check_pattern(struct check *ck, struct hash *seen, struct pattern *p)
{
	const struct conf_connector *k = &ck->c->connectors[p->connector];
	const struct pattern *o = hash_get(seen, p->text, strlen(p->text));
	const struct conf_connector *ok;
	char *where;

	if (o == NULL) {
		hash_put(seen, p);
		return;
	}
	ok = &ck->c->connectors[o->connector];
	where = report_where(ck->r, place(connector_place(ck, o->connector),
	    "domains", o->index, ok->ndomains));
	report_error(ck->r,
	    place(connector_place(ck, p->connector), "domains", p->index,
		k->ndomains),
	    NULL, "\"%s\" is also at %s, wanted it once", p->text, where);
	free(where);
}

static void
check_patterns(struct check *ck)
{
	const struct conf *c = ck->c;
	struct hash *seen = hash_new(pattern_key);
	struct pattern *patterns;
	size_t n = 0, at = 0;

	for (size_t i = 0; i < c->nconnectors; i++)
		n += c->connectors[i].ndomains;
	patterns = xcalloc(n + 1, sizeof(*patterns));
	for (size_t i = 0; i < c->nconnectors; i++)
		for (size_t j = 0; j < c->connectors[i].ndomains; j++) {
			patterns[at] = (struct pattern){
				.text = c->connectors[i].domains[j],
				.connector = i, .index = j,
			};
			check_pattern(ck, seen, &patterns[at++]);
		}
	if (ck->r->errors == 0 && hash_get(seen, "*", 1) == NULL)
		report_warn(ck->r, group(ck->root, "connectors"), NULL,
		    "no connector has \"*\", so mail for other domains is "
		    "not taken");
	hash_free(&seen);
	free(patterns);
}

static void
unknown_set(struct check *ck, const config_setting_t *at, const char *name)
{
	const char *best = NULL;
	unsigned least = (unsigned)(strlen(name) + 1) / 3;

	for (size_t i = 0; i < ck->c->nsets; i++) {
		unsigned far = str_distance(name, ck->c->sets[i].name);

		if (far > least || (far == least && best != NULL))
			continue;
		least = far;
		best = ck->c->sets[i].name;
	}
	if (best != NULL)
		report_error(ck->r, at, NULL, "\"%.60s\" is not a set of "
		    "resolvers, did you mean \"%s\"?", name, best);
	else
		report_error(ck->r, at, NULL, "\"%.60s\" is not a set of "
		    "resolvers, wanted \"system\" or one defined in resolvers",
		    name);
}

static void
check_sets(struct check *ck, struct conf_resolve *v, const config_setting_t *g)
{
	v->sets = xcalloc(v->nresolvers + 1, sizeof(*v->sets));
	for (size_t i = 0; i < v->nresolvers; i++) {
		const config_setting_t *at = place(
		    g, "resolvers", i, v->nresolvers);
		int set = conf_set_index(ck->c, v->resolvers[i]);

		if (set == -1) {
			unknown_set(ck, at, v->resolvers[i]);
			continue;
		}
		v->sets[i] = (unsigned)set;
		for (size_t j = 0; j < i; j++)
			if (strcmp(v->resolvers[i], v->resolvers[j]) == 0)
				report_error(ck->r, at, NULL,
				    "\"%s\" is listed twice, wanted each "
				    "set once",
				    v->resolvers[i]);
		if (v->lookup_deadline_ms < ck->c->sets[set].timeout_ms)
			report_warn(ck->r, g, "lookup_deadline", "is below the "
			    "timeout of set \"%s\", which is never reached",
			    v->resolvers[i]);
	}
	if (!v->ipv6 && v->order == ORDER_AAAA_FIRST)
		report_warn(ck->r, g, "order", "\"aaaa-first\" has no meaning "
		    "with ipv6 = false");
	if (!v->ipv6 && given(g, "prefer") && v->prefer == PREFER_IPV6)
		report_warn(ck->r, g, "prefer", "\"ipv6\" has no meaning with "
		    "ipv6 = false");
}

static bool
in_hosts(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->nhosts; i++)
		if (strcmp(c->hosts[i].name, name) == 0)
			return true;
	return false;
}

/* A single label would be looked up below the root, and never be found. */
static void
check_smarthosts(struct check *ck, const struct conf_connector *k,
    const config_setting_t *g)
{
	bool hosts = k->resolve.hosts_file;

	for (size_t i = 0; i < k->nsmarthosts; i++) {
		const struct conf_smarthost *h = &k->smarthosts[i];
		const config_setting_t *at = place(
		    g, "smarthosts", i, k->nsmarthosts);

		if (h->host != NULL && strchr(h->host, '.') == NULL &&
		    !in_hosts(ck->c, h->host))
			report_error(ck->r, at, NULL,
			    "\"%s\" has no domain and %s%s, wanted a full name "
			    "or an address", h->text,
			    hosts ? "is not in " : "hosts_file is false",
			    hosts ? ck->c->hosts_file : "");
		if (h->host == NULL && conf_addr_any(&h->address))
			report_error(ck->r, at, NULL, "\"%s\" is no host's "
			    "address, wanted one to connect to", h->text);
		for (size_t j = 0; j < i; j++)
			if (str_eq_nocase(h->text, k->smarthosts[j].text))
				report_error(ck->r, at, NULL,
				    "\"%s\" is listed twice, wanted each "
				    "host once",
				    h->text);
	}
	if (k->nsmarthosts > 0 && k->nallow_addresses > 0)
		report_warn(ck->r, g, "allow_addresses", "has no meaning with "
		    "smarthosts: they may be anywhere");
}

static void
check_retry(struct check *ck, const struct conf_retry *retry,
    const config_setting_t *g)
{
	char first[32], expire[32];
	const struct { const char *key; int64_t ms; } rows[] = {
		{ "schedule",
		    retry->nschedule > 0 ? retry->schedule_ms[0] : 0 },
		{ "dns", retry->ndns > 0 ? retry->dns_ms[0] : 0 },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (rows[i].ms >= retry->expire_ms)
			report_error(ck->r, g,
			    given(g, "expire") ? "expire" : rows[i].key,
			    "mail expires after \"%s\", before its first "
			    "retry after \"%s\" of %s, wanted a longer expire",
			    duration_text(retry->expire_ms, expire),
			    duration_text(rows[i].ms, first), rows[i].key);
	if (retry->notice_ms >= retry->expire_ms)
		report_warn(ck->r, g, given(g, "notice") ? "notice" : "expire",
		    "mail expires before a notice is sent; say "
		    "notice = \"never\" when none is wanted");
}

static void
check_connector(struct check *ck, size_t i)
{
	struct conf_connector *k = &ck->c->connectors[i];
	const config_setting_t *g = connector_place(ck, i);

	for (size_t j = 0; j < i; j++) {
		const char *other = ck->c->connectors[j].name;
		char *where;

		if (k->name == NULL || other == NULL ||
		    strcmp(k->name, other) != 0)
			continue;
		where = report_where(ck->r, connector_place(ck, j));
		report_error(ck->r, g, "name", "\"%s\" is also the name of the "
		    "connector of %s, wanted another", k->name, where);
		free(where);
		break;
	}
	check_sets(ck, &k->resolve, group(g, "resolve"));
	check_smarthosts(ck, k, g);
	check_retry(ck, &k->retry, group(g, "retry"));
}

static void
check_globals(struct check *ck)
{
	const struct conf *c = ck->c;

	if (ck->r->errors == 0 && strchr(c->hostname, '.') == NULL)
		report_warn(ck->r, ck->root, "hostname",
		    "\"%s\" is not a full name, and servers may refuse it "
		    "in EHLO; wanted one such as \"mail.example.com\"",
		    c->hostname);
	if (c->log.to == LOG_TO_FILE && c->log.file == NULL)
		report_error(ck->r, group(ck->root, "log"), "file",
		    "is missing, wanted a path because to is \"file\"");
	if (c->log.to != LOG_TO_FILE && c->log.file != NULL)
		report_warn(ck->r, group(ck->root, "log"), "file",
		    "is not used because to is not \"file\"");
	if (c->spool.max_bytes < 4 * c->spool.segment_bytes)
		report_error(ck->r, group(ck->root, "spool"), "max_bytes",
		    "is too small, wanted at least four times segment");
	if (c->spool.large_bytes >= c->spool.segment_bytes)
		report_error(ck->r, group(ck->root, "spool"), "large_body",
		    "is too large, wanted less than segment");
}

void
conf_check(struct report *r, const config_setting_t *root, struct conf *c)
{
	struct check ck = { .r = r, .root = root, .c = c };

	check_globals(&ck);
	for (size_t i = 0; i < c->nlisteners; i++)
		check_listener(&ck, i);
	for (size_t i = 0; i < c->nsets; i++)
		check_set(&ck, &c->sets[i]);
	for (size_t i = 0; i < c->nconnectors; i++)
		check_connector(&ck, i);
	check_patterns(&ck);
}
