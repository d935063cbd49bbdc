/*
 * inspect.c - stands in for mta/door/inspect.c, mta/door/client.c,
 * mta/door/ask.c and the parent's end of mta/proc/role.c.  Never answers by
 * itself: the test's functions do, from the loop, as the contract wants.
 * Read next: tests/unit/ctl/test_server.c.
 */
#include "tests/fake/inspect.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mta/base/loop.h"
#include "mta/ctl/ctl.h"
#include "mta/door/frames.h"
#include "mta/proc/role.h"
#include "queue/queue.h"

struct queue {
	int	unused;
};

struct inspect {
	struct inspect_request		 q;
	const struct inspect_handlers	*h;
	void				*ctx;
	bool				 cancelled, paused;
};

struct asker {
	unsigned	 tx;
};

struct ask {
	struct ask_request		 q;
	unsigned			 tx;
	const struct ask_handlers	*h;
	void				*ctx;
	bool				 cancelled;
};

static struct fake_answers answers;
static struct loop *the_loop;
static unsigned naskers;
unsigned fake_cancelled;
bool fake_role_exited;

void
fake_answers_set(const struct fake_answers *a, struct loop *loop)
{
	answers = *a;
	the_loop = loop;
}

/* ---- queue ---- */

struct queue *
queue_new(struct loop *loop)
{
	(void)loop;
	return xcalloc(1, sizeof(struct queue));
}

void
queue_free(struct queue **q)
{
	free(*q);
	*q = NULL;
}

void
queue_attach(struct queue *q, int fd)
{
	(void)q;
	close(fd);
}

static void
inspect_free(void *obj)
{
	struct inspect *i = obj;

	inspect_request_free(&i->q);
	free(i);
}

static void
on_inspect(void *ctx)
{
	struct inspect *i = ctx;

	if (i->cancelled)
		inspect_free(i);
	else
		answers.inspect(i, &i->q);
}

struct inspect *
queue_inspect(struct queue *q, const struct inspect_request *req, const struct inspect_handlers *h, void *ctx)
{
	struct inspect *i = xcalloc(1, sizeof *i);
	struct buf b = { 0 };
	struct rd r;

	(void)q;
	inspect_request_encode(req, &b);
	r = rd_of(b.data, b.len);
	if (!inspect_request_decode(&i->q, &r))
		abort();
	buf_free(&b);
	i->h = h;
	i->ctx = ctx;
	loop_post(the_loop, on_inspect, i);
	return i;
}

void
queue_inspect_cancel(struct queue *q, struct inspect **i)
{
	(void)q;
	(*i)->cancelled = true;		/* leaks when it was asked already: the test says so */
	fake_cancelled++;
	*i = NULL;
}

void
queue_inspect_pause(struct queue *q, struct inspect *i, bool paused)
{
	(void)q;
	i->paused = paused;
}

bool
fake_inspect_paused(const struct inspect *i)
{
	return i->paused;
}

void
fake_inspect_row(struct inspect *i, const struct buf *row)
{
	struct rd r = rd_of(row->data, row->len);

	if (!i->cancelled)
		i->h->row(i->ctx, &r);
}

void
fake_inspect_end(struct inspect *i, bool ok, uint64_t n, const char *text)
{
	if (!i->cancelled)
		i->h->end(i->ctx, ok, n, text);
	inspect_free(i);
}

/* ---- tx ---- */

struct asker *
asker_new(struct loop *loop)
{
	struct asker *a = xcalloc(1, sizeof *a);

	(void)loop;
	a->tx = naskers++ % CTL_TX_MAX;
	return a;
}

void
asker_free(struct asker **a)
{
	free(*a);
	*a = NULL;
}

void
asker_attach(struct asker *a, int fd)
{
	(void)a;
	close(fd);
}

static void
ask_free(struct ask *k)
{
	ask_request_free(&k->q);
	free(k);
}

static void
on_ask(void *ctx)
{
	struct ask *k = ctx;

	if (k->cancelled)
		ask_free(k);
	else
		answers.ask(k, k->tx, &k->q);
}

struct ask *
asker_ask(struct asker *a, const struct ask_request *q, const struct ask_handlers *h, void *ctx)
{
	struct ask *k = xcalloc(1, sizeof *k);
	struct buf b = { 0 };
	struct rd r;

	ask_request_encode(q, &b);
	r = rd_of(b.data, b.len);
	if (!ask_request_decode(&k->q, &r))
		abort();
	buf_free(&b);
	k->tx = a->tx;
	k->h = h;
	k->ctx = ctx;
	loop_post(the_loop, on_ask, k);
	return k;
}

void
asker_cancel(struct asker *a, struct ask **k)
{
	(void)a;
	(*k)->cancelled = true;
	fake_cancelled++;
	*k = NULL;
}

void
fake_ask_row(struct ask *k, const struct buf *row)
{
	struct rd r = rd_of(row->data, row->len);

	if (!k->cancelled)
		k->h->row(k->ctx, &r);
}

void
fake_ask_end(struct ask *k, bool ok, uint64_t n, const char *text)
{
	if (!k->cancelled)
		k->h->end(k->ctx, ok, n, text);
	ask_free(k);
}

/* ---- the parent ---- */

static struct buf to_parent;
static uint16_t to_parent_type;

struct from_parent {
	uint16_t	type;
	struct buf	payload;
};

static void
on_parent(void *ctx)
{
	struct from_parent *f = ctx;
	struct rd r = rd_of(f->payload.data, f->payload.len);

	ctl_role_ops.frame(ctl_role_ctx, f->type, &r);
	buf_free(&f->payload);
	free(f);
}

struct buf *
role_parent_begin(uint16_t type)
{
	to_parent_type = type;
	to_parent.len = 0;
	return &to_parent;
}

void
role_parent_end(int fd)
{
	struct from_parent *f = xcalloc(1, sizeof *f);
	struct rd r = rd_of(to_parent.data, to_parent.len);

	(void)fd;
	f->type = (uint16_t)(to_parent_type + 1);	/* each _DONE follows its question */
	if (answers.parent(to_parent_type, &r, &f->payload)) {
		loop_post(the_loop, on_parent, f);
	} else {
		buf_free(&f->payload);
		free(f);
	}
	buf_free(&to_parent);
}

void
role_ready(void)
{
}

void
role_exit(void)
{
	fake_role_exited = true;
}
