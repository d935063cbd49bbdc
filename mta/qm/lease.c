/*
 * lease.c - hands items to tx processes within their credit, and takes them back
 * when a process is gone.  Never decides about retry: settle.c does.
 */
#include <stdlib.h>
#include <string.h>

#include "mta/base/clock.h"
#include "mta/base/log.h"
#include "mta/base/loop.h"
#include "mta/qm/qm.h"

#define LEASE_ITEMS_MAX	100		/* siblings in one lease */
#define CHANNEL_FULL	(16u << 20)	/* tx does not read: no more for now */

struct qm_lease *
qm_lease_find(struct qm *qm, uint64_t number)
{
	return hash_get(qm->leases, &number, sizeof number);
}

/* The leased items and their siblings: one transaction can take them all. */
static struct qm_lease *
lease_new(struct qm *qm, unsigned tx, struct sched_item *first)
{
	struct sched_item *items[LEASE_ITEMS_MAX], *more;
	const uint32_t most = first->dest->conf != NULL ? first->dest->conf->recipients : 1;
	uint32_t n = 0, nrcpts = first->nrcpts;
	struct qm_lease *l;

	items[n++] = first;
	while (n < LEASE_ITEMS_MAX && nrcpts < most && (more = sched_sibling(qm->sched, first)) != NULL) {
		items[n++] = more;
		nrcpts += more->nrcpts;
	}
	l = xcalloc(1, sizeof *l + n * sizeof *l->items);
	l->number = ++qm->last_lease;
	l->tx = tx;
	l->m = first->m;
	l->id = first->m->id;
	l->dest = first->dest;
	l->bytes = first->m->body_file ? 4096 : first->m->size;
	l->nitems = n;
	l->began_wall_ms = clock_wall_ms();
	memcpy(l->items, items, n * sizeof *items);
	list_add_tail(&qm->tx[tx].leases, &l->link);
	hash_put(qm->leases, l);
	qm->tx[tx].nleases++;
	qm->tx[tx].bytes += l->bytes;
	return l;
}

void
qm_lease_end(struct qm *qm, struct qm_lease *l)
{
	list_del(&l->link);
	hash_del(qm->leases, &l->number, sizeof l->number);
	qm->tx[l->tx].nleases--;
	qm->tx[l->tx].bytes -= l->bytes;
	for (uint32_t k = 0; k < l->nitems; k++)
		sched_return(qm->sched, l->items[k]);
	free(l->ordinals);
	free(l);
	qm_pump_soon(qm);
}

/* Checksums do not match: nobody gets this message until an operator has looked. */
static void
lease_damaged(struct qm *qm, struct qm_lease *l, const struct fault *f)
{
	struct sched_item *items[LEASE_ITEMS_MAX];
	const uint32_t n = l->nitems;
	char id[MSGID_TEXT_MAX], text[sizeof f->text];

	log_warn("message_damaged", "id=%s text=%s", msgid_text(&l->id, id),
	    log_quote(text, sizeof text, f->text));
	memcpy(items, l->items, n * sizeof *items);
	qm_lease_end(qm, l);
	for (uint32_t k = 0; k < n; k++) {
		items[k]->marked = true;	/* "release" tries again */
		sched_hold(qm->sched, items[k]);
	}
}

/* The envelope with only what is leased: recipients borrowed from the whole one. */
static void
lease_send(struct qm *qm, struct qm_lease *l, struct store_read *r)
{
	struct envelope part = r->envelope;
	uint32_t *ordinals = xcalloc(l->m->nrcpts, sizeof *ordinals);
	uint32_t n = 0, attempts = 0;
	bool fresh = false;

	for (uint32_t k = 0; k < l->nitems; k++) {
		const uint32_t more = qm_rcpts_of(l->m, &r->envelope, l->items[k], ordinals + n);

		sched_shrink(l->items[k], more);
		n += more;
		fresh = fresh || l->items[k]->fresh;
		l->items[k]->fresh = false;
	}
	part.recipients = xcalloc(n + 1, sizeof *part.recipients);
	part.nrecipients = n;
	for (uint32_t k = 0; k < n; k++) {
		part.recipients[k] = r->envelope.recipients[ordinals[k]];
		if (l->m->rcpts[ordinals[k]].attempts > attempts)
			attempts = l->m->rcpts[ordinals[k]].attempts;
	}
	door_lease(qm->tx[l->tx].peer->door, &(struct door_lease){
		.lease = l->number, .dest = l->dest->number,
		.connector = l->dest->connector, .domain = l->dest->domain, .with = fresh ? l->dest->with : NULL,
		.conf_generation = qm->conf->generation, .id = l->id, .attempts = attempts,
		.fresh = fresh, .size = l->m->size, .envelope = &part, .ordinals = ordinals,
		.body = r->body, .body_fd = r->body_fd,
	});
	r->body_fd = -1;		/* given */
	free(part.recipients);
	l->ordinals = ordinals;
	l->nrcpts = n;
}

/* A body that has to come from the disk. */
struct read_wait {
	struct qm	*qm;
	uint64_t	 number;	/* of the lease, which may be gone by then */
};

static void
on_read(void *ctx, struct store_read *r, const struct fault *f)
{
	struct read_wait *w = ctx;
	struct qm_lease *l = qm_lease_find(w->qm, w->number);

	if (l != NULL) {		/* else the tx went away meanwhile */
		l->reading = false;
		if (r == NULL)
			lease_damaged(w->qm, l, f);
		else
			lease_send(w->qm, l, r);
	}
	store_read_free(r);
	free(w);
}

static void
lease_start(struct qm *qm, struct qm_lease *l)
{
	struct read_wait *w;
	struct store_read r = { .body_fd = -1 };
	struct fault f;

	switch (store_read_now(qm->store, l->m, STORE_READ_BODY, &r, &f)) {
	case 1:
		lease_send(qm, l, &r);
		envelope_free(&r.envelope);
		free(r.body);
		return;
	case 0:
		w = xcalloc(1, sizeof *w);
		w->qm = qm;
		w->number = l->number;
		l->reading = true;
		store_read(qm->store, l->m, STORE_READ_BODY, on_read, w);
		return;
	default:
		lease_damaged(qm, l, &f);
	}
}

void
qm_pump(struct qm *qm, unsigned tx)
{
	struct qm_tx *t = &qm->tx[tx];
	struct sched_item *i;

	if (qm->draining || t->peer == NULL)
		return;
	while (t->nleases < t->max_leases && t->bytes < t->max_bytes &&
	    door_pending(t->peer->door) < CHANNEL_FULL && (i = sched_next(qm->sched, tx)) != NULL)
		lease_start(qm, lease_new(qm, tx, i));
}

void
qm_serve(void *ctx, struct door_peer *door, uint32_t max_leases, uint64_t max_bytes)
{
	struct qm *qm = ctx;
	struct qm_peer *peer = door_peer_user(door);
	struct qm_tx *t = &qm->tx[peer->index];

	t->max_leases = max_leases;
	t->max_bytes = max_bytes;
	if (max_leases > 0)		/* 0: it stops, and says nothing of the others */
		sched_unproven_max(qm->sched, max_leases / 2 > 0 ? max_leases / 2 : 1);
	qm_pump_soon(qm);
}

void
qm_at_dot(void *ctx, struct door_peer *door, uint64_t lease)
{
	struct qm_lease *l = qm_lease_find(ctx, lease);

	(void)door;
	if (l != NULL)
		l->at_dot = true;
}

static void
mark_maybe_sent(struct qm *qm, struct store_message *m, const uint32_t *ordinals, uint32_t n)
{
	for (uint32_t k = 0; k < n; k++) {
		const struct store_rcpt *r = &m->rcpts[ordinals[k]];
		const struct store_change c = {
			.ordinal = ordinals[k], .state = RCPT_QUEUED, .attempts = r->attempts,
			.flags = r->flags | RCPT_MAYBE_SENT,
		};

		if (r->state == RCPT_QUEUED)
			store_settle(qm->store, m, &c, 1);
	}
}

/* The tx is gone: what it was about to finish may be a duplicate next time. */
void
qm_leases_lost(struct qm *qm, unsigned tx)
{
	struct qm_tx *t = &qm->tx[tx];
	struct sched_item *items[LEASE_ITEMS_MAX];

	while (!list_empty(&t->leases)) {
		struct qm_lease *l = LIST_OWNER(t->leases.next, struct qm_lease, link);
		struct store_message *m = l->m;
		const uint32_t n = l->nitems;

		if (l->at_dot)
			mark_maybe_sent(qm, m, l->ordinals, l->nrcpts);
		memcpy(items, l->items, n * sizeof *items);
		qm_lease_end(qm, l);
		for (uint32_t k = 0; k < n; k++) {
			if (qm_domain_held(qm, items[k]->domain))
				sched_hold(qm->sched, items[k]);
			else
				sched_ready(qm->sched, items[k]);
		}
		qm_act_waiting(qm, m);
	}
}
