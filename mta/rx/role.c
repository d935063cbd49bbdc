/*
 * role.c - the receiving side as a role of relayd: what the parent sends, as
 * calls of rx.h.  Never decides anything; kept apart so that tests can have a
 * receiving side without a process around it.
 * Read next: mta/proc/role.h; rx.c.
 */
#include "mta/proc/role.h"

#include <unistd.h>

#include "mta/rx/listener.h"
#include "mta/rx/rx.h"
#include "queue/queue.h"

static struct rx the_role;

static void
on_empty(struct rx *rx)
{
	(void)rx;
	role_exit();
}

static void
start(void *ctx, struct loop *loop, struct conf *conf)
{
	struct rx *rx = ctx;

	rx_init(rx, loop, conf);
	rx->on_empty = on_empty;
	role_ready();
}

static void
reload(void *ctx, struct conf *conf)
{
	rx_reload(ctx, conf);
}

static void
listen_on(void *ctx, uint32_t number, int fd)
{
	rx_listener_open(ctx, number, fd);
}

static void
peer(void *ctx, enum role role, unsigned index, uint32_t generation, int fd)
{
	struct rx *rx = ctx;

	(void)index;
	(void)generation;
	if (role == ROLE_QUEUE) {
		queue_attach(rx->queue, fd);
		return;
	}
	/* Kept open, so that the other end does not take us for dead. */
	if (rx->ctl_fd != -1)
		close(rx->ctl_fd);
	rx->ctl_fd = fd;
}

static void
drain(void *ctx)
{
	rx_drain(ctx);
}

const struct role_ops rx_role_ops = {
	.start = start,
	.reload = reload,
	.listen = listen_on,
	.peer = peer,
	.drain = drain,
};
void *const rx_role_ctx = &the_role;
