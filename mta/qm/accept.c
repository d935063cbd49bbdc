/*
 * accept.c - messages come in: from rx through the door, and our own DSNs.  The
 * answer goes out when the store says durable, and only then are recipients
 * scheduled.  Never looks into a body.  Read next: lease.c.
 */
#include <stdlib.h>
#include <string.h>

#include "mta/base/counters.h"
#include "mta/base/log.h"
#include "mta/qm/qm.h"

/* One accept on its way to the disk. */
struct pending {
	struct qm	*qm;
	struct qm_peer	*peer;		/* NULL: our own */
	struct msgid	 id;
	qm_own_fn	*own;
	void		*own_ctx;
	uint32_t	 n;		/* recipients */
	char		 domains[];	/* n names, each terminated */
};

static struct pending *
pending_new(struct qm *qm, const struct msgid *id, const struct envelope *e)
{
	struct pending *p;
	char domain[DOMAIN_MAX];
	size_t room = 0, at = 0;

	for (uint32_t i = 0; i < e->nrecipients; i++)
		room += address_domain(e->recipients[i].address, domain) ? strlen(domain) + 1 : 1;
	p = xcalloc(1, sizeof *p + room);
	p->qm = qm;
	p->id = *id;
	p->n = e->nrecipients;
	for (uint32_t i = 0; i < e->nrecipients; i++) {
		if (!address_domain(e->recipients[i].address, domain))
			domain[0] = '\0';
		memcpy(p->domains + at, domain, strlen(domain) + 1);
		at += strlen(domain) + 1;
	}
	return p;
}

/* The item of this message for the domain, made where there is none yet. */
static struct sched_item *
item_for(struct qm *qm, struct store_message *m, const char *domain)
{
	struct sched_domain *dom = qm_route(qm, domain);
	struct sched_item *i;

	for (i = m->user; i != NULL; i = i->next)
		if (i->domain == dom)
			return i;
	i = sched_add(qm->sched, m, dom, 0);
	i->next = m->user;
	m->user = i;
	return i;
}

static void
item_grow(struct sched_item *i)
{
	i->nrcpts++;
	i->dest->nrcpts++;
}

static void
place_new(struct qm *qm, struct store_message *m)
{
	for (struct sched_item *i = m->user; i != NULL; i = i->next) {
		if (qm_domain_held(qm, i->domain))
			sched_hold(qm->sched, i);
		else
			sched_ready(qm->sched, i);
	}
	qm_pump_soon(qm);
}

/* At recovery: recipients have a past. */
void
qm_schedule(struct qm *qm, struct store_message *m, const struct envelope *e)
{
	char domain[DOMAIN_MAX];
	bool owed = false;

	for (uint32_t k = 0; k < m->nrcpts && k < e->nrecipients; k++) {
		const struct store_rcpt *c = &m->rcpts[k];
		struct sched_item *i;

		owed = owed || c->state == RCPT_OWED;
		if (c->state != RCPT_QUEUED)
			continue;
		if (!address_domain(e->recipients[k].address, domain))
			domain[0] = '\0';
		i = item_for(qm, m, domain);
		item_grow(i);
		if (c->flags & RCPT_HELD) {
			i->marked = true;
			sched_hold(qm->sched, i);
		} else if (i->place == PLACE_NONE && qm_domain_held(qm, i->domain))
			sched_hold(qm->sched, i);
		else if (i->place == PLACE_NONE && c->next_wall_ms > 0)
			sched_later(qm->sched, i, qm_capped(i->dest, c->next_wall_ms));
		else if (i->place == PLACE_NONE)
			sched_ready(qm->sched, i);
	}
	if (owed)
		qm_dsn_consider(qm, m);
}

static void
pending_schedule(struct pending *p, struct store_message *m)
{
	const char *domain = p->domains;

	for (uint32_t k = 0; k < p->n; k++) {
		item_grow(item_for(p->qm, m, domain));
		domain += strlen(domain) + 1;
	}
	counter_add(C_queue_accepted_total, 1);
	place_new(p->qm, m);
}

static void
on_stored(void *ctx, enum store_result r, struct store_message *m, const struct status *st)
{
	struct pending *p = ctx;

	if (r == STORE_DONE)
		pending_schedule(p, m);
	if (p->peer != NULL && p->peer->door != NULL)
		door_accept_done(p->peer->door, &p->id, r == STORE_REFUSED ? QUEUE_REFUSED : QUEUE_DONE, st);
	if (p->own != NULL)
		p->own(p->own_ctx, r);
	if (p->peer != NULL)
		qm_peer_unref(&p->peer);
	free(p);
}

/* ---- bodies that a peer is writing ---- */

struct qm_body {
	struct list	link;		/* in qm_peer.bodies */
	struct msgid	id;
};

static void
body_add(struct qm_peer *peer, const struct msgid *id)
{
	struct qm_body *b = xcalloc(1, sizeof *b);

	b->id = *id;
	list_add_tail(&peer->bodies, &b->link);
}

static void
body_forget(struct qm_peer *peer, const struct msgid *id)
{
	LIST_EACH(it, &peer->bodies) {
		struct qm_body *b = LIST_OWNER(it, struct qm_body, link);

		if (memcmp(&b->id, id, sizeof *id) != 0)
			continue;
		list_del(&b->link);
		free(b);
		return;
	}
}

void
qm_bodies_lost(struct qm *qm, struct qm_peer *peer)
{
	while (!list_empty(&peer->bodies)) {
		struct qm_body *b = LIST_OWNER(peer->bodies.next, struct qm_body, link);

		store_body_drop(qm->store, &b->id);
		list_del(&b->link);
		free(b);
	}
}

/* ---- calls of the door ---- */

void
qm_accept(void *ctx, struct door_peer *door, const struct queue_message *m)
{
	struct qm *qm = ctx;
	struct pending *p = pending_new(qm, &m->id, m->envelope);
	const struct store_new n = {
		.id = m->id, .envelope = m->envelope, .body = m->body, .size = m->size,
		.body_crc = m->body_crc, .body_file = m->body_file,
	};

	p->peer = door_peer_user(door);
	p->peer->refs++;
	if (m->body_file)
		body_forget(p->peer, &m->id);
	store_accept(qm->store, &n, on_stored, p);
}

void
qm_accept_own(struct qm *qm, const struct store_new *n, qm_own_fn *done, void *ctx)
{
	struct pending *p = pending_new(qm, &n->id, n->envelope);

	p->own = done;
	p->own_ctx = ctx;
	store_accept(qm->store, n, on_stored, p);
}

/*
 * Nobody got a 250 for it: take it back while nobody has seen it.  When an attempt
 * was made, or is being made, the message stays; the client may send a second copy.
 */
void
qm_give_up(void *ctx, const struct msgid *id)
{
	struct qm *qm = ctx;
	struct store_message *m = store_find(qm->store, id);
	char text[MSGID_TEXT_MAX];

	if (m == NULL || !m->durable)
		return;
	for (struct sched_item *i = m->user; i != NULL; i = i->next)
		if (i->place == PLACE_LEASED)
			return;
	for (uint32_t k = 0; k < m->nrcpts; k++)
		if (m->rcpts[k].state != RCPT_QUEUED || m->rcpts[k].attempts > 0)
			return;
	log_event("taken_back", "id=%s", msgid_text(id, text));
	for (struct sched_item *i = m->user, *next; i != NULL; i = next) {
		next = i->next;
		qm_item_remove(qm, i);
	}
}

void
qm_body_open(void *ctx, struct door_peer *door, const struct msgid *id, uint64_t declared)
{
	struct qm *qm = ctx;
	struct status st;
	const int fd = store_body_create(qm->store, id, declared, &st);

	if (fd != -1)
		body_add(door_peer_user(door), id);
	door_body_fd(door, id, fd, &st);
}

void
qm_body_drop(void *ctx, struct door_peer *door, const struct msgid *id)
{
	struct qm *qm = ctx;

	body_forget(door_peer_user(door), id);
	store_body_drop(qm->store, id);
}
