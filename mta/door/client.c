/*
 * client.c - the asking end of the door as rx sees it: accepts and bodies, kept
 * until answered and sent again when the queue role comes back.  Never decides
 * anything about mail.  Leases are in lease.c, looking and acting in inspect.c;
 * the answering end is server.c.
 */
#include "mta/door/client.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mta/base/clock.h"
#include "mta/base/log.h"
#include "mta/base/loop.h"
#include "mta/door/frames.h"

#define ACCEPT_PATIENCE_MS	60000	/* without an answer: unknown */
#define GIVEN_UP_MAX		10000	/* ids remembered for a queue that is away */

struct queue_accept {
	struct list	 link;		/* in queue->accepts, oldest first */
	struct msgid	 id;
	struct queue_message m;		/* what it points to is borrowed from the caller */
	int64_t		 started_mono_ms;
	queue_done_fn	*done;
	void		*ctx;
};

struct body_open {
	struct list	 link;
	struct msgid	 id;
	uint64_t	 declared;
	queue_body_fn	*done;
	void		*ctx;
};

static const void *
accept_key(const void *value, size_t *n_r)
{
	const struct queue_accept *a = value;

	*n_r = sizeof a->id;
	return &a->id;
}

/* ---- accepts ---- */

static void
accept_send(struct queue *q, const struct queue_accept *a)
{
	struct buf *b = channel_begin(q->channel, DF_ACCEPT);
	size_t at;

	door_put_id(b, &a->id);
	buf_u64(b, a->m.size);
	buf_u32(b, a->m.body_crc);
	buf_u8(b, a->m.body_file);
	at = b->len;
	buf_u32(b, 0);
	envelope_encode(a->m.envelope, b);
	buf_set_u32(b, at, (uint32_t)(b->len - at - 4));
	if (!a->m.body_file)
		buf_add(b, a->m.body, a->m.size);
	channel_end(q->channel, -1);
}

static void
give_up(struct queue *q, const struct msgid *id)
{
	if (q->channel != NULL) {
		door_put_id(channel_begin(q->channel, DF_GIVE_UP), id);
		channel_end(q->channel, -1);
	} else if (q->given_up.len < GIVEN_UP_MAX * sizeof id->b) {
		door_put_id(&q->given_up, id);
	}
}

static void
watch_patience(struct queue *q)
{
	struct queue_accept *a;
	int64_t wait;

	if (list_empty(&q->accepts)) {
		loop_timer_clear(q->patience);
		return;
	}
	if (loop_timer_is_set(q->patience))
		return;
	a = LIST_OWNER(q->accepts.next, struct queue_accept, link);
	wait = a->started_mono_ms + ACCEPT_PATIENCE_MS - clock_mono_ms();
	loop_timer_set(q->patience, wait > 0 ? wait : 0);
}

/* Takes the accept out of the tables; the caller frees it. */
static void
accept_forget(struct queue *q, struct queue_accept *a)
{
	bool relieved;

	list_del(&a->link);
	hash_del(q->by_id, &a->id, sizeof a->id);
	relieved = q->under_way > QUEUE_PRESSURE / 2;
	q->under_way -= a->m.body_file ? 0 : a->m.size;
	if (relieved && q->under_way <= QUEUE_PRESSURE / 2 && q->on_relief != NULL)
		q->on_relief(q->relief_ctx);
}

static void
accept_answer(struct queue *q, struct queue_accept *a, enum queue_result result, const struct status *st)
{
	queue_done_fn *done = a->done;
	void *ctx = a->ctx;

	accept_forget(q, a);
	free(a);
	done(ctx, result, st);
}

static void
on_patience(void *ctx)
{
	struct queue *q = ctx;
	const int64_t now = clock_mono_ms();

	while (!list_empty(&q->accepts)) {
		struct queue_accept *a = LIST_OWNER(q->accepts.next, struct queue_accept, link);

		if (now - a->started_mono_ms < ACCEPT_PATIENCE_MS)
			break;
		give_up(q, &a->id);
		accept_answer(q, a, QUEUE_UNKNOWN, NULL);
	}
	watch_patience(q);
}

struct queue_accept *
queue_accept(struct queue *q, const struct queue_message *m, queue_done_fn *done, void *ctx)
{
	struct queue_accept *a = xcalloc(1, sizeof *a);

	a->id = m->id;
	a->m = *m;
	a->started_mono_ms = clock_mono_ms();
	a->done = done;
	a->ctx = ctx;
	list_add_tail(&q->accepts, &a->link);
	hash_put(q->by_id, a);
	q->under_way += m->body_file ? 0 : m->size;
	if (q->channel != NULL)
		accept_send(q, a);
	watch_patience(q);
	return a;
}

void
queue_accept_cancel(struct queue *q, struct queue_accept **ap)
{
	struct queue_accept *a = *ap;

	*ap = NULL;
	if (a == NULL)
		return;
	give_up(q, &a->id);
	accept_forget(q, a);
	free(a);
}

size_t
queue_pressure(const struct queue *q)
{
	return q->under_way;
}

void
queue_on_relief(struct queue *q, void (*fn)(void *ctx), void *ctx)
{
	q->on_relief = fn;
	q->relief_ctx = ctx;
}

/* ---- bodies of their own ---- */

static void
body_send(struct queue *q, const struct body_open *o)
{
	struct buf *b = channel_begin(q->channel, DF_BODY_OPEN);

	door_put_id(b, &o->id);
	buf_u64(b, o->declared);
	channel_end(q->channel, -1);
}

void
queue_body_open(struct queue *q, const struct msgid *id, uint64_t declared_size, queue_body_fn *done, void *ctx)
{
	struct body_open *o = xcalloc(1, sizeof *o);

	o->id = *id;
	o->declared = declared_size;
	o->done = done;
	o->ctx = ctx;
	list_add_tail(&q->opens, &o->link);
	if (q->channel != NULL)
		body_send(q, o);
}

static struct body_open *
body_find(struct queue *q, const struct msgid *id)
{
	LIST_EACH(it, &q->opens) {
		struct body_open *o = LIST_OWNER(it, struct body_open, link);

		if (memcmp(&o->id, id, sizeof *id) == 0)
			return o;
	}
	return NULL;
}

void
queue_body_drop(struct queue *q, const struct msgid *id)
{
	struct body_open *o = body_find(q, id);

	if (o != NULL) {
		list_del(&o->link);
		free(o);
	}
	if (q->channel != NULL) {
		door_put_id(channel_begin(q->channel, DF_BODY_DROP), id);
		channel_end(q->channel, -1);
	}
}

/* ---- frames from the queue role ---- */

static void
on_accept_done(struct queue *q, struct rd *r)
{
	struct queue_accept *a;
	struct status st;
	struct msgid id;
	uint8_t result;

	door_get_id(r, &id);
	result = rd_u8(r);
	if (result == QUEUE_REFUSED && !status_decode(&st, r))
		return;
	a = hash_get(q->by_id, &id, sizeof id);
	if (a != NULL && !r->bad)
		accept_answer(q, a, result == QUEUE_DONE ? QUEUE_DONE : QUEUE_REFUSED,
		    result == QUEUE_DONE ? NULL : &st);
}

static void
on_body_fd(struct queue *q, struct rd *r, int fd)
{
	struct body_open *o;
	struct status st;
	struct msgid id;
	queue_body_fn *done;
	void *ctx;
	bool ok;

	door_get_id(r, &id);
	ok = rd_u8(r) == 1;
	if (!ok && !status_decode(&st, r))
		return;
	o = body_find(q, &id);
	if (o == NULL) {		/* dropped meanwhile */
		if (fd != -1)
			close(fd);
		return;
	}
	done = o->done;
	ctx = o->ctx;
	list_del(&o->link);
	free(o);
	done(ctx, ok ? fd : -1, ok ? NULL : &st);
}

static void
on_frame(void *ctx, uint16_t type, struct rd *r, int fd)
{
	struct queue *q = ctx;

	switch (type) {
	case DF_ACCEPT_DONE:
		on_accept_done(q, r);
		break;
	case DF_BODY_FD:
		on_body_fd(q, r, fd);
		return;
	case DF_LEASE:
		door_on_lease(q, r, fd);
		return;
	case DF_ROW:
	case DF_END:
		door_on_inspect(q, type, r);
		break;
	default:
		log_warn("door_frame", "type=%u", type);
	}
	if (fd != -1)
		close(fd);
}

static void
on_gone(void *ctx)
{
	struct queue *q = ctx;

	channel_free(&q->channel);
	door_leases_lost(q);
	door_inspect_lost(q);
}

/* ---- the handle ---- */

struct queue *
queue_new(struct loop *loop)
{
	struct queue *q = xcalloc(1, sizeof *q);

	q->loop = loop;
	q->by_id = hash_new(accept_key);
	q->patience = loop_timer_new(loop, on_patience, q);
	list_init(&q->accepts);
	list_init(&q->opens);
	list_init(&q->asked);
	return q;
}

void
queue_free(struct queue **qp)
{
	struct queue *q = *qp;

	if (q == NULL)
		return;
	LIST_EACH_SAFE(it, &q->accepts)
		free(LIST_OWNER(it, struct queue_accept, link));
	LIST_EACH_SAFE(it, &q->opens)
		free(LIST_OWNER(it, struct body_open, link));
	door_inspect_free(q);
	hash_free(&q->by_id);
	loop_timer_free(&q->patience);
	channel_free(&q->channel);
	buf_free(&q->given_up);
	buf_free(&q->stale);
	free(q);
	*qp = NULL;
}

void
queue_attach(struct queue *q, int fd)
{
	if (q->channel != NULL)
		on_gone(q);
	q->channel = channel_new(q->loop, fd, on_frame, on_gone, q);
	for (size_t at = 0; at < q->given_up.len; at += sizeof(struct msgid)) {
		buf_add(channel_begin(q->channel, DF_GIVE_UP), q->given_up.data + at, sizeof(struct msgid));
		channel_end(q->channel, -1);
	}
	buf_free(&q->given_up);
	LIST_EACH(it, &q->accepts)
		accept_send(q, LIST_OWNER(it, struct queue_accept, link));
	LIST_EACH(it, &q->opens)
		body_send(q, LIST_OWNER(it, struct body_open, link));
	door_leases_attached(q);
}
