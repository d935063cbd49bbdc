/*
 * explain.c - explain WORD: finds the destinations, has tx evaluate other
 * policies on the kept answers, at most EVALUATE_MS in all, then shows.
 * Never lets a slow lookup hold the answer back: what is late is told as late.
 * Read next: advice.c (what is concluded), explain_show.c (how it looks).
 */
#include "mta/ctl/explain.h"

#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "mta/base/str.h"
#include "mta/ctl/client.h"
#include "mta/ctl/commands.h"
#include "mta/ctl/policy.h"
#include "mta/ctl/render.h"

#define EVALUATE_MS 3000
#define DESTS_MAX 16		/* shown */
#define DESTS_EVALUATED 4	/* asked about */

static void
dest_free(struct explain_dest *e)
{
	for (size_t i = 0; i < e->nevals; i++) {
		free(e->evals[i].why);
		ask_answer_free(&e->evals[i].answer);
	}
	free(e->evals);
	inspect_dest_free(&e->d);
	free(e);
}

static void
explain_free(void *job)
{
	struct explain *x = job;

	LIST_EACH_SAFE(it, &x->dests)
		dest_free(LIST_OWNER(it, struct explain_dest, node));
	for (size_t i = 0; i < x->ntodo; i++)
		inspect_filter_free(&x->todo[i]);
	free(x->todo);
	free(x);
}

bool
explain_is_dns(const struct explain_dest *e)
{
	const struct status *st = &e->d.status;

	return st->class_ != 0 && (reason_is_dns(st->reason) || st->stage == STAGE_dns);
}

/* ---- the end ---- */

static void
explain_done(struct client *c)
{
	const struct explain *x = c->job;

	LIST_EACH(it, &x->dests) {
		const struct explain_dest *e = LIST_OWNER(it, struct explain_dest, node);

		if (c->json)
			explain_json(c, x, e);
		else
			explain_text(c, x, e);
	}
	if (x->nmore > 0 && !c->json)
		buf_printf(client_out(c), "\nand %zu more destinations: name one of them\n",
		    x->nmore);
	client_end(c, EXIT_DONE);
}

static void
eval_row(struct client *c, void *ctx, struct rd *row)
{
	struct explain_eval *v = ctx;

	(void)c;
	ask_answer_free(&v->answer);
	v->have = ask_answer_decode(&v->answer, row);
}

static void
eval_end(struct client *c, void *ctx, bool ok, uint64_t n, const char *text)
{
	struct explain *x = c->job;
	struct explain_eval *v = ctx;

	(void)n;
	v->ended = true;
	if (!ok || !v->have) {
		v->have = false;
		v->why = xstrdup(*text == '\0' ? "no answer" : text);
	}
	if (--x->left == 0)
		explain_done(c);
}

static void
on_explain_late(struct client *c)
{
	struct explain *x = c->job;

	LIST_EACH(it, &x->dests) {
		struct explain_dest *e = LIST_OWNER(it, struct explain_dest, node);

		for (size_t i = 0; i < e->nevals; i++) {
			if (e->evals[i].ended)
				continue;
			e->evals[i].have = false;
			e->evals[i].why = xasprintf("no answer within %d s", EVALUATE_MS / 1000);
		}
	}
	explain_done(c);
}

/* ---- evaluating ---- */

static const struct client_ask_fns eval_fns = { .row = eval_row, .end = eval_end };

static void
eval_ask(struct client *c, struct explain *x, struct explain_eval *v)
{
	const struct inspect_dest *d = &v->dest->d;
	struct ask_request q = { .verb = ASK_RESOLVE };

	q.connector = xstrdup(d->connector);
	q.domain = xstrdup(d->domain);
	q.with = *v->change.text == '\0' ? NULL : xstrdup(v->change.text);
	q.flags = v->no_ask ? ASK_NO_ASK : 0;
	/* The policy in force would fail again on what is kept: it is asked afresh. */
	if (q.with != NULL && d->ntraces > 0 && d->traces[0].trace_len > 0) {
		q.kept_len = d->traces[0].trace_len;
		q.kept = xmalloc(q.kept_len);
		memcpy(q.kept, d->traces[0].trace, q.kept_len);
	}
	x->left++;
	client_ask(c, ask_owner(d->connector, d->domain, ctl_ntx(c->ctl)), &q, &eval_fns, v);
	ask_request_free(&q);
}

static void
eval_add(struct explain_dest *e, const struct advice_change *change, bool no_ask)
{
	struct explain_eval *v = &e->evals[e->nevals++];

	v->dest = e;
	v->change = *change;
	v->no_ask = no_ask;
}

static void
dest_evals(struct client *c, struct explain_dest *e)
{
	struct advice_change changes[ADVICE_CHANGES_MAX];
	const size_t n = advice_changes(c->conf, e->connector, c->opt.all_sets, changes);
	char *with = options_with(&c->opt, NULL);

	e->evals = xcalloc(n + 2, sizeof *e->evals);
	if (!c->opt.no_ask)
		eval_add(e, &(struct advice_change){ .named = true }, false);
	if (with != NULL) {
		struct advice_change own = { .named = true, .key = "" };

		if (str_copy(own.text, sizeof own.text, with))
			eval_add(e, &own, c->opt.no_ask);
	}
	/* A set that the connector does not name is not asked unless told to. */
	for (size_t i = 0; i < n; i++)
		eval_add(e, &changes[i], c->opt.no_ask ||
		    (!changes[i].named && !c->opt.all_sets));
	free(with);
}

static void
evaluate(struct client *c)
{
	struct explain *x = c->job;
	size_t n = 0;

	LIST_EACH(it, &x->dests) {
		struct explain_dest *e = LIST_OWNER(it, struct explain_dest, node);

		e->connector = conf_connector(c->conf, e->d.connector);
		if (e->connector == NULL || !explain_is_dns(e) || n == DESTS_EVALUATED)
			continue;
		n++;
		dest_evals(c, e);
		for (size_t i = 0; i < e->nevals; i++)
			eval_ask(c, x, &e->evals[i]);
	}
	if (x->left == 0)
		explain_done(c);
	else
		client_after(c, EVALUATE_MS, on_explain_late);
}

/* ---- finding the destinations ---- */

static void
dest_row(struct client *c, struct rd *row)
{
	struct explain *x = c->job;
	struct explain_dest *e = xcalloc(1, sizeof *e);

	if (!inspect_dest_decode(&e->d, row)) {
		free(e);
		return;
	}
	if (x->ndests == DESTS_MAX) {
		x->nmore++;
		dest_free(e);
		return;
	}
	x->ndests++;
	list_add_tail(&x->dests, &e->node);
}

static void dest_end(struct client *c, bool ok, uint64_t n, const char *text);

static void
ask_dest(struct client *c, const struct inspect_filter *f)
{
	const struct inspect_request q = { .verb = INSPECT_DEST, .filter = *f };

	client_inspect(c, &q, dest_row, dest_end);
}

/*
 * A domain of a smarthost connector has no destination of its own: its mail
 * waits with the connector's.  True when that is asked now.
 */
static bool
ask_by_route(struct client *c, struct explain *x)
{
	const struct conf_connector *k;
	struct inspect_filter f = { 0 };
	char domain[DOMAIN_MAX];

	if (x->routed || x->kind == WORD_ID || x->ntodo == 0 || x->todo[0].domain == NULL)
		return false;
	x->routed = true;
	str_copy(domain, sizeof domain, x->todo[0].domain);
	k = policy_connector(c, c->opt.connector, domain);
	if (k == NULL || k->nsmarthosts == 0)
		return false;
	f.connector = k->name;
	ask_dest(c, &f);
	return true;
}

static void
dest_end(struct client *c, bool ok, uint64_t n, const char *text)
{
	struct explain *x = c->job;

	(void)n;
	if (!ok) {
		client_error(c, "%s", text);
		client_end(c, EXIT_FAILED);
		return;
	}
	if (++x->at < x->ntodo) {
		ask_dest(c, &x->todo[x->at]);
		return;
	}
	if (x->ndests == 0 && ask_by_route(c, x))
		return;
	if (x->ndests == 0) {
		client_error(c, "nothing waits for %s%s%s", x->word, x->kind == WORD_DOMAIN ?
		    "; to look it up: relayctl resolve " : "",
		    x->kind == WORD_DOMAIN ? x->word : "");
		client_end(c, EXIT_FAILED);
		return;
	}
	evaluate(c);
}

static void
todo_add(struct explain *x, const char *connector, const char *domain)
{
	struct inspect_filter *f;
	const bool shared = domain != NULL && strcmp(domain, "*") == 0;

	for (size_t i = 0; i < x->ntodo; i++) {
		const char *have = x->todo[i].domain;

		if (strcmp(x->todo[i].connector, connector) == 0 &&
		    (shared ? have == NULL : have != NULL && domain != NULL &&
		    strcmp(have, domain) == 0))
			return;
	}
	x->todo = xrealloc(x->todo, (x->ntodo + 1) * sizeof *x->todo);
	f = &x->todo[x->ntodo++];
	*f = (struct inspect_filter){ .connector = xstrdup(connector) };
	if (!shared)
		f->domain = xstrdup(domain);
}

static void
message_row(struct client *c, struct rd *row)
{
	struct explain *x = c->job;
	struct inspect_message m;

	if (!inspect_message_decode(&m, row))
		return;
	for (uint32_t i = 0; i < m.nrcpts; i++) {
		const struct inspect_rcpt *r = &m.rcpts[i];

		if (strcmp(r->word, "queued") == 0 && r->connector != NULL)
			todo_add(x, r->connector, r->domain);
	}
	inspect_message_free(&m);
}

static void
message_end(struct client *c, bool ok, uint64_t n, const char *text)
{
	struct explain *x = c->job;

	(void)n;
	if (!ok || x->ntodo == 0) {
		client_error(c, "%s", ok ? "none of its recipients waits; relayctl show tells more" :
		    text);
		client_end(c, EXIT_FAILED);
		return;
	}
	ask_dest(c, &x->todo[0]);
}

static void
ask_message(struct client *c, const char *id)
{
	struct inspect_request q = { .verb = INSPECT_SHOW };

	q.filter.id = xstrdup(id);
	client_inspect(c, &q, message_row, message_end);
	inspect_request_free(&q);
}

/* The domain of a word with a dot or an @. */
static bool
ask_domain(struct client *c, struct explain *x)
{
	char domain[DOMAIN_MAX];
	char *plain;

	if (x->kind == WORD_ADDRESS) {
		if (!address_domain(x->word, domain))
			return false;
		plain = xstrdup(domain);
	} else {
		plain = filter_domain(x->word);
	}
	x->todo = xcalloc(1, sizeof *x->todo);
	x->ntodo = 1;
	x->todo[0].domain = plain;
	x->todo[0].connector = xstrdup(c->opt.connector);
	ask_dest(c, &x->todo[0]);
	return true;
}

void
cmd_explain(struct client *c)
{
	struct explain *x = xcalloc(1, sizeof *x);
	struct fault why;

	list_init(&x->dests);
	c->job = x;
	c->job_free = explain_free;
	x->word = c->opt.words[0];
	x->kind = filter_word(x->word);
	if (c->opt.nwith > 0 && c->conf->nconnectors > 0 &&
	    !policy_check_with(c, &c->conf->connectors[0], &why)) {
		client_error(c, "--with: %s", why.text);
		client_end(c, EXIT_USAGE);
		return;
	}
	if (x->kind == WORD_ID) {
		ask_message(c, x->word);
	} else if (x->kind == WORD_NONSENSE || !ask_domain(c, x)) {
		client_error(c, "%s: wanted a domain, an address or an id", x->word);
		client_end(c, EXIT_USAGE);
	}
}
