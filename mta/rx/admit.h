/*
 * admit.h - who may relay, and for which recipients.  Pure: configuration and
 * addresses in, decision and reply out.
 *
 * Only clients in the listener's networks may relay, and only to domains that
 * a connector takes; both are judged at RCPT, so that a client learns of it
 * for each recipient and a refused one is told so in plain words.
 */
#pragma once

#include <stdbool.h>

#include "conf/conf.h"

struct router;

enum rx_admission {
	ADMIT_OK = 0,
	ADMIT_NOT_CLIENT,	/* the client is in none of the listener's networks */
	ADMIT_NO_DOMAIN,	/* the recipient has none */
	ADMIT_NO_ROUTE,		/* no connector takes the domain */
	ADMIT_COUNT
};

/* The most specific of the listener's networks that hold the client; NULL: none. */
const struct conf_cidr *admit_client(const struct conf_listener *l, const struct conf_addr *client);

enum rx_admission admit_recipient(const struct conf_cidr *client, const struct router *router,
    const char *address);

/* "550 5.7.1 …" without line end; ADMIT_OK: "250 2.1.5 ok". */
const char *admit_reply(enum rx_admission a);
const char *admit_name(enum rx_admission a);	/* for the log: "not_client" */
