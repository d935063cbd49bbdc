/*
 * client.c - one control session: bounded input, framed output, and the
 * cancelling of everything when relayctl goes away.  Never blocks, never runs
 * a command's callback after client_end(), never frees inside a callback.
 * Read next: commands.c (what it runs), server.c (where it comes from).
 */
#include "mta/ctl/client.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf/conf.h"
#include "mta/base/loop.h"
#include "mta/ctl/commands.h"

#define REQUEST_WAIT_MS 10000
#define FRAME_FROM (16u << 10)	/* text gathers to this before it is framed */

struct client_ask {
	struct list			 node;		/* in client->asks */
	struct client			*client;
	struct asker			*asker;
	struct ask			*ask;
	const struct client_ask_fns	*fns;
	void				*ctx;
};

/* ---- output ---- */

static size_t
pending(const struct client *c)
{
	return c->out.len - c->written + c->text.len;
}

/* Writing happens in the loop's callback alone: see on_client(). */
static void
want(struct client *c)
{
	if (!c->retired)
		loop_io_want(c->io, true, c->out.len > c->written || c->ended);
}

static void
frame_text(struct client *c)
{
	wire_frame(&c->out, 'o', c->text.data, c->text.len);
	c->text.len = 0;
}

struct buf *
client_out(struct client *c)
{
	return &c->text;
}

static void
pace(struct client *c)
{
	const bool full = pending(c) > CLIENT_OUT_MAX;
	const bool low = pending(c) < CLIENT_OUT_MAX / 2;

	if (c->inspect == NULL || (c->paused ? !low : !full))
		return;
	c->paused = !c->paused;
	queue_inspect_pause(c->ctl->queue, c->inspect, c->paused);
}

void
client_pushed(struct client *c)
{
	if (c->text.len >= FRAME_FROM) {
		frame_text(c);
		want(c);
	}
	pace(c);
}

void
client_error(struct client *c, const char *fmt, ...)
{
	struct buf line = { 0 };
	char text[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	buf_printf(&line, "relayctl: %s\n", text);
	frame_text(c);		/* keeps the order of the two streams */
	wire_frame(&c->out, 'e', line.data, line.len);
	buf_free(&line);
	want(c);
}

void
client_end(struct client *c, int exit_code)
{
	const uint8_t code = (uint8_t)exit_code;

	if (c->ended)
		return;
	frame_text(c);
	wire_frame(&c->out, 'x', &code, 1);
	c->ended = true;
	client_after(c, 0, NULL);
	want(c);
}

/* ---- questions ---- */

static void
on_inspect_row(void *ctx, struct rd *row)
{
	struct client *c = ctx;

	if (c->retired || c->ended)
		return;
	c->inspect_row(c, row);
	client_pushed(c);
}

static void
on_inspect_end(void *ctx, bool ok, uint64_t n, const char *text)
{
	struct client *c = ctx;

	c->inspect = NULL;
	c->paused = false;
	if (!c->retired && !c->ended)
		c->inspect_end(c, ok, n, text);
}

static const struct inspect_handlers inspect_handlers = {
	.row = on_inspect_row, .end = on_inspect_end,
};

void
client_inspect(struct client *c, const struct inspect_request *q, client_row_fn *row, client_end_fn *end)
{
	c->inspect_row = row;
	c->inspect_end = end;
	c->inspect = queue_inspect(c->ctl->queue, q, &inspect_handlers, c);
}

static void
on_ask_row(void *ctx, struct rd *row)
{
	struct client_ask *a = ctx;

	if (a->client->retired || a->client->ended || a->fns->row == NULL)
		return;
	a->fns->row(a->client, a->ctx, row);
	client_pushed(a->client);
}

static void
on_ask_end(void *ctx, bool ok, uint64_t n, const char *text)
{
	struct client_ask *a = ctx;
	struct client *c = a->client;
	const struct client_ask_fns *fns = a->fns;
	void *fns_ctx = a->ctx;

	list_del(&a->node);
	free(a);
	if (!c->retired && !c->ended)
		fns->end(c, fns_ctx, ok, n, text);
}

static const struct ask_handlers ask_handlers = { .row = on_ask_row, .end = on_ask_end };

void
client_ask(struct client *c, unsigned tx, const struct ask_request *q, const struct client_ask_fns *fns, void *ctx)
{
	struct client_ask *a = xcalloc(1, sizeof *a);

	a->client = c;
	a->asker = c->ctl->askers[tx];
	a->fns = fns;
	a->ctx = ctx;
	list_add_tail(&c->asks, &a->node);
	a->ask = asker_ask(a->asker, q, &ask_handlers, a);
}

static void
on_timer(void *ctx)
{
	struct client *c = ctx;

	if (!c->retired && c->on_time != NULL)
		c->on_time(c);
}

void
client_after(struct client *c, int64_t ms, void (*fn)(struct client *c))
{
	c->on_time = fn;
	if (fn == NULL)
		loop_timer_clear(c->timer);
	else
		loop_timer_set(c->timer, ms);
}

/* ---- the socket ---- */

static void
request_refused(struct client *c, const char *why)
{
	c->running = true;
	client_error(c, "%s", why);
	client_end(c, EXIT_USAGE);
}

static void
request_read(struct client *c)
{
	struct rd r = rd_of(c->in.data, c->in.len);
	uint32_t len;
	struct fault why;

	if (c->running || c->in.len < 4)
		return;
	len = rd_u32(&r);
	if (len > WIRE_REQUEST_MAX) {
		request_refused(c, "request too long");
		return;
	}
	if (c->in.len - 4 < len)
		return;
	if (!wire_request_decode(&c->request, c->in.data + 4, len, &why)) {
		request_refused(c, why.text);
		return;
	}
	c->running = true;
	client_after(c, 0, NULL);
	command_run(c);
}

/* false: the other end is gone. */
static bool
fill(struct client *c)
{
	uint8_t *room = buf_room(&c->in, 4096);
	const ssize_t n = recv(c->fd, room, 4096, 0);

	if (n == -1)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		return false;
	if (!c->running)		/* what comes after the request is nothing to us */
		c->in.len += (size_t)n;
	return true;
}

static bool
drain(struct client *c)
{
	ssize_t n;

	if (c->out.len == c->written)
		return true;
	n = send(c->fd, c->out.data + c->written, c->out.len - c->written, MSG_NOSIGNAL);
	if (n == -1)
		return errno == EAGAIN || errno == EINTR;
	c->written += (size_t)n;
	if (c->written == c->out.len)
		c->written = c->out.len = 0;
	else if (c->written > CLIENT_OUT_MAX) {
		memmove(c->out.data, c->out.data + c->written, c->out.len - c->written);
		c->out.len -= c->written;
		c->written = 0;
	}
	return true;
}

static void
on_client(void *ctx, bool readable, bool writable)
{
	struct client *c = ctx;

	if (c->retired)
		return;
	if (readable && !fill(c)) {
		client_close(c);
		return;
	}
	if (readable)
		request_read(c);
	if (writable && !drain(c)) {
		client_close(c);
		return;
	}
	if (c->ended && c->out.len == c->written) {
		client_close(c);
		return;
	}
	pace(c);
	want(c);
}

struct client *
client_new(struct ctl *ctl, int fd, unsigned rights, uid_t uid)
{
	struct client *c = xcalloc(1, sizeof *c);

	c->ctl = ctl;
	c->conf = conf_ref(ctl->conf);
	c->rights = rights;
	c->uid = uid;
	c->fd = fd;
	list_init(&c->asks);
	c->io = loop_io_new(ctl->loop, fd, on_client, c);
	c->timer = loop_timer_new(ctl->loop, on_timer, c);
	list_add_tail(&ctl->clients, &c->node);
	ctl->nclients++;
	client_after(c, REQUEST_WAIT_MS, client_close);
	want(c);
	return c;
}

static void
client_reap(void *obj)
{
	struct client *c = obj;

	if (c->job_free != NULL)
		c->job_free(c->job);
	options_free(&c->opt);
	wire_request_free(&c->request);
	buf_free(&c->in);
	buf_free(&c->text);
	buf_free(&c->out);
	conf_unref(&c->conf);
	free(c);
}

static void
cancel_all(struct client *c)
{
	if (c->inspect != NULL)
		queue_inspect_cancel(c->ctl->queue, &c->inspect);
	LIST_EACH_SAFE(it, &c->asks) {
		struct client_ask *a = LIST_OWNER(it, struct client_ask, node);

		asker_cancel(a->asker, &a->ask);
		list_del(&a->node);
		free(a);
	}
	ctl_forget_client(c->ctl, c);
}

void
client_close(struct client *c)
{
	struct ctl *ctl = c->ctl;

	if (c->retired)
		return;
	c->retired = true;
	cancel_all(c);
	loop_timer_free(&c->timer);
	loop_io_free(&c->io);
	close(c->fd);
	list_del(&c->node);
	ctl->nclients--;
	loop_retire(ctl->loop, c, client_reap);
	ctl_client_gone(ctl);
}
