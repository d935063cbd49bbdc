/*
 * act.c - what an operator does to the queue: retry, hold, release, remove.  A
 * request about destinations alone acts on destinations (a wake mark, a hold
 * rule); one about messages acts on their items.  Nothing acts on an item while it
 * is leased: remove and hold then wait for the end of the lease.
 */
#include <stdlib.h>
#include <string.h>

#include "mta/base/log.h"
#include "mta/base/str.h"
#include "mta/qm/inspect.h"

static bool
dry(const struct qm_job *job)
{
	return (job->req.flags & INSPECT_DRY_RUN) != 0;
}

/* Nothing in the filter that a destination cannot answer. */
static bool
about_dests(const struct inspect_filter *f)
{
	return f->id == NULL && f->older_ms == 0 && !qm_needs_envelope(f);
}

static uint64_t
retry_dests(struct qm_job *job)
{
	const struct inspect_filter *f = &job->req.filter;
	struct sched_dest *d;
	uint32_t at = 0;
	uint64_t n = 0;

	while ((d = sched_dest_each(job->qm->sched, &at)) != NULL) {
		if (d->nitems == 0 || !qm_dest_matches(f, d))
			continue;
		if (f->domain != NULL && strcmp(d->domain, "*") == 0 &&
		    sched_domain_dest(job->qm->sched, f->domain) != d)
			continue;
		if (f->reason != NULL && (d->last == NULL || (int)d->last->reason != reason_parse(f->reason)))
			continue;
		n += d->nrcpts;
		if (!dry(job))
			qm_dest_wake(job->qm, d, job->req.with);
	}
	return n;
}

static uint64_t
waiting_under(struct qm *qm, const struct inspect_filter *f)
{
	struct sched_dest *d;
	uint32_t at = 0;
	uint64_t n = 0;

	while ((d = sched_dest_each(qm->sched, &at)) != NULL)
		if (qm_dest_matches(f, d))
			n += d->nrcpts;
	return n;
}

/* A rule covers what waits and what will come; it counts as done even where nothing waits. */
static uint64_t
rule_set(struct qm_job *job, bool held)
{
	const struct inspect_filter *f = &job->req.filter;
	const uint64_t n = waiting_under(job->qm, f);
	bool changed = true;

	if (!dry(job) && f->domain != NULL)
		changed = qm_hold_set(job->qm, "domain", f->domain, held);
	else if (!dry(job))
		changed = qm_hold_set(job->qm, "connector", f->connector, held);
	return n > 0 ? n : changed;
}

bool
qm_act_on_dests(struct qm_job *job)
{
	const struct inspect_filter *f = &job->req.filter;

	if (job->req.verb == INSPECT_WAKE_DNS) {
		job->n = qm_wake_dns(job->qm);
		return true;
	}
	if (!about_dests(f) || f->status != NULL)
		return false;
	if (job->req.verb == INSPECT_RETRY) {
		job->n = retry_dests(job);
		return true;
	}
	/* Exactly one of domain and connector: a rule.  Anything else: messages. */
	if (f->reason == NULL && (f->domain != NULL) != (f->connector != NULL)) {
		if (job->req.verb == INSPECT_HOLD) {
			job->n = rule_set(job, true);
			return true;
		}
		if (job->req.verb == INSPECT_RELEASE && !dry(job))
			job->n = rule_set(job, false);
		return false;		/* release: single marks under it go as well; remove: messages */
	}
	return false;
}

static uint64_t
retry_item(struct qm_job *job, struct sched_item *i)
{
	if (dry(job))
		return i->nrcpts;
	i->fresh = true;
	if (i->place == PLACE_LATER)
		sched_ready(job->qm->sched, i);
	qm_dest_wake(job->qm, i->dest, job->req.with);
	return i->nrcpts;
}

static void
remove_now(struct qm *qm, struct sched_item *i, bool bounce)
{
	char id[MSGID_TEXT_MAX];
	struct status st;

	log_event("removed", "id=%s dest=%s rcpts=%u bounce=%d", msgid_text(&i->m->id, id), i->dest->key,
	    i->nrcpts, bounce);
	i->marked = true;		/* its envelope may have to be read: no lease meanwhile */
	sched_hold(qm->sched, i);
	if (bounce) {
		status_set(&st, 5, 7, 1, STAGE_queue, REASON_policy, "removed from the queue by an administrator");
		qm_item_fail(qm, i, &st);
	} else {
		qm_item_remove(qm, i);
	}
}

static uint64_t
remove_item(struct qm_job *job, struct sched_item *i)
{
	const uint64_t n = i->nrcpts;

	if (!dry(job))
		remove_now(job->qm, i, (job->req.flags & INSPECT_BOUNCE) != 0);
	return n;
}

/* ---- while it is leased ---- */

enum asked { ASKED_NOTHING = 0, ASKED_HOLD, ASKED_REMOVE, ASKED_BOUNCE };

/* It is being delivered this moment: what is left when the lease ends is held or removed. */
static uint64_t
act_after_lease(struct qm_job *job, struct sched_item *i)
{
	uint8_t asked = ASKED_NOTHING;

	switch (job->req.verb) {
	case INSPECT_HOLD:
		asked = ASKED_HOLD;
		break;
	case INSPECT_REMOVE:
		asked = job->req.flags & INSPECT_BOUNCE ? ASKED_BOUNCE : ASKED_REMOVE;
		break;
	case INSPECT_RELEASE:
		if (i->asked != ASKED_HOLD)
			return 0;
		break;
	default:
		return 0;
	}
	if (!dry(job))
		i->asked = asked;
	return i->nrcpts;
}

void
qm_act_waiting(struct qm *qm, struct store_message *m)
{
	struct sched_item *next;

	for (struct sched_item *i = m->user; i != NULL; i = next) {
		const uint8_t asked = i->asked;

		next = i->next;		/* when i ends the message, it was the last */
		if (asked == ASKED_NOTHING || i->place == PLACE_LEASED)
			continue;
		i->asked = ASKED_NOTHING;
		if (asked == ASKED_HOLD)
			qm_item_hold(qm, i, true, REASON_held);
		else
			remove_now(qm, i, asked == ASKED_BOUNCE);
	}
}

uint64_t
qm_act_on(struct qm_job *job, struct sched_item *i)
{
	const uint64_t n = i->nrcpts;

	if (i->place == PLACE_LEASED)
		return act_after_lease(job, i);
	switch (job->req.verb) {
	case INSPECT_RETRY:
		return retry_item(job, i);
	case INSPECT_HOLD:
		if (i->marked)
			return 0;
		if (!dry(job))
			qm_item_hold(job->qm, i, true, REASON_held);
		return n;
	case INSPECT_RELEASE:
		if (!i->marked)
			return 0;
		if (!dry(job))
			qm_item_hold(job->qm, i, false, REASON_none);
		return n;
	case INSPECT_REMOVE:
		return remove_item(job, i);
	default:
		return 0;
	}
}
