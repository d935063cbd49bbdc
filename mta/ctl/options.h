/*
 * options.h - what stands after a verb: options and words, checked against
 * what the verb takes.  Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mta/base/fault.h"
#include "mta/ctl/verbs.h"

#define OPTIONS_WITH_MAX 16

struct options {		/* all strings borrowed from argv */
	bool		 json, help;
	bool		 all, dry_run, no_ask, all_sets, bounce, silent;
	const char	*sender, *recipient, *domain, *connector;
	const char	*reason, *status, *older_than;
	const char	*compare;
	const char	*with[OPTIONS_WITH_MAX];
	size_t		 nwith;
	const char	**words;	/* owned: the array alone */
	size_t		 nwords;
};

/* argv[0] is the first after the verb.  "--key value" and "--key=value"; "--" ends options. */
MUST_CHECK bool options_parse(struct options *o, const struct ctl_verb *v, char *const *argv,
    size_t argc, struct fault *why);
void options_free(struct options *o);

/* All --with, blank-separated, and more (may be NULL) after them; NULL: none.  Given: free() it. */
char *options_with(const struct options *o, const char *more);
