/*
 * admit.c - relaying is for known clients and known domains only.
 * Never sees a session or a socket, so that `relayctl admit` and a session
 * cannot come to different answers.
 * Read next: admit.h; commands.c, which asks at each RCPT.
 */
#include "mta/rx/admit.h"

#include "mta/base/fault.h"
#include "mta/route/route.h"
#include "queue/envelope.h"

static const struct {
	const char *name, *reply;
} answers[] = {
	[ADMIT_OK] = { "ok", "250 2.1.5 ok" },
	[ADMIT_NOT_CLIENT] = { "not_client",
	  "550 5.7.1 relaying denied: your address may not send here" },
	[ADMIT_NO_DOMAIN] = { "no_domain",
	  "550 5.7.1 relaying denied: the recipient has no domain" },
	[ADMIT_NO_ROUTE] = { "no_route",
	  "550 5.7.1 relaying denied: no connector for this domain" },
};
_Static_assert(COUNT_OF(answers) == ADMIT_COUNT, "one row per rx_admission");

const char *
admit_reply(enum rx_admission a)
{
	return answers[a].reply;
}

const char *
admit_name(enum rx_admission a)
{
	return answers[a].name;
}

const struct conf_cidr *
admit_client(const struct conf_listener *l, const struct conf_addr *client)
{
	const struct conf_cidr *best = NULL;

	for (size_t i = 0; i < l->nclients; i++) {
		const struct conf_cidr *c = &l->clients[i];

		if (conf_cidr_has(c, client) &&
		    (best == NULL || c->bits > best->bits))
			best = c;
	}
	return best;
}

enum rx_admission
admit_recipient(const struct conf_cidr *client, const struct router *router,
    const char *address)
{
	char domain[DOMAIN_MAX];

	if (client == NULL)
		return ADMIT_NOT_CLIENT;
	if (!address_domain(address, domain))
		return ADMIT_NO_DOMAIN;
	if (router_find(router, domain) == NULL)
		return ADMIT_NO_ROUTE;
	return ADMIT_OK;
}
