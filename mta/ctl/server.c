/*
 * server.c - the ctl role: accepts on the control socket, gives rights by the
 * peer's credentials, holds the channels to queue and tx, passes questions to
 * the parent.  Never renders or decides anything about mail.
 * Read next: client.c (one session), ../proc/role.h (who calls this).
 */
#include "mta/ctl/ctl.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf/conf.h"
#include "mta/base/log.h"
#include "mta/base/loop.h"
#include "mta/ctl/client.h"
#include "mta/door/ask.h"
#include "mta/proc/role.h"
#include "mta/route/route.h"
#include "queue/queue.h"

#define DRAIN_MS 2000

/* A question put to the parent; stays until answered, also when its client left. */
struct waiter {
	struct list	 node;
	uint16_t	 answer;	/* the frame that ends it */
	struct client	*client;	/* NULL: gone */
	ctl_parent_fn	*done;
};

/* ---- questions to the parent ---- */

void
ctl_ask_parent(struct ctl *ctl, uint16_t type, const char *arg, struct client *c, ctl_parent_fn *done)
{
	struct waiter *w = xcalloc(1, sizeof *w);
	struct buf *b = role_parent_begin(type);

	if (type == PF_CHECK)
		buf_str(b, arg);
	role_parent_end(-1);
	w->answer = type == PF_CHECK ? PF_CHECK_DONE : type == PF_RELOAD ? PF_RELOAD_DONE :
	    PF_ROLES_DONE;
	w->client = c;
	w->done = done;
	list_add_tail(&ctl->waiters, &w->node);
}

void
ctl_forget_client(struct ctl *ctl, struct client *c)
{
	LIST_EACH(it, &ctl->waiters) {
		struct waiter *w = LIST_OWNER(it, struct waiter, node);

		if (w->client == c)
			w->client = NULL;
	}
}

static void
on_parent_frame(void *ctx, uint16_t type, struct rd *payload)
{
	struct ctl *ctl = ctx;

	LIST_EACH(it, &ctl->waiters) {
		struct waiter *w = LIST_OWNER(it, struct waiter, node);

		if (w->answer != type)
			continue;
		list_del(&w->node);
		if (w->client != NULL && !w->client->ended)
			w->done(w->client, payload);
		free(w);
		return;
	}
}

/* ---- the socket ---- */

static void
want_accept(struct ctl *ctl)
{
	if (ctl->listen_io != NULL)
		loop_io_want(ctl->listen_io, ctl->nclients < CTL_CLIENTS_MAX, false);
}

static void
accept_one(struct ctl *ctl, int fd)
{
	struct peer_ids ids;
	struct fault f;

	if (!peer_ids_read(&ids, fd, &f)) {
		log_warn("control_refused", "why=\"%s\"", f.text);
		close(fd);
		return;
	}
	(void)client_new(ctl, fd, rights_of(&ctl->rights, &ids), ids.uid);
	peer_ids_free(&ids);
}

static void
on_listen(void *ctx, bool readable, bool writable)
{
	struct ctl *ctl = ctx;
	int fd;

	(void)writable;
	if (!readable)
		return;
	fd = accept4(ctl->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd != -1)
		accept_one(ctl, fd);
	want_accept(ctl);
}

static void
listen_close(struct ctl *ctl)
{
	if (ctl->listen_fd == -1)
		return;
	loop_io_free(&ctl->listen_io);
	close(ctl->listen_fd);
	ctl->listen_fd = -1;
}

void
ctl_client_gone(struct ctl *ctl)
{
	if (ctl->draining && ctl->nclients == 0)
		role_exit();
	want_accept(ctl);
}

unsigned
ctl_ntx(const struct ctl *ctl)
{
	const unsigned n = ctl->conf->tx_processes;

	return n == 0 ? 1 : n > CTL_TX_MAX ? CTL_TX_MAX : n;
}

/* ---- the role ---- */

static void
take_rights(struct ctl *ctl, const struct conf *conf, rights_lookup_fn *lookup)
{
	struct buf unknown = { 0 };

	rights_take(&ctl->rights, &conf->control, geteuid(), lookup, &unknown);
	if (unknown.len > 0) {
		char names[512];

		log_warn("control_unknown_user", "names=%s hint=\"%s\"",
		    log_quote(names, sizeof names, buf_cstr(&unknown)),
		    lookup == NULL ? "new names are known after a restart" : "no such user or group");
	}
	buf_free(&unknown);
}

static bool
ctl_open(void *ctx, const struct conf *conf, struct fault *f)
{
	struct ctl *ctl = ctx;

	(void)f;
	take_rights(ctl, conf, rights_lookup);
	return true;
}

static void
take_conf(struct ctl *ctl, struct conf *conf)
{
	router_free(&ctl->router);
	conf_unref(&ctl->conf);
	ctl->conf = conf_ref(conf);
	ctl->router = router_new(ctl->conf);
}

static void
ctl_start(void *ctx, struct loop *loop, struct conf *conf)
{
	struct ctl *ctl = ctx;

	ctl->loop = loop;
	list_init(&ctl->clients);
	list_init(&ctl->waiters);
	ctl->queue = queue_new(loop);
	for (size_t i = 0; i < CTL_TX_MAX; i++)
		ctl->askers[i] = asker_new(loop);
	take_conf(ctl, conf);
	/* Root's uid is dropped by now: whose control this is has changed. */
	ctl->rights.own = geteuid();
	role_ready();
}

static void
ctl_reload(void *ctx, struct conf *conf)
{
	struct ctl *ctl = ctx;

	take_conf(ctl, conf);
	take_rights(ctl, conf, NULL);
}

static void
ctl_listen(void *ctx, uint32_t number, int fd)
{
	struct ctl *ctl = ctx;

	if (number != 0 || ctl->draining) {
		close(fd);
		return;
	}
	listen_close(ctl);
	ctl->listen_fd = fd;
	ctl->listen_io = loop_io_new(ctl->loop, fd, on_listen, ctl);
	want_accept(ctl);
}

static void
ctl_peer(void *ctx, enum role role, unsigned index, uint32_t generation, int fd)
{
	struct ctl *ctl = ctx;

	(void)generation;
	if (role == ROLE_QUEUE)
		queue_attach(ctl->queue, fd);
	else if (role == ROLE_TX && index < CTL_TX_MAX)
		asker_attach(ctl->askers[index], fd);
	else
		close(fd);
}

static void
on_drain_timer(void *ctx)
{
	struct ctl *ctl = ctx;

	LIST_EACH_SAFE(it, &ctl->clients)
		client_close(LIST_OWNER(it, struct client, node));
}

static void
ctl_drain(void *ctx)
{
	struct ctl *ctl = ctx;

	if (ctl->draining)
		return;
	ctl->draining = true;
	listen_close(ctl);
	if (ctl->nclients == 0) {
		role_exit();
		return;
	}
	ctl->drain_timer = loop_timer_new(ctl->loop, on_drain_timer, ctl);
	loop_timer_set(ctl->drain_timer, DRAIN_MS);
}

const struct role_ops ctl_role_ops = {
	.open = ctl_open, .start = ctl_start, .reload = ctl_reload, .listen = ctl_listen,
	.peer = ctl_peer, .drain = ctl_drain, .frame = on_parent_frame,
};

/* The one ctl of this process: file-static role state. */
static struct ctl the_ctl = { .listen_fd = -1 };
void *const ctl_role_ctx = &the_ctl;
