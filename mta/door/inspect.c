/*
 * inspect.c - the asking end of the door as ctl sees it: one request, rows, one
 * end.  A queue role that goes away ends its requests with a clear text.
 * Read next: inspect_wire.c (forms), mta/qm/inspect.c (who answers).
 */
#include "mta/door/inspect.h"

#include <stdlib.h>

#include "mta/base/loop.h"
#include "mta/door/client.h"
#include "mta/door/frames.h"

struct inspect {
	struct list			 link;		/* in queue->asked */
	struct queue			*q;
	uint32_t			 number;
	bool				 sent;		/* false: there was no queue role to send it to */
	const struct inspect_handlers	*h;
	void				*ctx;
};

static const char not_reachable[] = "the queue role is not reachable; it is being restarted";

static struct inspect *
asked_find(struct queue *q, uint32_t number)
{
	LIST_EACH(it, &q->asked) {
		struct inspect *i = LIST_OWNER(it, struct inspect, link);

		if (i->number == number)
			return i;
	}
	return NULL;
}

static void
inspect_end(struct inspect *i, bool ok, uint64_t n, const char *text)
{
	list_del(&i->link);
	i->h->end(i->ctx, ok, n, text);
	free(i);
}

void
door_on_inspect(struct queue *q, uint16_t type, struct rd *r)
{
	struct inspect *i = asked_find(q, rd_u32(r));
	uint64_t n;
	char *text;
	bool ok;

	if (i == NULL)			/* cancelled meanwhile */
		return;
	if (type == DF_ROW) {
		i->h->row(i->ctx, r);
		return;
	}
	ok = rd_u8(r) == 1;
	n = rd_u64(r);
	text = rd_str(r);
	inspect_end(i, ok, n, text != NULL ? text : "");
	free(text);
}

/*
 * Ends those in the list.  They stand in a list of their own by now: what a callback asks
 * or cancels meanwhile cannot lead this loop astray.
 */
static void
end_all(struct list *gone)
{
	while (!list_empty(gone))
		inspect_end(LIST_OWNER(gone->next, struct inspect, link), false, 0, not_reachable);
}

/* A queue role that came back meanwhile never saw these. */
static void
on_no_queue(void *ctx)
{
	struct queue *q = ctx;
	struct list gone;

	list_init(&gone);
	LIST_EACH_SAFE(it, &q->asked) {
		if (LIST_OWNER(it, struct inspect, link)->sent)
			continue;
		list_del(it);
		list_add_tail(&gone, it);
	}
	end_all(&gone);
}

struct inspect *
queue_inspect(struct queue *q, const struct inspect_request *req, const struct inspect_handlers *h, void *ctx)
{
	struct inspect *i = xcalloc(1, sizeof *i);
	struct buf *b;

	i->q = q;
	i->number = ++q->last_number;
	i->h = h;
	i->ctx = ctx;
	list_add_tail(&q->asked, &i->link);
	if (q->channel == NULL) {
		loop_post(q->loop, on_no_queue, q);
		return i;
	}
	i->sent = true;
	b = channel_begin(q->channel, DF_INSPECT);
	buf_u32(b, i->number);
	inspect_request_encode(req, b);
	channel_end(q->channel, -1);
	return i;
}

void
queue_inspect_cancel(struct queue *q, struct inspect **ip)
{
	struct inspect *i = *ip;

	*ip = NULL;
	if (i == NULL)
		return;
	if (q->channel != NULL) {
		buf_u32(channel_begin(q->channel, DF_INSPECT_CANCEL), i->number);
		channel_end(q->channel, -1);
	}
	list_del(&i->link);
	free(i);
}

void
queue_inspect_pause(struct queue *q, struct inspect *i, bool paused)
{
	struct buf *b;

	if (q->channel == NULL)
		return;
	b = channel_begin(q->channel, DF_INSPECT_PAUSE);
	buf_u32(b, i->number);
	buf_u8(b, paused);
	channel_end(q->channel, -1);
}

void
door_inspect_lost(struct queue *q)
{
	struct list gone;

	list_take(&gone, &q->asked);
	end_all(&gone);
}

void
door_inspect_free(struct queue *q)
{
	LIST_EACH_SAFE(it, &q->asked)
		free(LIST_OWNER(it, struct inspect, link));
	list_init(&q->asked);
}
