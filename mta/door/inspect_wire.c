/*
 * inspect_wire.c - the wire forms of inspect.h: requests and rows, encode, decode
 * and free side by side.  No decisions.  Read next: inspect.c.
 */
#include "mta/door/inspect.h"

#include <stdlib.h>
#include <string.h>

#include "mta/door/frames.h"

#define ROWS_MAX 100000		/* recipients of one message: more is nonsense */

const char *
inspect_state_name(enum inspect_state s)
{
	static const char *const names[] = { "Active", "Ready", "Retry", "Suspended" };

	return (size_t)s < COUNT_OF(names) ? names[s] : "?";
}

void
inspect_filter_free(struct inspect_filter *f)
{
	free(f->id);
	free(f->sender);
	free(f->recipient);
	free(f->domain);
	free(f->connector);
	free(f->reason);
	free(f->status);
	*f = (struct inspect_filter){ 0 };
}

void
inspect_filter_encode(const struct inspect_filter *f, struct buf *b)
{
	buf_u8(b, f->all);
	buf_str(b, f->id);
	buf_str(b, f->sender);
	buf_str(b, f->recipient);
	buf_str(b, f->domain);
	buf_str(b, f->connector);
	buf_str(b, f->reason);
	buf_str(b, f->status);
	buf_i64(b, f->older_ms);
}

bool
inspect_filter_decode(struct inspect_filter *f, struct rd *r)
{
	f->all = rd_u8(r);
	f->id = rd_str(r);
	f->sender = rd_str(r);
	f->recipient = rd_str(r);
	f->domain = rd_str(r);
	f->connector = rd_str(r);
	f->reason = rd_str(r);
	f->status = rd_str(r);
	f->older_ms = rd_i64(r);
	if (r->bad)
		inspect_filter_free(f);
	return !r->bad;
}

void
inspect_request_free(struct inspect_request *q)
{
	inspect_filter_free(&q->filter);
	free(q->with);
	q->with = NULL;
}

void
inspect_request_encode(const struct inspect_request *q, struct buf *b)
{
	buf_u8(b, q->verb);
	buf_u32(b, q->flags);
	inspect_filter_encode(&q->filter, b);
	buf_str(b, q->with);
}

bool
inspect_request_decode(struct inspect_request *q, struct rd *r)
{
	q->verb = rd_u8(r);
	q->flags = rd_u32(r);
	if (!inspect_filter_decode(&q->filter, r))
		return false;
	q->with = rd_str(r);
	if (r->bad)
		inspect_request_free(q);
	return !r->bad;
}

void
inspect_status_encode(const struct inspect_status *s, struct buf *b)
{
	buf_i64(b, s->started_wall_ms);
	buf_u64(b, s->messages);
	buf_u64(b, s->recipients);
	buf_u64(b, s->bytes);
	buf_u64(b, s->active);
	buf_u64(b, s->ready);
	buf_u64(b, s->retry);
	buf_u64(b, s->suspended);
	buf_i64(b, s->oldest_wall_ms);
	buf_u64(b, s->owed);
	buf_u64(b, s->segments);
	buf_u64(b, s->spool_bytes);
	buf_u64(b, s->free_bytes);
	buf_u8(b, s->room);
	buf_str(b, s->room_why);
	buf_u32(b, s->held_rules);
}

bool
inspect_status_decode(struct inspect_status *s, struct rd *r)
{
	s->started_wall_ms = rd_i64(r);
	s->messages = rd_u64(r);
	s->recipients = rd_u64(r);
	s->bytes = rd_u64(r);
	s->active = rd_u64(r);
	s->ready = rd_u64(r);
	s->retry = rd_u64(r);
	s->suspended = rd_u64(r);
	s->oldest_wall_ms = rd_i64(r);
	s->owed = rd_u64(r);
	s->segments = rd_u64(r);
	s->spool_bytes = rd_u64(r);
	s->free_bytes = rd_u64(r);
	s->room = rd_u8(r);
	rd_copy_str(r, s->room_why, sizeof s->room_why);
	s->held_rules = rd_u32(r);
	return !r->bad;
}

void
inspect_dest_free(struct inspect_dest *d)
{
	for (uint32_t i = 0; i < d->ntraces && i < INSPECT_TRACES; i++)
		free(d->traces[i].trace);
	d->ntraces = 0;
}

void
inspect_dest_encode(const struct inspect_dest *d, struct buf *b)
{
	buf_str(b, d->connector);
	buf_str(b, d->domain);
	buf_u8(b, d->state);
	buf_u64(b, d->count);
	buf_u64(b, d->messages);
	buf_u64(b, d->leased);
	buf_i64(b, d->oldest_wall_ms);
	buf_i64(b, d->since_wall_ms);
	buf_i64(b, d->next_wall_ms);
	buf_i64(b, d->expires_wall_ms);
	buf_u32(b, d->failures);
	buf_u8(b, d->deferred);
	status_encode(&d->status, b);
	buf_u32(b, d->ntraces);
	for (uint32_t i = 0; i < d->ntraces; i++) {
		buf_i64(b, d->traces[i].wall_ms);
		status_encode(&d->traces[i].status, b);
		buf_bytes(b, d->traces[i].trace, d->traces[i].trace_len);
	}
}

bool
inspect_dest_decode(struct inspect_dest *d, struct rd *r)
{
	const uint8_t *p;
	uint32_t n;
	size_t len;

	memset(d, 0, sizeof *d);
	rd_copy_str(r, d->connector, sizeof d->connector);
	rd_copy_str(r, d->domain, sizeof d->domain);
	d->state = rd_u8(r);
	d->count = rd_u64(r);
	d->messages = rd_u64(r);
	d->leased = rd_u64(r);
	d->oldest_wall_ms = rd_i64(r);
	d->since_wall_ms = rd_i64(r);
	d->next_wall_ms = rd_i64(r);
	d->expires_wall_ms = rd_i64(r);
	d->failures = rd_u32(r);
	d->deferred = rd_u8(r);
	if (!status_decode(&d->status, r))
		return false;
	n = rd_u32(r);
	for (uint32_t i = 0; i < n && i < INSPECT_TRACES && !r->bad; i++) {
		struct inspect_trace *t = &d->traces[i];

		t->wall_ms = rd_i64(r);
		status_decode(&t->status, r);
		p = rd_bytes(r, &len);
		t->trace = xmalloc(len + 1);
		if (p != NULL)
			memcpy(t->trace, p, len);
		t->trace_len = p != NULL ? (uint32_t)len : 0;
		d->ntraces = i + 1;
	}
	if (r->bad)
		inspect_dest_free(d);
	return !r->bad;
}

void
inspect_item_free(struct inspect_item *i)
{
	free(i->sender);
	free(i->connector);
	free(i->domain);
	*i = (struct inspect_item){ 0 };
}

void
inspect_item_encode(const struct inspect_item *i, struct buf *b)
{
	door_put_id(b, &i->id);
	buf_str(b, i->sender);
	buf_str(b, i->connector);
	buf_str(b, i->domain);
	buf_u8(b, i->state);
	buf_u64(b, i->size);
	buf_u32(b, i->recipients);
	buf_i64(b, i->arrival_wall_ms);
	buf_i64(b, i->next_wall_ms);
	buf_u32(b, i->attempts);
	buf_u8(b, i->reason);
	buf_u8(b, i->maybe_sent);
}

bool
inspect_item_decode(struct inspect_item *i, struct rd *r)
{
	memset(i, 0, sizeof *i);
	door_get_id(r, &i->id);
	i->sender = rd_str(r);
	i->connector = rd_str(r);
	i->domain = rd_str(r);
	i->state = rd_u8(r);
	i->size = rd_u64(r);
	i->recipients = rd_u32(r);
	i->arrival_wall_ms = rd_i64(r);
	i->next_wall_ms = rd_i64(r);
	i->attempts = rd_u32(r);
	i->reason = rd_u8(r);
	i->maybe_sent = rd_u8(r);
	if (r->bad)
		inspect_item_free(i);
	return !r->bad;
}

void
inspect_message_free(struct inspect_message *m)
{
	for (uint32_t i = 0; i < m->nrcpts; i++) {
		free(m->rcpts[i].address);
		free(m->rcpts[i].connector);
		free(m->rcpts[i].domain);
	}
	free(m->rcpts);
	envelope_free(&m->envelope);
	*m = (struct inspect_message){ 0 };
}

static void
rcpt_encode(const struct inspect_rcpt *c, struct buf *b)
{
	buf_str(b, c->address);
	buf_str(b, c->connector);
	buf_str(b, c->domain);
	buf_u8(b, c->state);
	buf_str(b, c->word);
	buf_i64(b, c->next_wall_ms);
	buf_u32(b, c->attempts);
	buf_u32(b, c->nhistory);
	for (uint32_t i = 0; i < c->nhistory; i++) {
		buf_i64(b, c->history[i].wall_ms);
		buf_u8(b, c->history[i].outcome);
		status_encode(&c->history[i].status, b);
	}
}

static void
rcpt_decode(struct inspect_rcpt *c, struct rd *r)
{
	uint32_t n;

	c->address = rd_str(r);
	c->connector = rd_str(r);
	c->domain = rd_str(r);
	c->state = rd_u8(r);
	rd_copy_str(r, c->word, sizeof c->word);
	c->next_wall_ms = rd_i64(r);
	c->attempts = rd_u32(r);
	n = rd_u32(r);
	for (uint32_t i = 0; i < n && i < INSPECT_TRACES && !r->bad; i++) {
		c->history[i].wall_ms = rd_i64(r);
		c->history[i].outcome = rd_u8(r);
		status_decode(&c->history[i].status, r);
		c->nhistory = i + 1;
	}
}

void
inspect_message_encode(const struct inspect_message *m, struct buf *b)
{
	door_put_id(b, &m->id);
	envelope_encode(&m->envelope, b);
	buf_u64(b, m->size);
	buf_u8(b, m->body_file);
	buf_i64(b, m->expires_wall_ms);
	buf_u32(b, m->nrcpts);
	for (uint32_t i = 0; i < m->nrcpts; i++)
		rcpt_encode(&m->rcpts[i], b);
}

bool
inspect_message_decode(struct inspect_message *m, struct rd *r)
{
	uint32_t n;

	memset(m, 0, sizeof *m);
	door_get_id(r, &m->id);
	if (!envelope_decode(&m->envelope, r))
		return false;
	m->size = rd_u64(r);
	m->body_file = rd_u8(r);
	m->expires_wall_ms = rd_i64(r);
	n = rd_u32(r);
	if (n > ROWS_MAX)
		r->bad = true;
	m->rcpts = xcalloc(r->bad ? 1 : n + 1, sizeof *m->rcpts);
	for (uint32_t i = 0; i < n && !r->bad; i++) {
		rcpt_decode(&m->rcpts[i], r);
		m->nrcpts = i + 1;
	}
	if (r->bad)
		inspect_message_free(m);
	return !r->bad;
}
