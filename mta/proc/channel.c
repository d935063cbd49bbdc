/*
 * channel.c - frames over a stream socket pair.  Never blocks (but in
 * channel_flush()) and never trusts a length or a descriptor count of the
 * other end: nonsense ends the channel.
 *
 * Read next: channel.h; role.c and parent.c (who makes the pairs).
 */
#include "mta/proc/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mta/base/clock.h"
#include "mta/base/log.h"
#include "mta/base/loop.h"

#define HEAD		8
#define READ_MIN	(128u << 10)
#define READ_MAX	(1u << 20)	/* room asked for a big frame at a time */
#define KEEP_MAX	(1u << 20)	/* larger empty buffers are given back */
#define FDS_MAX		256		/* received, their frames not yet read */

/* A descriptor that leaves with the byte at offset at of out. */
struct outgoing_fd {
	size_t	at;
	int	fd;
};

struct channel {
	struct loop		*loop;		/* borrowed */
	struct loop_io		*io;		/* owned */
	struct loop_timer	*again;		/* owned: frames wait after a pause */
	int			 fd;		/* owned */
	channel_frame_fn	*on_frame;
	channel_gone_fn		*on_gone;
	void			*ctx;
	bool			 freed;		/* by the caller, memory is retired */
	bool			 paused;
	bool			 eof;		/* nothing more will be read */
	bool			 full;		/* the kernel takes no more for now */
	bool			 broken;	/* nothing more can be written */
	bool			 told;		/* on_gone has run */

	struct buf		 in;		/* from in_at on not yet delivered */
	size_t			 in_at;
	int			*fds;		/* received, first come first served */
	size_t			 nfds;

	struct buf		 out;		/* from out_at on not yet written */
	size_t			 out_at;
	size_t			 frame_at;	/* where the frame being built begins */
	struct outgoing_fd	*out_fds;
	size_t			 nout_fds, out_fds_cap;

	size_t			 low;
	bool			 above_low;
	void			(*on_drain)(void *);
	void			*drain_ctx;
};

static void write_out(struct channel *ch);

static uint32_t
le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	    (uint32_t)p[3] << 24;
}

static void
want(struct channel *ch)
{
	loop_io_want(ch->io, !ch->paused && !ch->eof,
	    !ch->broken && ch->full);
}

/* ---- reading ---- */

/* The length of the frame at in_at, head included; 0: its head is not all here. */
static size_t
frame_size(const struct channel *ch)
{
	if (ch->in.len - ch->in_at < HEAD)
		return 0;
	return HEAD + (size_t)le32(ch->in.data + ch->in_at);
}

static bool
keep_fds(struct channel *ch, struct msghdr *msg)
{
	/* A lost descriptor would give the next frame the wrong one. */
	bool good = (msg->msg_flags & MSG_CTRUNC) == 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL;
	     c = CMSG_NXTHDR(msg, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
			ch->fds = xrealloc(ch->fds, (ch->nfds + 1) * sizeof fd);
			ch->fds[ch->nfds++] = fd;
		}
	}
	return good && ch->nfds <= FDS_MAX;
}

static void
nonsense(struct channel *ch, const char *what)
{
	log_warn("channel_nonsense", "what=%s", what);
	ch->eof = true;
	ch->in.len = ch->in_at = 0;
}

/* One recvmsg(): it never reads past bytes that carry a descriptor. */
static void
read_some(struct channel *ch)
{
	union {
		char		buf[CMSG_SPACE(4 * sizeof(int))];
		struct cmsghdr	align;
	} control;
	const size_t frame = frame_size(ch);
	const size_t have = ch->in.len - ch->in_at;
	size_t room = frame > have ? frame - have : 0;
	struct iovec iov;
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control.buf, .msg_controllen = sizeof control.buf,
	};
	ssize_t n;

	room = room < READ_MIN ? READ_MIN : room > READ_MAX ? READ_MAX : room;
	iov.iov_base = buf_room(&ch->in, room);
	iov.iov_len = ch->in.cap - ch->in.len;
	n = recvmsg(ch->fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		ch->eof = true;		/* closed, or reset: the same to us */
		return;
	}
	ch->in.len += (size_t)n;
	if (!keep_fds(ch, &msg))
		nonsense(ch, "descriptors");
}

static int
take_fd(struct channel *ch)
{
	const int fd = ch->fds[0];

	ch->nfds--;
	memmove(ch->fds, ch->fds + 1, ch->nfds * sizeof *ch->fds);
	return fd;
}

/* Gives one frame to the owner.  False: none is complete, or it is nonsense. */
static bool
deliver_one(struct channel *ch)
{
	const size_t size = frame_size(ch);
	const uint8_t *head = ch->in.data + ch->in_at;
	struct rd payload;
	int fd = -1;

	if (size == 0)
		return false;
	if (size - HEAD > CHANNEL_FRAME_MAX || head[6] > 1 || head[7] != 0) {
		nonsense(ch, "head");
		return false;
	}
	if (ch->in.len - ch->in_at < size)
		return false;
	if (head[6] == 1) {
		if (ch->nfds == 0) {
			nonsense(ch, "no_descriptor");
			return false;
		}
		fd = take_fd(ch);
	}
	ch->in_at += size;
	payload = rd_of(head + HEAD, size - HEAD);
	ch->on_frame(ch->ctx, (uint16_t)(head[4] | head[5] << 8), &payload, fd);
	return true;
}

/* Moves what is left to the front, gives back a buffer that grew large. */
static void
tidy(struct buf *b, size_t *at)
{
	if (*at == b->len) {
		b->len = *at = 0;
		if (b->cap > KEEP_MAX)
			buf_free(b);
	} else if (*at > b->len / 2) {
		memmove(b->data, b->data + *at, b->len - *at);
		b->len -= *at;
		*at = 0;
	}
}

/* Everything that may be said to the owner now, in order. */
static void
deliver(struct channel *ch)
{
	while (!ch->freed && !ch->paused && deliver_one(ch))
		continue;
	if (ch->freed)
		return;
	tidy(&ch->in, &ch->in_at);
	want(ch);
	/* A half frame behind an end is lost, as promised. */
	if (ch->eof && !ch->paused && !ch->told) {
		ch->told = true;
		ch->on_gone(ch->ctx);
	}
}

static void
on_ready(void *ctx, bool readable, bool writable)
{
	struct channel *ch = ctx;

	if (writable)
		write_out(ch);
	if (readable && !ch->freed && !ch->paused && !ch->eof) {
		read_some(ch);
		deliver(ch);
	}
}

static void
on_again(void *ctx)
{
	deliver(ctx);
}

void
channel_pause(struct channel *ch, bool paused)
{
	if (ch->paused == paused)
		return;
	ch->paused = paused;
	if (!paused)
		loop_timer_set(ch->again, 0);	/* frames read before wait here */
	want(ch);
}

/* ---- writing ---- */

static void
drop_output(struct channel *ch)
{
	ch->broken = true;
	for (size_t i = 0; i < ch->nout_fds; i++)
		(void)close(ch->out_fds[i].fd);
	ch->nout_fds = 0;
	ch->out.len = ch->out_at = 0;
}

/* The first waiting descriptor is on its way: the kernel has its own copy. */
static void
first_fd_sent(struct channel *ch)
{
	(void)close(ch->out_fds[0].fd);
	ch->nout_fds--;
	memmove(ch->out_fds, ch->out_fds + 1, ch->nout_fds * sizeof *ch->out_fds);
}

/*
 * One sendmsg(), up to the next frame with a descriptor, which must begin a
 * write of its own so that it travels with its first byte.
 */
static ssize_t
write_some(struct channel *ch)
{
	union {
		char		buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr	align;
	} control;
	struct iovec iov = { .iov_base = ch->out.data + ch->out_at };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	const bool with_fd = ch->nout_fds > 0 && ch->out_fds[0].at == ch->out_at;
	const size_t next = with_fd ? 1 : 0;
	size_t end = ch->out.len;
	ssize_t n;

	if (ch->nout_fds > next)
		end = ch->out_fds[next].at;
	iov.iov_len = end - ch->out_at;
	if (with_fd) {
		struct cmsghdr *c;

		memset(&control, 0, sizeof control);
		msg.msg_control = control.buf;
		msg.msg_controllen = sizeof control.buf;
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &ch->out_fds[0].fd, sizeof(int));
	}
	n = sendmsg(ch->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n > 0) {
		ch->out_at += (size_t)n;
		if (with_fd)
			first_fd_sent(ch);
	}
	return n;
}

static void
tidy_output(struct channel *ch)
{
	const size_t before = ch->out_at;

	tidy(&ch->out, &ch->out_at);
	for (size_t i = 0; i < ch->nout_fds; i++)
		ch->out_fds[i].at -= before - ch->out_at;
}

static void
write_out(struct channel *ch)
{
	ch->full = false;
	while (!ch->broken && channel_pending(ch) > 0) {
		if (write_some(ch) > 0 || errno == EINTR)
			continue;
		/* Too many descriptors in flight passes like a full buffer. */
		if (errno == EAGAIN || errno == ETOOMANYREFS) {
			ch->full = true;
			break;
		}
		/* Reading tells the owner, after what it still brings. */
		drop_output(ch);
	}
	tidy_output(ch);
	want(ch);
	if (ch->above_low && channel_pending(ch) <= ch->low) {
		ch->above_low = false;
		if (ch->on_drain != NULL)
			ch->on_drain(ch->drain_ctx);
	}
}

static void
on_turn(void *ctx)
{
	struct channel *ch = ctx;

	/* While the kernel is full, its word that there is room is awaited. */
	if (!ch->freed && !ch->full && channel_pending(ch) > 0)
		write_out(ch);
}

static void
on_posted(void *ctx)
{
	(void)ctx;
}

struct buf *
channel_begin(struct channel *ch, uint16_t type)
{
	ch->frame_at = ch->out.len;
	buf_u32(&ch->out, 0);
	buf_u16(&ch->out, type);
	buf_u16(&ch->out, 0);
	return &ch->out;
}

void
channel_end(struct channel *ch, int fd)
{
	const size_t size = ch->out.len - ch->frame_at - HEAD;
	const bool first = ch->frame_at == ch->out_at;

	if (size > CHANNEL_FRAME_MAX)
		bug("frame of %zu bytes", size);
	buf_set_u32(&ch->out, ch->frame_at, (uint32_t)size);
	if (fd != -1) {
		if (ch->nout_fds == ch->out_fds_cap) {
			ch->out_fds_cap = ch->out_fds_cap * 2 + 4;
			ch->out_fds = xrealloc(ch->out_fds,
			    ch->out_fds_cap * sizeof *ch->out_fds);
		}
		ch->out.data[ch->frame_at + 6] = 1;
		ch->out_fds[ch->nout_fds++] =
		    (struct outgoing_fd){ .at = ch->frame_at, .fd = fd };
	}
	if (ch->broken)
		drop_output(ch);
	if (channel_pending(ch) > ch->low)
		ch->above_low = true;
	/* Said outside a turn, or after our hook ran, it must not wait for one. */
	if (first)
		loop_post(ch->loop, on_posted, NULL);
}

size_t
channel_pending(const struct channel *ch)
{
	return ch->out.len - ch->out_at;
}

void
channel_on_drain(struct channel *ch, size_t low, void (*fn)(void *), void *ctx)
{
	ch->low = low;
	ch->on_drain = fn;
	ch->drain_ctx = ctx;
	ch->above_low = channel_pending(ch) > low;
}

void
channel_flush(struct channel *ch, int ms)
{
	const int64_t end = clock_mono_ms() + ms;

	for (;;) {
		struct pollfd p = { .fd = ch->fd, .events = POLLOUT };
		int64_t left;

		write_out(ch);
		left = end - clock_mono_ms();
		if (ch->freed || channel_pending(ch) == 0 || left <= 0)
			return;
		(void)poll(&p, 1, (int)left);
	}
}

/* ---- life ---- */

struct channel *
channel_new(struct loop *loop, int fd, channel_frame_fn *on_frame,
    channel_gone_fn *on_gone, void *ctx)
{
	struct channel *ch = xcalloc(1, sizeof *ch);
	const int flags = fcntl(fd, F_GETFL);

	if (flags == -1 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1)
		bug("channel on descriptor %d: %s", fd, strerror(errno));
	ch->loop = loop;
	ch->fd = fd;
	ch->on_frame = on_frame;
	ch->on_gone = on_gone;
	ch->ctx = ctx;
	ch->io = loop_io_new(loop, fd, on_ready, ch);
	ch->again = loop_timer_new(loop, on_again, ch);
	loop_on_turn(loop, on_turn, ch);
	want(ch);
	return ch;
}

static void
reap(void *obj)
{
	struct channel *ch = obj;

	for (size_t i = 0; i < ch->nfds; i++)
		(void)close(ch->fds[i]);
	free(ch->fds);
	free(ch->out_fds);
	buf_free(&ch->in);
	buf_free(&ch->out);
	free(ch);
}

void
channel_free(struct channel **ch_p)
{
	struct channel *ch = *ch_p;

	if (ch == NULL)
		return;
	*ch_p = NULL;
	ch->freed = true;
	drop_output(ch);
	loop_io_free(&ch->io);
	loop_timer_free(&ch->again);
	loop_on_turn_remove(ch->loop, on_turn, ch);
	(void)close(ch->fd);
	/* A payload lent to on_frame() lives in our buffer until the turn ends. */
	loop_retire(ch->loop, ch, reap);
}
