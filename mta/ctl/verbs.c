/*
 * verbs.c - the table of relayctl's commands and the help printed from it.
 * Linked into relayctl too: must never need the loop, the door or a daemon.
 * Read next: commands.c (the functions behind the rows), options.c (options).
 */
#include "mta/ctl/verbs.h"

#include <string.h>

#include "mta/base/str.h"

#define FILTERS OPT_FILTER
#define ACTING (OPT_FILTER | OPT_DRY_RUN)
#define MANY 64

const struct ctl_verb ctl_verbs[VERB_COUNT] = {
	[VERB_STATUS] = { "status", RIGHT_LOOK, 0, 0, 0, "",
	    "one screen: uptime, totals, oldest, rates, alarms, roles" },
	[VERB_QUEUE] = { "queue", RIGHT_LOOK, FILTERS, 0, MANY, "[FILTER]",
	    "what waits, by next hop, oldest first" },
	[VERB_LIST] = { "list", RIGHT_LOOK, FILTERS, 0, MANY, "[FILTER]",
	    "the messages" },
	[VERB_SHOW] = { "show", RIGHT_LOOK, 0, 1, 1, "ID",
	    "one message with its recipients and their attempts" },
	[VERB_CAT] = { "cat", RIGHT_READ, 0, 1, 1, "ID",
	    "the octets of one message" },
	[VERB_EXPLAIN] = { "explain", RIGHT_LOOK, OPT_CONNECTOR | OPT_EXPLAIN | OPT_WITH,
	    1, 1, "[--no-ask] [--all-sets] [--connector C] [--with K=V] DOMAIN|ADDRESS|ID",
	    "why it waits, whose fault it is, and what would help" },
	[VERB_RESOLVE] = { "resolve", RIGHT_LOOK, OPT_CONNECTOR | OPT_COMPARE | OPT_WITH,
	    1, 1, "[--connector C] [--compare SET,SET] [--with K=V] DOMAIN",
	    "the delivery's own lookup of a domain" },
	[VERB_PROBE] = { "probe", RIGHT_ACT, OPT_CONNECTOR | OPT_WITH,
	    1, 1, "[--connector C] [--with K=V] DOMAIN",
	    "resolve, connect, greeting, EHLO as for a delivery; no mail is sent" },
	[VERB_RETRY] = { "retry", RIGHT_ACT, ACTING | OPT_WITH, 0, MANY,
	    "[--dry-run] [--with K=V] FILTER", "try now" },
	[VERB_HOLD] = { "hold", RIGHT_ACT, ACTING, 0, MANY, "[--dry-run] FILTER",
	    "keep back; a domain or connector also holds later mail" },
	[VERB_RELEASE] = { "release", RIGHT_ACT, ACTING, 0, MANY, "[--dry-run] FILTER",
	    "end a hold" },
	[VERB_REMOVE] = { "remove", RIGHT_ACT, ACTING | OPT_REMOVE, 0, MANY,
	    "[--dry-run] [--bounce|--silent] FILTER",
	    "take out of the queue; the sender is told unless --silent" },
	[VERB_DNS] = { "dns", RIGHT_LOOK, 0, 1, 2, "cache [NAME] | flush [NAME] | servers",
	    "what is cached; forget it and wake what waits for DNS; servers' health" },
	[VERB_RELOAD] = { "reload", RIGHT_ACT, 0, 0, 0, "",
	    "read the configuration anew; the old one stays if it is wrong" },
	[VERB_CHECK] = { "check", RIGHT_ACT, 0, 0, 1, "[FILE]",
	    "read a configuration and say what is wrong with it" },
	[VERB_HEALTH] = { "health", RIGHT_LOOK, 0, 0, 0, "",
	    "one line and an exit code for Nagios" },
	[VERB_HELP] = { "help", RIGHT_NONE, 0, 0, 1, "[VERB]", "this help" },
};

static const struct {
	unsigned	 opt;
	const char	*text;
} option_help[] = {
	{ OPT_FILTER,
	  "  FILTER: words and options, all of which must match\n"
	  "    a@b.example            recipient\n"
	  "    b.example              domain\n"
	  "    7K2M9                  id, or a unique tail of one\n"
	  "    --sender ADDRESS       '<>' is the null sender\n"
	  "    --recipient ADDRESS    --domain DOMAIN      --connector NAME\n"
	  "    --reason REASON        dns_servfail, connect_timeout, smtp_4xx, ...\n"
	  "    --status STATUS        active, ready, retry, suspended\n"
	  "    --older-than DURATION  15m, 4h, 2d\n"
	  "    --all                  everything\n" },
	{ OPT_DRY_RUN,
	  "  --dry-run                say what would be done, do nothing\n" },
	{ OPT_WITH,
	  "  --with KEY=VALUE         this once another policy: resolvers, ipv6, order,\n"
	  "                           grace, on_failure, prefer, nxdomain\n" },
	{ OPT_CONNECTOR,
	  "  --connector NAME         not the connector that the domain takes\n" },
	{ OPT_COMPARE,
	  "  --compare SET,SET        ask each set alone and show them side by side\n" },
	{ OPT_EXPLAIN,
	  "  --no-ask                 only kept and cached answers\n"
	  "  --all-sets               also ask sets that the connector does not name\n" },
	{ OPT_REMOVE,
	  "  --bounce                 the sender gets a notice (default)\n"
	  "  --silent                 nobody is told\n" },
};

const struct ctl_verb *
ctl_verb_find(const char *name)
{
	for (size_t i = 0; i < VERB_COUNT; i++) {
		if (strcmp(ctl_verbs[i].name, name) == 0)
			return &ctl_verbs[i];
	}
	return NULL;
}

const char *
ctl_verb_near(const char *name)
{
	const char *best = NULL;
	unsigned least = 3;

	for (size_t i = 0; i < VERB_COUNT; i++) {
		const unsigned d = str_distance(name, ctl_verbs[i].name);

		if (d < least) {
			least = d;
			best = ctl_verbs[i].name;
		}
	}
	return best;
}

static void
help_overview(struct buf *out)
{
	buf_text(out, "usage: relayctl [--socket PATH] [--json] VERB ...\n\n");
	for (size_t i = 0; i < VERB_COUNT; i++)
		buf_printf(out, "  %-9s %s\n", ctl_verbs[i].name, ctl_verbs[i].help);
	buf_text(out, "\nrelayctl help VERB tells the options of one; "
	    "the manual is relayctl(8).\n");
}

bool
ctl_help(struct buf *out, const char *verb)
{
	const struct ctl_verb *v;

	if (verb == NULL) {
		help_overview(out);
		return true;
	}
	v = ctl_verb_find(verb);
	if (v == NULL)
		return false;
	buf_printf(out, "usage: relayctl %s%s%s\n%s\n", v->name,
	    *v->usage == '\0' ? "" : " ", v->usage, v->help);
	for (size_t i = 0; i < COUNT_OF(option_help); i++) {
		if ((v->opts & option_help[i].opt) != 0)
			buf_printf(out, "%s", option_help[i].text);
	}
	buf_text(out, "  --json                   one JSON object a line\n");
	return true;
}
