/*
 * status.c - status and health: what the parent, the queue role and the
 * counters say, on one screen or in one line.  Never walks the queue further
 * than to the first destination that is not late.
 * Read next: ../base/counters.h, ../door/inspect.h, ../proc/role.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "mta/base/clock.h"
#include "mta/base/counters.h"
#include "mta/ctl/client.h"
#include "mta/ctl/commands.h"
#include "mta/ctl/render.h"
#include "mta/ctl/show.h"
#include "mta/proc/role.h"

#define ROLES_MAX 64
#define ALARMS_MAX 10

struct role_line {
	char		*name;
	uint32_t	 pid, restarts;
	int64_t		 started_wall_ms;
};

struct overview {
	struct role_line	roles[ROLES_MAX];
	size_t			nroles;
	int64_t			began_wall_ms;	/* of the oldest process */
	bool			queue_known;
	struct inspect_status	queue;
	char			queue_why[256];
	struct inspect_dest	alarms[ALARMS_MAX];	/* the oldest of them */
	size_t			nalarms;		/* of all */
	void			(*render)(struct client *c, struct overview *o);
};

static void
overview_free(void *job)
{
	struct overview *o = job;

	for (size_t i = 0; i < o->nroles; i++)
		free(o->roles[i].name);
	for (size_t i = 0; i < o->nalarms && i < ALARMS_MAX; i++)
		inspect_dest_free(&o->alarms[i]);
	free(o);
}

/* ---- gathering ---- */

static void
alarm_row(struct client *c, struct rd *row)
{
	struct overview *o = c->job;
	struct inspect_dest d;

	if (!inspect_dest_decode(&d, row))
		return;
	if (d.oldest_wall_ms == 0 || clock_wall_ms() - d.oldest_wall_ms < c->conf->alarm.age_ms) {
		inspect_dest_free(&d);
		return;
	}
	if (o->nalarms < ALARMS_MAX)
		o->alarms[o->nalarms] = d;
	else
		inspect_dest_free(&d);
	o->nalarms++;
}

static void
alarm_end(struct client *c, bool ok, uint64_t n, const char *text)
{
	struct overview *o = c->job;

	(void)n;
	if (!ok) {
		o->queue_known = false;
		snprintf(o->queue_why, sizeof o->queue_why, "%s", text);
	}
	o->render(c, o);
}

static void
status_row(struct client *c, struct rd *row)
{
	struct overview *o = c->job;

	o->queue_known = inspect_status_decode(&o->queue, row);
}

static void
status_end(struct client *c, bool ok, uint64_t n, const char *text)
{
	struct overview *o = c->job;
	struct inspect_request q = { .verb = INSPECT_QUEUE, .filter.all = true };

	(void)n;
	if (!ok || !o->queue_known) {
		o->queue_known = false;
		snprintf(o->queue_why, sizeof o->queue_why, "%s", text);
		o->render(c, o);
		return;
	}
	/* Only what is old enough for an alarm is sent at all. */
	q.filter.all = c->conf->alarm.age_ms == 0;
	q.filter.older_ms = c->conf->alarm.age_ms;
	if (o->queue.oldest_wall_ms == 0 || c->conf->alarm.age_ms == 0)
		o->render(c, o);
	else
		client_inspect(c, &q, alarm_row, alarm_end);
}

static void
roles_answer(struct client *c, struct rd *payload)
{
	struct overview *o = c->job;
	struct inspect_request q = { .verb = INSPECT_STATUS, .filter.all = true };
	const uint32_t n = rd_u32(payload);

	for (uint32_t i = 0; i < n && i < ROLES_MAX && !payload->bad; i++) {
		struct role_line *l = &o->roles[o->nroles];

		l->name = rd_str(payload);
		l->pid = rd_u32(payload);
		l->restarts = rd_u32(payload);
		l->started_wall_ms = rd_i64(payload);
		if (payload->bad || l->name == NULL) {
			free(l->name);
			break;
		}
		if (o->began_wall_ms == 0 || l->started_wall_ms < o->began_wall_ms)
			o->began_wall_ms = l->started_wall_ms;
		o->nroles++;
	}
	client_inspect(c, &q, status_row, status_end);
}

static void
overview_gather(struct client *c, void (*render)(struct client *, struct overview *))
{
	struct overview *o = xcalloc(1, sizeof *o);

	c->job = o;
	c->job_free = overview_free;
	o->render = render;
	ctl_ask_parent(c->ctl, PF_ROLES, NULL, c, roles_answer);
}

/* ---- status ---- */

static const struct table_column role_columns[] = {
	{ "Role", false, 0 }, { "Pid", true, 0 }, { "Restarts", true, 0 }, { "Up", true, 0 },
};

static int64_t
up_ms(const struct overview *o, int64_t now)
{
	const int64_t since = o->began_wall_ms != 0 ? o->began_wall_ms :
	    o->queue_known ? o->queue.started_wall_ms : now;

	return now > since ? now - since : 0;
}

static double
per_second(enum counter which, int64_t up)
{
	return up < 1000 ? 0 : (double)counter_sum(which) * 1000.0 / (double)up;
}

static void
totals_text(struct buf *b, int64_t up)
{
	char size[16];

	buf_printf(b, "Received  %lld messages, %lld recipients, %s, %.2f/s since start; "
	    "%lld sessions open, %lld refused\n",
	    (long long)counter_sum(C_rx_messages_total),
	    (long long)counter_sum(C_rx_recipients_total),
	    render_bytes((uint64_t)counter_sum(C_rx_bytes_total), size),
	    per_second(C_rx_messages_total, up),
	    (long long)counter_sum(C_rx_sessions_open),
	    (long long)counter_sum(C_rx_refused_total));
	buf_printf(b, "Delivered %lld recipients, %.2f/s since start; %lld deferrals, %lld "
	    "failed; %lld sessions open\n",
	    (long long)counter_sum(C_tx_delivered_total),
	    per_second(C_tx_delivered_total, up),
	    (long long)counter_sum(C_tx_deferred_total),
	    (long long)counter_sum(C_tx_failed_total),
	    (long long)counter_sum(C_tx_sessions_open));
	buf_printf(b, "DNS       %lld questions, %lld from cache, %lld escalations, %lld packets "
	    "ignored\n",
	    (long long)counter_sum(C_dns_questions_total),
	    (long long)counter_sum(C_dns_cache_hits_total),
	    (long long)counter_sum(C_dns_escalations_total),
	    (long long)counter_sum(C_dns_ignored_packets_total));
}

static void
queue_text(struct buf *b, const struct inspect_status *q, int64_t now)
{
	char size[16], used[16], left[16];

	buf_printf(b, "Queue     %llu messages, %llu recipients, %s: %llu active, %llu ready, "
	    "%llu retry, %llu suspended\n", (unsigned long long)q->messages,
	    (unsigned long long)q->recipients, render_bytes(q->bytes, size),
	    (unsigned long long)q->active, (unsigned long long)q->ready,
	    (unsigned long long)q->retry, (unsigned long long)q->suspended);
	buf_text(b, "Oldest    ");
	render_when(b, q->oldest_wall_ms, now);
	buf_printf(b, "\nSpool     %llu segments, %s, %s free%s%s\n",
	    (unsigned long long)q->segments, render_bytes(q->spool_bytes, used),
	    render_bytes(q->free_bytes, left), q->room ? "" : "; NO ROOM, new mail gets 452: ",
	    q->room ? "" : q->room_why);
	if (q->owed > 0)
		buf_printf(b, "Notices   %llu failed recipients wait for theirs\n",
		    (unsigned long long)q->owed);
	if (q->held_rules > 0)
		buf_printf(b, "Holds     %u domains or connectors are held\n", q->held_rules);
}

static void
alarms_text(struct client *c, const struct overview *o, int64_t now)
{
	struct buf *b = client_out(c);
	char hop[512], span[CLOCK_SPAN_MAX];

	if (o->nalarms == 0) {
		buf_text(b, "Alarms    none\n");
		return;
	}
	for (size_t i = 0; i < o->nalarms && i < ALARMS_MAX; i++) {
		const struct inspect_dest *d = &o->alarms[i];

		buf_text(b, "Alarm     ");
		render_coloured(b, c->colour, COLOUR_RED,
		    show_next_hop(c->conf, d, hop, sizeof hop));
		buf_printf(b, " (%s): %llu wait, the oldest for %s, %s\n", d->connector,
		    (unsigned long long)d->count, clock_span(now - d->oldest_wall_ms, span),
		    reason_name(d->status.reason));
	}
	if (o->nalarms > ALARMS_MAX)
		buf_printf(b, "          and %zu more: relayctl queue\n", o->nalarms - ALARMS_MAX);
}

static void
roles_text(struct client *c, const struct overview *o, int64_t now)
{
	struct table t;
	char span[CLOCK_SPAN_MAX];

	table_begin(&t, role_columns, COUNT_OF(role_columns), c->columns, c->colour,
	    client_out(c));
	for (size_t i = 0; i < o->nroles; i++) {
		const struct role_line *l = &o->roles[i];

		table_cell(&t, l->name);
		table_cellf(&t, "%u", l->pid);
		table_cellf(&t, "%u", l->restarts);
		table_cell(&t, l->started_wall_ms == 0 ? NULL :
		    clock_span(now - l->started_wall_ms, span));
		table_row(&t);
	}
	table_end(&t);
}

static void
status_text(struct client *c, struct overview *o, int64_t now)
{
	struct buf *b = client_out(c);
	char span[CLOCK_SPAN_MAX];

	buf_text(b, "relayd on ");
	render_text(b, c->conf->hostname == NULL ? "?" : c->conf->hostname);
	buf_printf(b, ", up %s, configuration %llu\n", clock_span(up_ms(o, now), span),
	    (unsigned long long)c->conf->generation);
	if (o->queue_known) {
		queue_text(b, &o->queue, now);
		totals_text(b, up_ms(o, now));
		alarms_text(c, o, now);
	} else {
		totals_text(b, up_ms(o, now));
	}
	roles_text(c, o, now);
}

static void
queue_json(struct json *j, const struct inspect_status *q)
{
	json_object(j, "queue");
	json_uint(j, "messages", q->messages);
	json_uint(j, "recipients", q->recipients);
	json_uint(j, "bytes", q->bytes);
	json_uint(j, "active", q->active);
	json_uint(j, "ready", q->ready);
	json_uint(j, "retry", q->retry);
	json_uint(j, "suspended", q->suspended);
	json_uint(j, "owed", q->owed);
	json_time(j, "oldest", q->oldest_wall_ms);
	json_uint(j, "segments", q->segments);
	json_uint(j, "spool_bytes", q->spool_bytes);
	json_uint(j, "free_bytes", q->free_bytes);
	json_bool(j, "room", q->room);
	json_str(j, "room_why", q->room ? NULL : q->room_why);
	json_uint(j, "held_rules", q->held_rules);
	json_close(j);
}

static void
status_json(struct client *c, struct overview *o, int64_t now)
{
	struct json j;

	json_begin(&j, client_out(c));
	json_str(&j, "hostname", c->conf->hostname);
	json_uint(&j, "generation", c->conf->generation);
	json_time(&j, "started", o->began_wall_ms);
	json_int(&j, "uptime_s", up_ms(o, now) / 1000);
	if (o->queue_known)
		queue_json(&j, &o->queue);
	else
		json_null(&j, "queue");
	json_object(&j, "counters");
	for (unsigned i = 0; i < COUNTER_COUNT; i++)
		json_int(&j, counter_name((enum counter)i), counter_sum((enum counter)i));
	json_close(&j);
	json_uint(&j, "alarms_count", o->nalarms);
	json_array(&j, "alarms");
	for (size_t i = 0; i < o->nalarms && i < ALARMS_MAX; i++) {
		json_object(&j, NULL);
		json_dest(&j, c->conf, &o->alarms[i], now);
		json_close(&j);
	}
	json_close(&j);
	json_array(&j, "roles");
	for (size_t i = 0; i < o->nroles; i++) {
		json_object(&j, NULL);
		json_str(&j, "name", o->roles[i].name);
		json_uint(&j, "pid", o->roles[i].pid);
		json_uint(&j, "restarts", o->roles[i].restarts);
		json_time(&j, "started", o->roles[i].started_wall_ms);
		json_close(&j);
	}
	json_end(&j);
}

static void
status_render(struct client *c, struct overview *o)
{
	const int64_t now = clock_wall_ms();

	if (c->json)
		status_json(c, o, now);
	else
		status_text(c, o, now);
	if (!o->queue_known)
		client_error(c, "%s", *o->queue_why == '\0' ? "the queue role did not answer" :
		    o->queue_why);
	client_end(c, o->queue_known ? EXIT_DONE : EXIT_FAILED);
}

void
cmd_status(struct client *c)
{
	overview_gather(c, status_render);
}

/* ---- health ---- */

static void
health_line(const struct client *c, const struct overview *o, int *code, struct buf *b)
{
	char span[CLOCK_SPAN_MAX], hop[512];

	*code = EXIT_CRITICAL;
	if (!o->queue_known) {
		buf_printf(b, "%s", o->queue_why);
	} else if (!o->queue.room) {
		buf_printf(b, "no room, new mail gets 452: %s", o->queue.room_why);
	} else if (o->nalarms > 0) {
		const struct inspect_dest *d = &o->alarms[0];

		*code = EXIT_WARNING;
		buf_printf(b, "%zu destination%s late; %s: %llu wait, the oldest for %s, %s",
		    o->nalarms, o->nalarms == 1 ? "" : "s",
		    show_next_hop(c->conf, d, hop, sizeof hop), (unsigned long long)d->count,
		    clock_span(clock_wall_ms() - d->oldest_wall_ms, span),
		    reason_name(d->status.reason));
	} else {
		*code = EXIT_DONE;
		buf_printf(b, "%llu recipients queued, nothing late",
		    (unsigned long long)o->queue.recipients);
	}
}

static void
health_render(struct client *c, struct overview *o)
{
	static const char *const words[] = { "OK", "WARNING", "CRITICAL" };
	struct buf line = { 0 };
	struct json j;
	int code;

	health_line(c, o, &code, &line);
	if (c->json) {
		json_begin(&j, client_out(c));
		json_str(&j, "health", words[code]);
		json_int(&j, "code", code);
		json_uint(&j, "alarms_count", o->nalarms);
		json_str(&j, "text", buf_cstr(&line));
		json_end(&j);
	} else {
		buf_printf(client_out(c), "RELAYD %s - ", words[code]);
		render_text(client_out(c), buf_cstr(&line));
		buf_printf(client_out(c), "|queued=%llu late=%zu\n", o->queue_known ?
		    (unsigned long long)o->queue.recipients : 0ULL, o->nalarms);
	}
	buf_free(&line);
	client_end(c, code);
}

void
cmd_health(struct client *c)
{
	overview_gather(c, health_render);
}
