/*
 * qm.c - the queue role: opens the store, wires the door, keeps the clockwork
 * (what is due, the minute, draining).  The work is in the files that qm.h lists.
 * Never opens a network socket.
 */
#include "mta/qm/qm.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "mta/base/clock.h"
#include "mta/base/log.h"
#include "mta/base/loop.h"
#include "mta/route/route.h"

#define TICK_MOST_MS	60000	/* a wall clock that jumps is noticed within this */
#define STEP_MS		5000	/* wall against monotonic clock: worth a line */

struct qm the_qm;

/* ---- clockwork ---- */

static void
on_pump(void *ctx)
{
	struct qm *qm = ctx;

	qm->pump_posted = false;
	for (unsigned i = 0; i < qm->ntx; i++)
		qm_pump(qm, i);
}

void
qm_pump_soon(struct qm *qm)
{
	if (qm->pump_posted)
		return;
	qm->pump_posted = true;
	loop_post(qm->loop, on_pump, qm);
}

static void
on_tick(void *ctx)
{
	struct qm *qm = ctx;
	const int64_t now = clock_wall_ms(), mono = clock_mono_ms();
	const int64_t step = (now - qm->last_wall_ms) - (mono - qm->last_mono_ms);
	int64_t next;

	if (step > STEP_MS || step < -STEP_MS)
		log_warn("clock_step", "ms=%lld", (long long)step);
	if (step < -STEP_MS)
		qm_cap_all(qm);
	qm->last_wall_ms = now;
	qm->last_mono_ms = mono;
	next = sched_tick(qm->sched, now);
	next = next == INT64_MAX || next - now > TICK_MOST_MS ? TICK_MOST_MS : next - now;
	loop_timer_set(qm->tick, next > 0 ? next : 1);
	qm_pump_soon(qm);
}

/* Something waits for an earlier time than the timer may be set to. */
void
qm_tick_soon(struct qm *qm)
{
	const int64_t now = clock_wall_ms();
	int64_t next = sched_tick(qm->sched, now);

	next = next == INT64_MAX || next - now > TICK_MOST_MS ? TICK_MOST_MS : next - now;
	loop_timer_set(qm->tick, next > 0 ? next : 1);
}

static void
on_minute(void *ctx)
{
	struct qm *qm = ctx;

	qm_dsn_retry_all(qm);
	qm_sweep(qm);
	loop_timer_set(qm->minute, 60000);
}

/* ---- peers ---- */

void
qm_peer_unref(struct qm_peer **pp)
{
	struct qm_peer *p = *pp;

	*pp = NULL;
	if (--p->refs > 0)
		return;
	list_del(&p->link);
	free(p);
}

static void
on_peer_gone(void *ctx, struct door_peer *door)
{
	struct qm *qm = ctx;
	struct qm_peer *p = door_peer_user(door);

	p->door = NULL;
	if (p->role == ROLE_TX && qm->tx[p->index].peer == p) {
		qm->tx[p->index].peer = NULL;
		qm->tx[p->index].max_leases = 0;
		qm_leases_lost(qm, p->index);
	}
	qm_bodies_lost(qm, p);
	qm_inspect_gone(qm, p);
	qm_peer_unref(&p);
}

static const struct door_ops ops = {
	.accept = qm_accept, .give_up = qm_give_up, .body_open = qm_body_open, .body_drop = qm_body_drop,
	.serve = qm_serve, .settle = qm_settle, .at_dot = qm_at_dot, .dest_failed = qm_dest_failed,
	.inspect = qm_inspect, .inspect_cancel = qm_inspect_cancel, .inspect_pause = qm_inspect_pause,
	.gone = on_peer_gone,
};

static void
on_peer(void *ctx, enum role role, unsigned index, uint32_t generation, int fd)
{
	struct qm *qm = ctx;
	struct qm_peer *p = xcalloc(1, sizeof *p);

	(void)generation;
	p->role = role;
	p->index = index;
	p->refs = 1;
	list_init(&p->bodies);
	list_add_tail(&qm->peers, &p->link);
	p->door = door_peer_new(qm->loop, fd, &ops, qm, p);
	if (role != ROLE_TX || index >= qm->ntx)
		return;
	if (qm->tx[index].peer != NULL)		/* its end came before we saw the old one close */
		qm_leases_lost(qm, index);
	qm->tx[index].max_leases = 0;		/* until it says what it takes */
	qm->tx[index].peer = p;
}

/* ---- the store's callbacks ---- */

static void
on_message(void *ctx, struct store_message *m, const struct envelope *e)
{
	qm_schedule(ctx, m, e);
}

static void
on_note(void *ctx, uint8_t kind, const char *key, const uint8_t *value, size_t len)
{
	if (kind == NOTE_HOLD)
		qm_hold_load(ctx, key);
	else if (kind == NOTE_DESTINATION)
		qm_dest_load(ctx, key, value, len);
}

static void
on_room(void *ctx, bool room, const char *why)
{
	(void)ctx;
	if (room)
		log_event("room", "accepting=1");
	else
		log_warn("room", "accepting=0 text=\"%s\"", why);
}

static void
on_broken(void *ctx, const char *why)
{
	(void)ctx;
	log_fatal("spool_broken", "text=\"%s\"", why);
}

static const struct store_handlers handlers = {
	.message = on_message, .note = on_note, .room = on_room, .broken = on_broken,
};

/* ---- the role ---- */

static const void *
lease_key(const void *value, size_t *n_r)
{
	const struct qm_lease *l = value;

	*n_r = sizeof l->number;
	return &l->number;
}

static const void *
hold_key(const void *value, size_t *n_r)
{
	const struct qm_hold *h = value;

	*n_r = strlen(h->key);
	return h->key;
}

static const void *
dsn_key(const void *value, size_t *n_r)
{
	const struct qm_dsn *d = value;

	*n_r = sizeof d->id;
	return &d->id;
}

static bool
qm_open(void *ctx, const struct conf *conf, struct fault *f)
{
	struct qm *qm = ctx;
	int code;

	if (store_lock(&qm->store, &conf->spool, &code, f))
		return true;
	role_die(code, "%s", f->text);
}

static void
qm_start(void *ctx, struct loop *loop, struct conf *conf)
{
	struct qm *qm = ctx;
	struct fault f;

	qm->loop = loop;
	qm->conf = conf_ref(conf);
	qm->router = router_new(conf);
	qm->ntx = conf->tx_processes < QM_TX_MAX ? conf->tx_processes : QM_TX_MAX;
	qm->sched = sched_new(qm->ntx);
	qm->leases = hash_new(lease_key);
	qm->holds = hash_new(hold_key);
	qm->dsns = hash_new(dsn_key);
	list_init(&qm->peers);
	list_init(&qm->jobs);
	for (unsigned i = 0; i < qm->ntx; i++)
		list_init(&qm->tx[i].leases);
	qm->tick = loop_timer_new(loop, on_tick, qm);
	qm->minute = loop_timer_new(loop, on_minute, qm);
	qm->started_wall_ms = qm->last_wall_ms = clock_wall_ms();
	qm->last_mono_ms = clock_mono_ms();
	/* No number of an earlier life comes again: a late settle must not find a new lease. */
	qm->last_lease = (uint64_t)qm->started_wall_ms << 20;
	if (!store_start(qm->store, loop, &handlers, qm, &f))
		role_die(EX_IOERR, "%s", f.text);
	qm_holds_apply(qm);
	loop_timer_set(qm->minute, 60000);
	qm_tick_soon(qm);
	role_ready();
}

static void
qm_reload(void *ctx, struct conf *conf)
{
	struct qm *qm = ctx;
	struct conf *old = qm->conf;
	struct router *old_router = qm->router;

	qm->conf = conf_ref(conf);
	qm->router = router_new(conf);
	store_reconf(qm->store, &conf->spool);
	qm_reroute_all(qm);
	router_free(&old_router);
	conf_unref(&old);
	log_event("queue_reloaded", "woken=%llu", (unsigned long long)qm_wake_dns(qm));
}

/* Answers go out first; then nobody can reach the store any more, and it closes. */
static void
on_drained(void *ctx)
{
	struct qm *qm = ctx;

	LIST_EACH(it, &qm->peers) {
		struct qm_peer *p = LIST_OWNER(it, struct qm_peer, link);

		if (p->door == NULL)
			continue;
		door_peer_flush(p->door, 500);
		door_peer_free(&p->door);
	}
	loop_timer_clear(qm->tick);
	loop_timer_clear(qm->minute);
	store_close(&qm->store);
	role_exit();
}

/*
 * rx and tx have drained before (the parent sees to the order): what they sent
 * is read in this turn or the next, written, synced and answered by then.
 */
static void
qm_drain(void *ctx)
{
	struct qm *qm = ctx;

	qm->draining = true;
	qm->drained = loop_timer_new(qm->loop, on_drained, qm);
	loop_timer_set(qm->drained, 50);
}

const struct role_ops queue_role_ops = {
	.open = qm_open, .start = qm_start, .reload = qm_reload, .peer = on_peer, .drain = qm_drain,
};
void *const queue_role_ctx = &the_qm;
