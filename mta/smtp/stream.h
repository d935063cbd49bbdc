/*
 * stream.h - one TCP conversation as bytes in and out; libevent, and later
 * TLS, stay behind this header.
 *
 * Writes gather and go out as one send: after on_readable() returns, or once
 * the callbacks of the turn are done.  No callback ever runs inside one of
 * these calls.  After smtp_stream_free() none comes at all.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mta/base/mem.h"

struct loop;
struct smtp_stream;

/* Most that is kept unread; on_readable() never sees more at once. */
#define SMTP_STREAM_READ_MAX (64u << 10)

/* From inside any of these every function below may be called, free too. */
struct smtp_stream_ops {
	/* Only after smtp_stream_new_connecting(): the connection stands. */
	void	(*on_connected)(void *ctx);
	/*
	 * All bytes not yet consumed; borrowed until return.  Returns how many
	 * were consumed; the rest is shown again, together with what follows,
	 * when more arrives or reading is resumed.  Who consumes nothing of
	 * SMTP_STREAM_READ_MAX bytes gets no more.
	 */
	size_t	(*on_readable)(void *ctx, const uint8_t *data, size_t n);
	/*
	 * The end: 0 is a close by the peer (or smtp_stream_finish() done),
	 * else an errno, also of a failed connect.  Comes once, after all that
	 * could be read was shown; nothing follows.  Not while paused.
	 */
	void	(*on_closed)(void *ctx, int err);
	/* The time of smtp_stream_timeout() is over; the stream lives on. */
	void	(*on_timeout)(void *ctx);
	/* Everything written so far is with the kernel.  May be NULL. */
	void	(*on_drained)(void *ctx);
};

/* fd (given) is connected and non-blocking; ops is borrowed. */
struct smtp_stream *smtp_stream_new(struct loop *loop, int fd, const struct smtp_stream_ops *ops,
    void *ctx);
/* The same after connect() said EINPROGRESS (or 0): on_connected() or on_closed() follows. */
struct smtp_stream *smtp_stream_new_connecting(struct loop *loop, int fd,
    const struct smtp_stream_ops *ops, void *ctx);
/* Closes the socket at once; what was not sent is lost.  *s may be NULL. */
void smtp_stream_free(struct smtp_stream **s);

void smtp_stream_write(struct smtp_stream *s, const void *p, size_t n);
void smtp_stream_printf(struct smtp_stream *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
/*
 * The output itself, for those who can append without a copy (dot.h): append
 * only, then smtp_stream_end().  No other call on s between the two.
 */
struct buf *smtp_stream_begin(struct smtp_stream *s);
void smtp_stream_end(struct smtp_stream *s);
size_t smtp_stream_pending(const struct smtp_stream *s);	/* bytes not with the kernel */

/* One shot from now, replaces the last one; 0: none.  Cheap: call it per command. */
void smtp_stream_timeout(struct smtp_stream *s, int64_t ms);

/* While paused neither on_readable() nor on_closed() comes; resuming shows what is left. */
void smtp_stream_pause(struct smtp_stream *s, bool paused);

/*
 * No more input, please: send what is written, then close and say on_closed(0).
 * linger_ms 0 closes once the kernel has it; else the peer's input is thrown away
 * until its end or that long (a close with input unread would reset
 * the connection and could take our last reply with it).
 */
void smtp_stream_finish(struct smtp_stream *s, int64_t linger_ms);
