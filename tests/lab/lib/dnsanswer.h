/*
 * dnsanswer.h - questions read and answers built, octet by octet: right ones
 * and, where the plan says so, wrong ones.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/lab/lib/dnsscript.h"

struct dns_query {
	uint16_t	id;
	char		name[DNS_NAME_TEXT];	/* lower case, no trailing dot; "." the root */
	unsigned	type;
	size_t		question_end;		/* offset after the question */
	bool		recursion;		/* RD */
	bool		edns;
};

bool dns_query_parse(const uint8_t *msg, size_t len, struct dns_query *q);

/* Length of the answer in out; 0: none is sent. */
size_t dns_answer_build(const struct dns_script *s, const char *where, bool tcp, const struct dns_query *q,
    const uint8_t *msg, size_t len, const struct dns_plan *plan, uint8_t *out, size_t size);
