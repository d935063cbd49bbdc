/*
 * explain_show.c - one destination explained, for people and in JSON.
 * Never concludes: that is advice.c; never waits for anything.
 * Read next: explain.c (the gathering), show.c (forms of traces).
 */
#include "mta/ctl/explain.h"

#include <stdio.h>
#include <string.h>

#include "conf/conf.h"
#include "mta/base/clock.h"
#include "mta/ctl/client.h"
#include "mta/ctl/render.h"
#include "mta/ctl/show.h"

/* The command that tries with a change, or without one for "". */
static const char *
retry_command(const struct explain_dest *e, const char *change, char *buf, size_t size)
{
	const bool shared = strcmp(e->d.domain, "*") == 0;

	snprintf(buf, size, "relayctl retry%s%s %s%s", *change == '\0' ? "" : " --with ", change,
	    shared ? "--connector " : "", shared ? e->d.connector : e->d.domain);
	return buf;
}

/* The evaluation of the policy in force; NULL: not made. */
static const struct explain_eval *
eval_now(const struct explain_dest *e)
{
	if (e->nevals > 0 && *e->evals[0].change.text == '\0')
		return &e->evals[0];
	return NULL;
}

static void
find_blame(const struct explain_dest *e, struct finding *out)
{
	struct advice_trace now[ADVICE_CHANGES_MAX + 2], kept = { 0 };
	size_t n = 0;

	if (e->d.ntraces > 0)
		kept = (struct advice_trace){ e->d.traces[0].trace, e->d.traces[0].trace_len };
	for (size_t i = 0; i < e->nevals; i++) {
		const struct explain_eval *v = &e->evals[i];

		/* With no_ask, what is missing counts as silence: no evidence. */
		if (v->have && !v->no_ask && n < COUNT_OF(now))
			now[n++] = (struct advice_trace){ v->answer.trace, v->answer.trace_len };
	}
	advice_blame(&e->d.status, &kept, now, n, out);
}

/* ---- JSON ---- */

static void
helps_json(struct json *j, const struct explain_dest *e)
{
	char command[700];

	json_array(j, "would_help");
	for (size_t i = 0; i < e->nevals; i++) {
		const struct explain_eval *v = &e->evals[i];
		const bool delivers = v->have && v->answer.verdict == 2;

		if (*v->change.text == '\0')
			continue;
		json_object(j, NULL);
		json_str(j, "change", v->change.text);
		json_bool(j, "delivers", delivers);
		json_bool(j, "asked", !v->no_ask);
		json_str(j, "verdict", v->have ? show_verdict(v->answer.verdict) : NULL);
		json_str(j, "text", v->have ? (*v->answer.status.text == '\0' ? NULL :
		    v->answer.status.text) : v->why);
		json_str(j, "command", delivers ? retry_command(e, v->change.text, command,
		    sizeof command) : NULL);
		if (v->have)
			json_trace(j, "trace", v->answer.trace, v->answer.trace_len, false);
		json_close(j);
	}
	json_close(j);
}

static void
attempts_json(struct json *j, const struct inspect_dest *d)
{
	json_array(j, "attempts");
	for (uint32_t i = 0; i < d->ntraces; i++) {
		json_object(j, NULL);
		json_time(j, "at", d->traces[i].wall_ms);
		json_status(j, "text", &d->traces[i].status);
		json_trace(j, "trace", d->traces[i].trace, d->traces[i].trace_len, true);
		json_close(j);
	}
	json_close(j);
}

void
explain_json(struct client *c, const struct explain *x, const struct explain_dest *e)
{
	const struct explain_eval *now = eval_now(e);
	struct finding blame;
	struct json j;

	json_begin(&j, client_out(c));
	json_str(&j, "word", x->word);
	json_dest(&j, c->conf, &e->d, clock_wall_ms());
	if (e->connector != NULL)
		json_policy(&j, "policy", e->connector);
	attempts_json(&j, &e->d);
	if (e->d.status.class_ != 0) {
		find_blame(e, &blame);
		json_str(&j, "blame", blame_name(blame.who));
		json_str(&j, "blame_text", blame.text);
		json_bool(&j, "healed", blame.healed);
	}
	if (now != NULL) {
		json_object(&j, "now");
		json_bool(&j, "delivers", now->have && now->answer.verdict == 2);
		if (now->have)
			json_answer(&j, &now->answer);
		else
			json_str(&j, "error", now->why);
		json_close(&j);
	}
	helps_json(&j, e);
	json_end(&j);
}

/* ---- text ---- */

#define LABEL_WIDTH 17	/* the longest label and two blanks */

static void
label(struct client *c, const char *s)
{
	buf_text(client_out(c), "  ");
	render_coloured(client_out(c), c->colour, COLOUR_BOLD, s);
	buf_printf(client_out(c), "%*s", (int)(LABEL_WIDTH - strlen(s)), "");
}

/* Lines follow. */
static void
heading(struct client *c, const char *s)
{
	buf_text(client_out(c), "  ");
	render_coloured(client_out(c), c->colour, COLOUR_BOLD, s);
	buf_u8(client_out(c), '\n');
}

static void
head_text(struct client *c, const struct explain_dest *e, int64_t now)
{
	const struct inspect_dest *d = &e->d;
	struct buf *b = client_out(c);
	char hop[512];

	render_coloured(b, c->colour, COLOUR_BOLD, show_next_hop(c->conf, d, hop, sizeof hop));
	buf_printf(b, " (connector %s, %s): %llu recipient%s of %llu message%s wait%s\n",
	    d->connector, inspect_state_name(d->state), (unsigned long long)d->count,
	    d->count == 1 ? "" : "s", (unsigned long long)d->messages,
	    d->messages == 1 ? "" : "s", d->count == 1 ? "s" : "");
	label(c, "Oldest");
	render_when(b, d->oldest_wall_ms, now);
	buf_u8(b, '\n');
	if (d->since_wall_ms != 0) {
		label(c, "Failing since");
		render_when(b, d->since_wall_ms, now);
		buf_printf(b, ", %u attempt%s\n", d->failures, d->failures == 1 ? "" : "s");
	}
}

static void
failure_text(struct client *c, const struct explain_dest *e)
{
	const struct status *st = &e->d.status;
	struct buf *b = client_out(c);
	char text[STATUS_TEXT_MAX + 32];

	if (st->class_ == 0) {
		label(c, "Last failure");
		buf_text(b, "none of the whole destination; a message may wait for its own "
		    "reason: relayctl list\n");
		return;
	}
	label(c, "Last failure");
	render_coloured(b, c->colour, COLOUR_RED, show_status(st, text, sizeof text));
	if (*st->peer != '\0') {
		buf_printf(b, ", %s ", st->remote ? "said by" : "at");
		render_text(b, st->peer);
	}
	buf_u8(b, '\n');
	label(c, "Reason");
	buf_printf(b, "%s, at stage %s\n", reason_name(st->reason), stage_name(st->stage));
	if (e->connector != NULL) {
		label(c, "Policy");
		show_policy(b, e->connector);
		buf_u8(b, '\n');
	}
}

static void
attempt_text(struct client *c, const struct explain_dest *e, int64_t now)
{
	const struct inspect_dest *d = &e->d;
	struct buf *b = client_out(c);

	if (d->ntraces == 0)
		return;
	label(c, "Last attempt");
	render_when(b, d->traces[0].wall_ms, now);
	buf_u8(b, '\n');
	show_trace(b, d->traces[0].trace, d->traces[0].trace_len, true, "    ");
}

/* What an evaluation learned: not what it took from the kept trace. */
static bool
is_news(const struct trace_entry *e)
{
	return e->kind == TRACE_QUESTION && e->u.question.source != SRC_KEPT &&
	    e->u.question.outcome != OUT_NOT_ASKED;
}

static bool
has_line(const struct buf *all, const struct buf *line)
{
	return all->len > 0 && line->len > 0 &&
	    memmem(all->data, all->len, line->data, line->len) != NULL;
}

static void
asked_text(struct client *c, const struct explain_dest *e)
{
	struct buf all = { 0 };

	for (size_t i = 0; i < e->nevals; i++) {
		const struct explain_eval *v = &e->evals[i];
		struct rd r = rd_of(v->answer.trace, v->answer.trace_len);
		struct trace_entry t;

		/* With no_ask the missing answers stand there as silence nobody kept. */
		if (!v->have || v->no_ask)
			continue;
		while (v->answer.trace_len > 0 && trace_next(&r, &t)) {
			struct buf line = { 0 };

			if (!is_news(&t))
				continue;
			show_entry(&line, &t, false, "    ");
			if (!has_line(&all, &line))
				buf_add(&all, line.data, line.len);
			buf_free(&line);
		}
	}
	if (all.len > 0) {
		heading(c, "Since then");
		buf_add(client_out(c), all.data, all.len);
	}
	buf_free(&all);
}

static void
next_text(struct client *c, const struct explain_dest *e, int64_t now)
{
	const struct inspect_dest *d = &e->d;
	struct buf *b = client_out(c);

	label(c, "Next try");
	if (d->state == STATE_SUSPENDED)
		buf_printf(b, "never: held; relayctl release %s%s",
		    strcmp(d->domain, "*") == 0 ? "--connector " : "",
		    strcmp(d->domain, "*") == 0 ? d->connector : d->domain);
	else if (d->state == STATE_ACTIVE)
		buf_printf(b, "under way, %llu recipients", (unsigned long long)d->leased);
	else if (d->next_wall_ms <= now)
		buf_text(b, "now, as soon as there is room");
	else
		render_when(b, d->next_wall_ms, now);
	buf_u8(b, '\n');
	if (d->expires_wall_ms != 0) {
		label(c, "Expires");
		render_when(b, d->expires_wall_ms, now);
		buf_u8(b, '\n');
	}
}

/* Changes stand below each other. */
static int
change_width(const struct explain_dest *e)
{
	size_t width = 0;

	for (size_t i = 0; i < e->nevals; i++) {
		const size_t n = strlen(e->evals[i].change.text);

		width = n > width ? n : width;
	}
	return (int)width;
}

static void
help_delivers(struct client *c, const struct explain_dest *e, const struct explain_eval *v)
{
	struct buf *b = client_out(c);
	char command[700];

	buf_text(b, "    ");
	render_coloured(b, c->colour, COLOUR_GREEN, "would deliver:");
	buf_printf(b, " %-*s   %s", change_width(e), v->change.text,
	    retry_command(e, v->change.text, command, sizeof command));
	if (*v->change.key != '\0')
		buf_printf(b, "   (or set resolve.%s in connector \"%s\" and relayctl reload)",
		    v->change.key, e->d.connector);
	buf_u8(b, '\n');
}

/* What keeps a change from being a cure, and the word for it. */
static const char *
help_word(const struct client *c, const struct explain_eval *v, const char **why, char *buf,
    size_t size)
{
	if (!v->have) {
		*why = v->why;
		return "not known:";
	}
	*why = show_status(&v->answer.status, buf, size);
	if (v->answer.verdict == 5)
		return "would fail it:";
	if (!v->no_ask)
		return "would not help:";
	/* Nothing was asked: what is missing counted as silence. */
	*why = c->opt.no_ask ? "kept and cached answers do not tell (--no-ask)" :
	    "the connector does not name this set; explain --all-sets asks it";
	return "not known:";
}

static void
help_line(struct client *c, const struct explain_dest *e, const struct explain_eval *v)
{
	struct buf *b = client_out(c);
	char text[STATUS_TEXT_MAX + 32];
	const char *why;

	if (v->have && v->answer.verdict == 2) {
		help_delivers(c, e, v);
		return;
	}
	buf_printf(b, "    %s", help_word(c, v, &why, text, sizeof text));
	buf_printf(b, " %-*s   ", change_width(e), v->change.text);
	render_text(b, why);
	buf_u8(b, '\n');
}

static void
now_text(struct client *c, const struct explain_dest *e, int64_t at)
{
	const struct explain_eval *now = eval_now(e);
	struct buf *b = client_out(c);
	char command[700], next[40];

	if (now == NULL)
		return;
	label(c, "Now");
	if (now->have && now->answer.verdict == 2) {
		render_coloured(b, c->colour, COLOUR_GREEN, "it would be delivered now");
		buf_printf(b, "; next try %s; %s\n",
		    render_next(e->d.next_wall_ms, at, next, sizeof next),
		    retry_command(e, "", command, sizeof command));
	} else if (now->have) {
		char text[STATUS_TEXT_MAX + 32];

		buf_printf(b, "%s: ", now->answer.verdict == 5 ? "it would fail" :
		    "it would be deferred again");
		render_text(b, show_status(&now->answer.status, text, sizeof text));
		buf_u8(b, '\n');
	} else {
		buf_text(b, "not known: ");
		render_text(b, now->why);
		buf_u8(b, '\n');
	}
}

static void
helps_text(struct client *c, const struct explain_dest *e)
{
	struct buf *b = client_out(c);

	if (e->d.status.class_ == 0 || e->d.state == STATE_SUSPENDED)
		return;
	if (e->nevals == 0) {
		label(c, "What would help");
		if (explain_is_dns(e))
			buf_printf(b, "relayctl explain %s tells\n", e->d.domain);
		else if (strcmp(e->d.domain, "*") == 0)
			buf_printf(b, "no other resolution; to try their server without mail: "
			    "relayctl probe --connector %s DOMAIN\n", e->d.connector);
		else
			buf_printf(b, "no other resolution; to try their server without mail: "
			    "relayctl probe %s\n", e->d.domain);
		return;
	}
	heading(c, "What would help");
	for (size_t pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < e->nevals; i++) {
			const struct explain_eval *v = &e->evals[i];
			const bool delivers = v->have && v->answer.verdict == 2;

			/* Cures first. */
			if (*v->change.text != '\0' && delivers == (pass == 0))
				help_line(c, e, v);
		}
	}
}

void
explain_text(struct client *c, const struct explain *x, const struct explain_dest *e)
{
	struct buf *b = client_out(c);
	const int64_t now = clock_wall_ms();
	struct finding blame;

	if (&e->node != x->dests.next)
		buf_u8(b, '\n');
	head_text(c, e, now);
	failure_text(c, e);
	attempt_text(c, e, now);
	asked_text(c, e);
	next_text(c, e, now);
	if (e->d.status.class_ != 0) {
		find_blame(e, &blame);
		label(c, "Whose fault");
		render_text(b, blame.text);
		buf_u8(b, '\n');
	}
	now_text(c, e, now);
	helps_text(c, e);
}
