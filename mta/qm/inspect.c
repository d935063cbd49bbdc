/*
 * inspect.c - answers what ctl asks about the queue.  Requests that walk messages
 * take their ids first, then visit them in slices; a message that vanished
 * meanwhile is passed over.  What changes anything is in act.c.
 */
#include "mta/qm/inspect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mta/base/clock.h"
#include "mta/base/log.h"
#include "mta/base/loop.h"
#include "mta/base/str.h"
#include "queue/retry.h"

#define SLICE		500		/* messages a turn */
#define READS_MAX	32		/* envelopes under way */
#define CAT_PIECE	(64u << 10)
#define SLOW_MS		5
#define PENDING_MAX	(1u << 20)	/* octets ctl has not taken yet */

static void job_run(void *ctx);

static void
job_free(struct qm_job *job)
{
	list_del(&job->link);
	loop_timer_free(&job->again);
	qm_peer_unref(&job->peer);
	inspect_request_free(&job->req);
	free(job->ids);
	free(job);
}

static void
job_end(struct qm_job *job, bool ok, const char *text)
{
	if (job->peer->door != NULL && !job->cancelled)
		door_end(job->peer->door, job->number, ok, job->n, text);
	job_free(job);
}

static void
job_soon(struct qm_job *job)
{
	if (!job->posted)
		loop_post(job->qm->loop, job_run, job);
	job->posted = true;
}

/* ---- matching ---- */

bool
qm_needs_envelope(const struct inspect_filter *f)
{
	return f->sender != NULL || f->recipient != NULL;
}

bool
qm_dest_matches(const struct inspect_filter *f, const struct sched_dest *d)
{
	if (f->connector != NULL && strcmp(f->connector, d->connector) != 0)
		return false;
	if (f->domain != NULL && !str_eq_nocase(f->domain, d->domain) && strcmp(d->domain, "*") != 0)
		return false;
	return true;
}

enum inspect_state
qm_item_state(const struct sched_item *i)
{
	if (i->place == PLACE_LEASED)
		return STATE_ACTIVE;
	if (i->place == PLACE_HELD || i->dest->holding)
		return STATE_SUSPENDED;
	return i->place == PLACE_LATER || i->dest->deferred ? STATE_RETRY : STATE_READY;
}

static enum reason
item_reason(const struct sched_item *i)
{
	if (i->dest->conf == NULL)
		return REASON_policy;
	if (i->place == PLACE_HELD || i->dest->holding)
		return REASON_held;
	if (i->dest->deferred && i->dest->last != NULL)
		return i->dest->last->reason;
	for (uint32_t k = 0; k < i->m->nrcpts; k++)
		if (i->m->rcpts[k].state == RCPT_QUEUED)
			return i->m->rcpts[k].reason;
	return REASON_none;
}

bool
qm_item_matches(const struct qm_job *job, const struct sched_item *i, int64_t now)
{
	const struct inspect_filter *f = &job->req.filter;

	if (!qm_dest_matches(f, i->dest))
		return false;
	if (f->domain != NULL && !str_eq_nocase(f->domain, i->domain->name))
		return false;
	if (f->older_ms > 0 && i->m->arrival_wall_ms > now - f->older_ms)
		return false;
	if (f->reason != NULL && reason_parse(f->reason) != (int)item_reason(i))
		return false;
	return f->status == NULL || str_eq_nocase(f->status, inspect_state_name(qm_item_state(i)));
}

static bool
address_is(const char *want, const char *have)
{
	return str_eq_nocase(strcmp(want, "<>") == 0 ? "" : want, have);
}

bool
qm_envelope_matches(const struct inspect_filter *f, const struct envelope *e, const struct sched_item *i)
{
	char domain[DOMAIN_MAX];

	if (f->sender != NULL && !address_is(f->sender, e->sender))
		return false;
	if (f->recipient == NULL)
		return true;
	for (uint32_t k = 0; k < e->nrecipients; k++)
		if (address_is(f->recipient, e->recipients[k].address))
			return i == NULL || (address_domain(e->recipients[k].address, domain) &&
			    strcmp(domain, i->domain->name) == 0);
	return false;
}

/* ---- rows ---- */

static void
row_item(struct qm_job *job, const struct sched_item *i, const char *sender)
{
	const struct inspect_item row = {
		.id = i->m->id, .sender = (char *)sender, .connector = i->dest->connector,
		.domain = i->domain->name, .state = qm_item_state(i), .size = i->m->size,
		.recipients = i->nrcpts, .arrival_wall_ms = i->m->arrival_wall_ms,
		.next_wall_ms = i->place == PLACE_LATER ? i->u.due.key :
		    i->dest->deferred && i->place == PLACE_READY ? i->dest->next_wall_ms : 0,
		.attempts = i->m->rcpts[0].attempts + i->dest->failures, .reason = item_reason(i),
		.maybe_sent = (i->m->rcpts[0].flags & RCPT_MAYBE_SENT) != 0,
	};

	inspect_item_encode(&row, door_row_begin(job->peer->door, job->number));
	door_row_end(job->peer->door);
	job->n++;
}

static enum inspect_state
dest_state(const struct sched_dest *d)
{
	if (d->holding || (!list_empty(&d->held) && list_empty(&d->ready) && d->later.n == 0 && d->leased == 0))
		return STATE_SUSPENDED;
	if (d->leased > 0)
		return STATE_ACTIVE;
	return d->deferred || (list_empty(&d->ready) && d->later.n > 0) ? STATE_RETRY : STATE_READY;
}

static void
status_copy(void *ctx, int64_t wall_ms, uint8_t state, const struct status *st)
{
	(void)wall_ms;
	(void)state;
	*(struct status *)ctx = *st;
}

/* The latest failure of a message that waits by its own schedule, when the destination itself is well. */
static void
dest_message_status(struct qm *qm, struct sched_dest *d, struct status *out)
{
	const struct heap_node *first = heap_top(&d->later);
	const struct sched_item *i;

	if (first == NULL)
		return;
	i = LIST_OWNER(first, struct sched_item, u.due);
	for (uint32_t k = 0; k < i->m->nrcpts && out->class_ == 0; k++)
		if (i->m->rcpts[k].state == RCPT_QUEUED && i->m->rcpts[k].last_segment != 0)
			store_history(qm->store, i->m, k, 1, status_copy, out);
}

static void
dest_status(struct qm *qm, struct sched_dest *d, struct status *out)
{
	if (d->conf == NULL)
		status_set(out, 4, 4, 4, STAGE_queue, REASON_policy, "held: no connector takes %.200s", d->domain);
	else if (d->last != NULL)
		*out = *d->last;
	else
		dest_message_status(qm, d, out);
	if (out->class_ == 0 && dest_state(d) == STATE_SUSPENDED)
		status_set(out, 4, 2, 0, STAGE_queue, REASON_held, "held by the operator");
}

static void
row_dest(struct qm_job *job, struct sched_dest *d, bool traces)
{
	struct inspect_dest row = {
		.state = dest_state(d), .count = d->nrcpts, .messages = d->nitems, .leased = d->leased,
		.oldest_wall_ms = sched_oldest(d), .since_wall_ms = d->since_wall_ms,
		.failures = d->failures, .deferred = d->deferred,
	};
	const struct heap_node *first = heap_top(&d->later);

	str_copy(row.connector, sizeof row.connector, d->connector);
	str_copy(row.domain, sizeof row.domain, d->domain);
	if (d->deferred)
		row.next_wall_ms = d->next_wall_ms;
	else if (first != NULL)
		row.next_wall_ms = first->key;
	if (d->conf != NULL && row.oldest_wall_ms != 0)
		row.expires_wall_ms = row.oldest_wall_ms + d->conf->retry.expire_ms;
	dest_status(job->qm, d, &row.status);
	if (traces)
		row.ntraces = qm_dest_attempts(job->qm, d->key, row.traces);
	inspect_dest_encode(&row, door_row_begin(job->peer->door, job->number));
	door_row_end(job->peer->door);
	inspect_dest_free(&row);
	job->n++;
}

static int
by_age(const void *a, const void *b)
{
	const struct sched_dest *const *x = a, *const *y = b;

	return ((*x)->oldest_wall_ms > (*y)->oldest_wall_ms) - ((*x)->oldest_wall_ms < (*y)->oldest_wall_ms);
}

/* "queue" and "explain": destinations, oldest first. */
static void
answer_dests(struct qm_job *job)
{
	const struct inspect_filter *f = &job->req.filter;
	struct sched_dest **v = NULL, *d;
	uint32_t at = 0, n = 0, cap = 0;

	while ((d = sched_dest_each(job->qm->sched, &at)) != NULL) {
		if (d->nitems == 0 || !qm_dest_matches(f, d))
			continue;
		if (n == cap)
			v = xrealloc(v, (cap = cap == 0 ? 64 : cap * 2) * sizeof *v);
		sched_oldest(d);
		v[n++] = d;
	}
	if (n > 0)
		qsort(v, n, sizeof *v, by_age);
	for (uint32_t k = 0; k < n; k++) {
		if (f->status != NULL && !str_eq_nocase(f->status, inspect_state_name(dest_state(v[k]))))
			continue;
		if (f->reason != NULL && (v[k]->last == NULL || (int)v[k]->last->reason != reason_parse(f->reason)))
			continue;
		if (f->older_ms > 0 && v[k]->oldest_wall_ms > clock_wall_ms() - f->older_ms)
			continue;
		row_dest(job, v[k], job->req.verb == INSPECT_DEST);
	}
	free(v);
	job_end(job, true, "");
}

static void
answer_status(struct qm_job *job)
{
	struct qm *qm = job->qm;
	struct inspect_status s = { .started_wall_ms = qm->started_wall_ms };
	struct sched_dest *d;
	struct store_stats st;
	uint32_t at = 0;

	store_stats(qm->store, &st);
	s.messages = st.messages;
	s.recipients = st.recipients;
	s.bytes = st.bytes;
	s.segments = st.segments;
	s.spool_bytes = st.spool_bytes;
	s.free_bytes = st.free_bytes;
	s.room = st.room;
	str_copy(s.room_why, sizeof s.room_why, st.room_why);
	s.held_rules = (uint32_t)hash_count(qm->holds);
	s.owed = hash_count(qm->dsns);
	while ((d = sched_dest_each(qm->sched, &at)) != NULL) {
		const int64_t oldest = d->nitems > 0 ? sched_oldest(d) : 0;

		switch (dest_state(d)) {
		case STATE_ACTIVE:	s.active += d->nrcpts; break;
		case STATE_READY:	s.ready += d->nrcpts; break;
		case STATE_RETRY:	s.retry += d->nrcpts; break;
		case STATE_SUSPENDED:	s.suspended += d->nrcpts; break;
		}
		if (oldest != 0 && (s.oldest_wall_ms == 0 || oldest < s.oldest_wall_ms))
			s.oldest_wall_ms = oldest;
	}
	inspect_status_encode(&s, door_row_begin(job->peer->door, job->number));
	door_row_end(job->peer->door);
	job->n = 1;
	job_end(job, true, "");
}

/* ---- one message: show, cat ---- */


static void
history_add(void *ctx, int64_t wall_ms, uint8_t state, const struct status *st)
{
	struct inspect_rcpt *c = ctx;
	struct inspect_attempt *a;

	if (c->nhistory == INSPECT_TRACES)
		return;
	a = &c->history[c->nhistory++];
	a->wall_ms = wall_ms;
	a->status = *st;
	a->outcome = st->class_ == 2 ? OUTCOME_DELIVERED : state == RCPT_QUEUED ? OUTCOME_DEFERRED : OUTCOME_FAILED;
}

static const struct sched_item *
item_of(const struct store_message *m, const char *domain)
{
	for (const struct sched_item *i = m->user; i != NULL; i = i->next)
		if (strcmp(i->domain->name, domain) == 0)
			return i;
	return NULL;
}

static void
fill_rcpt(struct qm *qm, struct inspect_rcpt *c, const struct store_message *m, uint32_t k, const char *address)
{
	const struct store_rcpt *r = &m->rcpts[k];
	const struct sched_item *i;
	char domain[DOMAIN_MAX];

	if (!address_domain(address, domain))
		domain[0] = '\0';
	i = item_of(m, domain);
	c->address = (char *)address;
	c->domain = xstrdup(domain);
	c->connector = xstrdup(i != NULL ? i->dest->connector : "");
	c->attempts = r->attempts;
	if (i != NULL && r->state == RCPT_QUEUED) {
		c->attempts += i->dest->failures;
		c->state = qm_item_state(i);
		c->next_wall_ms = i->place == PLACE_LATER ? i->u.due.key :
		    i->dest->deferred ? i->dest->next_wall_ms : 0;
	}
	store_history(qm->store, m, k, INSPECT_TRACES, history_add, c);
	str_copy(c->word, sizeof c->word, r->state == RCPT_QUEUED ? "queued" : r->state == RCPT_OWED ? "owed" :
	    c->nhistory > 0 && c->history[0].status.class_ != 2 ? "failed" : "delivered");
}

static void
row_message(struct qm_job *job, struct store_message *m, const struct store_read *r)
{
	struct inspect_message row = {
		.id = m->id, .envelope = r->envelope, .size = m->size, .body_file = m->body_file,
		.nrcpts = m->nrcpts < r->envelope.nrecipients ? m->nrcpts : r->envelope.nrecipients,
	};
	const struct sched_item *first = m->user;

	if (first != NULL && first->dest->conf != NULL)
		row.expires_wall_ms = m->arrival_wall_ms + first->dest->conf->retry.expire_ms;
	row.rcpts = xcalloc(row.nrcpts + 1, sizeof *row.rcpts);
	for (uint32_t k = 0; k < row.nrcpts; k++)
		fill_rcpt(job->qm, &row.rcpts[k], m, k, r->envelope.recipients[k].address);
	inspect_message_encode(&row, door_row_begin(job->peer->door, job->number));
	door_row_end(job->peer->door);
	for (uint32_t k = 0; k < row.nrcpts; k++) {	/* addresses are the envelope's */
		free(row.rcpts[k].domain);
		free(row.rcpts[k].connector);
	}
	free(row.rcpts);
	job->n++;
}

static void
row_octets(struct qm_job *job, const struct store_message *m, const struct store_read *r)
{
	uint8_t piece[CAT_PIECE];
	uint64_t at = 0;

	while (at < m->size) {
		const size_t want = m->size - at < sizeof piece ? (size_t)(m->size - at) : sizeof piece;
		const uint8_t *p = r->body != NULL ? r->body + at : piece;
		ssize_t got = (ssize_t)want;

		if (r->body == NULL)
			got = pread(r->body_fd, piece, want, (off_t)at);
		if (got <= 0)
			return;
		buf_add(door_row_begin(job->peer->door, job->number), p, (size_t)got);
		door_row_end(job->peer->door);
		at += (uint64_t)got;
	}
	job->n = 1;
}

/* ---- walking messages ---- */

struct visit {
	struct qm_job	*job;
	struct msgid	 id;
};

static void
visit_items(struct qm_job *job, struct store_message *m, const struct envelope *e)
{
	const int64_t now = clock_wall_ms();
	struct sched_item *next;

	for (struct sched_item *i = m->user; i != NULL; i = next) {
		next = i->next;		/* acting may free i; when it frees the message i was the last */
		if (!qm_item_matches(job, i, now) || (e != NULL && !qm_envelope_matches(&job->req.filter, e, i)))
			continue;
		if (job->req.verb == INSPECT_LIST)
			row_item(job, i, e != NULL ? e->sender : NULL);
		else
			job->n += qm_act_on(job, i);
	}
}

static void
on_envelope(void *ctx, struct store_read *r, const struct fault *f)
{
	struct visit *v = ctx;
	struct qm_job *job = v->job;
	struct store_message *m = store_find(job->qm->store, &v->id);

	job->reading--;
	if (r == NULL)
		log_warn("damaged", "text=\"%s\"", f->text);
	else if (m != NULL && job->peer->door != NULL && !job->cancelled) {
		if (job->req.verb == INSPECT_SHOW)
			row_message(job, m, r);
		else if (job->req.verb == INSPECT_CAT)
			row_octets(job, m, r);
		else
			visit_items(job, m, &r->envelope);
	}
	store_read_free(r);
	free(v);
	job_soon(job);
}

static bool
wants_read(const struct qm_job *job)
{
	return job->req.verb == INSPECT_SHOW || job->req.verb == INSPECT_CAT ||
	    job->req.verb == INSPECT_LIST || qm_needs_envelope(&job->req.filter);
}

static void
visit(struct qm_job *job, const struct msgid *id)
{
	struct store_message *m = store_find(job->qm->store, id);
	struct visit *v;
	bool any = job->req.filter.id != NULL;

	if (m == NULL || !m->durable)
		return;
	if (!wants_read(job)) {
		visit_items(job, m, NULL);
		return;
	}
	for (const struct sched_item *i = m->user; i != NULL && !any; i = i->next)
		any = qm_item_matches(job, i, clock_wall_ms());
	if (!any)
		return;
	v = xcalloc(1, sizeof *v);
	v->job = job;
	v->id = *id;
	job->reading++;
	store_read(job->qm->store, m, job->req.verb == INSPECT_CAT ? STORE_READ_BODY : 0, on_envelope, v);
}

static void
job_run(void *ctx)
{
	struct qm_job *job = ctx;
	bool stop;

	job->posted = false;
	stop = job->cancelled || job->peer->door == NULL;
	if (stop)
		job->walked = true;
	for (unsigned k = 0; k < SLICE && !job->walked && !job->paused && job->reading < READS_MAX &&
	    door_pending(job->peer->door) < PENDING_MAX; k++) {
		if (job->at == job->nids)
			job->walked = true;
		else
			visit(job, &job->ids[job->at++]);
	}
	if (job->walked && job->reading == 0) {
		if (job->req.verb >= INSPECT_RETRY)
			qm_pump_soon(job->qm);
		job_end(job, true, "");
	} else if (!job->walked && !job->paused && job->reading < READS_MAX) {
		if (door_pending(job->peer->door) < PENDING_MAX)
			job_soon(job);
		else
			loop_timer_set(job->again, SLOW_MS);
	}
}

static void
on_again(void *ctx)
{
	job_soon(ctx);
}

/* The ids to visit; they may be gone when their turn comes. */
static bool
job_collect(struct qm_job *job, char *why, size_t size)
{
	struct store_message *m;
	unsigned count;
	size_t cap;

	if (job->req.filter.id != NULL) {
		m = store_find_tail(job->qm->store, job->req.filter.id, &count);
		if (m == NULL) {
			if (count > 1)
				snprintf(why, size, "ambiguous: %u messages end in %s", count, job->req.filter.id);
			else
				snprintf(why, size, "no message in the queue ends in %s", job->req.filter.id);
			return false;
		}
		job->ids = xcalloc(1, sizeof *job->ids);
		job->ids[job->nids++] = m->id;
		return true;
	}
	cap = 1024;
	job->ids = xcalloc(cap, sizeof *job->ids);
	for (size_t at = 0; (m = store_each(job->qm->store, &at)) != NULL; ) {
		if (job->nids == cap)
			job->ids = xrealloc(job->ids, (cap *= 2) * sizeof *job->ids);
		job->ids[job->nids++] = m->id;
	}
	return true;
}

void
qm_inspect(void *ctx, struct door_peer *door, uint32_t number, const struct inspect_request *req)
{
	struct qm_job *job = xcalloc(1, sizeof *job);
	struct buf copy = { 0 };
	char why[160];
	struct rd r;

	job->qm = ctx;
	job->peer = door_peer_user(door);
	job->peer->refs++;
	job->number = number;
	inspect_request_encode(req, &copy);
	r = rd_of(copy.data, copy.len);
	inspect_request_decode(&job->req, &r);
	buf_free(&copy);
	list_add_tail(&job->qm->jobs, &job->link);
	job->again = loop_timer_new(job->qm->loop, on_again, job);
	if (req->verb == INSPECT_STATUS)
		answer_status(job);
	else if (req->verb == INSPECT_QUEUE || req->verb == INSPECT_DEST)
		answer_dests(job);
	else if (req->verb >= INSPECT_RETRY && qm_act_on_dests(job))
		job_end(job, true, "");
	else if (!job_collect(job, why, sizeof why))
		job_end(job, false, why);
	else
		job_soon(job);
}

static struct qm_job *
job_find(struct qm *qm, struct door_peer *door, uint32_t number)
{
	LIST_EACH(it, &qm->jobs) {
		struct qm_job *job = LIST_OWNER(it, struct qm_job, link);

		if (job->number == number && job->peer->door == door)
			return job;
	}
	return NULL;
}

void
qm_inspect_cancel(void *ctx, struct door_peer *door, uint32_t number)
{
	struct qm_job *job = job_find(ctx, door, number);

	if (job == NULL)
		return;
	job->cancelled = true;
	job_soon(job);
}

void
qm_inspect_pause(void *ctx, struct door_peer *door, uint32_t number, bool paused)
{
	struct qm_job *job = job_find(ctx, door, number);

	if (job == NULL)
		return;
	job->paused = paused;
	job_soon(job);
}

void
qm_inspect_gone(struct qm *qm, struct qm_peer *peer)
{
	LIST_EACH_SAFE(it, &qm->jobs) {
		struct qm_job *job = LIST_OWNER(it, struct qm_job, link);

		if (job->peer == peer)
			job_soon(job);
	}
}
