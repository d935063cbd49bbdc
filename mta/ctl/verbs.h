/*
 * verbs.h - the commands of relayctl as rows: name, right, options, usage,
 * help.  The only list of them: ctl dispatches by it, relayctl prints its
 * help and --verbs from it, the manual is checked against it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "mta/base/mem.h"

/* What a user of the control socket may do. */
enum ctl_right { RIGHT_NONE = 0, RIGHT_LOOK = 1, RIGHT_READ = 2, RIGHT_ACT = 4 };
#define RIGHT_ALL (RIGHT_LOOK | RIGHT_READ | RIGHT_ACT)

/* Which options a verb takes; --json and --help go with every verb. */
enum ctl_opt {
	OPT_FILTER = 1,		/* words, --sender … --older-than, --all */
	OPT_DRY_RUN = 2,
	OPT_WITH = 4,
	OPT_CONNECTOR = 8,	/* a choice, where it is no filter */
	OPT_COMPARE = 16,
	OPT_EXPLAIN = 32,	/* --no-ask, --all-sets */
	OPT_REMOVE = 64,	/* --bounce, --silent */
};

enum ctl_verb_id {
	VERB_STATUS = 0, VERB_QUEUE, VERB_LIST, VERB_SHOW, VERB_CAT,
	VERB_EXPLAIN, VERB_RESOLVE, VERB_PROBE, VERB_RETRY, VERB_HOLD,
	VERB_RELEASE, VERB_REMOVE, VERB_DNS, VERB_RELOAD, VERB_CHECK,
	VERB_HEALTH, VERB_HELP,
	VERB_COUNT
};

struct ctl_verb {
	const char	*name;
	unsigned	 right;		/* enum ctl_right; all of these bits */
	unsigned	 opts;		/* enum ctl_opt */
	unsigned	 min_words, max_words;	/* after the verb */
	const char	*usage;		/* what follows the name */
	const char	*help;		/* one line */
};

extern const struct ctl_verb ctl_verbs[VERB_COUNT];

const struct ctl_verb *ctl_verb_find(const char *name);	/* NULL: none */
/* The verb most like name, for "did you mean"; NULL: none is near. */
const char *ctl_verb_near(const char *name);

/* Help for one verb, or the overview for NULL.  false: no such verb. */
bool ctl_help(struct buf *out, const char *verb);
