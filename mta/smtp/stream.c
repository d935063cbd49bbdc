/*
 * stream.c - a TCP socket on the event loop: reads into one scratch buffer
 * that all streams of the process share, gathers writes, sends once a turn.
 * Never calls its owner from inside the owner's own call; never knows what the
 * bytes mean.  A stream that is idle holds no buffer for its input.
 * Read next: stream.h; mta/rx/session.c and mta/tx/session.c, the owners.
 */
#include "mta/smtp/stream.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "mta/base/clock.h"
#include "mta/base/log.h"
#include "mta/base/loop.h"

#define FINISH_MS 30000		/* a peer that does not read our last words gets no longer */
#define OUT_KEEP (64u << 10)	/* an output buffer larger than this is not kept when empty */

struct smtp_stream {
	struct loop			*loop;		/* borrowed */
	const struct smtp_stream_ops	*ops;		/* borrowed */
	void				*ctx;
	int				 fd;		/* owned; -1: closed */
	int				 err;		/* why closed */
	struct event			 read_event, write_event;
	struct loop_timer		*timer;		/* owned; NULL until first used */
	int64_t				 deadline_mono_ms;	/* 0: none */
	int64_t				 timer_at_mono_ms;	/* what timer is set to */
	struct buf			 in;		/* read, not consumed */
	struct buf			 out;		/* not sent from out_at on */
	size_t				 out_at;
	int64_t				 linger_ms;	/* of finish() */
	bool	connecting;
	bool	reading;	/* read_event is added */
	bool	writing;	/* write_event is added */
	bool	paused;
	bool	inside;		/* a callback that is followed by settle() runs */
	bool	posted;		/* on_posted() will come */
	bool	offer;		/* show what is left of in when it comes */
	bool	half;		/* the peer sends no more; it may still read our replies */
	bool	eof;		/* err is to be told */
	bool	told;		/* on_closed() was called */
	bool	broken;		/* writing failed: output is thrown away */
	bool	drained_due;	/* something was written since the last on_drained() */
	bool	finishing, lingering;
	bool	freed;
	bool	reaped;		/* only on_posted() still holds it */
};

/* One for all: the roles are single-threaded, and nothing stays in it. */
static uint8_t scratch[SMTP_STREAM_READ_MAX];

static void on_read_event(evutil_socket_t fd, short what, void *arg);
static void on_write_event(evutil_socket_t fd, short what, void *arg);
static void on_posted(void *ctx);
static void settle(struct smtp_stream *s);

static void
post(struct smtp_stream *s)
{
	if (s->posted || s->inside || s->freed)
		return;
	s->posted = true;
	loop_post(s->loop, on_posted, s);
}

static void
want_read(struct smtp_stream *s, bool want)
{
	if (want == s->reading || s->fd == -1)
		return;
	s->reading = want;
	if (want)
		event_add(&s->read_event, NULL);
	else
		event_del(&s->read_event);
}

static void
want_write(struct smtp_stream *s, bool want)
{
	if (want == s->writing || s->fd == -1)
		return;
	s->writing = want;
	if (want)
		event_add(&s->write_event, NULL);
	else
		event_del(&s->write_event);
}

static struct smtp_stream *
stream_new(struct loop *loop, int fd, const struct smtp_stream_ops *ops, void *ctx)
{
	struct smtp_stream *s = xcalloc(1, sizeof(*s));

	s->loop = loop;
	s->ops = ops;
	s->ctx = ctx;
	s->fd = fd;
	event_assign(&s->read_event, loop_base(loop), fd, EV_READ | EV_PERSIST,
	    on_read_event, s);
	event_assign(&s->write_event, loop_base(loop), fd, EV_WRITE | EV_PERSIST,
	    on_write_event, s);
	return s;
}

struct smtp_stream *
smtp_stream_new(struct loop *loop, int fd, const struct smtp_stream_ops *ops, void *ctx)
{
	struct smtp_stream *s = stream_new(loop, fd, ops, ctx);

	want_read(s, true);
	return s;
}

struct smtp_stream *
smtp_stream_new_connecting(struct loop *loop, int fd,
    const struct smtp_stream_ops *ops, void *ctx)
{
	struct smtp_stream *s = stream_new(loop, fd, ops, ctx);

	s->connecting = true;
	want_write(s, true);
	return s;
}

static void
close_fd(struct smtp_stream *s)
{
	if (s->fd == -1)
		return;
	want_read(s, false);
	want_write(s, false);
	close(s->fd);
	s->fd = -1;
}

static void
reap(void *ctx)
{
	struct smtp_stream *s = ctx;

	if (s->posted) {	/* in the next turn */
		s->reaped = true;
		return;
	}
	buf_free(&s->in);
	buf_free(&s->out);
	free(s);
}

void
smtp_stream_free(struct smtp_stream **sp)
{
	struct smtp_stream *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	close_fd(s);
	loop_timer_free(&s->timer);
	s->freed = true;
	loop_retire(s->loop, s, reap);
}

/* The end, for whatever reason.  The owner hears of it from the loop. */
static void
ended(struct smtp_stream *s, int err)
{
	if (s->eof)
		return;
	s->eof = true;
	s->err = err;
	close_fd(s);
	post(s);
}

struct buf *
smtp_stream_begin(struct smtp_stream *s)
{
	return &s->out;
}

void
smtp_stream_end(struct smtp_stream *s)
{
	if (s->broken || s->fd == -1 || s->lingering) {
		s->out.len = s->out_at = 0;
		return;
	}
	s->drained_due = true;
	post(s);
}

void
smtp_stream_write(struct smtp_stream *s, const void *p, size_t n)
{
	buf_add(smtp_stream_begin(s), p, n);
	smtp_stream_end(s);
}

void
smtp_stream_printf(struct smtp_stream *s, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(text))
		bug("smtp_stream_printf: %d octets", n);
	smtp_stream_write(s, text, (size_t)n);
}

size_t
smtp_stream_pending(const struct smtp_stream *s)
{
	return s->out.len - s->out_at;
}

/*
 * A write error does not end the stream: what the peer said before it closed
 * (a 421, most often) is still to be read, and its end comes after that.
 */
static void
broke(struct smtp_stream *s, int err)
{
	s->broken = true;
	s->out.len = s->out_at = 0;
	want_write(s, false);
	if (s->finishing)
		ended(s, err);
}

static void
send_out(struct smtp_stream *s)
{
	while (s->out_at < s->out.len) {
		ssize_t n = send(s->fd, s->out.data + s->out_at,
		    s->out.len - s->out_at, MSG_NOSIGNAL);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			want_write(s, true);
			return;
		}
		if (n == -1) {
			broke(s, errno);
			return;
		}
		s->out_at += (size_t)n;
	}
	want_write(s, false);
	s->out.len = s->out_at = 0;
	if (s->out.cap > OUT_KEEP)
		buf_free(&s->out);
}

/* All is written and finish() was asked for. */
static void
finish_written(struct smtp_stream *s)
{
	if (s->linger_ms == 0) {
		ended(s, 0);
		return;
	}
	if (s->lingering)
		return;
	s->lingering = true;
	shutdown(s->fd, SHUT_WR);
	buf_free(&s->in);
	smtp_stream_timeout(s, s->linger_ms);
	want_read(s, true);
}

static void
tell_closed(struct smtp_stream *s)
{
	if (s->told || (s->paused && !s->finishing))
		return;
	s->told = true;
	loop_timer_free(&s->timer);
	s->ops->on_closed(s->ctx, s->err);
}

/* Shows n bytes; what is not consumed goes to (or stays in) s->in. */
static void
show(struct smtp_stream *s, const uint8_t *data, size_t n)
{
	size_t used = s->ops->on_readable(s->ctx, data, n);

	if (s->freed)
		return;
	if (used > n)
		bug("on_readable consumed %zu of %zu", used, n);
	if (data != s->in.data) {
		if (used < n)
			buf_add(&s->in, data + used, n - used);
		return;
	}
	if (used == n) {
		buf_free(&s->in);
		return;
	}
	memmove(s->in.data, s->in.data + used, n - used);
	s->in.len = n - used;
}

/* After the owner was called, and in every post: what has become due. */
static void
settle(struct smtp_stream *s)
{
	s->inside = true;
	while (!s->freed && s->offer && !s->paused && !s->finishing) {
		s->offer = false;
		if (s->in.len != 0)
			show(s, s->in.data, s->in.len);
	}
	if (!s->freed && s->fd != -1 && !s->connecting && !s->broken) {
		send_out(s);
		if (smtp_stream_pending(s) == 0 && s->drained_due && !s->broken) {
			s->drained_due = false;
			if (s->ops->on_drained != NULL && !s->finishing)
				s->ops->on_drained(s->ctx);
		}
	}
	if (!s->freed && s->fd != -1 && s->finishing &&
	    smtp_stream_pending(s) == 0)
		finish_written(s);
	s->inside = false;
	if (s->freed)
		return;
	if (s->half && !s->eof && !s->paused && !s->finishing && !s->offer &&
	    smtp_stream_pending(s) == 0)
		ended(s, 0);
	if (s->eof) {
		tell_closed(s);
		return;
	}
	if (!s->half && s->in.len < sizeof(scratch) && !s->paused && !s->finishing &&
	    !s->connecting)
		want_read(s, true);
	if (s->offer || (s->drained_due && !s->writing && !s->connecting))
		post(s);	/* written from on_drained(): others first */
}

static void
on_posted(void *ctx)
{
	struct smtp_stream *s = ctx;

	s->posted = false;
	if (!s->freed)
		settle(s);
	else if (s->reaped)
		reap(s);
}

/* Input of a stream that lingers is nobody's. */
static void
throw_away(struct smtp_stream *s)
{
	ssize_t n = recv(s->fd, scratch, sizeof(scratch), 0);

	if (n == 0 || (n == -1 && errno != EAGAIN && errno != EINTR)) {
		ended(s, 0);
		settle(s);
	}
}

static void
on_read_event(evutil_socket_t fd, short what, void *arg)
{
	struct smtp_stream *s = arg;
	uint8_t *to = scratch;
	size_t room = sizeof(scratch) - s->in.len;
	ssize_t n;

	(void)fd;
	(void)what;
	if (s->lingering) {
		throw_away(s);
		return;
	}
	if (s->paused || s->finishing || room == 0) {
		want_read(s, false);	/* lazily: most pauses see no input */
		return;
	}
	if (s->in.len != 0)
		to = buf_room(&s->in, room);
	n = recv(s->fd, to, room, 0);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	s->inside = true;
	if (n == -1) {
		ended(s, errno);
	} else if (n == 0) {		/* what it sent before is still answered */
		s->half = true;
		s->offer = s->in.len != 0;
		want_read(s, false);
	} else if (to == scratch) {
		show(s, scratch, (size_t)n);
	} else {
		s->in.len += (size_t)n;
		show(s, s->in.data, s->in.len);
	}
	s->inside = false;
	if (!s->freed)
		settle(s);
}

static void
connect_done(struct smtp_stream *s)
{
	socklen_t len = sizeof(int);
	int err = 0;

	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &err, &len) == -1)
		err = errno;
	s->connecting = false;
	want_write(s, false);
	s->inside = true;
	if (err != 0)
		ended(s, err);
	else {
		want_read(s, !s->paused);
		if (s->ops->on_connected != NULL)
			s->ops->on_connected(s->ctx);
	}
	s->inside = false;
}

static void
on_write_event(evutil_socket_t fd, short what, void *arg)
{
	struct smtp_stream *s = arg;

	(void)fd;
	(void)what;
	if (s->connecting)
		connect_done(s);
	if (!s->freed)
		settle(s);
}

static void
on_timer(void *ctx)
{
	struct smtp_stream *s = ctx;
	int64_t left = s->deadline_mono_ms - clock_mono_ms();

	s->timer_at_mono_ms = 0;
	if (s->deadline_mono_ms == 0)
		return;
	if (left > 0) {		/* was moved on since */
		s->timer_at_mono_ms = s->deadline_mono_ms;
		loop_timer_set(s->timer, left);
		return;
	}
	s->deadline_mono_ms = 0;
	if (s->finishing) {
		ended(s, s->lingering ? 0 : ETIMEDOUT);
		settle(s);
		return;
	}
	s->inside = true;
	s->ops->on_timeout(s->ctx);
	s->inside = false;
	if (!s->freed)
		settle(s);
}

void
smtp_stream_timeout(struct smtp_stream *s, int64_t ms)
{
	if (ms == 0 || s->eof) {
		s->deadline_mono_ms = 0;	/* the timer finds nothing to do */
		return;
	}
	s->deadline_mono_ms = clock_mono_ms() + ms;
	if (s->timer_at_mono_ms != 0 && s->timer_at_mono_ms <= s->deadline_mono_ms)
		return;
	if (s->timer == NULL)
		s->timer = loop_timer_new(s->loop, on_timer, s);
	s->timer_at_mono_ms = s->deadline_mono_ms;
	loop_timer_set(s->timer, ms);
}

void
smtp_stream_pause(struct smtp_stream *s, bool paused)
{
	if (s->paused == paused)
		return;
	s->paused = paused;
	if (paused)
		return;
	if (s->in.len != 0) {
		s->offer = true;
		post(s);
	}
	if (s->eof || s->half)
		post(s);
	else if (!s->connecting)
		want_read(s, true);
}

void
smtp_stream_finish(struct smtp_stream *s, int64_t linger_ms)
{
	if (s->finishing)
		return;
	s->finishing = true;
	s->linger_ms = linger_ms;
	smtp_stream_timeout(s, FINISH_MS);
	post(s);
}
