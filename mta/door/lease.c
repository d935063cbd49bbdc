/*
 * lease.c - the asking end of the door as tx sees it: leases come in, settles
 * go out.  While the queue role is away, settles wait here and are sent first
 * to the new one, which takes "delivered" from any life (queue/README.md).
 * Read next: server.c, the other end.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mta/base/log.h"
#include "mta/door/client.h"
#include "mta/door/frames.h"
#include "mta/door/server.h"

#define STALE_MAX (8u << 20)	/* bytes of settles kept for a queue that is away */

void
queue_lease_free(struct queue_lease **lp)
{
	struct queue_lease *l = *lp;

	if (l == NULL)
		return;
	envelope_free(&l->envelope);
	free(l->connector);
	free(l->domain);
	free(l->ordinals);
	free(l->with);
	free(l->body);
	if (l->body_fd != -1)
		close(l->body_fd);
	free(l);
	*lp = NULL;
}

void
door_lease_encode(const struct door_lease *l, struct buf *b)
{
	buf_u64(b, l->lease);
	buf_u32(b, l->dest);
	buf_str(b, l->connector);
	buf_str(b, l->domain);
	buf_u64(b, l->conf_generation);
	door_put_id(b, &l->id);
	buf_u32(b, l->attempts);
	buf_u8(b, l->fresh);
	buf_str(b, l->with);
	buf_u64(b, l->size);
	envelope_encode(l->envelope, b);
	for (uint32_t i = 0; i < l->envelope->nrecipients; i++)
		buf_u32(b, l->ordinals[i]);
	buf_u8(b, l->body != NULL);
	if (l->body != NULL)
		buf_add(b, l->body, l->size);
}

static bool
lease_decode(struct queue_lease *l, struct rd *r)
{
	const uint8_t *body;

	l->lease = rd_u64(r);
	l->dest = rd_u32(r);
	l->connector = rd_str(r);
	l->domain = rd_str(r);
	l->conf_generation = rd_u64(r);
	door_get_id(r, &l->id);
	l->attempts = rd_u32(r);
	l->fresh = rd_u8(r);
	l->with = rd_str(r);
	l->size = rd_u64(r);
	if (!envelope_decode(&l->envelope, r) || l->connector == NULL || l->domain == NULL)
		return false;
	l->ordinals = xcalloc(l->envelope.nrecipients + 1, sizeof *l->ordinals);
	for (uint32_t i = 0; i < l->envelope.nrecipients; i++)
		l->ordinals[i] = rd_u32(r);
	if (rd_u8(r) == 1) {
		body = rd_raw(r, l->size);
		if (body == NULL)
			return false;
		l->body = xmalloc(l->size + 1);		/* never a NULL for an empty body */
		memcpy(l->body, body, l->size);
	}
	return !r->bad && (l->body != NULL || l->body_fd != -1);
}

void
door_on_lease(struct queue *q, struct rd *r, int fd)
{
	struct queue_lease *l = xcalloc(1, sizeof *l);

	l->body_fd = fd;
	if (!lease_decode(l, r) || q->tx == NULL) {
		log_warn("door_lease", "nonsense=1");
		queue_lease_free(&l);
		return;
	}
	q->tx->lease(q->tx_ctx, l);
}

void
door_leases_lost(struct queue *q)
{
	if (q->tx != NULL)
		q->tx->lost(q->tx_ctx);
}

static void
send_serve(struct queue *q)
{
	struct buf *b = channel_begin(q->channel, DF_SERVE);

	buf_u32(b, q->stopped ? 0 : q->max_leases);
	buf_u64(b, q->max_bytes);
	channel_end(q->channel, -1);
}

/* What was delivered under the old queue role goes first: before it can lease it again. */
void
door_leases_attached(struct queue *q)
{
	struct rd r = rd_of(q->stale.data, q->stale.len);
	const uint8_t *p;
	size_t n;

	if (q->tx == NULL)
		return;
	while (rd_left(&r) > 0 && (p = rd_bytes(&r, &n)) != NULL) {
		buf_add(channel_begin(q->channel, DF_SETTLE), p, n);
		channel_end(q->channel, -1);
	}
	buf_free(&q->stale);
	send_serve(q);
}

void
queue_serve(struct queue *q, uint32_t max_leases, uint64_t max_bytes, const struct queue_tx_handlers *h, void *ctx)
{
	q->tx = h;
	q->tx_ctx = ctx;
	q->max_leases = max_leases;
	q->max_bytes = max_bytes;
	if (q->channel != NULL)
		send_serve(q);
}

void
queue_stop(struct queue *q)
{
	q->stopped = true;
	if (q->channel != NULL) {
		channel_begin(q->channel, DF_STOP);
		channel_end(q->channel, -1);
	}
}

static void
settle_encode(struct buf *b, const struct queue_lease *l, const struct queue_settle *s, size_t n,
    const uint8_t *trace, size_t trace_len)
{
	buf_u64(b, l->lease);
	door_put_id(b, &l->id);
	buf_u32(b, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		buf_u32(b, s[i].ordinal);
		buf_u8(b, s[i].outcome);
		buf_u8(b, s[i].maybe_sent);
		buf_u8(b, s[i].status != NULL);
		if (s[i].status != NULL)
			status_encode(s[i].status, b);
	}
	buf_bytes(b, trace, trace_len);
}

void
queue_settle(struct queue *q, const struct queue_lease *l, const struct queue_settle *s, size_t n,
    const uint8_t *trace, size_t trace_len)
{
	size_t at;

	if (q->channel != NULL) {
		settle_encode(channel_begin(q->channel, DF_SETTLE), l, s, n, trace, trace_len);
		channel_end(q->channel, -1);
	} else if (q->stale.len < STALE_MAX) {
		at = q->stale.len;
		buf_u32(&q->stale, 0);
		settle_encode(&q->stale, l, s, n, NULL, 0);
		buf_set_u32(&q->stale, at, (uint32_t)(q->stale.len - at - 4));
	}
}

void
queue_at_dot(struct queue *q, const struct queue_lease *l)
{
	if (q->channel == NULL)
		return;
	buf_u64(channel_begin(q->channel, DF_AT_DOT), l->lease);
	channel_end(q->channel, -1);
}

void
queue_dest_failed(struct queue *q, uint32_t dest, const struct status *status, int64_t began_wall_ms,
    const uint8_t *trace, size_t trace_len)
{
	struct buf *b;

	if (q->channel == NULL)
		return;
	b = channel_begin(q->channel, DF_DEST_FAILED);
	buf_u32(b, dest);
	buf_i64(b, began_wall_ms);
	status_encode(status, b);
	buf_bytes(b, trace, trace_len);
	channel_end(q->channel, -1);
}
