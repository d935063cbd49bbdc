/*
 * commands.c - from argv to the function of a verb: the one place where the
 * right is checked.  Never runs anything for a verb that is not in the table.
 * Read next: verbs.c (the rows), look.c, act.c, lookup.c, explain.c.
 */
#include "mta/ctl/commands.h"

#include <string.h>

#include "mta/base/log.h"
#include "mta/ctl/client.h"
#include "mta/ctl/verbs.h"

static void (*const functions[])(struct client *) = {
	[VERB_STATUS] = cmd_status,	[VERB_QUEUE] = cmd_queue,
	[VERB_LIST] = cmd_list,		[VERB_SHOW] = cmd_show,
	[VERB_CAT] = cmd_cat,		[VERB_EXPLAIN] = cmd_explain,
	[VERB_RESOLVE] = cmd_resolve,	[VERB_PROBE] = cmd_probe,
	[VERB_RETRY] = cmd_retry,	[VERB_HOLD] = cmd_hold,
	[VERB_RELEASE] = cmd_release,	[VERB_REMOVE] = cmd_remove,
	[VERB_DNS] = cmd_dns,		[VERB_RELOAD] = cmd_reload,
	[VERB_CHECK] = cmd_check,	[VERB_HEALTH] = cmd_health,
	[VERB_HELP] = cmd_help,
};
_Static_assert(COUNT_OF(functions) == VERB_COUNT, "one function per verb");

static void
unknown_verb(struct client *c, const char *name)
{
	const char *near = ctl_verb_near(name);

	if (near != NULL)
		client_error(c, "no verb %s; did you mean %s?", name, near);
	else
		client_error(c, "no verb %s; relayctl help lists them", name);
	client_end(c, EXIT_USAGE);
}

static bool
may(struct client *c, unsigned right)
{
	static const char *const names[] = { [RIGHT_LOOK] = "look", [RIGHT_READ] = "read",
	    [RIGHT_ACT] = "act" };

	if ((c->rights & right) == right)
		return true;
	client_error(c, "%s wants the right \"%s\", which control.%s does not give you",
	    c->verb->name, names[right], names[right]);
	client_end(c, EXIT_FAILED);
	return false;
}

static void
run_with_options(struct client *c)
{
	/* Half of dns only looks, half acts. */
	const bool acts = (c->verb->right & RIGHT_ACT) != 0 || (c->verb == &ctl_verbs[VERB_DNS] &&
	    c->opt.nwords > 0 && strcmp(c->opt.words[0], "flush") == 0);

	if (!may(c, acts ? RIGHT_ACT : c->verb->right))
		return;
	if (acts) {
		char words[256];

		log_event("command", "uid=%u verb=%s what=%s", (unsigned)c->uid, c->verb->name,
		    log_quote(words, sizeof words, c->opt.nwords > 0 ? c->opt.words[0] : ""));
	}
	functions[c->verb - ctl_verbs](c);
}

void
command_run(struct client *c)
{
	const struct wire_request *q = &c->request;
	struct fault why;

	c->json = (q->flags & WIRE_JSON) != 0;
	c->colour = (q->flags & WIRE_COLOUR) != 0 && (q->flags & WIRE_TTY) != 0;
	c->columns = (q->flags & WIRE_TTY) != 0 ? q->columns : 0;
	c->verb = q->argc > 0 ? ctl_verb_find(q->argv[0]) : &ctl_verbs[VERB_HELP];
	if (c->verb == NULL) {
		unknown_verb(c, q->argv[0]);
		return;
	}
	if (!options_parse(&c->opt, c->verb, q->argv + 1, q->argc > 0 ? q->argc - 1 : 0, &why)) {
		client_error(c, "%s", why.text);
		client_end(c, EXIT_USAGE);
		return;
	}
	c->json = c->json || c->opt.json;
	if (c->opt.help) {
		(void)ctl_help(client_out(c), c->verb->name);
		client_end(c, EXIT_DONE);
		return;
	}
	run_with_options(c);
}

void
cmd_help(struct client *c)
{
	const char *verb = c->opt.nwords > 0 ? c->opt.words[0] : NULL;

	if (ctl_help(client_out(c), verb))
		client_end(c, EXIT_DONE);
	else
		unknown_verb(c, verb);
}
