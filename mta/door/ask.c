/*
 * ask.c - both ends of what ctl asks of a tx process: requests by number, rows,
 * one end.  Knows nothing of DNS or SMTP.  Read next: mta/tx/probe.c (who
 * answers), mta/ctl (who asks).
 */
#include "mta/door/ask.h"

#include <stdlib.h>
#include <unistd.h>

#include "mta/base/list.h"
#include "mta/base/loop.h"
#include "mta/proc/channel.h"

enum ask_frame {
	AF_ASK = 1,	/* u32 number, request */
	AF_ROW,		/* u32 number, the row to the end */
	AF_END,		/* u32 number, u8 ok, u64 n, str text */
};

/* ---- ctl's end ---- */

struct ask {
	struct list			 link;		/* in asker->asked */
	uint32_t			 number;
	bool				 sent;		/* false: there was no tx to send it to */
	const struct ask_handlers	*h;
	void				*ctx;
};

struct asker {
	struct loop	*loop;
	struct channel	*channel;	/* NULL while the tx process is away */
	struct list	 asked;
	uint32_t	 last_number;
};

static void
ask_end(struct ask *k, bool ok, uint64_t n, const char *text)
{
	list_del(&k->link);
	k->h->end(k->ctx, ok, n, text);
	free(k);
}

static const char not_reachable[] = "the tx role is not reachable; it is being restarted";

/* A list of their own: what a callback asks or cancels meanwhile cannot lead this loop astray. */
static void
end_all(struct list *gone)
{
	while (!list_empty(gone))
		ask_end(LIST_OWNER(gone->next, struct ask, link), false, 0, not_reachable);
}

static void
asker_lost(struct asker *a)
{
	struct list gone;

	list_take(&gone, &a->asked);
	end_all(&gone);
}

static void
on_asker_gone(void *ctx)
{
	struct asker *a = ctx;

	channel_free(&a->channel);
	asker_lost(a);
}

static void
on_answer(void *ctx, uint16_t type, struct rd *r, int fd)
{
	struct asker *a = ctx;
	const uint32_t number = rd_u32(r);
	struct ask *k = NULL;
	uint64_t n;
	char *text;
	bool ok;

	if (fd != -1)
		close(fd);
	LIST_EACH(it, &a->asked) {
		k = LIST_OWNER(it, struct ask, link);
		if (k->number == number)
			break;
		k = NULL;
	}
	if (k == NULL)			/* cancelled meanwhile */
		return;
	if (type == AF_ROW) {
		k->h->row(k->ctx, r);
		return;
	}
	ok = rd_u8(r) == 1;
	n = rd_u64(r);
	text = rd_str(r);
	ask_end(k, ok, n, text != NULL ? text : "");
	free(text);
}

struct asker *
asker_new(struct loop *loop)
{
	struct asker *a = xcalloc(1, sizeof *a);

	a->loop = loop;
	list_init(&a->asked);
	return a;
}

void
asker_free(struct asker **ap)
{
	struct asker *a = *ap;

	if (a == NULL)
		return;
	LIST_EACH_SAFE(it, &a->asked)
		free(LIST_OWNER(it, struct ask, link));
	channel_free(&a->channel);
	free(a);
	*ap = NULL;
}

void
asker_attach(struct asker *a, int fd)
{
	if (a->channel != NULL)
		on_asker_gone(a);
	a->channel = channel_new(a->loop, fd, on_answer, on_asker_gone, a);
}

/* A tx that came back meanwhile never saw these. */
static void
on_no_tx(void *ctx)
{
	struct asker *a = ctx;
	struct list gone;

	list_init(&gone);
	LIST_EACH_SAFE(it, &a->asked) {
		if (LIST_OWNER(it, struct ask, link)->sent)
			continue;
		list_del(it);
		list_add_tail(&gone, it);
	}
	end_all(&gone);
}

struct ask *
asker_ask(struct asker *a, const struct ask_request *q, const struct ask_handlers *h, void *ctx)
{
	struct ask *k = xcalloc(1, sizeof *k);
	struct buf *b;

	k->number = ++a->last_number;
	k->h = h;
	k->ctx = ctx;
	list_add_tail(&a->asked, &k->link);
	if (a->channel == NULL) {
		loop_post(a->loop, on_no_tx, a);
		return k;
	}
	k->sent = true;
	b = channel_begin(a->channel, AF_ASK);
	buf_u32(b, k->number);
	ask_request_encode(q, b);
	channel_end(a->channel, -1);
	return k;
}

void
asker_cancel(struct asker *a, struct ask **kp)
{
	struct ask *k = *kp;

	(void)a;
	*kp = NULL;
	if (k == NULL)
		return;
	list_del(&k->link);
	free(k);
}

/* ---- tx's end ---- */

struct answerer {
	struct loop	*loop;
	struct channel	*channel;	/* NULL while ctl is away */
	answerer_fn	*fn;
	void		*ctx;
	uint32_t	 base;		/* numbers given out before this channel are below */
	uint32_t	 highest;
};

static void
on_answerer_gone(void *ctx)
{
	struct answerer *a = ctx;

	channel_free(&a->channel);
}

static void
on_ask(void *ctx, uint16_t type, struct rd *r, int fd)
{
	struct answerer *a = ctx;
	const uint32_t number = rd_u32(r) + a->base;
	struct ask_request q;

	if (fd != -1)
		close(fd);
	if (type != AF_ASK || !ask_request_decode(&q, r))
		return;
	if (number > a->highest)
		a->highest = number;
	a->fn(a->ctx, number, &q);
	ask_request_free(&q);
}

struct answerer *
answerer_new(struct loop *loop, answerer_fn *fn, void *ctx)
{
	struct answerer *a = xcalloc(1, sizeof *a);

	a->loop = loop;
	a->fn = fn;
	a->ctx = ctx;
	return a;
}

void
answerer_free(struct answerer **ap)
{
	if (*ap != NULL)
		channel_free(&(*ap)->channel);
	free(*ap);
	*ap = NULL;
}

void
answerer_attach(struct answerer *a, int fd)
{
	channel_free(&a->channel);
	a->base = a->highest;		/* a new ctl counts from 1 again */
	a->channel = channel_new(a->loop, fd, on_ask, on_answerer_gone, a);
}

void
answerer_row(struct answerer *a, uint32_t number, const struct buf *row)
{
	struct buf *b;

	if (a->channel == NULL || number <= a->base)
		return;
	b = channel_begin(a->channel, AF_ROW);
	buf_u32(b, number - a->base);
	buf_add(b, row->data, row->len);
	channel_end(a->channel, -1);
}

void
answerer_end(struct answerer *a, uint32_t number, bool ok, uint64_t n, const char *text)
{
	struct buf *b;

	if (a->channel == NULL || number <= a->base)
		return;
	b = channel_begin(a->channel, AF_END);
	buf_u32(b, number - a->base);
	buf_u8(b, ok);
	buf_u64(b, n);
	buf_str(b, text);
	channel_end(a->channel, -1);
}
