/*
 * resolver.h - asks the servers of a set one question (RESOLUTION 2, 6): order,
 * hedge, tries, cooldown, coalescing, cache.  For mta/dns/ only; the rest of
 * tx knows nexthop.h.
 *
 *   resolver_cached()? else resolver_ask() -> dns_ask_fn -> struct dns_result
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "mta/base/list.h"
#include "mta/dns/answer.h"
#include "mta/dns/nexthop.h"

struct dns_channel;
struct dns_cache;
struct hash;
struct loop;
struct loop_timer;

#define SILENT_NAMES 3u		/* different names in a row before the cooldown */

struct dns_server {
	struct conf_addr	 addr;
	char			 text[64];
	struct dns_channel		*udp, *tcp;	/* owned; made when first used */
	uint64_t		 asked, answered, timeouts, servfail, ms_sum;
	char			 silent[SILENT_NAMES][256];
	unsigned		 nsilent;
	int64_t			 cooldown_until_ms; /* monotonic; 0: in use */
	bool			 probing;	/* cooldown over, one question is out to see */
};

/* A set as configured once; counted, so that lookups outlive a reload. */
struct dns_set {
	struct list		 node;		/* in resolver->sets */
	struct resolver		*r;		/* borrowed */
	unsigned		 refs;
	bool			 current;	/* holds a count for the running configuration */
	bool			 retired;	/* looked at when the turn is over */
	char			 name[64];
	struct dns_server	*servers;	size_t nservers;
	int64_t			 timeout_ms, hedge_ms, cooldown_ms;
	unsigned		 tries;
	enum conf_protocol	 protocol;
	struct dns_cache	*cache;
	struct list		 questions;	/* in flight */
	struct list		 tries_out;	/* packets in flight, orphans too */
};

struct resolver {
	struct loop		*loop;
	struct list		 sets;
	struct hash		*families;
	struct list		 families_by_age;
	struct list		 waiting;	/* lookups not yet begun: see nexthop.c */
	unsigned		 active;	/* lookups begun, without a first result */
};

/* The set as this configuration has it; count it down with dns_set_unref(). */
struct dns_set *resolver_set(struct resolver *r, const struct conf_resolvers *c);
void dns_set_unref(struct dns_set **s);

/* Which family worked last for host within ten minutes; 0: not known. */
sa_family_t resolver_family(struct resolver *r, const char *host);

/* One packet that was asked, and what became of it. */
struct dns_asked {
	char			 name[256];
	uint16_t		 qtype;		/* CNAME: this answer only led on to target */
	uint16_t		 outcome;
	char			 server[64];
	enum trace_transport	 via;
	uint32_t		 ms;
	char			 target[256];
};

struct dns_result {
	const struct dns_answer	*answer;
	const char		*server;	/* who gave it */
	enum trace_transport	 via;
	enum trace_source	 source;
	uint32_t		 ttl_s;		/* remaining */
	const struct dns_asked	*asked;		size_t nasked;	/* before the one that gave it */
	uint32_t		 ms;		/* of the one that gave it */
};

/* A cached answer that will do (fresh: soft and negative ones do not); borrowed. */
bool resolver_cached(struct dns_set *s, const char *name, uint16_t qtype,
    bool fresh, struct dns_result *res);

struct dns_ask;

/*
 * Comes exactly once, always from the loop, never from inside resolver_ask().
 * res is borrowed until return.  The ask is gone when it returns; any function
 * may be called from inside but resolver_free().  After dns_ask_cancel() it
 * never comes.
 */
typedef void dns_ask_fn(void *ctx, const struct dns_result *res);

/* name must pass packet_name_ok().  Equal questions in flight are joined. */
struct dns_ask *resolver_ask(struct dns_set *s, const char *name, uint16_t qtype,
    dns_ask_fn *fn, void *ctx);
void dns_ask_cancel(struct dns_ask **a);	/* *a may be NULL */

/* What has been tried so far, the unanswered included as timeouts; free() it. */
struct dns_asked *dns_ask_so_far(const struct dns_ask *a, size_t *n_r);

/* question.c, for resolver.c. */
void questions_stop(struct dns_set *s);		/* all packets and questions, silently */
void questions_stale(struct dns_set *s, const char *name);	/* NULL: all */

/* server.c: health. */
void server_alive(struct dns_server *sv);
void server_silent(struct dns_server *sv, const char *name,
    int64_t cooldown_ms, int64_t now_ms);
/* May it be asked now; a server whose cooldown is over is asked one question first. */
bool server_ready(const struct dns_server *sv, int64_t now_ms);
