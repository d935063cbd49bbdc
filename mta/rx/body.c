/*
 * body.c - content in memory or on its way to a file.
 * Never blocks, never keeps more than about two chunks of a body that has a
 * file, and never forgets to tell the queue of a file that is given up.
 * Read next: body.h; writer.c; queue/queue.h for queue_body_open().
 */
#include "mta/rx/body.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mta/base/crc32c.h"
#include "mta/base/log.h"
#include "mta/rx/rx.h"
#include "mta/rx/writer.h"
#include "queue/queue.h"

#define CHUNK (128u << 10)	/* given to the writer at a time */
#define FIRST_ROOM 8192		/* most messages fit, headers of ours included */

/* Outlives its body while the queue or the writer still holds it. */
struct rx_file {
	struct rx	*rx;		/* borrowed */
	struct rx_body	*body;		/* borrowed; NULL: given up or done with */
	struct msgid	 id;
	int		 fd;		/* owned; -1: not there */
	bool		 opening;	/* queue_body_open() has not answered */
	bool		 busy;		/* the writer has the job */
	bool		 ending;	/* rx_body_end() was called */
	bool		 taken;		/* an accept named it */
	size_t		 counted;	/* of the job's data, in rx->body_bytes */
	struct rx_job	 job;
};

static void on_written(struct rx_job *job);

static void
recount(struct rx_body *b)
{
	b->rx->body_bytes += b->mem.len - b->counted;
	b->counted = b->mem.len;
}

void
rx_body_begin(struct rx_body *b, struct rx *rx, const struct msgid *id,
    uint64_t large, uint64_t declared)
{
	size_t room = FIRST_ROOM;

	b->rx = rx;
	b->id = *id;
	b->large = large;
	b->declared = declared;
	b->size = b->counted = 0;
	b->crc = 0;
	b->failed = false;
	if (declared > room / 2)
		room = (size_t)(declared < large ? declared : large) + FIRST_ROOM / 2;
	buf_room(&b->mem, room);
}

/* Nobody needs it any more: not the body, the queue or the writer. */
static void
file_free(struct rx_file *f)
{
	if (f->opening || f->busy)
		return;
	if (f->fd != -1) {
		close(f->fd);
		if (!f->taken)
			queue_body_drop(f->rx->queue, &f->id);
	}
	buf_free(&f->job.data);
	free(f);
}

static void
body_failed(struct rx_body *b, const struct status *st)
{
	b->failed = true;
	b->status = *st;
	buf_free(&b->mem);
	recount(b);
}

static void
write_failed(struct rx_body *b, int err)
{
	struct status st;
	bool full = err == ENOSPC || err == EDQUOT || err == EFBIG;

	log_warn("body_write_failed", "err=\"%s\"", strerror(err));
	status_set(&st, 4, 3, full ? 1 : 0, STAGE_queue, REASON_local, "%s",
	    full ? "no room for this message" : "cannot store this message");
	body_failed(b, &st);
}

/* Gives what has gathered to the writer. */
static void
hand_over(struct rx_file *f, bool sync)
{
	struct rx_body *b = f->body;

	f->job.data = b->mem;
	f->job.sync = sync;
	f->job.fd = f->fd;
	f->job.done = on_written;
	f->counted = b->counted;
	b->mem = (struct buf){ NULL, 0, 0 };
	b->counted = 0;
	f->busy = true;
	if (f->rx->writer == NULL)
		f->rx->writer = rx_writer_new(f->rx->loop);
	rx_writer_add(f->rx->writer, &f->job);
}

/* The file is there and idle.  Says room() or ready() when it is time to. */
static void
file_go_on(struct rx_file *f)
{
	struct rx_body *b = f->body;

	if (b->failed) {
		if (f->ending)
			b->ready(b->ctx);
		else
			b->room(b->ctx);
		return;
	}
	if (f->ending) {
		hand_over(f, true);
		return;
	}
	if (b->mem.len >= CHUNK)
		hand_over(f, false);
	b->room(b->ctx);
}

static void
on_written(struct rx_job *job)
{
	struct rx_file *f = (struct rx_file *)((char *)job - offsetof(struct rx_file, job));
	struct rx_body *b = f->body;

	f->busy = false;
	f->rx->body_bytes -= f->counted;
	f->counted = 0;
	buf_free(&job->data);
	if (b == NULL) {
		file_free(f);
		return;
	}
	if (job->err != 0 && !b->failed)
		write_failed(b, job->err);
	if (!b->failed && job->sync) {
		b->crc = job->crc;
		b->ready(b->ctx);
		return;
	}
	file_go_on(f);
}

static void
on_open(void *ctx, int fd, const struct status *status)
{
	struct rx_file *f = ctx;

	f->opening = false;
	f->fd = fd;
	if (f->body == NULL) {
		file_free(f);
		return;
	}
	if (fd == -1)
		body_failed(f->body, status);
	file_go_on(f);
}

static void
file_open(struct rx_body *b)
{
	struct rx_file *f = xcalloc(1, sizeof(*f));

	f->rx = b->rx;
	f->body = b;
	f->id = b->id;
	f->fd = -1;
	f->opening = true;
	list_init(&f->job.node);
	b->file = f;
	queue_body_open(b->rx->queue, &b->id, b->declared, on_open, f);
}

bool
rx_body_grew(struct rx_body *b)
{
	struct rx_file *f = b->file;

	b->size += b->mem.len - b->counted;
	recount(b);
	if (f == NULL) {
		if (b->mem.len <= b->large && b->rx->body_bytes <= b->rx->body_budget)
			return true;
		file_open(b);
		return b->mem.len < CHUNK;
	}
	if (b->mem.len < CHUNK)
		return true;
	if (f->opening || f->busy)
		return false;
	hand_over(f, false);
	return true;
}

bool
rx_body_end(struct rx_body *b)
{
	struct rx_file *f = b->file;

	if (f == NULL || b->failed) {
		if (!b->failed)
			b->crc = crc32c(0, b->mem.data, b->mem.len);
		return true;
	}
	f->ending = true;
	if (!f->opening && !f->busy)
		hand_over(f, true);
	return false;
}

void
rx_body_drop(struct rx_body *b, bool taken)
{
	struct rx_file *f = b->file;

	b->file = NULL;
	buf_free(&b->mem);
	if (b->rx != NULL)
		recount(b);
	if (f == NULL)
		return;
	f->body = NULL;
	f->taken = taken;
	file_free(f);
}
