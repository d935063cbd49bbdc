/*
 * show.c - the forms of show.h.  Never asks or decides anything; foreign text
 * passes render_text() or the JSON writer.
 * Read next: look.c, lookup.c, explain.c (who shows), queue/trace.h.
 */
#include "mta/ctl/show.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "conf/conf.h"
#include "mta/base/clock.h"
#include "mta/ctl/render.h"

static const char *const via_names[] = { [VIA_UDP] = "udp", [VIA_TCP] = "tcp",
    [VIA_HOSTS] = "hosts", [VIA_NONE] = "none" };
static const char *const order_names[] = { [ORDER_BOTH] = "both", [ORDER_A_FIRST] = "a-first",
    [ORDER_AAAA_FIRST] = "aaaa-first" };
static const char *const on_failure_names[] = { [ON_FAILURE_TOLERATE] = "tolerate",
    [ON_FAILURE_STRICT] = "strict" };
static const char *const prefer_names[] = { [PREFER_IPV6] = "ipv6", [PREFER_IPV4] = "ipv4" };
static const char *const nxdomain_names[] = { [NXDOMAIN_FAIL] = "fail",
    [NXDOMAIN_ESCALATE] = "escalate", [NXDOMAIN_DEFER] = "defer" };

#define NAME_OF(names, v) ((size_t)(v) < COUNT_OF(names) ? (names)[v] : "?")

static const char *
source_name(const struct trace_question *q, bool kept)
{
	if (q->outcome == OUT_NOT_ASKED)
		return "not asked";
	if (kept || q->source == SRC_KEPT)
		return "kept";
	return q->source == SRC_CACHED ? "cached" : "asked now";
}

static const char *
answer_text(const struct trace_answer *a, char *buf, size_t size)
{
	char ip[INET6_ADDRSTRLEN];

	if (a->family != 0) {
		if (inet_ntop(a->family, a->ip, ip, sizeof ip) == NULL)
			ip[0] = '\0';
		snprintf(buf, size, "%s", ip);
	} else {
		snprintf(buf, size, "%u %s", a->pref, *a->name == '\0' ? "." : a->name);
	}
	return buf;
}

static void
show_question(struct buf *b, const struct trace_question *q, bool kept)
{
	char outcome[24], qtype[16], text[300];
	const char *sep = ": ";

	buf_printf(b, "%-9s  ", source_name(q, kept));
	render_text(b, q->set);
	if (q->outcome != OUT_NOT_ASKED) {
		buf_u8(b, ' ');
		render_text(b, q->server);
		buf_printf(b, " %s", NAME_OF(via_names, q->via));
	}
	buf_printf(b, " %s ", trace_qtype_name(q->qtype, qtype));
	render_text(b, q->name);
	if (q->outcome != OUT_NOT_ASKED)
		buf_printf(b, " %s %u ms", trace_outcome_name(q->outcome, outcome), q->ms);
	if (q->ttl_s > 0)
		buf_printf(b, " ttl %u", q->ttl_s);
	for (uint16_t i = 0; i < q->kept; i++) {
		buf_text(b, sep);
		render_text(b, answer_text(&q->answers[i], text, sizeof text));
		sep = ", ";
	}
	if (q->nanswers > q->kept)
		buf_printf(b, " and %d more", q->nanswers - q->kept);
}

void
show_entry(struct buf *b, const struct trace_entry *e, bool kept, const char *indent)
{
	char line[1024];

	buf_text(b, indent);
	if (e->kind == TRACE_QUESTION) {
		show_question(b, &e->u.question, kept);
	} else {
		static const char *const words[] = { [TRACE_ESCALATE] = "escalate",
		    [TRACE_CONNECT] = "", [TRACE_REPLY] = "reply",
		    [TRACE_NOTE] = "note", [TRACE_LEFT_OUT] = "" };

		trace_line(e, line, sizeof line);
		buf_printf(b, "%-9s  ", NAME_OF(words, e->kind));
		render_text(b, line);
	}
	buf_u8(b, '\n');
}

void
show_trace(struct buf *b, const uint8_t *trace, size_t len, bool kept, const char *indent)
{
	struct rd r = rd_of(trace, len);
	struct trace_entry e;

	while (len > 0 && trace_next(&r, &e))
		show_entry(b, &e, kept, indent);
}

static void
json_question(struct json *j, const struct trace_question *q, bool kept)
{
	char outcome[24], qtype[16], text[300];

	json_str(j, "kind", "question");
	json_str(j, "source", source_name(q, kept));
	json_str(j, "set", q->set);
	json_str(j, "server", q->server);
	json_str(j, "via", NAME_OF(via_names, q->via));
	json_str(j, "name", q->name);
	json_str(j, "type", trace_qtype_name(q->qtype, qtype));
	json_str(j, "outcome", trace_outcome_name(q->outcome, outcome));
	json_uint(j, "ms", q->ms);
	json_uint(j, "ttl_s", q->ttl_s);
	json_uint(j, "answers_count", q->nanswers);
	json_array(j, "answers");
	for (uint16_t i = 0; i < q->kept; i++)
		json_str(j, NULL, answer_text(&q->answers[i], text, sizeof text));
	json_close(j);
}

static void
json_entry(struct json *j, const struct trace_entry *e, bool kept)
{
	switch (e->kind) {
	case TRACE_QUESTION:
		json_question(j, &e->u.question, kept);
		break;
	case TRACE_ESCALATE:
		json_str(j, "kind", "escalate");
		json_str(j, "from", e->u.escalate.from);
		json_str(j, "to", e->u.escalate.to);
		json_str(j, "why", e->u.escalate.why);
		break;
	case TRACE_CONNECT:
		json_str(j, "kind", "connect");
		json_str(j, "host", e->u.connect.host);
		json_str(j, "peer", e->u.connect.peer);
		json_uint(j, "ms", e->u.connect.ms);
		json_str(j, "result", e->u.connect.err == 0 ? "connected" :
		    strerror(e->u.connect.err));
		break;
	case TRACE_REPLY:
		json_str(j, "kind", "reply");
		json_str(j, "stage", stage_name(e->u.reply.stage));
		json_str(j, "peer", e->u.reply.peer);
		json_str(j, "text", e->u.reply.text);
		break;
	case TRACE_NOTE:
		json_str(j, "kind", "note");
		json_str(j, "text", e->u.note);
		break;
	case TRACE_LEFT_OUT:
		json_str(j, "kind", "left_out");
		json_uint(j, "count", e->u.left_out);
		break;
	}
}

void
json_trace(struct json *j, const char *key, const uint8_t *trace, size_t len, bool kept)
{
	struct rd r = rd_of(trace, len);
	struct trace_entry e;

	json_array(j, key);
	while (len > 0 && trace_next(&r, &e)) {
		json_object(j, NULL);
		json_entry(j, &e, kept);
		json_time(j, "at", e.wall_ms);
		json_close(j);
	}
	json_close(j);
}

const char *
show_status(const struct status *st, char *buf, size_t size)
{
	char code[STATUS_CODE_MAX];

	if (st->class_ == 0)
		snprintf(buf, size, "%s", "");
	else if (st->reply != 0)
		snprintf(buf, size, "%u %s %s", st->reply, status_code(st, code), st->text);
	else
		snprintf(buf, size, "%s %s", status_code(st, code), st->text);
	return buf;
}

void
json_status(struct json *j, const char *key, const struct status *st)
{
	char code[STATUS_CODE_MAX], text[STATUS_TEXT_MAX + 32];

	if (st->class_ == 0) {
		json_null(j, "reason");
		json_null(j, "code");
		json_null(j, key);
		return;
	}
	json_str(j, "reason", reason_name(st->reason));
	json_str(j, "code", status_code(st, code));
	json_uint(j, "reply", st->reply);
	json_str(j, "stage", stage_name(st->stage));
	json_bool(j, "remote", st->remote);
	json_str(j, "peer", *st->peer == '\0' ? NULL : st->peer);
	json_str(j, key, show_status(st, text, sizeof text));
}

const char *
show_next_hop(const struct conf *conf, const struct inspect_dest *d, char *buf, size_t size)
{
	const struct conf_connector *k;
	size_t at = 0;

	snprintf(buf, size, "%s", d->domain);
	k = strcmp(d->domain, "*") == 0 ? conf_connector(conf, d->connector) : NULL;
	for (size_t i = 0; k != NULL && i < k->nsmarthosts && at < size; i++)
		at += (size_t)snprintf(buf + at, size - at, "%s%s", i > 0 ? "," : "",
		    k->smarthosts[i].text);
	return buf;
}

void
json_dest(struct json *j, const struct conf *conf, const struct inspect_dest *d, int64_t now_wall_ms)
{
	char hop[512], state[16];

	snprintf(state, sizeof state, "%s", inspect_state_name(d->state));
	json_str(j, "next_hop", show_next_hop(conf, d, hop, sizeof hop));
	json_str(j, "connector", d->connector);
	json_str(j, "domain", d->domain);
	json_str(j, "status", state);
	json_uint(j, "count", d->count);
	json_uint(j, "messages", d->messages);
	json_uint(j, "leased", d->leased);
	json_time(j, "oldest", d->oldest_wall_ms);
	json_int(j, "age_s", d->oldest_wall_ms == 0 ? 0 :
	    (now_wall_ms - d->oldest_wall_ms) / 1000);
	json_time(j, "next_retry", d->next_wall_ms);
	json_time(j, "since", d->since_wall_ms);
	json_time(j, "expires", d->expires_wall_ms);
	json_uint(j, "failures", d->failures);
	json_bool(j, "deferred", d->deferred);
	json_status(j, "last_error", &d->status);
}

const char *
show_order(const struct conf_connector *k)
{
	return NAME_OF(order_names, k->resolve.order);
}

const char *
show_on_failure(const struct conf_connector *k)
{
	return NAME_OF(on_failure_names, k->resolve.on_failure);
}

void
show_policy(struct buf *b, const struct conf_connector *k)
{
	const struct conf_resolve *p = &k->resolve;
	char span[CLOCK_SPAN_MAX];

	buf_text(b, "resolvers=");
	for (size_t i = 0; i < p->nresolvers; i++)
		buf_printf(b, "%s%s", i > 0 ? "," : "", p->resolvers[i]);
	buf_printf(b, " ipv6=%s order=%s on_failure=%s prefer=%s nxdomain=%s", p->ipv6 ? "true" :
	    "false", show_order(k), show_on_failure(k), NAME_OF(prefer_names, p->prefer),
	    NAME_OF(nxdomain_names, p->nxdomain));
	buf_printf(b, " grace=%s", clock_span(p->grace_ms, span));
}

void
json_policy(struct json *j, const char *key, const struct conf_connector *k)
{
	const struct conf_resolve *p = &k->resolve;

	json_object(j, key);
	json_array(j, "resolvers");
	for (size_t i = 0; i < p->nresolvers; i++)
		json_str(j, NULL, p->resolvers[i]);
	json_close(j);
	json_bool(j, "ipv6", p->ipv6);
	json_str(j, "order", show_order(k));
	json_str(j, "on_failure", show_on_failure(k));
	json_str(j, "prefer", NAME_OF(prefer_names, p->prefer));
	json_str(j, "nxdomain", NAME_OF(nxdomain_names, p->nxdomain));
	json_int(j, "grace_ms", p->grace_ms);
	json_close(j);
}

const char *
show_verdict(uint8_t verdict)
{
	return verdict == 2 ? "deliver" : verdict == 5 ? "fail" : "defer";
}

void
json_answer(struct json *j, const struct ask_answer *a)
{
	json_str(j, "verdict", show_verdict(a->verdict));
	json_uint(j, "ms", a->ms);
	json_status(j, "text", &a->status);
	json_array(j, "targets");
	for (uint32_t i = 0; i < a->ntargets; i++) {
		json_object(j, NULL);
		json_uint(j, "pref", a->targets[i].pref);
		json_str(j, "host", a->targets[i].host);
		json_str(j, "peer", a->targets[i].peer);
		json_close(j);
	}
	json_close(j);
	json_trace(j, "trace", a->trace, a->trace_len, false);
}
