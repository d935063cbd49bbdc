/*
 * act.c - retry, hold, release, remove, reload, check: requests to the queue
 * role and to the parent.  Never changes anything itself.
 * Read next: filter.c (what is meant), ../door/inspect.h, ../proc/role.h.
 */
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "mta/base/mem.h"
#include "mta/ctl/client.h"
#include "mta/ctl/commands.h"
#include "mta/ctl/filter.h"
#include "mta/ctl/json.h"
#include "mta/ctl/policy.h"
#include "mta/ctl/render.h"
#include "mta/proc/role.h"

struct act {
	const char	*done;		/* "will be tried now" */
	const char	*would;		/* "would be tried now" */
	bool		 rule;		/* a hold that stands also without messages */
};

static void
act_json(struct client *c, uint64_t n, const char *text)
{
	struct json j;

	json_begin(&j, client_out(c));
	json_str(&j, "verb", c->verb->name);
	json_uint(&j, "count", n);
	json_bool(&j, "dry_run", c->opt.dry_run);
	json_str(&j, "text", *text == '\0' ? NULL : text);
	json_end(&j);
}

static void
act_text(struct client *c, uint64_t n, const char *text)
{
	const struct act *a = c->job;
	struct buf *b = client_out(c);

	if (n > 0 || a->rule)
		buf_printf(b, "%llu recipient%s %s\n", (unsigned long long)n, n == 1 ? "" : "s",
		    c->opt.dry_run ? a->would : a->done);
	if (a->rule && !c->opt.dry_run)
		buf_text(b, "later mail for it is held too, until relayctl release\n");
	if (*text != '\0') {
		render_text(b, text);
		buf_u8(b, '\n');
	}
}

static void
act_end(struct client *c, bool ok, uint64_t n, const char *text)
{
	const struct act *a = c->job;

	if (!ok) {
		client_error(c, "%s", text);
		client_end(c, EXIT_FAILED);
		return;
	}
	if (c->json)
		act_json(c, n, text);
	else
		act_text(c, n, text);
	if (n == 0 && !a->rule && *text == '\0') {
		client_error(c, "nothing matched");
		client_end(c, EXIT_FAILED);
		return;
	}
	client_end(c, EXIT_DONE);
}

static void
no_row(struct client *c, struct rd *row)
{
	(void)c;
	(void)row;
}

/* Overrides are judged here, so that a wrong one is a usage error. */
static bool
with_is_right(struct client *c, const struct inspect_filter *f)
{
	const struct conf_connector *k = policy_connector(c, f->connector, f->domain);
	struct fault why;

	if (k == NULL && c->conf->nconnectors > 0)
		k = &c->conf->connectors[0];
	if (c->opt.nwith == 0 || k == NULL || policy_check_with(c, k, &why))
		return true;
	client_error(c, "--with: %s", why.text);
	return false;
}

static void
act(struct client *c, enum inspect_verb verb, unsigned flags, const char *done, const char *would)
{
	struct act *a = xcalloc(1, sizeof *a);
	struct inspect_request q = { .verb = verb, .flags = flags };
	struct fault why;

	c->job = a;
	c->job_free = free;
	a->done = done;
	a->would = would;
	if (!filter_build(&q.filter, &c->opt, false, &why)) {
		client_error(c, "%s", why.text);
		client_end(c, EXIT_USAGE);
	} else if (!with_is_right(c, &q.filter)) {
		client_end(c, EXIT_USAGE);
	} else {
		a->rule = verb == INSPECT_HOLD && filter_is_rule(&q.filter);
		if (c->opt.dry_run)
			q.flags |= INSPECT_DRY_RUN;
		q.with = options_with(&c->opt, NULL);
		client_inspect(c, &q, no_row, act_end);
	}
	inspect_request_free(&q);
}

void
cmd_retry(struct client *c)
{
	act(c, INSPECT_RETRY, 0, "will be tried now", "would be tried now");
}

void
cmd_hold(struct client *c)
{
	act(c, INSPECT_HOLD, 0, "held", "would be held");
}

void
cmd_release(struct client *c)
{
	act(c, INSPECT_RELEASE, 0, "released", "would be released");
}

void
cmd_remove(struct client *c)
{
	if (c->opt.silent)
		act(c, INSPECT_REMOVE, 0, "removed, nobody is told",
		    "would be removed, nobody would be told");
	else
		act(c, INSPECT_REMOVE, INSPECT_BOUNCE, "removed, their senders are told",
		    "would be removed, their senders told");
}

/* ---- reload, check ---- */

static void
parent_verdict(struct client *c, struct rd *payload)
{
	const bool ok = rd_u8(payload) == 1;
	char *text = rd_str(payload);
	struct json j;

	if (c->json) {
		json_begin(&j, client_out(c));
		json_str(&j, "verb", c->verb->name);
		json_bool(&j, "ok", ok);
		json_str(&j, "text", text);
		json_end(&j);
	} else if (text != NULL && *text != '\0') {
		struct buf *b = client_out(c);

		for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
			render_text(b, line);
			buf_u8(b, '\n');
		}
	}
	if (!ok)
		client_error(c, c->verb == &ctl_verbs[VERB_RELOAD] ?
		    "not reloaded: the old configuration stays in force" :
		    "this configuration would be refused");
	else if (!c->json)
		buf_printf(client_out(c), "%s\n", c->verb == &ctl_verbs[VERB_RELOAD] ?
		    "reloaded" : "the configuration is right");
	client_end(c, ok ? EXIT_DONE : EXIT_FAILED);
	free(text);
}

void
cmd_reload(struct client *c)
{
	ctl_ask_parent(c->ctl, PF_RELOAD, NULL, c, parent_verdict);
}

void
cmd_check(struct client *c)
{
	const char *file = c->opt.nwords > 0 ? c->opt.words[0] : NULL;
	const char *cwd = c->request.cwd;
	char *path = NULL;

	/* The parent stands elsewhere than the user does. */
	if (file != NULL && file[0] != '/' && cwd != NULL)
		path = xasprintf("%s/%s", cwd, file);
	ctl_ask_parent(c->ctl, PF_CHECK, path != NULL ? path : file, c, parent_verdict);
	free(path);
}
