/*
 * route.h - which connector a recipient domain takes, and the destination that
 * comes of it.  Pure: configuration in, name out.  Costs per distinct domain.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct conf;
struct conf_connector;

struct router;

/* Builds the lookup (hash of exact and suffix patterns).  conf is borrowed. */
struct router *router_new(const struct conf *conf);
void router_free(struct router **r);

/*
 * Most specific pattern wins: exact, then the longest "*.suffix", then "*".
 * domain is lower case, no trailing dot; "[192.0.2.1]" matches "*" only.
 * NULL: no connector takes it.  Disabled connectors are found too.
 */
const struct conf_connector *router_find(const struct router *r, const char *domain);

/*
 * The key of a destination: "CONNECTOR/DOMAIN" for MX routing; for smarthosts a
 * star in place of the domain (one destination for all).  Returns false when cut.
 */
#define ROUTE_KEY_MAX 384
bool route_key(const struct conf_connector *k, const char *domain, char buf[ROUTE_KEY_MAX]);
