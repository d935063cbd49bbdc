/*
 * server.c - the answering end of the door: decodes frames into calls of
 * door_ops and encodes the answers.  A peer that sends nonsense is cut off; it
 * is restarted by the parent.  Read next: client.c (the other end), mta/qm.
 */
#include "mta/door/server.h"

#include <stdlib.h>
#include <unistd.h>

#include "mta/base/log.h"
#include "mta/base/loop.h"
#include "mta/door/frames.h"
#include "mta/proc/channel.h"

#define SETTLE_MAX 100000	/* recipients of one message */

struct door_peer {
	struct loop		*loop;
	struct channel		*channel;
	const struct door_ops	*ops;
	void			*ctx, *user;
	bool			 cut;		/* let go, or it sent nonsense: nothing more is heard */
};

static void
peer_reap(void *ctx)
{
	struct door_peer *p = ctx;

	channel_free(&p->channel);
	free(p);
}

void
door_peer_free(struct door_peer **pp)
{
	if (*pp != NULL) {
		(*pp)->cut = true;
		loop_retire((*pp)->loop, *pp, peer_reap);
	}
	*pp = NULL;
}

static void
on_gone(void *ctx)
{
	struct door_peer *p = ctx;

	if (p->cut)
		return;
	p->ops->gone(p->ctx, p);
	door_peer_free(&p);
}

static bool
on_accept(struct door_peer *p, struct rd *r)
{
	struct envelope e = { 0 };
	struct queue_message m = { .envelope = &e };
	const uint8_t *raw;
	struct rd er;
	size_t n;

	door_get_id(r, &m.id);
	m.size = rd_u64(r);
	m.body_crc = rd_u32(r);
	m.body_file = rd_u8(r);
	raw = rd_bytes(r, &n);
	if (raw == NULL)
		return false;
	if (!m.body_file) {
		if (rd_left(r) != m.size)
			return false;
		m.body = m.size == 0 ? (const uint8_t *)"" : rd_raw(r, m.size);
	}
	er = rd_of(raw, n);
	if (r->bad || !envelope_decode(&e, &er))
		return false;
	p->ops->accept(p->ctx, p, &m);
	envelope_free(&e);
	return true;
}

static bool
on_settle(struct door_peer *p, struct rd *r)
{
	const uint64_t lease = rd_u64(r);
	struct queue_settle *s = NULL;
	struct status *st = NULL;
	const uint8_t *trace;
	struct msgid id;
	size_t trace_len;
	bool ok = false;
	uint32_t n;

	door_get_id(r, &id);
	n = rd_u32(r);
	if (r->bad || n > SETTLE_MAX || n > rd_left(r))
		return false;
	s = xcalloc(n + 1, sizeof *s);
	st = xcalloc(n + 1, sizeof *st);
	for (uint32_t i = 0; i < n; i++) {
		s[i].ordinal = rd_u32(r);
		s[i].outcome = rd_u8(r);
		s[i].maybe_sent = rd_u8(r);
		if (s[i].outcome > OUTCOME_RETURNED)
			goto out;
		if (rd_u8(r) == 1) {
			if (!status_decode(&st[i], r))
				goto out;
			s[i].status = &st[i];
		}
	}
	trace = rd_bytes(r, &trace_len);
	ok = !r->bad;
	if (ok)
		p->ops->settle(p->ctx, p, lease, &id, s, n, trace, trace_len);
out:
	free(s);
	free(st);
	return ok;
}

static bool
on_dest_failed(struct door_peer *p, struct rd *r)
{
	const uint32_t dest = rd_u32(r);
	const int64_t began = rd_i64(r);
	const uint8_t *trace;
	struct status st;
	size_t n;

	if (!status_decode(&st, r))
		return false;
	trace = rd_bytes(r, &n);
	if (r->bad)
		return false;
	p->ops->dest_failed(p->ctx, p, dest, &st, began, trace, n);
	return true;
}

static bool
on_inspect(struct door_peer *p, struct rd *r)
{
	const uint32_t number = rd_u32(r);
	struct inspect_request req = { 0 };

	if (!inspect_request_decode(&req, r))
		return false;
	p->ops->inspect(p->ctx, p, number, &req);
	inspect_request_free(&req);
	return true;
}

static bool
on_small(struct door_peer *p, uint16_t type, struct rd *r)
{
	struct msgid id = { 0 };
	uint64_t n = 0;
	uint32_t k = 0;

	switch (type) {
	case DF_GIVE_UP: case DF_BODY_OPEN: case DF_BODY_DROP:
		door_get_id(r, &id);
		break;
	case DF_SERVE: case DF_INSPECT_CANCEL: case DF_INSPECT_PAUSE:
		k = rd_u32(r);
		break;
	}
	switch (type) {
	case DF_BODY_OPEN: case DF_SERVE: case DF_AT_DOT:
		n = rd_u64(r);
		break;
	case DF_INSPECT_PAUSE:
		n = rd_u8(r);
		break;
	}
	if (r->bad)
		return false;
	switch (type) {
	case DF_GIVE_UP:	p->ops->give_up(p->ctx, &id); return true;
	case DF_BODY_OPEN:	p->ops->body_open(p->ctx, p, &id, n); return true;
	case DF_BODY_DROP:	p->ops->body_drop(p->ctx, p, &id); return true;
	case DF_SERVE:		p->ops->serve(p->ctx, p, k, n); return true;
	case DF_STOP:		p->ops->serve(p->ctx, p, 0, 0); return true;
	case DF_AT_DOT:		p->ops->at_dot(p->ctx, p, n); return true;
	case DF_INSPECT_CANCEL:	p->ops->inspect_cancel(p->ctx, p, k); return true;
	case DF_INSPECT_PAUSE:	p->ops->inspect_pause(p->ctx, p, k, n != 0); return true;
	}
	return false;
}

static void
on_frame(void *ctx, uint16_t type, struct rd *r, int fd)
{
	struct door_peer *p = ctx;
	bool ok;

	if (fd != -1)
		close(fd);		/* nobody hands the queue a descriptor */
	if (p->cut)
		return;
	switch (type) {
	case DF_ACCEPT:		ok = on_accept(p, r); break;
	case DF_SETTLE:		ok = on_settle(p, r); break;
	case DF_DEST_FAILED:	ok = on_dest_failed(p, r); break;
	case DF_INSPECT:	ok = on_inspect(p, r); break;
	default:		ok = on_small(p, type, r); break;
	}
	if (!ok) {
		log_warn("door_nonsense", "frame=%u", type);
		on_gone(p);
	}
}

struct door_peer *
door_peer_new(struct loop *loop, int fd, const struct door_ops *ops, void *ctx, void *user)
{
	struct door_peer *p = xcalloc(1, sizeof *p);

	p->loop = loop;
	p->ops = ops;
	p->ctx = ctx;
	p->user = user;
	p->channel = channel_new(loop, fd, on_frame, on_gone, p);
	return p;
}

void *
door_peer_user(const struct door_peer *p)
{
	return p->user;
}

void
door_peer_flush(struct door_peer *p, int ms)
{
	channel_flush(p->channel, ms);
}

size_t
door_pending(const struct door_peer *p)
{
	return channel_pending(p->channel);
}

void
door_accept_done(struct door_peer *p, const struct msgid *id, enum queue_result result, const struct status *st)
{
	struct buf *b = channel_begin(p->channel, DF_ACCEPT_DONE);

	door_put_id(b, id);
	buf_u8(b, result);
	if (result == QUEUE_REFUSED)
		status_encode(st, b);
	channel_end(p->channel, -1);
}

void
door_body_fd(struct door_peer *p, const struct msgid *id, int fd, const struct status *st)
{
	struct buf *b = channel_begin(p->channel, DF_BODY_FD);

	door_put_id(b, id);
	buf_u8(b, fd != -1);
	if (fd == -1)
		status_encode(st, b);
	channel_end(p->channel, fd);
}

void
door_lease(struct door_peer *p, const struct door_lease *l)
{
	door_lease_encode(l, channel_begin(p->channel, DF_LEASE));
	channel_end(p->channel, l->body_fd);
}

struct buf *
door_row_begin(struct door_peer *p, uint32_t number)
{
	struct buf *b = channel_begin(p->channel, DF_ROW);

	buf_u32(b, number);
	return b;
}

void
door_row_end(struct door_peer *p)
{
	channel_end(p->channel, -1);
}

void
door_end(struct door_peer *p, uint32_t number, bool ok, uint64_t n, const char *text)
{
	struct buf *b = channel_begin(p->channel, DF_END);

	buf_u32(b, number);
	buf_u8(b, ok);
	buf_u64(b, n);
	buf_str(b, text);
	channel_end(p->channel, -1);
}
