/*
 * rx.c - the receiving side as a whole: its start, reload and end.
 * Never opens a file or a connection; sockets, the queue's channel and files
 * for large bodies are handed to it.
 * Read next: rx.h (the story of a message); role.c (the process around it).
 */
#include "mta/rx/rx.h"

#include <stdlib.h>
#include <unistd.h>

#include "conf/conf.h"
#include "mta/base/log.h"
#include "mta/base/loop.h"
#include "mta/route/route.h"
#include "mta/rx/listener.h"
#include "mta/rx/session.h"
#include "mta/rx/writer.h"
#include "queue/queue.h"

/* The parent gives rx 5 s before it turns to tx. */
#define DRAIN_MS 3000

struct rx_conf *
rx_conf_new(struct conf *conf)
{
	struct rx_conf *c = xcalloc(1, sizeof(*c));

	c->refs = 1;
	c->conf = conf_ref(conf);
	c->router = router_new(conf);
	return c;
}

struct rx_conf *
rx_conf_ref(struct rx_conf *c)
{
	c->refs++;
	return c;
}

void
rx_conf_unref(struct rx_conf **cp)
{
	struct rx_conf *c = *cp;

	*cp = NULL;
	if (c == NULL || --c->refs != 0)
		return;
	router_free(&c->router);
	conf_unref(&c->conf);
	free(c);
}

const char *
rx_date(struct rx *rx, int64_t now_wall_ms)
{
	if (rx->date_s != now_wall_ms / 1000) {
		rx->date_s = now_wall_ms / 1000;
		clock_rfc5322(now_wall_ms, rx->date);
	}
	return rx->date;
}

static void
on_relief(void *ctx)
{
	struct rx *rx = ctx;

	rx->squeezed = false;
	LIST_EACH(it, &rx->sessions)
		rx_release(LIST_OWNER(it, struct rx_session, node), HOLD_QUEUE);
}

void
rx_init(struct rx *rx, struct loop *loop, struct conf *conf)
{
	*rx = (struct rx){ .loop = loop, .body_budget = RX_BODY_BUDGET };
	rx->reserve_fd = rx->ctl_fd = -1;
	rx->date_s = -1;
	list_init(&rx->listeners);
	list_init(&rx->sessions);
	rx->conf = rx_conf_new(conf);
	rx->queue = queue_new(loop);
	queue_on_relief(rx->queue, on_relief, rx);
}

void
rx_reload(struct rx *rx, struct conf *conf)
{
	rx_conf_unref(&rx->conf);
	rx->conf = rx_conf_new(conf);
	LIST_EACH_SAFE(it, &rx->listeners)
		rx_listener_reload(LIST_OWNER(it, struct rx_listener, node));
}

static void
on_drain_time(void *ctx)
{
	rx_drain_over(ctx);
}

void
rx_drain(struct rx *rx)
{
	rx->draining = true;
	LIST_EACH_SAFE(it, &rx->listeners)
		rx_listener_close(LIST_OWNER(it, struct rx_listener, node));
	LIST_EACH_SAFE(it, &rx->sessions)
		rx_session_drain(LIST_OWNER(it, struct rx_session, node), false);
	if (list_empty(&rx->sessions)) {
		if (rx->on_empty != NULL)
			rx->on_empty(rx);
		return;
	}
	rx->drain_timer = loop_timer_new(rx->loop, on_drain_time, rx);
	loop_timer_set(rx->drain_timer, DRAIN_MS);
}

void
rx_drain_over(struct rx *rx)
{
	LIST_EACH_SAFE(it, &rx->sessions)
		rx_session_drain(LIST_OWNER(it, struct rx_session, node), true);
}

void
rx_fini(struct rx *rx)
{
	rx->on_empty = NULL;
	LIST_EACH_SAFE(it, &rx->sessions)
		rx_session_free(LIST_OWNER(it, struct rx_session, node));
	LIST_EACH_SAFE(it, &rx->listeners)
		rx_listener_close(LIST_OWNER(it, struct rx_listener, node));
	loop_timer_free(&rx->drain_timer);
	rx_writer_free(&rx->writer);
	queue_free(&rx->queue);
	rx_conf_unref(&rx->conf);
	if (rx->reserve_fd != -1)
		close(rx->reserve_fd);
	if (rx->ctl_fd != -1)
		close(rx->ctl_fd);
}
