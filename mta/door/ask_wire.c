/*
 * ask_wire.c - the wire forms of ask.h.  No decisions.  Read next: ask.c.
 */
#include <stdlib.h>
#include <string.h>

#include "mta/door/ask.h"

void
ask_request_free(struct ask_request *q)
{
	free(q->connector);
	free(q->domain);
	free(q->with);
	free(q->kept);
	*q = (struct ask_request){ 0 };
}

void
ask_request_encode(const struct ask_request *q, struct buf *b)
{
	buf_u8(b, q->verb);
	buf_u32(b, q->flags);
	buf_str(b, q->connector);
	buf_str(b, q->domain);
	buf_str(b, q->with);
	buf_bytes(b, q->kept, q->kept_len);
}

static uint8_t *
take_bytes(struct rd *r, uint32_t *len_r)
{
	size_t n;
	const uint8_t *p = rd_bytes(r, &n);
	uint8_t *copy;

	*len_r = 0;
	if (p == NULL || n == 0)
		return NULL;
	copy = xmalloc(n);
	memcpy(copy, p, n);
	*len_r = (uint32_t)n;
	return copy;
}

bool
ask_request_decode(struct ask_request *q, struct rd *r)
{
	memset(q, 0, sizeof *q);
	q->verb = rd_u8(r);
	q->flags = rd_u32(r);
	q->connector = rd_str(r);
	q->domain = rd_str(r);
	q->with = rd_str(r);
	q->kept = take_bytes(r, &q->kept_len);
	if (r->bad)
		ask_request_free(q);
	return !r->bad;
}

void
ask_answer_free(struct ask_answer *a)
{
	free(a->trace);
	a->trace = NULL;
	a->trace_len = 0;
}

void
ask_answer_encode(const struct ask_answer *a, struct buf *b)
{
	buf_u8(b, a->verdict);
	status_encode(&a->status, b);
	buf_u32(b, a->ms);
	buf_u32(b, a->ntargets);
	for (uint32_t i = 0; i < a->ntargets; i++) {
		buf_str(b, a->targets[i].host);
		buf_str(b, a->targets[i].peer);
		buf_u16(b, a->targets[i].pref);
	}
	buf_bytes(b, a->trace, a->trace_len);
}

bool
ask_answer_decode(struct ask_answer *a, struct rd *r)
{
	uint32_t n;

	memset(a, 0, sizeof *a);
	a->verdict = rd_u8(r);
	if (!status_decode(&a->status, r))
		return false;
	a->ms = rd_u32(r);
	n = rd_u32(r);
	if (n > ASK_TARGETS)
		r->bad = true;
	for (uint32_t i = 0; i < n && !r->bad; i++) {
		rd_copy_str(r, a->targets[i].host, sizeof a->targets[i].host);
		rd_copy_str(r, a->targets[i].peer, sizeof a->targets[i].peer);
		a->targets[i].pref = rd_u16(r);
		a->ntargets = i + 1;
	}
	a->trace = take_bytes(r, &a->trace_len);
	if (r->bad)
		ask_answer_free(a);
	return !r->bad;
}

unsigned
ask_owner(const char *connector, const char *domain, unsigned ntx)
{
	uint32_t h = 2166136261u;	/* FNV-1a: the same in every process */

	for (const char *s = connector; *s != '\0'; s++)
		h = (h ^ (uint8_t)*s) * 16777619u;
	h = (h ^ '/') * 16777619u;
	for (const char *s = domain; *s != '\0'; s++)
		h = (h ^ (uint8_t)*s) * 16777619u;
	h ^= h >> 15;
	return ntx > 0 ? h % ntx : 0;
}
