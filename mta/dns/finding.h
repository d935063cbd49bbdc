/*
 * finding.h - what one lookup (one name asked of one set) came to, and its
 * words: from outcomes to a status with reason, code and text.  Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "mta/dns/policy.h"
#include "queue/status.h"

/* One host of the lookup, when nothing more is asked about it. */
struct finding_host {
	char			 name[256];
	uint16_t		 pref;
	struct policy_question	 q[FAMILIES];
	char			 server[FAMILIES][64];
	bool			 literal;	/* an address: nothing was asked */
	bool			 given;		/* has addresses, they were handed out */
	const char		*guarded;	/* range that kept it out, or NULL */
	char			 guarded_ip[64];
};

struct finding {
	const char		*set;
	const char		*domain;	/* recipient domain or smarthost */
	bool			 smarthost;
	bool			 mx_asked;
	uint16_t		 mx;		/* outcome */
	char			 mx_server[64];
	bool			 null_mx;
	bool			 implicit;	/* the domain is its own host */
	const struct finding_host *const *hosts; size_t nhosts;
	size_t			 left_out;	/* MX hosts above max_mx_hosts, or not to be asked */
	const char		*ours;		/* this host is ourselves, or NULL */
	bool			 deadline;	/* lookup_deadline passed */
};

/*
 * USABLE: nothing is left unknown but some host was given; *st is then zeroed.
 * Else *st is the status that this lookup alone would give.
 */
enum policy_found finding_judge(const struct conf_resolve *p,
    const struct finding *f, struct status *st);

/* The words of st without "DNS: ", for an escalation: at most size. */
void finding_brief(const struct status *st, char *buf, size_t size);
