/*
 * advice.h - what explain concludes: whose fault, by evidence in traces, and
 * which changes of a policy are worth evaluating.  Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conf;
struct conf_connector;
struct status;

enum blame {
	BLAME_UNKNOWN = 0, BLAME_OUR_DNS, BLAME_THEIR_DNS, BLAME_THEIR_DOMAIN,
	BLAME_THEIR_SERVER, BLAME_NETWORK, BLAME_OUR_CONFIG, BLAME_OPERATOR,
	BLAME_THIS_MACHINE,
	BLAME_COUNT
};

const char *blame_name(enum blame b);		/* "our_dns" */

struct advice_trace {
	const uint8_t	*p;
	size_t		 len;
};

struct finding {
	enum blame	 who;
	bool		 healed;	/* the same set answers the question now */
	char		 text[512];
};

/*
 * kept: the trace of the failed attempt; now: traces of lookups made since.
 * A DNS failure is ours only if another set answered the same question, theirs
 * only if no set of two or more did: with one set the two cannot be told apart
 * (but for a server of ours that the network says is not there).
 */
void advice_blame(const struct status *st, const struct advice_trace *kept,
    const struct advice_trace *now, size_t nnow, struct finding *out);

struct advice_change {
	char	 text[160];	/* KEY=VALUE as for --with; "" the policy in force */
	char	 key[16];
	bool	 named;		/* asks only sets that the connector names */
};
#define ADVICE_CHANGES_MAX 16

/* One change at a time of the connector's policy; escalations only with all_sets. */
size_t advice_changes(const struct conf *conf, const struct conf_connector *k, bool all_sets,
    struct advice_change out[ADVICE_CHANGES_MAX]);
