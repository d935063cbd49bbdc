/*
 * trace.c - appends the entries of an attempt to their kept form, reads them
 * back, and writes each as a line for people.
 * Never grows past TRACE_MAX: what does not fit is counted in one last entry.
 * An entry is u8 kind, i64 wall ms, u32 length, payload; unknown kinds of a
 * later version are skipped by their length.  Read next: mta/dns/nexthop.c.
 */
#include "queue/trace.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "mta/base/clock.h"
#include "mta/base/str.h"

#define HEAD_LEN 13u			/* kind, wall ms, length */
#define LEFT_OUT_LEN (HEAD_LEN + 4u)
/* No entry is longer: 24 answers of 256 and the rest (checked by a test). */
#define ENTRY_MAX (8u << 10)

static void
put_answer(struct buf *b, const struct trace_answer *a)
{
	buf_u8(b, a->family == AF_INET ? 4 : a->family == AF_INET6 ? 6 : 0);
	if (a->family == AF_INET) {
		buf_add(b, a->ip, 4);
	} else if (a->family == AF_INET6) {
		buf_add(b, a->ip, 16);
	} else {
		buf_u16(b, a->pref);
		buf_str(b, a->name);
	}
}

static void
get_answer(struct rd *r, struct trace_answer *a)
{
	const uint8_t *ip;
	unsigned kind = rd_u8(r);

	if (kind == 0) {
		a->pref = rd_u16(r);
		rd_copy_str(r, a->name, sizeof a->name);
		return;
	}
	if (kind != 4 && kind != 6) {
		r->bad = true;
		return;
	}
	a->family = kind == 4 ? AF_INET : AF_INET6;
	ip = rd_raw(r, kind == 4 ? 4 : 16);
	if (ip != NULL)
		memcpy(a->ip, ip, kind == 4 ? 4 : 16);
}

static void
put_question(struct buf *b, const struct trace_question *q)
{
	unsigned kept =
	    q->kept < TRACE_ANSWERS_MAX ? q->kept : TRACE_ANSWERS_MAX;

	buf_str(b, q->set);
	buf_str(b, q->server);
	buf_u8(b, (uint8_t)q->via);
	buf_u8(b, (uint8_t)q->source);
	buf_str(b, q->name);
	buf_u16(b, q->qtype);
	buf_u16(b, q->outcome);
	buf_u32(b, q->ms);
	buf_u32(b, q->ttl_s);
	buf_u16(b, q->nanswers);
	buf_u8(b, (uint8_t)kept);
	for (unsigned i = 0; i < kept; i++)
		put_answer(b, &q->answers[i]);
}

static void
get_question(struct rd *r, struct trace_question *q)
{
	unsigned via, source;

	rd_copy_str(r, q->set, sizeof q->set);
	rd_copy_str(r, q->server, sizeof q->server);
	via = rd_u8(r);
	source = rd_u8(r);
	rd_copy_str(r, q->name, sizeof q->name);
	q->qtype = rd_u16(r);
	q->outcome = rd_u16(r);
	q->ms = rd_u32(r);
	q->ttl_s = rd_u32(r);
	q->nanswers = rd_u16(r);
	q->kept = rd_u8(r);
	if (via > VIA_NONE || source > SRC_KEPT ||
	    q->kept > TRACE_ANSWERS_MAX) {
		r->bad = true;
		q->kept = 0;
		return;
	}
	q->via = (enum trace_transport)via;
	q->source = (enum trace_source)source;
	for (unsigned i = 0; i < q->kept; i++)
		get_answer(r, &q->answers[i]);
}

static void
put_payload(struct buf *b, const struct trace_entry *e)
{
	switch (e->kind) {
	case TRACE_QUESTION:
		put_question(b, &e->u.question);
		break;
	case TRACE_ESCALATE:
		buf_str(b, e->u.escalate.from);
		buf_str(b, e->u.escalate.to);
		buf_str(b, e->u.escalate.why);
		break;
	case TRACE_CONNECT:
		buf_str(b, e->u.connect.host);
		buf_str(b, e->u.connect.peer);
		buf_u32(b, e->u.connect.ms);
		buf_u32(b, (uint32_t)e->u.connect.err);
		break;
	case TRACE_REPLY:
		buf_u8(b, (uint8_t)e->u.reply.stage);
		buf_str(b, e->u.reply.peer);
		buf_str(b, e->u.reply.text);
		break;
	case TRACE_NOTE:
		buf_str(b, e->u.note);
		break;
	case TRACE_LEFT_OUT:
		buf_u32(b, e->u.left_out);
		break;
	}
}

static void
get_payload(struct rd *r, struct trace_entry *e)
{
	unsigned stage;

	switch (e->kind) {
	case TRACE_QUESTION:
		get_question(r, &e->u.question);
		break;
	case TRACE_ESCALATE:
		rd_copy_str(r, e->u.escalate.from, sizeof e->u.escalate.from);
		rd_copy_str(r, e->u.escalate.to, sizeof e->u.escalate.to);
		rd_copy_str(r, e->u.escalate.why, sizeof e->u.escalate.why);
		break;
	case TRACE_CONNECT:
		rd_copy_str(r, e->u.connect.host, sizeof e->u.connect.host);
		rd_copy_str(r, e->u.connect.peer, sizeof e->u.connect.peer);
		e->u.connect.ms = rd_u32(r);
		e->u.connect.err = (int32_t)rd_u32(r);
		break;
	case TRACE_REPLY:
		stage = rd_u8(r);
		if (stage >= STAGE_COUNT)
			r->bad = true;
		else
			e->u.reply.stage = (enum stage)stage;
		rd_copy_str(r, e->u.reply.peer, sizeof e->u.reply.peer);
		rd_copy_str(r, e->u.reply.text, sizeof e->u.reply.text);
		break;
	case TRACE_NOTE:
		rd_copy_str(r, e->u.note, sizeof e->u.note);
		break;
	case TRACE_LEFT_OUT:
		e->u.left_out = rd_u32(r);
		break;
	}
}

/* Where the entry of the left-out begins, or trace->len when there is none. */
static size_t
left_out_at(const struct buf *trace)
{
	struct rd r = rd_of(trace->data, trace->len);

	if (trace->len + ENTRY_MAX + LEFT_OUT_LEN <= TRACE_MAX)
		return trace->len;	/* everything has fitted so far */
	while (rd_left(&r) != 0) {
		size_t at = trace->len - rd_left(&r);
		unsigned kind = rd_u8(&r);

		rd_i64(&r);
		rd_raw(&r, rd_u32(&r));
		if (r.bad)
			break;
		if (kind == TRACE_LEFT_OUT)
			return at;
	}
	return trace->len;
}

static void
append(struct buf *trace, const struct trace_entry *e)
{
	size_t len_at;

	buf_u8(trace, (uint8_t)e->kind);
	buf_i64(trace, e->wall_ms != 0 ? e->wall_ms : clock_wall_ms());
	len_at = trace->len;
	buf_u32(trace, 0);
	put_payload(trace, e);
	buf_set_u32(trace, len_at, (uint32_t)(trace->len - len_at - 4));
}

void
trace_add(struct buf *trace, const struct trace_entry *e)
{
	struct trace_entry more = { .kind = TRACE_LEFT_OUT, .u.left_out = 1 };
	size_t end = left_out_at(trace), before = trace->len;

	if (end != trace->len) {
		struct rd r = rd_of(trace->data + end, trace->len - end);
		struct trace_entry old;

		if (trace_next(&r, &old))
			more.u.left_out = old.u.left_out + 1;
		trace->len = end;
		append(trace, &more);
		return;
	}
	append(trace, e);
	if (trace->len + LEFT_OUT_LEN > TRACE_MAX) {
		trace->len = before;
		append(trace, &more);
	}
}

void
trace_note(struct buf *trace, const char *fmt, ...)
{
	struct trace_entry e = { .kind = TRACE_NOTE };
	char raw[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(raw, sizeof raw, fmt, ap);
	va_end(ap);
	str_safe(e.u.note, sizeof e.u.note, raw, strlen(raw));
	trace_add(trace, &e);
}

bool
trace_next(struct rd *r, struct trace_entry *e)
{
	while (!r->bad && rd_left(r) != 0) {
		unsigned kind = rd_u8(r);
		const uint8_t *p;
		size_t n;
		struct rd payload;

		memset(e, 0, sizeof *e);
		e->wall_ms = rd_i64(r);
		p = rd_bytes(r, &n);
		if (r->bad || p == NULL)
			break;
		if (kind < TRACE_QUESTION || kind > TRACE_LEFT_OUT)
			continue;
		e->kind = (enum trace_kind)kind;
		payload = rd_of(p, n);
		get_payload(&payload, e);
		if (!payload.bad)
			return true;
		r->bad = true;
	}
	return false;
}

const char *
trace_outcome_name(uint16_t outcome, char buf[24])
{
	static const struct { uint16_t outcome; const char *name; } names[] = {
		{ OUT_NOERROR,	  "NOERROR" },	  { OUT_FORMERR,   "FORMERR" },
		{ OUT_SERVFAIL,	  "SERVFAIL" },	  { OUT_NXDOMAIN,  "NXDOMAIN" },
		{ OUT_NOTIMP,	  "NOTIMP" },	  { OUT_REFUSED,   "REFUSED" },
		{ OUT_NODATA,	  "NODATA" },	  { OUT_TIMEOUT,   "timeout" },
		{ OUT_GARBLED,	  "garbled" },	  { OUT_REFERRAL,  "referral" },
		{ OUT_CNAME_LOOP, "CNAME loop" }, { OUT_TRUNCATED, "truncated" },
		{ OUT_NETWORK,	  "network error" },
		{ OUT_NOT_ASKED,  "not asked" },
	};

	for (size_t i = 0; i < COUNT_OF(names); i++) {
		if (names[i].outcome == outcome) {
			str_copy(buf, 24, names[i].name);
			return buf;
		}
	}
	snprintf(buf, 24, "rcode %u", outcome);
	return buf;
}

const char *
trace_qtype_name(uint16_t qtype, char buf[16])
{
	switch (qtype) {
	case 1:		return "A";
	case 2:		return "NS";
	case 5:		return "CNAME";
	case 6:		return "SOA";
	case 15:	return "MX";
	case 28:	return "AAAA";
	}
	snprintf(buf, 16, "TYPE%u", qtype);
	return buf;
}

static void
say_answers(struct buf *out, const struct trace_question *q)
{
	char ip[INET6_ADDRSTRLEN];

	for (unsigned i = 0; i < q->kept; i++) {
		const struct trace_answer *a = &q->answers[i];

		buf_text(out, i == 0 ? " -> " : ", ");
		if (a->family != 0)
			buf_text(out, inet_ntop(a->family, a->ip, ip,
			    sizeof ip));
		else if (q->qtype == 15)
			buf_printf(out, "%u %s", a->pref, a->name);
		else
			buf_text(out, a->name);
	}
	if (q->nanswers > q->kept)
		buf_printf(out, " and %u more", q->nanswers - q->kept);
}

static void
say_question(struct buf *out, const struct trace_question *q)
{
	static const char *const via[] = { "udp", "tcp", "file", "-" };
	char type[16], outcome[24];

	buf_text(out, q->set);
	if (strcmp(q->server, q->set) != 0)
		buf_printf(out, " %s", q->server[0] != '\0' ? q->server : "-");
	buf_printf(out, " %s %s %s %s", via[q->via],
	    trace_qtype_name(q->qtype, type), q->name,
	    trace_outcome_name(q->outcome, outcome));
	if (q->outcome == OUT_NOT_ASKED)
		return;
	if (q->source == SRC_CACHED)
		buf_text(out, " cached");
	else if (q->source == SRC_KEPT)
		buf_text(out, " kept");
	else
		buf_printf(out, " %u ms", q->ms);
	if (q->ttl_s != 0)
		buf_printf(out, " ttl %u", q->ttl_s);
	say_answers(out, q);
}

void
trace_line(const struct trace_entry *e, char *buf, size_t size)
{
	struct buf out = { 0 };

	switch (e->kind) {
	case TRACE_QUESTION:
		say_question(&out, &e->u.question);
		break;
	case TRACE_ESCALATE:
		buf_printf(&out, "set %s gave up (%s); set %s is asked",
		    e->u.escalate.from, e->u.escalate.why, e->u.escalate.to);
		break;
	case TRACE_CONNECT:
		buf_printf(&out, "connect %s %s %s %u ms", e->u.connect.host,
		    e->u.connect.peer, e->u.connect.err == 0 ? "connected" :
		    e->u.connect.err == ECANCELED ? "given up, another was first" :
		    strerror(e->u.connect.err), e->u.connect.ms);
		break;
	case TRACE_REPLY:
		buf_printf(&out, "%s %s: %s", stage_name(e->u.reply.stage),
		    e->u.reply.peer, e->u.reply.text);
		break;
	case TRACE_NOTE:
		buf_text(&out, e->u.note);
		break;
	case TRACE_LEFT_OUT:
		buf_printf(&out, "%u entries left out", e->u.left_out);
		break;
	}
	str_safe(buf, size, out.data != NULL ? (char *)out.data : "", out.len);
	buf_free(&out);
}
