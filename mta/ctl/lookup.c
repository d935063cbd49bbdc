/*
 * lookup.c - resolve and probe: the delivery code's own lookup and greeting,
 * asked of the tx process that owns the destination.  Never asks DNS itself.
 * Read next: ../door/ask.h (the question), show.c (forms), explain.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "mta/ctl/client.h"
#include "mta/ctl/commands.h"
#include "mta/ctl/filter.h"
#include "mta/ctl/policy.h"
#include "mta/ctl/render.h"
#include "mta/ctl/show.h"

#define RESOLVE_WAIT_MS 65000	/* over any lookup_deadline that makes sense */
#define PROBE_WAIT_MS 180000
#define COMPARE_MAX 8

/* One question to tx; several with --compare. */
struct lookup_part {
	char			*set;		/* with --compare; owned */
	bool			 ended, have;
	char			*why;		/* not have; owned */
	struct ask_answer	 answer;
};

struct lookup {
	char			*domain;
	const struct conf_connector *connector;	/* of c->conf */
	struct lookup_part	 parts[COMPARE_MAX];
	size_t			 n, left;
	bool			 compare;
};

static void
lookup_free(void *job)
{
	struct lookup *l = job;

	for (size_t i = 0; i < l->n; i++) {
		free(l->parts[i].set);
		free(l->parts[i].why);
		ask_answer_free(&l->parts[i].answer);
	}
	free(l->domain);
	free(l);
}

/* ---- showing ---- */

static void
answer_json(struct client *c, const struct lookup *l, const struct lookup_part *p)
{
	struct json j;

	json_begin(&j, client_out(c));
	json_str(&j, "domain", l->domain);
	json_str(&j, "connector", l->connector->name);
	json_str(&j, "set", p->set);
	if (p->have)
		json_answer(&j, &p->answer);
	else
		json_str(&j, "error", p->why);
	json_end(&j);
}

static void
answer_text(struct client *c, const struct lookup *l, const struct lookup_part *p)
{
	const struct ask_answer *a = &p->answer;
	struct buf *b = client_out(c);
	char text[STATUS_TEXT_MAX + 32];

	render_text(b, l->domain);
	buf_printf(b, " by connector %s%s%s: ", l->connector->name,
	    p->set != NULL ? ", set " : "", p->set != NULL ? p->set : "");
	render_coloured(b, c->colour, a->verdict == 2 ? COLOUR_GREEN : a->verdict == 4 ?
	    COLOUR_YELLOW : COLOUR_RED, show_verdict(a->verdict));
	buf_printf(b, " (%u ms)\n", a->ms);
	if (a->status.class_ != 0) {
		buf_text(b, "  ");
		render_text(b, show_status(&a->status, text, sizeof text));
		if (a->status.class_ != 2)
			buf_printf(b, " (%s)", reason_name(a->status.reason));
		buf_u8(b, '\n');
	}
	show_trace(b, a->trace, a->trace_len, false, "  ");
	if (a->ntargets > 0)
		buf_text(b, "  would be tried in this order:\n");
	for (uint32_t i = 0; i < a->ntargets; i++) {
		buf_printf(b, "    %u ", a->targets[i].pref);
		render_text(b, a->targets[i].host);
		buf_u8(b, ' ');
		render_text(b, a->targets[i].peer);
		buf_u8(b, '\n');
	}
}

/* The outcome of a question in a trace, "" when it was not asked there. */
static void
outcome_of(const struct ask_answer *a, const struct trace_question *wanted, char *buf, size_t size)
{
	struct rd r = rd_of(a->trace, a->trace_len);
	struct trace_entry e;
	char outcome[24];

	buf[0] = '\0';
	while (a->trace_len > 0 && trace_next(&r, &e)) {
		const struct trace_question *q = &e.u.question;

		/* The last one counts: before it are tries that failed. */
		if (e.kind == TRACE_QUESTION && q->qtype == wanted->qtype &&
		    strcmp(q->name, wanted->name) == 0) {
			if (q->outcome == OUT_NOERROR)
				snprintf(buf, size, "%u found", q->nanswers);
			else
				snprintf(buf, size, "%s",
				    trace_outcome_name(q->outcome, outcome));
		}
	}
}

struct asked {			/* a question that some set was asked */
	struct list	node;
	struct trace_question q;
};

static bool
asked_has(const struct list *all, const struct trace_question *q)
{
	LIST_EACH(it, all) {
		const struct asked *a = LIST_OWNER(it, struct asked, node);

		if (a->q.qtype == q->qtype && strcmp(a->q.name, q->name) == 0)
			return true;
	}
	return false;
}

static void
asked_gather(struct list *all, const struct ask_answer *a)
{
	struct rd r = rd_of(a->trace, a->trace_len);
	struct trace_entry e;

	while (a->trace_len > 0 && trace_next(&r, &e)) {
		struct asked *one;

		if (e.kind != TRACE_QUESTION || asked_has(all, &e.u.question))
			continue;
		one = xcalloc(1, sizeof *one);
		one->q = e.u.question;
		list_add_tail(all, &one->node);
	}
}

static void
compare_row(struct table *t, const struct lookup *l, const struct asked *a)
{
	char cells[COMPARE_MAX][40], qtype[16];
	bool differs = false;

	for (size_t i = 0; i < l->n; i++) {
		outcome_of(&l->parts[i].answer, &a->q, cells[i], sizeof cells[i]);
		differs = differs || strcmp(cells[i], cells[0]) != 0;
	}
	table_cell(t, trace_qtype_name(a->q.qtype, qtype));
	table_cell(t, a->q.name);
	for (size_t i = 0; i < l->n; i++)
		table_cell(t, cells[i]);
	table_cell(t, differs ? "<- differ" : " ");
	table_row(t);
}

static void
compare_text(struct client *c, const struct lookup *l)
{
	struct table_column columns[COMPARE_MAX + 3] = { { "Type", false, 0 },
	    { "Name", false, 16 } };
	struct list all;
	struct table t;

	list_init(&all);
	for (size_t i = 0; i < l->n; i++) {
		columns[2 + i] = (struct table_column){ l->parts[i].set, false, 0 };
		asked_gather(&all, &l->parts[i].answer);
	}
	columns[2 + l->n] = (struct table_column){ "", false, 0 };
	buf_u8(client_out(c), '\n');
	table_begin(&t, columns, l->n + 3, c->columns, c->colour, client_out(c));
	LIST_EACH_SAFE(it, &all) {
		struct asked *a = LIST_OWNER(it, struct asked, node);

		compare_row(&t, l, a);
		free(a);
	}
	table_cell(&t, "verdict");
	table_cell(&t, l->domain);
	for (size_t i = 0; i < l->n; i++)
		table_cell(&t, l->parts[i].have ? show_verdict(l->parts[i].answer.verdict) :
		    "no answer");
	table_cell(&t, " ");
	table_row(&t);
	table_end(&t);
}

/* ---- ending ---- */

static int
resolve_exit(const struct lookup *l)
{
	int code = EXIT_DONE;

	for (size_t i = 0; i < l->n; i++) {
		const struct lookup_part *p = &l->parts[i];

		if (!p->have)
			return EXIT_FAILED;
		if (p->answer.verdict == 5)
			code = EXIT_FAIL;
		else if (p->answer.verdict != 2 && code == EXIT_DONE)
			code = EXIT_DEFER;
	}
	return code;
}

static void
lookup_done(struct client *c)
{
	const struct lookup *l = c->job;

	for (size_t i = 0; i < l->n; i++) {
		const struct lookup_part *p = &l->parts[i];

		if (c->json)
			answer_json(c, l, p);
		else if (p->have)
			answer_text(c, l, p);
		if (!p->have)
			client_error(c, "%s%s%s", p->set != NULL ? p->set : "",
			    p->set != NULL ? ": " : "", p->why);
	}
	if (l->compare && !c->json)
		compare_text(c, l);
	if (c->verb == &ctl_verbs[VERB_RESOLVE])
		client_end(c, resolve_exit(l));
	else
		client_end(c, l->parts[0].have && l->parts[0].answer.verdict == 2 ? EXIT_DONE :
		    EXIT_FAILED);
}

static void
part_row(struct client *c, void *ctx, struct rd *row)
{
	struct lookup_part *p = ctx;

	(void)c;
	ask_answer_free(&p->answer);
	p->have = ask_answer_decode(&p->answer, row);
}

static void
part_end(struct client *c, void *ctx, bool ok, uint64_t n, const char *text)
{
	struct lookup *l = c->job;
	struct lookup_part *p = ctx;

	(void)n;
	p->ended = true;
	if (!ok || !p->have) {
		p->have = false;
		p->why = xstrdup(*text == '\0' ? "the tx role gave no answer" : text);
	}
	if (--l->left == 0)
		lookup_done(c);
}

static void
on_lookup_late(struct client *c)
{
	struct lookup *l = c->job;

	for (size_t i = 0; i < l->n; i++) {
		if (!l->parts[i].ended) {
			l->parts[i].have = false;
			l->parts[i].why = xstrdup("the tx role did not answer in time");
		}
	}
	lookup_done(c);
}

/* ---- asking ---- */

static const struct client_ask_fns part_fns = { .row = part_row, .end = part_end };

static void
part_ask(struct client *c, struct lookup *l, struct lookup_part *p, enum ask_verb verb)
{
	const char *route = policy_route_domain(l->connector, l->domain);
	char *set_with = p->set == NULL ? NULL : xasprintf("resolvers=%s", p->set);
	struct ask_request q = { .verb = verb };

	q.connector = xstrdup(l->connector->name);
	q.domain = xstrdup(l->domain);
	q.with = options_with(&c->opt, set_with);
	client_ask(c, ask_owner(l->connector->name, route, ctl_ntx(c->ctl)), &q, &part_fns, p);
	ask_request_free(&q);
	free(set_with);
}

/* Splits --compare; false: told and ended. */
static bool
compare_parts(struct client *c, struct lookup *l)
{
	const char *at = c->opt.compare;

	if (at == NULL) {
		l->n = 1;
		return true;
	}
	l->compare = true;
	while (*at != '\0' && l->n < COMPARE_MAX) {
		const size_t len = strcspn(at, ",");
		struct lookup_part *p = &l->parts[l->n++];

		p->set = xstrndup(at, len);
		if (conf_set_index(c->conf, p->set) == -1) {
			client_error(c, "--compare: no resolver set \"%s\"", p->set);
			client_end(c, EXIT_USAGE);
			return false;
		}
		at += len + (at[len] == ',');
	}
	if (*at == '\0')
		return true;
	client_error(c, "--compare: at most %d sets", COMPARE_MAX);
	client_end(c, EXIT_USAGE);
	return false;
}

static void
lookup_run(struct client *c, enum ask_verb verb, int64_t wait_ms)
{
	struct lookup *l = xcalloc(1, sizeof *l);
	struct fault why;

	c->job = l;
	c->job_free = lookup_free;
	l->domain = filter_domain(c->opt.words[0]);
	if (strchr(l->domain, '@') != NULL) {
		client_error(c, "%s: wanted a domain, not an address", l->domain);
		client_end(c, EXIT_USAGE);
		return;
	}
	l->connector = policy_connector_or_end(c, l->domain);
	if (l->connector == NULL || !compare_parts(c, l))
		return;
	if (!policy_check_with(c, l->connector, &why)) {
		client_error(c, "--with: %s", why.text);
		client_end(c, EXIT_USAGE);
		return;
	}
	l->left = l->n;
	for (size_t i = 0; i < l->n; i++)
		part_ask(c, l, &l->parts[i], verb);
	client_after(c, wait_ms, on_lookup_late);
}

void
cmd_resolve(struct client *c)
{
	lookup_run(c, ASK_RESOLVE, RESOLVE_WAIT_MS);
}

void
cmd_probe(struct client *c)
{
	lookup_run(c, ASK_PROBE, PROBE_WAIT_MS);
}
