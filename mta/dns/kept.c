/*
 * kept.c - answers out of a kept trace, for playing another policy on them.
 * Never asks.  Where several servers of a set were asked, the winner is found
 * as it was then: usable or absent before soft, the weightier soft one.
 * Read next: lookup_ask.c.
 */
#include <string.h>

#include "mta/base/str.h"
#include "mta/dns/lookup.h"
#include "mta/dns/packet.h"

static unsigned
weight(uint16_t outcome)
{
	return dns_kind(outcome) == DNS_SOFT ? dns_soft_weight(outcome) : 10;
}

static bool
find(const uint8_t *kept, size_t len, const char *set, const char *name,
    uint16_t qtype, struct trace_question *q)
{
	struct rd r = rd_of(kept, len);
	struct trace_entry e;
	bool found = false;

	while (trace_next(&r, &e)) {
		const struct trace_question *t = &e.u.question;

		if (e.kind != TRACE_QUESTION || t->qtype != qtype ||
		    t->outcome == OUT_NOT_ASKED || strcmp(t->set, set) != 0 ||
		    !str_eq_nocase(t->name, name))
			continue;
		if (found && weight(t->outcome) < weight(q->outcome))
			continue;
		*q = *t;
		found = true;
	}
	return found;
}

bool
kept_find(const uint8_t *kept, size_t len, const char *set, const char *name,
    uint16_t qtype, struct trace_question *q)
{
	return kept != NULL && find(kept, len, set, name, qtype, q);
}
