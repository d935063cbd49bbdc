/*
 * policy.h - what a resolution policy makes of outcomes (RESOLUTION 1, 3, 5):
 * which family is asked when, what a host is worth, how sets combine.
 * Pure: outcomes and time are arguments, nothing is asked here.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "mta/dns/answer.h"

enum family { FAM_A = 0, FAM_AAAA, FAMILIES };

/* One of the two address questions about a host. */
struct policy_question {
	bool		asked;
	bool		done;		/* outcome counts */
	uint16_t	outcome;
	int64_t		asked_ms, done_ms;	/* monotonic */
};

/* What to do about a host now. */
struct policy_step {
	bool	ask[FAMILIES];	/* to be asked now */
	bool	finished;	/* nothing more is waited for */
	int64_t	wait_ms;	/* look again then, if nothing comes before; -1: no need */
};

struct policy_step policy_families(const struct conf_resolve *p, int64_t hedge_ms,
    const struct policy_question q[FAMILIES], int64_t now_ms);

/* What the host is worth when finished; *decider is the family that decided. */
enum dns_kind policy_host(const struct conf_resolve *p,
    const struct policy_question q[FAMILIES], enum family *decider);

/* What asking one set came to. */
enum policy_found {
	FOUND_USABLE = 0,
	FOUND_SOFT,	/* may be otherwise in a moment, or elsewhere */
	FOUND_NOT_HERE,	/* MX refused: this set does not serve the name */
	FOUND_ABSENT,	/* proven: no such domain, or no address */
	FOUND_FINAL,	/* null MX, or the mail would come back to us */
};

/* Is the next set asked after this? */
bool policy_escalates(const struct conf_resolve *p, enum policy_found found);

/*
 * Which of n findings speaks for all (none usable); *hard: it fails the mail,
 * else it defers it.
 */
size_t policy_combine(const enum policy_found *found, size_t n, bool *hard);

enum policy_verdict { POLICY_DELIVER = 0, POLICY_DEFER = 10, POLICY_FAIL = 11 };

/*
 * A cell of the verdict table: one set, one host, these outcomes of MX, A and
 * AAAA if they are asked at all (asked_r, by family, may be NULL).  An MX
 * outcome of NODATA means the implicit one.
 */
enum policy_verdict policy_table(const struct conf_resolve *p, uint16_t mx,
    const uint16_t outcomes[FAMILIES], enum reason *reason_r,
    bool asked_r[FAMILIES]);
