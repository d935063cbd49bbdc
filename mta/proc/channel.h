/*
 * channel.h - frames between two roles over a stream socket pair.
 *
 *   off len  field
 *     0   4  length of the payload, little endian, at most CHANNEL_FRAME_MAX
 *     4   2  type, meaning given by the two ends
 *     6   1  1: one descriptor comes with the frame's first byte, else 0
 *     7   1  zero
 *     8   -  payload
 *
 * Frames gather in one output buffer and are written once a turn (one
 * sendmsg a turn unless descriptors are passed).  Nothing ever blocks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mta/base/mem.h"

struct loop;
struct channel;

#define CHANNEL_FRAME_MAX (64u << 20)

/*
 * One whole frame arrived.  payload is borrowed until return.  fd is given
 * (-1: none).  From inside, any function may be called, channel_free() too.
 */
typedef void channel_frame_fn(void *ctx, uint16_t type, struct rd *payload, int fd);

/*
 * The other end is gone (closed, reset, or it sent nonsense); comes once, from
 * the loop; no frame comes after it.  The channel must still be freed.
 */
typedef void channel_gone_fn(void *ctx);

/* fd is given; made non-blocking here. */
struct channel *channel_new(struct loop *loop, int fd, channel_frame_fn *on_frame,
    channel_gone_fn *on_gone, void *ctx);
void channel_free(struct channel **ch);		/* *ch may be NULL; half frames are lost */

/*
 * Writes one frame: append the payload to the returned buffer, then end it.
 * No other channel call between the two.  fd: -1, or a descriptor that is
 * given (closed once sent or when the channel goes).
 */
struct buf *channel_begin(struct channel *ch, uint16_t type);
void channel_end(struct channel *ch, int fd);

/* Bytes accepted but not yet taken by the kernel. */
size_t channel_pending(const struct channel *ch);

/* fn runs once pending falls to at most low, after it was above; NULL: none. */
void channel_on_drain(struct channel *ch, size_t low, void (*fn)(void *ctx), void *ctx);

/* Stops or resumes reading frames; frames already read wait too. */
void channel_pause(struct channel *ch, bool paused);

/* Writes now, blocking at most ms: for a role that is about to exit. */
void channel_flush(struct channel *ch, int ms);
