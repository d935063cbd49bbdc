/*
 * dns.c - dns cache, flush, servers: asked of every tx process in turn.
 * Never lets a tx process that is away keep the others from being asked.
 * Read next: ../door/ask.h (the rows), ../dns/nexthop.h (what a flush forgets).
 */
#include <stdlib.h>
#include <string.h>

#include "mta/base/clock.h"
#include "mta/ctl/client.h"
#include "mta/ctl/commands.h"
#include "mta/ctl/filter.h"
#include "mta/ctl/json.h"
#include "mta/ctl/render.h"

#define DNS_WAIT_MS 10000
#define FIELDS_MAX 8

struct dns_job {
	const struct dns_verb	*verb;
	char			*name;		/* NULL: all */
	unsigned		 left;
	uint64_t		 dropped, rows;
	bool			 failed;
	struct table		 table;
};

struct dns_verb {
	const char			*word;
	enum ask_verb			 ask;
	bool				 takes_name;
	const struct table_column	*columns;
	size_t				 ncolumns;
	const char *const		*keys;	/* JSON, in the order of the fields */
	const char			*kinds;	/* a letter a field: s text, n number, t ms as a span */
};

static const struct table_column cache_columns[] = {
	{ "Set", false, 0 }, { "Name", false, 20 }, { "Type", false, 0 },
	{ "Outcome", false, 0 }, { "TTL", true, 0 }, { "Answer", false, 16 },
};
static const char *const cache_keys[] = { "set", "name", "type", "outcome", "ttl_ms", "answer" };

static const struct table_column server_columns[] = {
	{ "Set", false, 0 }, { "Server", false, 0 }, { "Asked", true, 0 },
	{ "Answered", true, 0 }, { "Timeouts", true, 0 }, { "Servfail", true, 0 },
	{ "AvgMs", true, 0 }, { "Cooldown", true, 0 },
};
static const char *const server_keys[] = { "set", "server", "asked", "answered", "timeouts",
    "servfail", "avg_ms", "cooldown_ms" };

static const struct dns_verb dns_verbs[] = {
	{ "cache", ASK_DNS_CACHE, true, cache_columns, COUNT_OF(cache_columns), cache_keys,
	  "ssssts" },
	{ "flush", ASK_DNS_FLUSH, true, NULL, 0, NULL, "" },
	{ "servers", ASK_DNS_SERVERS, false, server_columns, COUNT_OF(server_columns),
	  server_keys, "ssnnnnnt" },
};

static void
dns_free(void *job)
{
	struct dns_job *d = job;
	struct buf sink = { 0 };

	d->table.out = &sink;
	table_end(&d->table);
	buf_free(&sink);
	free(d->name);
	free(d);
}

/* ---- rows ---- */

static void
field_text(struct table *t, char kind, const char *s)
{
	char span[CLOCK_SPAN_MAX];
	const long long ms = atoll(s);

	if (kind == 't')
		table_cell(t, ms == 0 ? NULL : clock_span(ms, span));
	else
		table_cell(t, s);
}

static void
row_out(struct client *c, struct dns_job *d, char *line)
{
	const struct dns_verb *v = d->verb;
	struct json j;

	if (c->json)
		json_begin(&j, client_out(c));
	/* strsep, not strtok: an empty field is a field. */
	for (size_t i = 0; i < v->ncolumns; i++) {
		char *s = line == NULL ? NULL : i + 1 < v->ncolumns ? strsep(&line, "\t") : line;

		if (s == NULL)
			s = (char[]){ "" };
		if (!c->json)
			field_text(&d->table, v->kinds[i], s);
		else if (v->kinds[i] == 'n' || v->kinds[i] == 't')
			json_int(&j, v->keys[i], atoll(s));
		else
			json_str(&j, v->keys[i], s);
	}
	if (c->json)
		json_end(&j);
	else
		table_row(&d->table);
}

static void
dns_row(struct client *c, void *ctx, struct rd *row)
{
	struct dns_job *d = ctx;
	const size_t n = rd_left(row);
	char *line = xstrndup((const char *)rd_raw(row, n), n);

	d->rows++;
	row_out(c, d, line);
	free(line);
}

/* ---- ends ---- */

static void
woken(struct client *c, bool ok, uint64_t n, const char *text)
{
	const struct dns_job *d = c->job;
	struct json j;

	if (!ok) {
		client_error(c, "nothing woken: %s", text);
		client_end(c, EXIT_FAILED);
		return;
	}
	if (c->json) {
		json_begin(&j, client_out(c));
		json_str(&j, "verb", "dns flush");
		json_str(&j, "name", d->name);
		json_uint(&j, "count", d->dropped);
		json_uint(&j, "woken", n);
		json_end(&j);
	} else {
		buf_printf(client_out(c), "%llu cache entries forgotten, %llu recipients that "
		    "waited for DNS woken\n", (unsigned long long)d->dropped,
		    (unsigned long long)n);
	}
	client_end(c, d->failed ? EXIT_FAILED : EXIT_DONE);
}

static void
no_row(struct client *c, struct rd *row)
{
	(void)c;
	(void)row;
}

static void
dns_done(struct client *c, struct dns_job *d)
{
	struct inspect_request q = { .verb = INSPECT_WAKE_DNS, .filter.all = true };

	client_after(c, 0, NULL);
	if (d->verb->ask == ASK_DNS_FLUSH) {
		client_inspect(c, &q, no_row, woken);
		return;
	}
	table_end(&d->table);
	if (d->rows == 0 && !c->json && !d->failed)
		buf_text(client_out(c), "nothing is cached\n");
	client_end(c, d->failed ? EXIT_FAILED : EXIT_DONE);
}

static void
dns_end(struct client *c, void *ctx, bool ok, uint64_t n, const char *text)
{
	struct dns_job *d = ctx;

	if (d->left == 0)		/* late: on_dns_late() went on without */
		return;
	if (!ok) {
		client_error(c, "%s", text);
		d->failed = true;
	}
	if (d->verb->ask == ASK_DNS_FLUSH)
		d->dropped += n;
	if (--d->left == 0)
		dns_done(c, d);
}

static void
on_dns_late(struct client *c)
{
	struct dns_job *d = c->job;

	client_error(c, "%u tx process%s did not answer", d->left, d->left == 1 ? "" : "es");
	d->failed = true;
	d->left = 0;
	dns_done(c, d);
}

static const struct client_ask_fns dns_fns = { .row = dns_row, .end = dns_end };

static const struct dns_verb *
dns_verb_find(const struct options *o)
{
	for (size_t i = 0; i < COUNT_OF(dns_verbs); i++) {
		if (strcmp(dns_verbs[i].word, o->words[0]) == 0 &&
		    (o->nwords == 1 || dns_verbs[i].takes_name))
			return &dns_verbs[i];
	}
	return NULL;
}

void
cmd_dns(struct client *c)
{
	const struct dns_verb *v = dns_verb_find(&c->opt);
	struct ask_request q = { 0 };
	struct dns_job *d;

	if (v == NULL) {
		client_error(c, "usage: relayctl dns %s", c->verb->usage);
		client_end(c, EXIT_USAGE);
		return;
	}
	c->job = d = xcalloc(1, sizeof *d);
	c->job_free = dns_free;
	d->verb = v;
	d->name = c->opt.nwords > 1 ? filter_domain(c->opt.words[1]) : NULL;
	if (!c->json && v->columns != NULL)
		table_begin(&d->table, v->columns, v->ncolumns, c->columns, c->colour,
		    client_out(c));
	d->left = ctl_ntx(c->ctl);
	q.verb = v->ask;
	q.domain = xstrdup(d->name);
	for (unsigned i = 0; i < ctl_ntx(c->ctl); i++)
		client_ask(c, i, &q, &dns_fns, d);
	ask_request_free(&q);
	client_after(c, DNS_WAIT_MS, on_dns_late);
}
