/*
 * filter.h - from options and bare words to the filter that the door takes.
 * Pure.
 */
#pragma once

#include <stdbool.h>

#include "mta/ctl/options.h"
#include "mta/door/inspect.h"

enum word_kind { WORD_ADDRESS = 0, WORD_DOMAIN, WORD_ID, WORD_NONSENSE };

/* With @ (or "<>") an address, with a dot or as [literal] a domain, else an id. */
enum word_kind filter_word(const char *word);

/*
 * Fills *f (inspect_filter_free() it, also after false).  Nothing given: all
 * if none_is_all, else a fault.
 */
MUST_CHECK bool filter_build(struct inspect_filter *f, const struct options *o, bool none_is_all,
    struct fault *why);

/* Names whole destinations only: a hold by it also concerns later mail. */
bool filter_is_rule(const struct inspect_filter *f);

/* Lower case, no dot at the end; given. */
char *filter_domain(const char *s);
