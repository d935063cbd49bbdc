/*
 * explain.h - what explain.c gathers and explain_show.c prints.
 */
#pragma once

#include "mta/base/list.h"
#include "mta/ctl/advice.h"
#include "mta/ctl/filter.h"
#include "mta/door/ask.h"
#include "mta/door/inspect.h"

struct client;
struct conf_connector;
struct explain_dest;

/* One policy, evaluated by tx on the kept answers and what it asked beside. */
struct explain_eval {
	struct explain_dest	*dest;
	struct advice_change	 change;	/* text "": the policy in force, on fresh answers */
	bool			 no_ask;	/* only kept and cached answers were allowed */
	bool			 ended, have;
	char			*why;		/* not have; owned */
	struct ask_answer	 answer;
};

struct explain_dest {
	struct list		 node;
	struct inspect_dest	 d;		/* owned */
	const struct conf_connector *connector;	/* NULL: no longer configured */
	struct explain_eval	*evals;		/* owned; the policy in force first, if at all */
	size_t			 nevals;
};

struct explain {
	const char		*word;
	enum word_kind		 kind;
	struct list		 dests;
	size_t			 ndests;	/* kept here */
	size_t			 nmore;		/* left out */
	bool			 routed;	/* asked again, by the connector of the domain */
	struct inspect_filter	*todo;		/* destinations of a message; owned */
	size_t			 ntodo, at;
	size_t			 left;		/* evaluations under way */
};

/* The failure came of looking up: other policies might have done better. */
bool explain_is_dns(const struct explain_dest *e);

void explain_json(struct client *c, const struct explain *x, const struct explain_dest *e);
void explain_text(struct client *c, const struct explain *x, const struct explain_dest *e);
