/*
 * policy.c - connectors and overrides as commands name them.  Never changes
 * a configuration: overrides are judged on a copy.
 * Read next: lookup.c, explain.c (who ask), ../../conf/conf.h.
 */
#include "mta/ctl/policy.h"

#include <string.h>

#include "conf/conf.h"
#include "mta/ctl/client.h"
#include "mta/route/route.h"

const struct conf_connector *
policy_connector(const struct client *c, const char *name, const char *domain)
{
	const struct conf_connector *k;

	if (name != NULL)
		return conf_connector(c->conf, name);
	if (domain == NULL)
		return NULL;
	/* The router may be of a newer configuration than this command. */
	k = router_find(c->ctl->router, domain);
	return k == NULL ? NULL : conf_connector(c->conf, k->name);
}

const struct conf_connector *
policy_connector_or_end(struct client *c, const char *domain)
{
	const struct conf_connector *k = policy_connector(c, c->opt.connector, domain);

	if (k != NULL)
		return k;
	if (c->opt.connector != NULL) {
		client_error(c, "no connector %s", c->opt.connector);
		client_end(c, EXIT_USAGE);
	} else {
		client_error(c, "no connector takes %s", domain);
		client_end(c, EXIT_FAILED);
	}
	return NULL;
}

bool
policy_check_with(const struct client *c, const struct conf_connector *k, struct fault *why)
{
	char *overrides[OPTIONS_WITH_MAX];
	struct conf_connector *changed;

	for (size_t i = 0; i < c->opt.nwith; i++)
		overrides[i] = (char *)(uintptr_t)c->opt.with[i];
	changed = conf_connector_with(c->conf, k, overrides, c->opt.nwith, why);
	if (changed == NULL)
		return false;
	conf_connector_free(&changed);
	return true;
}

const char *
policy_route_domain(const struct conf_connector *k, const char *domain)
{
	return k->nsmarthosts > 0 ? "*" : domain;
}
