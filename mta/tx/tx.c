/*
 * tx.c - the delivering role: takes leases from the door, hands them to their
 * destinations, follows reloads, and ends in bounded time when told to drain.
 * Never opens a file and never talks to a peer itself.
 * Read next: tx.h (life of a lease), dispatch.c.
 */
#include "mta/tx/tx.h"

#include <stdlib.h>
#include <unistd.h>

#include "mta/base/log.h"
#include "mta/proc/role.h"
#include "mta/tx/dispatch.h"
#include "mta/tx/probe.h"
#include "mta/tx/session.h"

#define SWEEP_MS 30000

/* A lease that names a configuration newer than ours. */
struct early_lease {
	struct list		 link;
	struct queue_lease	*lease;		/* owned */
};

/* ---- leases ---- */

static void
take_early(struct tx *tx)
{
	loop_timer_clear(tx->early_timer);
	LIST_EACH_SAFE(it, &tx->early) {
		struct early_lease *e =
		    LIST_OWNER(it, struct early_lease, link);

		list_del(&e->link);
		tx_dispatch(tx, e->lease);
		free(e);
	}
}

/* The reload did not come: the connector of that name as we know it will do. */
static void
on_early_timer(void *ctx)
{
	log_warn("conf_late",
	    "text=\"leases name a configuration that did not come\"");
	take_early(ctx);
}

static void
on_lease(void *ctx, struct queue_lease *lease)
{
	struct tx *tx = ctx;
	struct early_lease *e;

	if (lease->conf_generation <= tx->conf->generation) {
		tx_dispatch(tx, lease);
		return;
	}
	e = xcalloc(1, sizeof *e);
	e->lease = lease;
	list_add_tail(&tx->early, &e->link);
	if (!loop_timer_is_set(tx->early_timer))
		loop_timer_set(tx->early_timer, TX_CONF_WAIT_MS);
}

static void
on_lost(void *ctx)
{
	struct tx *tx = ctx;

	LIST_EACH_SAFE(it, &tx->early) {
		struct early_lease *e =
		    LIST_OWNER(it, struct early_lease, link);

		list_del(&e->link);
		queue_lease_free(&e->lease);
		free(e);
	}
	loop_timer_clear(tx->early_timer);
	tx_dest_all_lost(tx);
}

static const struct queue_tx_handlers tx_handlers = { .lease = on_lease,
	.lost = on_lost };

static const void *
dest_key(const void *value, size_t *n_r)
{
	const struct tx_dest *d = value;

	*n_r = d->key_len;
	return d->key;
}

static void
on_sweep(void *ctx)
{
	struct tx *tx = ctx;

	tx_dest_sweep(tx);
	loop_timer_set(tx->sweep, SWEEP_MS);
}

/* ---- coming, changing, going ---- */

static void
on_drain_late(void *ctx)
{
	struct tx *tx = ctx;

	log_warn("drain",
	    "messages=%zu text=\"not finished in time, given back\"",
	    tx->njobs);
	tx_dest_all_abort(tx);
}

struct tx *
tx_new(struct loop *loop, struct conf *conf)
{
	struct tx *tx = xcalloc(1, sizeof *tx);

	tx->loop = loop;
	tx->conf = conf_ref(conf);
	tx->resolver = resolver_new(loop, conf);
	tx->queue = queue_new(loop);
	tx->answerer = answerer_new(loop, probe_ask, tx);
	tx_pool_init(&tx->pool, TX_SLOTS, tx_dest_on_room);
	tx->dests = hash_new(dest_key);
	list_init(&tx->old_dests);
	list_init(&tx->kicked);
	list_init(&tx->early);
	list_init(&tx->leaving);
	list_init(&tx->probes);
	tx->early_timer = loop_timer_new(loop, on_early_timer, tx);
	tx->drain_timer = loop_timer_new(loop, on_drain_late, tx);
	tx->sweep = loop_timer_new(loop, on_sweep, tx);
	loop_timer_set(tx->sweep, SWEEP_MS);
	return tx;
}

void
tx_serve(struct tx *tx)
{
	queue_serve(tx->queue, TX_LEASES, TX_LEASE_BYTES, &tx_handlers, tx);
}

void
tx_reload(struct tx *tx, struct conf *conf)
{
	struct conf *old = tx->conf;

	tx->conf = conf_ref(conf);
	resolver_reload(tx->resolver, tx->conf);
	tx_dest_all_reload(tx);
	take_early(tx);
	conf_unref(&old);
}

static void
abort_leaving(struct tx *tx)
{
	while (!list_empty(&tx->leaving))
		tx_session_abort(
		    LIST_OWNER(tx->leaving.next, struct tx_session, link));
}

static void
on_drain_turn(void *ctx)
{
	struct tx *tx = ctx;
	loop_fn *fn = tx->on_drained;

	if (tx->njobs > 0 || fn == NULL)
		return;
	tx->on_drained = NULL;
	loop_timer_clear(tx->drain_timer);
	fn(tx->drained_ctx);
}

void
tx_drain(struct tx *tx, loop_fn *fn, void *ctx)
{
	if (tx->draining)
		return;
	tx->draining = true;
	tx->on_drained = fn;
	tx->drained_ctx = ctx;
	queue_stop(tx->queue);
	take_early(tx);			/* their destinations give them back */
	probe_all_cancel(tx);
	tx_dest_all_drain(tx);
	loop_timer_set(tx->drain_timer, TX_DRAIN_MS);
	loop_on_turn(tx->loop, on_drain_turn, tx);
}

void
tx_free(struct tx **txp)
{
	struct tx *tx = *txp;

	*txp = NULL;
	if (tx == NULL)
		return;
	on_lost(tx);
	probe_all_cancel(tx);
	tx_dest_all_free(tx);
	abort_leaving(tx);
	loop_on_turn_remove(tx->loop, on_drain_turn, tx);
	loop_timer_free(&tx->early_timer);
	loop_timer_free(&tx->drain_timer);
	loop_timer_free(&tx->sweep);
	answerer_free(&tx->answerer);
	queue_free(&tx->queue);
	resolver_free(&tx->resolver);
	tx_pool_clear(&tx->pool);
	hash_free(&tx->dests);
	conf_unref(&tx->conf);
	free(tx);
}

/* ---- the role ---- */

static struct tx *self;			/* the process is one tx */

static void
role_start(void *ctx, struct loop *loop, struct conf *conf)
{
	(void)ctx;
	self = tx_new(loop, conf);
	tx_serve(self);
	role_ready();
}

static void
role_reload(void *ctx, struct conf *conf)
{
	(void)ctx;
	tx_reload(self, conf);
}

static void
role_peer(void *ctx, enum role role, unsigned index, uint32_t generation,
    int fd)
{
	(void)ctx;
	(void)index;
	(void)generation;
	switch (role) {
	case ROLE_QUEUE:
		queue_attach(self->queue, fd);
		break;
	case ROLE_CTL:
		answerer_attach(self->answerer, fd);
		break;
	default:
		close(fd);
	}
}

static void
on_role_drained(void *ctx)
{
	(void)ctx;
	role_exit();
}

static void
role_drain(void *ctx)
{
	(void)ctx;
	tx_drain(self, on_role_drained, NULL);
}

const struct role_ops tx_role_ops = {
	.start = role_start,
	.reload = role_reload,
	.peer = role_peer,
	.drain = role_drain,
};
void *const tx_role_ctx = NULL;
