/*
 * look.c - queue, list, show, cat: rows of the door as tables and JSON.
 * Never keeps more than a table's sample: a queue of any length streams.
 * Read next: show.c (forms), ../door/inspect.h (rows), render.h (tables).
 */
#include <stdlib.h>
#include <string.h>

#include "mta/base/clock.h"
#include "mta/ctl/client.h"
#include "mta/ctl/commands.h"
#include "mta/ctl/filter.h"
#include "mta/ctl/render.h"
#include "mta/ctl/show.h"

struct look {
	struct table	table;
	uint64_t	rows;
	bool		everything;	/* no filter: an empty queue is no failure */
};

static const struct table_column queue_columns[] = {
	{ "NextHop", false, 20 }, { "Connector", false, 9 }, { "Status", false, 0 },
	{ "Count", true, 0 }, { "Oldest", true, 0 }, { "NextRetry", true, 0 },
	{ "Reason", false, 0 }, { "LastError", false, 16 },
};

static const struct table_column list_columns[] = {
	{ "ID", true, 8 }, { "Status", false, 0 }, { "Age", true, 0 }, { "Size", true, 0 },
	{ "Rcpts", true, 0 }, { "Tries", true, 0 }, { "NextRetry", true, 0 },
	{ "Connector", false, 9 }, { "Domain", false, 16 }, { "Sender", false, 12 },
	{ "Reason", false, 0 },
};

static const struct table_column attempt_columns[] = {
	{ "    When", false, 0 }, { "Outcome", false, 0 }, { "Reason", false, 0 },
	{ "Text", false, 16 },
};

static void
look_free(void *job)
{
	struct look *l = job;
	struct buf sink = { 0 };

	/* The client's buffers may be gone: what is kept back goes nowhere. */
	l->table.out = &sink;
	table_end(&l->table);
	buf_free(&sink);
	free(l);
}

static struct look *
look_new(struct client *c, const struct table_column *columns, size_t n)
{
	struct look *l = xcalloc(1, sizeof *l);

	if (!c->json && columns != NULL)
		table_begin(&l->table, columns, n, c->columns, c->colour, client_out(c));
	c->job = l;
	c->job_free = look_free;
	return l;
}

static const char *
age_text(int64_t since_wall_ms, char buf[CLOCK_SPAN_MAX])
{
	const int64_t ms = clock_wall_ms() - since_wall_ms;

	return since_wall_ms == 0 ? "-" : clock_span(ms < 0 ? 0 : ms, buf);
}

/* What was found decides the exit code. */
static void
look_end(struct client *c, bool ok, uint64_t n, const char *text)
{
	struct look *l = c->job;

	(void)n;
	table_end(&l->table);
	if (!ok) {
		client_error(c, "%s", text);
		client_end(c, EXIT_FAILED);
		return;
	}
	if (l->rows == 0 && !l->everything) {
		client_error(c, "nothing matched");
		client_end(c, EXIT_FAILED);
		return;
	}
	if (l->rows == 0 && !c->json)
		buf_text(client_out(c), "The queue is empty.\n");
	client_end(c, EXIT_DONE);
}

/* Asks verb with the filter of the words; usage errors end the command. */
static void
look_filtered(struct client *c, enum inspect_verb verb, client_row_fn *row)
{
	struct look *l = c->job;
	struct inspect_request q = { .verb = verb };
	struct fault why;

	if (!filter_build(&q.filter, &c->opt, true, &why)) {
		client_error(c, "%s", why.text);
		client_end(c, EXIT_USAGE);
	} else {
		l->everything = q.filter.all;
		client_inspect(c, &q, row, look_end);
	}
	inspect_request_free(&q);
}

/* ---- queue ---- */

static void
queue_cells(struct client *c, struct table *t, const struct inspect_dest *d)
{
	char hop[512], span[CLOCK_SPAN_MAX], next[40], text[STATUS_TEXT_MAX + 32];

	table_cell(t, show_next_hop(c->conf, d, hop, sizeof hop));
	table_cell(t, d->connector);
	table_cell(t, inspect_state_name(d->state));
	table_cellf(t, "%llu", (unsigned long long)d->count);
	table_cell(t, age_text(d->oldest_wall_ms, span));
	table_cell(t, render_next(d->next_wall_ms, clock_wall_ms(), next, sizeof next));
	table_cell(t, d->status.class_ == 0 ? NULL : reason_name(d->status.reason));
	table_cell(t, show_status(&d->status, text, sizeof text));
	table_row(t);
}

static void
queue_row(struct client *c, struct rd *row)
{
	struct look *l = c->job;
	struct inspect_dest d;
	struct json j;

	if (!inspect_dest_decode(&d, row))
		return;
	l->rows++;
	if (c->json) {
		json_begin(&j, client_out(c));
		json_dest(&j, c->conf, &d, clock_wall_ms());
		json_end(&j);
	} else {
		queue_cells(c, &l->table, &d);
	}
	inspect_dest_free(&d);
}

void
cmd_queue(struct client *c)
{
	look_new(c, queue_columns, COUNT_OF(queue_columns));
	look_filtered(c, INSPECT_QUEUE, queue_row);
}

/* ---- list ---- */

static void
list_cells(struct table *t, const struct inspect_item *i)
{
	char id[MSGID_TEXT_MAX], span[CLOCK_SPAN_MAX], next[40], size[16];

	table_cell(t, msgid_text(&i->id, id));
	table_cell(t, inspect_state_name(i->state));
	table_cell(t, age_text(i->arrival_wall_ms, span));
	table_cell(t, render_bytes(i->size, size));
	table_cellf(t, "%u", i->recipients);
	table_cellf(t, "%u", i->attempts);
	table_cell(t, render_next(i->next_wall_ms, clock_wall_ms(), next, sizeof next));
	table_cell(t, i->connector);
	table_cell(t, i->domain);
	table_cell(t, i->sender == NULL ? NULL : *i->sender == '\0' ? "<>" : i->sender);
	table_cell(t, i->reason == REASON_none ? NULL : reason_name(i->reason));
	table_row(t);
}

static void
list_json(struct buf *b, const struct inspect_item *i)
{
	char id[MSGID_TEXT_MAX];
	struct json j;

	json_begin(&j, b);
	json_str(&j, "id", msgid_text(&i->id, id));
	json_str(&j, "sender", i->sender);
	json_str(&j, "connector", i->connector);
	json_str(&j, "domain", i->domain);
	json_str(&j, "status", inspect_state_name(i->state));
	json_uint(&j, "size", i->size);
	json_uint(&j, "recipients", i->recipients);
	json_time(&j, "arrival", i->arrival_wall_ms);
	json_time(&j, "next_retry", i->next_wall_ms);
	json_uint(&j, "attempts", i->attempts);
	json_str(&j, "reason", i->reason == REASON_none ? NULL : reason_name(i->reason));
	json_bool(&j, "maybe_sent", i->maybe_sent);
	json_end(&j);
}

static void
list_row(struct client *c, struct rd *row)
{
	struct look *l = c->job;
	struct inspect_item i;

	if (!inspect_item_decode(&i, row))
		return;
	l->rows++;
	if (c->json)
		list_json(client_out(c), &i);
	else
		list_cells(&l->table, &i);
	inspect_item_free(&i);
}

void
cmd_list(struct client *c)
{
	look_new(c, list_columns, COUNT_OF(list_columns));
	look_filtered(c, INSPECT_LIST, list_row);
}

/* ---- show ---- */

static const char *
outcome_name(enum queue_outcome o)
{
	switch (o) {
	case OUTCOME_DELIVERED:
		return "delivered";
	case OUTCOME_DEFERRED:
		return "deferred";
	case OUTCOME_FAILED:
		return "failed";
	default:
		return "returned";
	}
}

static void
rcpt_json(struct json *j, const struct inspect_rcpt *r)
{
	json_object(j, NULL);
	json_str(j, "address", r->address);
	json_str(j, "state", r->word);
	json_str(j, "status", inspect_state_name(r->state));
	json_str(j, "connector", r->connector);
	json_str(j, "domain", r->domain);
	json_time(j, "next_retry", r->next_wall_ms);
	json_uint(j, "attempts", r->attempts);
	json_array(j, "history");
	for (uint32_t i = 0; i < r->nhistory; i++) {
		json_object(j, NULL);
		json_time(j, "at", r->history[i].wall_ms);
		json_str(j, "outcome", outcome_name(r->history[i].outcome));
		json_status(j, "text", &r->history[i].status);
		json_close(j);
	}
	json_close(j);
	json_close(j);
}

static void
message_json(struct buf *b, const struct inspect_message *m)
{
	const struct envelope *e = &m->envelope;
	char id[MSGID_TEXT_MAX];
	struct json j;

	json_begin(&j, b);
	json_str(&j, "id", msgid_text(&m->id, id));
	json_str(&j, "sender", e->sender);
	json_str(&j, "envid", e->envid);
	json_str(&j, "listener", e->listener);
	json_str(&j, "client", e->client);
	json_str(&j, "helo", e->helo);
	json_bool(&j, "body_8bit", e->body_8bit);
	json_bool(&j, "smtputf8", e->smtputf8);
	json_uint(&j, "size", m->size);
	json_bool(&j, "body_file", m->body_file);
	json_time(&j, "arrival", e->arrival_wall_ms);
	json_time(&j, "expires", m->expires_wall_ms);
	json_array(&j, "recipients");
	for (uint32_t i = 0; i < m->nrcpts; i++)
		rcpt_json(&j, &m->rcpts[i]);
	json_close(&j);
	json_end(&j);
}

static void
rcpt_text(struct client *c, const struct inspect_rcpt *r)
{
	struct buf *b = client_out(c);
	char next[40], text[STATUS_TEXT_MAX + 32], when[CLOCK_TEXT_MAX];
	struct table t;

	buf_text(b, "  ");
	render_text(b, r->address);
	buf_printf(b, "  %s", r->word);
	if (strcmp(r->word, "queued") == 0)
		buf_printf(b, " (%s), connector %s, %u tries, next %s",
		    inspect_state_name(r->state),
		    r->connector == NULL ? "none" : r->connector, r->attempts,
		    render_next(r->next_wall_ms, clock_wall_ms(), next, sizeof next));
	buf_u8(b, '\n');
	if (r->nhistory == 0)
		return;
	table_begin(&t, attempt_columns, COUNT_OF(attempt_columns), c->columns, c->colour, b);
	for (uint32_t i = 0; i < r->nhistory; i++) {
		const struct inspect_attempt *a = &r->history[i];

		table_cellf(&t, "    %s", clock_rfc3339(a->wall_ms, when));
		table_cell(&t, outcome_name(a->outcome));
		table_cell(&t, a->status.class_ == 0 ? NULL : reason_name(a->status.reason));
		table_cell(&t, show_status(&a->status, text, sizeof text));
		table_row(&t);
	}
	table_end(&t);
}

static void
message_text(struct client *c, const struct inspect_message *m)
{
	const struct envelope *e = &m->envelope;
	struct buf *b = client_out(c);
	char id[MSGID_TEXT_MAX], size[16];
	const int64_t now = clock_wall_ms();

	buf_printf(b, "ID        %s\nSender    <", msgid_text(&m->id, id));
	render_text(b, e->sender == NULL ? "" : e->sender);
	buf_printf(b, ">\nSize      %s\nArrived   ", render_bytes(m->size, size));
	render_when(b, e->arrival_wall_ms, now);
	buf_text(b, "\nFrom      ");
	render_text(b, e->client == NULL || *e->client == '\0' ? "relayd itself" : e->client);
	if (e->helo != NULL && *e->helo != '\0') {
		buf_text(b, ", calling itself ");
		render_text(b, e->helo);
	}
	if (e->listener != NULL && *e->listener != '\0') {
		buf_text(b, ", by listener ");
		render_text(b, e->listener);
	}
	buf_text(b, "\nExpires   ");
	render_when(b, m->expires_wall_ms, now);
	buf_text(b, "\nRecipients\n");
	for (uint32_t i = 0; i < m->nrcpts; i++)
		rcpt_text(c, &m->rcpts[i]);
}

static void
show_row(struct client *c, struct rd *row)
{
	struct look *l = c->job;
	struct inspect_message m;

	if (!inspect_message_decode(&m, row))
		return;
	l->rows++;
	if (c->json)
		message_json(client_out(c), &m);
	else
		message_text(c, &m);
	inspect_message_free(&m);
}

/* show and cat take one id and nothing else. */
static void
look_id(struct client *c, enum inspect_verb verb, client_row_fn *row)
{
	const char *id = c->opt.words[0];
	struct inspect_request q = { .verb = verb };

	look_new(c, NULL, 0);
	if (filter_word(id) != WORD_ID) {
		client_error(c, "%s: wanted an id or the tail of one", id);
		client_end(c, EXIT_USAGE);
		return;
	}
	q.filter.id = xstrdup(id);
	client_inspect(c, &q, row, look_end);
	inspect_request_free(&q);
}

void
cmd_show(struct client *c)
{
	look_id(c, INSPECT_SHOW, show_row);
}

/* ---- cat ---- */

static void
cat_row(struct client *c, struct rd *row)
{
	struct look *l = c->job;
	const size_t n = rd_left(row);

	l->rows++;
	buf_add(client_out(c), rd_raw(row, n), n);
}

void
cmd_cat(struct client *c)
{
	look_id(c, INSPECT_CAT, cat_row);
}
