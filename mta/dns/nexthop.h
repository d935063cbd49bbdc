/*
 * nexthop.h - from a recipient domain (or a smarthost list) and a resolution
 * policy to addresses to try, group by group: MX, hosts, families, escalation over
 * sets, guard, verdict (RESOLUTION 2 to 5).
 *
 * Life of one lookup:
 *
 *   nexthop_start() -> on_step(NEXTHOP_TRY, addresses of the best preference)
 *     all failed? nexthop_next() -> on_step(NEXTHOP_TRY, next preference) …
 *     nothing left -> on_step(NEXTHOP_END, status why)
 *
 * Every question, escalation and decision is appended to the trace.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "conf/conf.h"
#include "mta/base/mem.h"
#include "queue/status.h"

struct loop;
struct resolver;
struct nexthop;

/* One per tx process: sets, channels, caches, health, remembered families. */
struct resolver *resolver_new(struct loop *loop, const struct conf *conf);
void resolver_free(struct resolver **r);
/* New configuration: sets that did not change keep cache and health; cached soft and negative outcomes go. */
void resolver_reload(struct resolver *r, const struct conf *conf);

/* Forget what is cached for name (NULL: everything), cooldowns and families too. Returns entries dropped. */
size_t resolver_flush(struct resolver *r, const char *name);

/* Rows for "dns cache" and "dns servers"; strings borrowed until return. */
struct dns_cache_row {
	const char	*set, *name, *answer;	/* answer: for people */
	uint16_t	 qtype, outcome;
	int64_t		 ttl_ms;		/* remaining */
};
struct dns_server_row {
	const char	*set, *server;
	uint64_t	 asked, answered, timeouts, servfail;
	uint32_t	 avg_ms;
	int64_t		 cooldown_ms;		/* remaining, 0: in use */
};
void resolver_cache_rows(struct resolver *r, const char *name, void (*row)(void *ctx, const struct dns_cache_row *), void *ctx);
void resolver_server_rows(struct resolver *r, void (*row)(void *ctx, const struct dns_server_row *), void *ctx);

struct nexthop_addr {
	char			host[256];	/* MX host, smarthost or domain; literal as text */
	struct conf_addr	addr;		/* port filled in */
	uint16_t		pref;
	bool			smarthost;
};

enum nexthop_kind { NEXTHOP_TRY = 0, NEXTHOP_END };

struct nexthop_step {
	enum nexthop_kind		 kind;
	const struct nexthop_addr	*addrs;	/* TRY: in the order to connect, families interleaved per host */
	size_t				 naddrs;
	struct status			 status; /* END: class 4 or 5 and why.  After addresses were
						    given before and all hosts are known: class_ 0,
						    the caller's own last failure stands */
};

/*
 * Comes once per nexthop_start() and once per nexthop_next(), always from the
 * loop, never from inside these.  step is borrowed until return; any function
 * may be called from inside.  After nexthop_cancel() it never comes.
 */
typedef void nexthop_fn(void *ctx, const struct nexthop_step *step);

enum {
	NEXTHOP_FRESH = 1,	/* bypass cached soft and negative outcomes (retry, resolve) */
	NEXTHOP_NO_ASK = 2,	/* only kept and cached answers; what is missing counts as timeout */
};

struct nexthop_args {
	const struct conf		*conf;		/* borrowed until the end */
	const struct conf_connector	*connector;	/* borrowed until the end; may be one of conf_connector_with() */
	const char			*domain;	/* route key: recipient domain; ignored for smarthosts */
	unsigned			 flags;
	const uint8_t			*kept;		/* a trace whose answers are used first, or NULL */
	size_t				 kept_len;
	struct buf			*trace;		/* appended to; borrowed until the end */
};

struct nexthop *nexthop_start(struct resolver *r, const struct nexthop_args *args, nexthop_fn *fn, void *ctx);
void nexthop_next(struct nexthop *n);
void nexthop_cancel(struct nexthop **n);	/* also how one is freed after END; *n may be NULL */

/* tx tells what worked: the family goes first for this host for ten minutes. */
void nexthop_family_worked(struct resolver *r, const char *host, sa_family_t family);
