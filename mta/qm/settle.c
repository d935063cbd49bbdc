/*
 * settle.c - what an outcome does: to the record of the recipient (done, owed, queued
 * with a later time), to its item, to its destination.  Retry and expiry are
 * decided by queue/retry.c, notices by dsn.c.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "mta/base/clock.h"
#include "mta/base/counters.h"
#include "mta/base/log.h"
#include "mta/qm/qm.h"
#include "queue/retry.h"

static const struct conf_retry default_retry = { .expire_ms = 2 * 86400000LL };

static const struct conf_retry *
retry_of(const struct sched_dest *d)
{
	return d->conf != NULL ? &d->conf->retry : &default_retry;
}

uint32_t
qm_jitter(void)
{
	uint32_t v = 0;

	if (getrandom(&v, sizeof v, GRND_NONBLOCK) != sizeof v)
		v = (uint32_t)clock_mono_us();
	return v;
}

static void
status_expired(struct status *st, const struct status *last)
{
	status_set(st, 5, 4, 7, STAGE_queue, REASON_expired, "expired; last failure: %.450s", last->text);
}

static void
log_failed(const struct store_message *m, uint32_t ordinal, const struct sched_dest *d, const struct status *st)
{
	char id[MSGID_TEXT_MAX], code[STATUS_CODE_MAX], text[STATUS_TEXT_MAX + 64];

	log_event(m->null_sender ? "bounce_dropped" : "failed_for_good",
	    "id=%s ordinal=%u dest=%s reason=%s code=%s text=%s", msgid_text(&m->id, id), ordinal,
	    d->key, reason_name(st->reason), status_code(st, code), log_quote(text, sizeof text, st->text));
}

/* One recipient's outcome as a change of its record. */
static struct store_change
change_for(const struct store_message *m, const struct sched_dest *d, const struct queue_settle *s,
    struct status *expired, int64_t began, int64_t now)
{
	const struct store_rcpt *c = &m->rcpts[s->ordinal];
	struct store_change ch = {
		.ordinal = s->ordinal, .flags = c->flags, .status = s->status,
		.attempts = c->attempts == UINT16_MAX ? c->attempts : c->attempts + 1,
	};

	if (s->maybe_sent)
		ch.flags |= RCPT_MAYBE_SENT;
	switch (s->outcome) {
	case OUTCOME_DELIVERED:
		ch.state = RCPT_DONE;
		return ch;
	case OUTCOME_DEFERRED:
		if (!retry_expired(retry_of(d), m->arrival_wall_ms, began)) {
			ch.state = RCPT_QUEUED;
			ch.next_wall_ms = now + retry_wait_ms(retry_of(d), s->status->reason, ch.attempts, qm_jitter());
			return ch;
		}
		status_expired(expired, s->status);
		ch.status = expired;
		break;
	case OUTCOME_FAILED:
		break;
	case OUTCOME_RETURNED:
		ch.state = RCPT_QUEUED;
		ch.attempts = c->attempts;
		ch.next_wall_ms = 0;
		ch.status = NULL;
		return ch;
	}
	ch.state = m->null_sender ? RCPT_DONE : RCPT_OWED;
	log_failed(m, s->ordinal, d, ch.status);
	return ch;
}

/* What the changes leave of an item: how many recipients, and when the first is due. */
struct rest {
	uint32_t n;
	int64_t	 next_wall_ms;	/* 0: at once, with its destination */
	bool	 held;
};

static void
item_rest(struct qm *qm, struct sched_item *i, struct rest rest)
{
	if (rest.n == 0) {
		qm_item_drop(qm, i);
		return;
	}
	sched_shrink(i, rest.n);
	if (rest.held || qm_domain_held(qm, i->domain))
		sched_hold(qm->sched, i);
	else if (rest.next_wall_ms > 0)
		sched_later(qm->sched, i, rest.next_wall_ms);
	else
		sched_ready(qm->sched, i);
}

/* Recipients of one domain usually fare alike; the latest time of them is taken for all. */
static void
rest_add(struct rest *rest, const struct store_change *c)
{
	if (c->state != RCPT_QUEUED)
		return;
	rest->n++;
	rest->held = rest->held || (c->flags & RCPT_HELD) != 0;
	if (c->next_wall_ms > rest->next_wall_ms)
		rest->next_wall_ms = c->next_wall_ms;
}

static bool
change_matters(const struct store_message *m, const struct store_change *c)
{
	if (m->rcpts[c->ordinal].state != RCPT_QUEUED)
		return false;
	return c->state != RCPT_QUEUED || c->status != NULL || c->flags != m->rcpts[c->ordinal].flags;
}

/*
 * The changes stand in the lease's order, item by item (several domains over one
 * smarthost make several items): counts[i] of them are the i-th item's.
 */
static void
items_back(struct qm *qm, struct sched_item **items, const uint32_t *counts, uint32_t nitems,
    const struct store_change *c)
{
	for (uint32_t i = 0; i < nitems; i++) {
		struct rest rest = { 0 };

		for (uint32_t k = 0; k < counts[i]; k++)
			rest_add(&rest, c++);
		item_rest(qm, items[i], rest);
	}
}

static void
dest_after(struct qm *qm, struct sched_dest *d, const struct queue_settle *s, size_t n)
{
	bool delivered = false, answered = false;

	for (size_t k = 0; k < n; k++) {
		delivered = delivered || s[k].outcome == OUTCOME_DELIVERED;
		/* A reply to MAIL or later: the destination lives, whatever it says of this message. */
		answered = answered || (s[k].status != NULL && s[k].status->remote &&
		    s[k].status->stage >= STAGE_mail && s[k].outcome != OUTCOME_RETURNED);
	}
	if (delivered || answered)
		qm_dest_recovered(qm, d, delivered);
}

/* True: m is gone. */
static bool
stale_delivered(struct qm *qm, struct store_message *m, const struct envelope *e, const struct queue_settle *s)
{
	const struct store_change c = { .ordinal = s->ordinal, .state = RCPT_DONE, .status = s->status };
	struct sched_item *i;
	char text[MSGID_TEXT_MAX];

	if (s->ordinal >= m->nrcpts || m->rcpts[s->ordinal].state != RCPT_QUEUED)
		return false;
	/* Leased again: that attempt settles it.  No message may end before its items. */
	i = qm_item_of(m, e, s->ordinal);
	if (i == NULL || i->place == PLACE_LEASED)
		return false;
	log_event("stale_delivered", "id=%s ordinal=%u", msgid_text(&m->id, text), s->ordinal);
	if (i->nrcpts > 1)
		sched_shrink(i, i->nrcpts - 1);
	else
		qm_item_drop(qm, i);
	return store_settle(qm->store, m, &c, 1);
}

/* A settle under a lease that is no more: only "delivered" still counts. */
static void
settle_stale(struct qm *qm, const struct msgid *id, const struct queue_settle *s, size_t n)
{
	struct store_message *m = store_find(qm->store, id);
	struct store_read r;
	struct fault f;

	/* Not in memory: then it is delivered twice, which a crash permits. */
	if (m == NULL || store_read_now(qm->store, m, 0, &r, &f) != 1)
		return;
	for (size_t k = 0; k < n; k++)
		if (s[k].outcome == OUTCOME_DELIVERED && stale_delivered(qm, m, &r.envelope, &s[k]))
			break;
	store_read_free(&r);
}

/*
 * The settles in the order of the lease, one for each leased recipient: what was
 * not named is returned, what an older lease has delivered meanwhile is done.
 */
static struct queue_settle *
settles_of_lease(const struct qm_lease *l, const struct queue_settle *given, size_t n)
{
	struct queue_settle *out = xcalloc(l->nrcpts + 1, sizeof *out);
	size_t at = 0;

	for (uint32_t k = 0; k < l->nrcpts; k++) {
		size_t tries = 0;

		out[k] = (struct queue_settle){ .ordinal = l->ordinals[k], .outcome = OUTCOME_RETURNED };
		for (; tries < n && given[at].ordinal != out[k].ordinal; tries++)
			at = at + 1 < n ? at + 1 : 0;
		if (tries < n)
			out[k] = given[at];
		if (out[k].status == NULL && out[k].outcome != OUTCOME_DELIVERED)
			out[k].outcome = OUTCOME_RETURNED;
		if (l->m->rcpts[out[k].ordinal].state != RCPT_QUEUED)
			out[k].outcome = OUTCOME_DELIVERED;
	}
	return out;
}

/* An item that came back to a deferred destination has had its attempt: it may have expired. */
static void
aged_after(struct qm *qm, struct store_message *m, struct sched_dest *d, int64_t began)
{
	struct sched_item *next;

	if (!d->deferred || d->last == NULL)
		return;
	for (struct sched_item *i = m->user; i != NULL; i = next) {
		next = i->next;		/* when i ends the message, it was the last */
		if (i->dest == d && i->place == PLACE_READY)
			qm_item_aged(qm, i, d->last, began);
	}
}

/* Ends the lease, places its items by the changes, and writes those that matter. */
static void
settle_apply(struct qm *qm, struct qm_lease *l, struct store_change *c)
{
	struct store_message *m = l->m;
	struct sched_dest *d = l->dest;
	const uint32_t n = l->nrcpts, nitems = l->nitems;
	const int64_t began = l->began_wall_ms;
	const struct msgid id = l->id;
	struct sched_item **items = xcalloc(nitems, sizeof *items);
	uint32_t *counts = xcalloc(nitems, sizeof *counts);
	uint32_t nc = 0;

	memcpy(items, l->items, nitems * sizeof *items);
	for (uint32_t k = 0; k < nitems; k++)
		counts[k] = l->items[k]->nrcpts;
	qm_lease_end(qm, l);
	items_back(qm, items, counts, nitems, c);
	free(items);
	free(counts);
	for (uint32_t k = 0; k < n; k++)
		if (change_matters(m, &c[k]))
			c[nc++] = c[k];
	if (nc == 0 || !store_settle(qm->store, m, c, nc)) {
		qm_dsn_consider(qm, m);
		aged_after(qm, m, d, began);
		if ((m = store_find(qm->store, &id)) != NULL)
			qm_act_waiting(qm, m);
	}
}

/* A message that waits by its own schedule is told of like one that waits with its destination. */
static void
delay_notice(struct qm *qm, const struct msgid *id, const struct sched_dest *d, const struct queue_settle *s,
    uint32_t n, int64_t now)
{
	struct store_message *m = store_find(qm->store, id);

	if (m == NULL || m->null_sender || !retry_notice_due(retry_of(d), m->arrival_wall_ms, now))
		return;
	for (uint32_t k = 0; k < n; k++) {
		if (s[k].outcome == OUTCOME_DEFERRED && m->rcpts[s[k].ordinal].state == RCPT_QUEUED) {
			qm_dsn_delay(qm, m, s[k].status);
			return;
		}
	}
}

void
qm_settle(void *ctx, struct door_peer *door, uint64_t number, const struct msgid *id,
    const struct queue_settle *given, size_t ngiven, const uint8_t *trace, size_t trace_len)
{
	struct qm *qm = ctx;
	struct qm_lease *l = qm_lease_find(qm, number);
	const int64_t now = clock_wall_ms();
	const struct sched_dest *d;
	struct queue_settle *s;
	struct store_change *c;
	uint32_t n;
	struct status *expired;		/* one each: the changes point at them */

	(void)door;
	if (l == NULL || l->ordinals == NULL || memcmp(&l->id, id, sizeof *id) != 0) {
		settle_stale(qm, id, given, ngiven);
		return;
	}
	s = settles_of_lease(l, given, ngiven);
	c = xcalloc(l->nrcpts + 1, sizeof *c);
	expired = xcalloc(l->nrcpts + 1, sizeof *expired);
	for (uint32_t k = 0; k < l->nrcpts; k++)
		c[k] = change_for(l->m, l->dest, &s[k], &expired[k], l->began_wall_ms, now);
	if (trace_len > 0 && s[0].outcome == OUTCOME_FAILED && s[0].status->stage <= STAGE_connect)
		qm_dest_note(qm, l->dest, s[0].status, trace, trace_len);
	dest_after(qm, l->dest, s, l->nrcpts);
	d = l->dest;
	n = l->nrcpts;
	settle_apply(qm, l, c);
	delay_notice(qm, id, d, s, n, now);
	qm_tick_soon(qm);
	free(s);
	free(c);
	free(expired);
}

/* ---- an item as a whole: expired, removed, held ---- */

struct fail_arg {
	struct status	st;
	uint8_t		state;
};

static void
finish_rcpts(struct qm *qm, struct sched_item *i, const uint32_t *ordinals, uint32_t n, void *arg, size_t arg_len)
{
	const struct fail_arg *a = arg;
	struct store_message *m = i->m;
	struct store_change *c = xcalloc(n + 1, sizeof *c);

	(void)arg_len;
	for (uint32_t k = 0; k < n; k++) {
		const struct store_rcpt *r = &m->rcpts[ordinals[k]];

		c[k] = (struct store_change){
			.ordinal = ordinals[k], .flags = r->flags, .attempts = r->attempts,
			.state = m->null_sender ? RCPT_DONE : a->state, .status = &a->st,
		};
		if (a->state == RCPT_OWED)
			log_failed(m, ordinals[k], i->dest, &a->st);
	}
	qm_item_drop(qm, i);
	if (n > 0 && !store_settle(qm->store, m, c, n))
		qm_dsn_consider(qm, m);
	free(c);
}

void
qm_item_fail(struct qm *qm, struct sched_item *i, const struct status *st)
{
	const struct fail_arg a = { .st = *st, .state = RCPT_OWED };

	qm_with_rcpts(qm, i, finish_rcpts, &a, sizeof a);
}

void
qm_item_remove(struct qm *qm, struct sched_item *i)
{
	struct fail_arg a = { .state = RCPT_DONE };

	status_set(&a.st, 5, 7, 0, STAGE_queue, REASON_policy, "removed by the operator");
	qm_with_rcpts(qm, i, finish_rcpts, &a, sizeof a);
}

static void
hold_rcpts(struct qm *qm, struct sched_item *i, const uint32_t *ordinals, uint32_t n, void *arg, size_t arg_len)
{
	struct store_change *c = xcalloc(n + 1, sizeof *c);
	const bool held = *(const bool *)arg;

	(void)arg_len;
	for (uint32_t k = 0; k < n; k++) {
		const struct store_rcpt *r = &i->m->rcpts[ordinals[k]];

		c[k] = (struct store_change){
			.ordinal = ordinals[k], .state = RCPT_QUEUED, .attempts = r->attempts,
			.flags = held ? r->flags | RCPT_HELD : r->flags & ~RCPT_HELD,
		};
	}
	i->marked = held;
	if (held || qm_domain_held(qm, i->domain))
		sched_hold(qm->sched, i);
	else
		sched_ready(qm->sched, i);
	if (n > 0)
		store_settle(qm->store, i->m, c, n);
	free(c);
	qm_pump_soon(qm);
}

void
qm_item_hold(struct qm *qm, struct sched_item *i, bool held, enum reason why)
{
	(void)why;
	qm_with_rcpts(qm, i, hold_rcpts, &held, sizeof held);
}

void
qm_item_aged(struct qm *qm, struct sched_item *i, const struct status *last, int64_t began_wall_ms)
{
	const struct conf_retry *retry = retry_of(i->dest);
	struct status st;

	if (retry_expired(retry, i->m->arrival_wall_ms, began_wall_ms)) {
		status_expired(&st, last);
		qm_item_fail(qm, i, &st);
	} else if (!i->m->null_sender && retry_notice_due(retry, i->m->arrival_wall_ms, began_wall_ms)) {
		qm_dsn_delay(qm, i->m, last);
	}
}
