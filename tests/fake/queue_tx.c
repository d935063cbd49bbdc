/*
 * queue_tx.c - the tx end of queue/queue.h, kept in arrays.
 * Never answers by itself: the test leases and looks.
 * Read next: tests/unit/tx.
 */
#include "tests/fake/queue_tx.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mta/base/mem.h"

struct queue {
	int	nothing;
};

struct fake_queue fake_queue;

static struct queue the_queue;
static const struct queue_tx_handlers *handlers;
static void *handlers_ctx;

void
fake_queue_reset(void)
{
	memset(&fake_queue, 0, sizeof fake_queue);
}

struct queue *
queue_new(struct loop *loop)
{
	(void)loop;
	return &the_queue;
}

void
queue_free(struct queue **q)
{
	*q = NULL;
}

void
queue_attach(struct queue *q, int fd)
{
	(void)q;
	close(fd);
}

void
queue_serve(struct queue *q, uint32_t max_leases, uint64_t max_bytes,
    const struct queue_tx_handlers *h, void *ctx)
{
	(void)q;
	(void)max_leases;
	(void)max_bytes;
	handlers = h;
	handlers_ctx = ctx;
}

void
queue_settle(struct queue *q, const struct queue_lease *l,
    const struct queue_settle *s, size_t n, const uint8_t *trace,
    size_t trace_len)
{
	(void)q;
	(void)trace;
	for (size_t i = 0; i < n && fake_queue.nsettles < FAKE_SETTLES; i++) {
		struct fake_settle *k =
		    &fake_queue.settles[fake_queue.nsettles++];

		*k = (struct fake_settle){
			.lease = l->lease, .ordinal = s[i].ordinal,
			.outcome = s[i].outcome, .maybe_sent = s[i].maybe_sent,
			.trace_len = trace_len,
		};
		if (s[i].status != NULL)
			k->status = *s[i].status;
	}
	fake_queue.nended++;
}

void
queue_at_dot(struct queue *q, const struct queue_lease *l)
{
	(void)q;
	(void)l;
	fake_queue.nat_dot++;
}

void
queue_dest_failed(struct queue *q, uint32_t dest, const struct status *status,
    int64_t began_wall_ms, const uint8_t *trace, size_t trace_len)
{
	(void)q;
	(void)began_wall_ms;
	(void)trace;
	if (fake_queue.nfailed < COUNT_OF(fake_queue.failed))
		fake_queue.failed[fake_queue.nfailed++] = (struct fake_failed){
			.dest = dest, .status = *status, .trace_len = trace_len,
		};
}

void
queue_stop(struct queue *q)
{
	(void)q;
	fake_queue.stopped = true;
}

void
queue_lease_free(struct queue_lease **lp)
{
	struct queue_lease *l = *lp;

	*lp = NULL;
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
}

static void
add_recipients(struct queue_lease *l, const char *rcpts)
{
	char *text = xstrdup(rcpts), *rest = text, *word;
	uint32_t n = 0;

	while ((word = strsep(&rest, " ")) != NULL) {
		l->envelope.recipients = xrealloc(l->envelope.recipients,
		    (n + 1) * sizeof *l->envelope.recipients);
		l->ordinals =
		    xrealloc(l->ordinals, (n + 1) * sizeof *l->ordinals);
		l->envelope.recipients[n] =
		    (struct recipient){ .address = xstrdup(word) };
		l->ordinals[n] = n;
		n++;
	}
	l->envelope.nrecipients = n;
	free(text);
}

uint64_t
fake_queue_lease(const struct fake_lease *f)
{
	struct queue_lease *l = xcalloc(1, sizeof *l);

	l->lease = ++fake_queue.last_lease;
	l->dest = f->dest;
	l->connector =
	    xstrdup(f->connector != NULL ? f->connector : "internet");
	l->domain = xstrdup(f->domain != NULL ? f->domain : "far.test");
	l->conf_generation = f->generation;
	memcpy(l->id.b, &l->lease, sizeof l->lease);
	l->envelope.sender =
	    xstrdup(f->sender != NULL ? f->sender : "a@here.test");
	l->envelope.body_8bit = f->body_8bit;
	l->envelope.listener = xstrdup("");
	add_recipients(l, f->rcpts != NULL ? f->rcpts : "b@far.test");
	l->fresh = f->fresh;
	l->with = xstrdup(f->with);
	l->body_fd = -1;
	if (f->body != NULL || f->body_fd <= 0) {
		l->body = (uint8_t *)xstrdup(
		    f->body != NULL ? f->body : "Subject: x\r\n\r\nhello\r\n");
		l->size = strlen((char *)l->body);
	} else {
		l->body_fd = f->body_fd;
		l->size = f->size;
	}
	fake_queue.nleased++;
	handlers->lease(handlers_ctx, l);
	return fake_queue.last_lease;
}

void
fake_queue_lost(void)
{
	handlers->lost(handlers_ctx);
}

const struct fake_settle *
fake_queue_settle(uint64_t lease, uint32_t ordinal)
{
	for (size_t i = 0; i < fake_queue.nsettles; i++)
		if (fake_queue.settles[i].lease == lease &&
		    fake_queue.settles[i].ordinal == ordinal)
			return &fake_queue.settles[i];
	return NULL;
}
