/*
 * lookup.h - the inside of a struct nexthop: what its states share.  For
 * nexthop*.c only.
 *
 * Walk of a lookup (a target is the domain, or one smarthost of the list):
 *
 *   wait target+ judge ended
 *
 *   target: lookup+                 one set after the other
 *   lookup: [mx] (group hosts [try])* found
 *
 * found goes back to lookup (next set), to target (next smarthost) or, when
 * there is none, to judge.  Only try and ended wait for the caller; mx and
 * hosts wait for DNS.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mta/base/list.h"
#include "mta/dns/finding.h"
#include "mta/dns/nexthop.h"
#include "mta/dns/resolver.h"

struct loop_timer;
struct nexthop;
struct lookup_host;

enum lookup_state {
	LOOKUP_WAIT = 0,	/* for its turn */
	LOOKUP_TARGET, LOOKUP_SET, LOOKUP_MX, LOOKUP_GROUP, LOOKUP_HOSTS,
	LOOKUP_TRY, LOOKUP_FOUND, LOOKUP_JUDGE, LOOKUP_ENDED,
	LOOKUP_STATE_COUNT
};

/* One question of a lookup; host NULL: the MX question. */
struct lookup_question {
	struct nexthop		*n;
	struct lookup_host	*host;
	enum family		 family;
	const char		*name;
	uint16_t		 qtype;
	struct dns_ask		*ask;	/* owned while non-NULL */
};

struct lookup_host {
	struct finding_host	 f;
	bool			 finished;
	struct lookup_question	 q[FAMILIES];
	struct conf_addr	*addrs[FAMILIES];	/* owned */
	size_t			 naddrs[FAMILIES];
};

/* What one set, or all sets for one target, came to. */
struct lookup_found {
	enum policy_found	 found;
	bool			 hard;
	struct status		 status;
};

struct nexthop {
	struct list			 node;		/* in resolver->waiting */
	struct resolver			*r;
	const struct conf		*conf;
	const struct conf_connector	*connector;
	const struct conf_resolve	*policy;
	unsigned			 flags;
	char				 domain[256];
	uint8_t				*kept;		size_t kept_len;	/* owned */
	struct buf			*trace;
	nexthop_fn			*fn;
	void				*ctx;

	enum lookup_state		 state;
	bool				 slot;		/* counted in resolver->active */
	bool				 dead;		/* cancelled: no callback any more */
	bool				 next;		/* nexthop_next() was called */
	bool				 emit;		/* a step is to be handed over */
	struct nexthop_step		 step;
	struct loop_timer		*kick;		/* runs the states, or looks again */
	struct loop_timer		*deadline;
	int64_t				 budget_ms;	/* of this lookup, for waiting */
	int64_t				 waiting_since_ms; /* 0: not waiting for DNS */

	size_t				 target;	/* smarthost number; 0 for MX */
	const struct conf_smarthost	*smarthost;	/* NULL: MX routing */
	char				 name[256];	/* of the target */
	size_t				 set_at;	/* in the policy's sets */
	struct dns_set			*set;		/* counted; NULL: no DNS in it */

	/* this lookup */
	struct lookup_question		 mx;
	bool				 mx_done;
	struct finding			 f;
	struct lookup_host		*hosts;		/* owned; by preference */
	size_t				 nhosts;
	size_t				 group, group_end;
	struct nexthop_addr		*addrs;		/* owned; the group handed out */
	size_t				 naddrs;
	bool				 given;		/* some group of this lookup */

	struct lookup_found		*sets;		/* owned; of this target, given up */
	size_t				 nsets;
	struct lookup_found		*targets;	/* owned; targets not fully known */
	size_t				 ntargets;
	bool				 given_any;
	char				 gave_up[64];	/* set; "": none to be logged */
	char				 gave_up_why[256];
};

/* nexthop.c */
void lookup_run(struct nexthop *n);
void lookup_escalation_log(struct nexthop *n, const char *answer);

/* lookup_mx.c, lookup_host.c: states; each returns the next one, its own to wait. */
enum lookup_state lookup_mx(struct nexthop *n);
enum lookup_state lookup_group(struct nexthop *n);
enum lookup_state lookup_hosts(struct nexthop *n);

/* The target is one host with addresses of its own (literal, or hosts file). */
enum lookup_state lookup_literal(struct nexthop *n, const struct conf_addr *a,
    const char *text);
bool lookup_hosts_file(struct nexthop *n);
void lookup_own_host(struct nexthop *n);	/* the name itself, by A and AAAA */

void lookup_take_mx(struct nexthop *n, const struct dns_result *res);
void lookup_take_host(struct lookup_question *q, const struct dns_result *res);
uint16_t lookup_port(const struct nexthop *n);

/*
 * lookup_ask.c: kept, cached or fresh.  May give its answer at once (the take
 * functions above), else the states run again when it has come.
 */
void lookup_ask(struct lookup_question *q);
/* The deadline: what is out is silence. */
void lookup_ask_expire(struct lookup_question *q);
/* Writes into the trace that the policy kept this from being asked. */
void lookup_not_asked(struct nexthop *n, const char *name, uint16_t qtype);

/* kept.c: what a kept trace says to this question; false: nothing. */
bool kept_find(const uint8_t *kept, size_t len, const char *set,
    const char *name, uint16_t qtype, struct trace_question *q);
