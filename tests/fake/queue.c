/*
 * fake/queue.c - see queue.h beside it.
 * Never leaves a file behind: bodies go to unnamed memory files.
 */
#include "tests/fake/queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mta/base/crc32c.h"
#include "mta/base/list.h"
#include "mta/base/loop.h"

struct queue {
	struct loop	*loop;
	void		(*relief)(void *ctx);
	void		*relief_ctx;
};

struct queue_accept {
	struct list		 node;
	struct queue_message	 message;
	queue_done_fn		*done;		/* NULL: cancelled */
	void			*ctx;
};

struct opening {
	struct list	 node;
	struct msgid	 id;
	queue_body_fn	*done;
	void		*ctx;
};

struct fake_queue fake_queue;
static struct list accepts = { &accepts, &accepts };
static struct list openings = { &openings, &openings };
static struct { struct msgid id; int fd; } files[64];
static unsigned nfiles;
static struct queue *last;		/* the one that was used last */

void
fake_queue_reset(void)
{
	for (unsigned i = 0; i < fake_queue.nmessages; i++) {
		struct fake_message *m = &fake_queue.messages[i];

		free(m->sender);
		free(m->recipients);
		free(m->listener);
		free(m->client);
		free(m->helo);
		free(m->body);
	}
	for (unsigned i = 0; i < nfiles; i++)
		close(files[i].fd);
	nfiles = 0;
	fake_queue = (struct fake_queue){ .result = QUEUE_DONE };
	status_set(&fake_queue.status, 4, 3, 1, STAGE_queue, REASON_local, "no room");
}

struct queue *
queue_new(struct loop *loop)
{
	struct queue *q = xcalloc(1, sizeof(*q));

	q->loop = loop;
	return q;
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

size_t
queue_pressure(const struct queue *q)
{
	(void)q;
	return fake_queue.pressure;
}

void
queue_on_relief(struct queue *q, void (*fn)(void *ctx), void *ctx)
{
	q->relief = fn;
	q->relief_ctx = ctx;
	last = q;
}

void
fake_queue_relief(void)
{
	fake_queue.pressure = 0;
	last->relief(last->relief_ctx);
}

static char *
file_content(const struct msgid *id, uint64_t size)
{
	for (unsigned i = 0; i < nfiles; i++) {
		char *s;

		if (memcmp(&files[i].id, id, sizeof(*id)) != 0)
			continue;
		s = xcalloc(1, size + 1);
		if (pread(files[i].fd, s, size, 0) != (ssize_t)size)
			memset(s, '!', size);
		return s;
	}
	return xstrdup("no such file");
}

static void
keep(const struct queue_message *m)
{
	struct fake_message *f = &fake_queue.messages[fake_queue.nmessages % 64];
	const struct envelope *e = m->envelope;
	struct buf to = { NULL, 0, 0 };

	if (fake_queue.nmessages >= 64)
		return;
	fake_queue.nmessages++;
	f->id = m->id;
	f->sender = xstrdup(e->sender);
	f->listener = xstrdup(e->listener);
	f->client = xstrdup(e->client);
	f->helo = xstrdup(e->helo);
	f->body_8bit = e->body_8bit;
	for (uint32_t i = 0; i < e->nrecipients; i++)
		buf_printf(&to, "%s%s", i == 0 ? "" : " ", e->recipients[i].address);
	f->recipients = xstrdup(buf_cstr(&to));
	buf_free(&to);
	f->size = m->size;
	f->body_file = m->body_file;
	f->body = m->body_file ? file_content(&m->id, m->size) :
	    xstrndup((const char *)m->body, m->size);
	f->crc_ok = crc32c(0, m->body_file ? (const uint8_t *)f->body : m->body, m->size) ==
	    m->body_crc;
}

static void
on_answer(void *ctx)
{
	struct queue_accept *a = ctx;

	if (a->done != NULL) {
		if (fake_queue.result == QUEUE_DONE)
			keep(&a->message);
		a->done(a->ctx, fake_queue.result, &fake_queue.status);
	}
	free(a);
}

struct queue_accept *
queue_accept(struct queue *q, const struct queue_message *m, queue_done_fn *done, void *ctx)
{
	struct queue_accept *a = xcalloc(1, sizeof(*a));

	last = q;
	a->message = *m;
	a->done = done;
	a->ctx = ctx;
	list_init(&a->node);
	if (fake_queue.hold)
		list_add_tail(&accepts, &a->node);
	else
		loop_post(q->loop, on_answer, a);
	return a;
}

void
queue_accept_cancel(struct queue *q, struct queue_accept **a)
{
	(void)q;
	fake_queue.cancelled++;
	(*a)->done = NULL;
	*a = NULL;
}

static void
on_opened(void *ctx)
{
	struct opening *o = ctx;
	int fd = -1;

	if (fake_queue.bad_fd != 0) {
		fd = fake_queue.bad_fd;
	} else if (!fake_queue.no_files) {
		int keep_fd = memfd_create("body", MFD_CLOEXEC);

		files[nfiles].id = o->id;
		files[nfiles++].fd = keep_fd;
		fd = dup(keep_fd);
	}
	o->done(o->ctx, fd, &fake_queue.status);
	free(o);
}

void
queue_body_open(struct queue *q, const struct msgid *id, uint64_t declared_size,
    queue_body_fn *done, void *ctx)
{
	struct opening *o = xcalloc(1, sizeof(*o));

	(void)declared_size;
	last = q;
	fake_queue.opened++;
	o->id = *id;
	o->done = done;
	o->ctx = ctx;
	list_init(&o->node);
	if (fake_queue.hold_files)
		list_add_tail(&openings, &o->node);
	else
		loop_post(q->loop, on_opened, o);
}

void
queue_body_drop(struct queue *q, const struct msgid *id)
{
	(void)q;
	(void)id;
	fake_queue.dropped++;
}

void
fake_queue_release(void)
{
	fake_queue.hold = fake_queue.hold_files = false;
	while (!list_empty(&openings)) {
		struct opening *o = LIST_OWNER(openings.next, struct opening, node);

		list_del(&o->node);
		loop_post(last->loop, on_opened, o);
	}
	while (!list_empty(&accepts)) {
		struct queue_accept *a = LIST_OWNER(accepts.next, struct queue_accept, node);

		list_del(&a->node);
		loop_post(last->loop, on_answer, a);
	}
}
