/*
 * policy.h - which connector a command is about, and overrides of its policy.
 */
#pragma once

#include <stdbool.h>

#include "mta/base/fault.h"

struct client;
struct conf_connector;

/* The named one, else the one that domain takes; NULL: there is none.  Either may be NULL. */
const struct conf_connector *policy_connector(const struct client *c, const char *name,
    const char *domain);

/* For resolve, probe, explain: the same, but the absence is told to the user and ends the command. */
const struct conf_connector *policy_connector_or_end(struct client *c, const char *domain);

/* The --with of the command, judged against the connector. */
MUST_CHECK bool policy_check_with(const struct client *c, const struct conf_connector *k,
    struct fault *why);

/* The route key: domain, or "*" with smarthosts. */
const char *policy_route_domain(const struct conf_connector *k, const char *domain);
