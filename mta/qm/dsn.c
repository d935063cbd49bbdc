/*
 * dsn.c - debts to senders: a failed recipient is owed until a DSN that names it
 * is accepted, by the same path as any message.  One DSN gathers a message's
 * failures: it waits until none of its recipients is leased, at latest five
 * minutes.  What is written in it: dsn_text.c.  RFC 3464, RFC 5321 6.1.
 */
#include <stdlib.h>
#include <string.h>

#include "mta/base/clock.h"
#include "mta/base/counters.h"
#include "mta/base/crc32c.h"
#include "mta/base/log.h"
#include "mta/qm/dsn_text.h"
#include "mta/qm/qm.h"

#define GATHER_MS (5 * 60000)

/* What an answer that comes later is about: the message may be gone by then. */
struct dsn_wait {
	struct qm	*qm;
	struct msgid	 id;
	unsigned	 read;		/* STORE_READ_BODY, or 0 after that failed */
};

static void dsn_start(struct qm *qm, struct qm_dsn *d, unsigned read);

static struct qm_dsn *
dsn_find(struct qm *qm, const struct msgid *id)
{
	return hash_get(qm->dsns, id, sizeof *id);
}

static struct qm_dsn *
dsn_want(struct qm *qm, const struct msgid *id)
{
	struct qm_dsn *d = dsn_find(qm, id);

	if (d == NULL) {
		d = xcalloc(1, sizeof *d);
		d->id = *id;
		d->since_mono_ms = clock_mono_ms();
		hash_put(qm->dsns, d);
	}
	return d;
}

static void
dsn_over(struct qm *qm, struct qm_dsn *d)
{
	hash_del(qm->dsns, &d->id, sizeof d->id);
	free(d);
}

/* More of its recipients may fail in a moment: one DSN is to tell of them all. */
static bool
any_pending(const struct store_message *m)
{
	for (const struct sched_item *i = m->user; i != NULL; i = i->next)
		if (i->place == PLACE_LEASED || i->reading > 0)
			return true;
	return false;
}

static bool
any_owed(const struct store_message *m)
{
	if (m->null_sender)
		return false;
	for (uint32_t k = 0; k < m->nrcpts; k++)
		if (m->rcpts[k].state == RCPT_OWED)
			return true;
	return false;
}

void
qm_dsn_consider(struct qm *qm, struct store_message *m)
{
	struct qm_dsn *d = dsn_find(qm, &m->id);

	if (d == NULL && !any_owed(m))
		return;
	d = dsn_want(qm, &m->id);
	if (d->busy) {
		d->again = true;
		return;
	}
	if (any_pending(m) && clock_mono_ms() - d->since_mono_ms < GATHER_MS)
		return;			/* what it waits for comes back here */
	dsn_start(qm, d, STORE_READ_BODY);
}

void
qm_dsn_delay(struct qm *qm, struct store_message *m, const struct status *last)
{
	struct qm_dsn *d;
	bool untold = false;

	for (uint32_t k = 0; k < m->nrcpts; k++)
		untold = untold || (m->rcpts[k].state == RCPT_QUEUED && !(m->rcpts[k].flags & RCPT_DELAY_TOLD));
	if (!untold || m->null_sender)
		return;
	d = dsn_want(qm, &m->id);
	d->delay = true;
	d->why = *last;
	qm_dsn_consider(qm, m);
}

static void
on_accepted(void *ctx, enum store_result r)
{
	struct dsn_wait *w = ctx;
	struct qm_dsn *d = dsn_find(w->qm, &w->id);
	struct store_message *m = store_find(w->qm->store, &w->id);
	char id[MSGID_TEXT_MAX];
	bool again;

	if (d != NULL) {
		again = d->again;
		d->busy = false;
		if (r == STORE_REFUSED) {	/* the debt stays; qm_dsn_retry_all() comes back */
			log_warn("dsn_refused", "id=%s", msgid_text(&w->id, id));
		} else {
			dsn_over(w->qm, d);
			if (again && m != NULL)
				qm_dsn_consider(w->qm, m);
		}
	}
	free(w);
}

static void
debt_status(void *ctx, int64_t wall_ms, uint8_t state, const struct status *st)
{
	struct status *out = ctx;

	(void)wall_ms;
	(void)state;
	*out = *st;
}

/* Which recipients this DSN is about, with the status of each. */
static uint32_t
dsn_collect(struct qm *qm, const struct qm_dsn *d, const struct store_message *m, struct dsn_rcpt *out)
{
	uint32_t n = 0;

	for (uint32_t k = 0; k < m->nrcpts; k++) {
		const struct store_rcpt *c = &m->rcpts[k];
		struct dsn_rcpt *o = &out[n];

		if (c->state == RCPT_OWED) {
			o->action = DSN_FAILED;
			status_set(&o->status, 5, 0, 0, STAGE_queue, REASON_local, "no reason was kept");
			store_history(qm->store, m, k, 1, debt_status, &o->status);
		} else if (d->delay && c->state == RCPT_QUEUED && !(c->flags & RCPT_DELAY_TOLD)) {
			o->action = DSN_DELAYED;
			o->status = d->why;
		} else {
			continue;
		}
		o->ordinal = k;
		n++;
	}
	return n;
}

static void
dsn_submit(struct qm *qm, struct qm_dsn *d, struct store_message *m, const struct store_read *r)
{
	struct dsn_wait *w;
	struct dsn_rcpt *rcpts = xcalloc(m->nrcpts, sizeof *rcpts);
	struct store_debt *pays = xcalloc(m->nrcpts, sizeof *pays);
	struct recipient to = { .address = r->envelope.sender };
	struct envelope e = {
		.sender = (char *)"", .listener = (char *)"", .client = (char *)"", .helo = (char *)"",
		.recipients = &to, .nrecipients = 1, .arrival_wall_ms = clock_wall_ms(),
	};
	struct store_new new = { .envelope = &e, .reserve = true, .pays = pays };
	struct buf text = { 0 };
	char id[MSGID_TEXT_MAX], of[MSGID_TEXT_MAX];

	new.npays = dsn_collect(qm, d, m, rcpts);
	for (uint32_t k = 0; k < new.npays; k++)
		pays[k] = (struct store_debt){ .id = m->id, .ordinal = rcpts[k].ordinal,
		    .delay = rcpts[k].action == DSN_DELAYED };
	msgid_mint(&new.id, e.arrival_wall_ms);
	if (new.npays == 0) {
		dsn_over(qm, d);
		goto out;
	}
	dsn_text(&text, &(struct dsn_about){
		.id = new.id, .of = m->id, .hostname = qm->conf->hostname, .now_wall_ms = e.arrival_wall_ms,
		.envelope = &r->envelope, .rcpts = rcpts, .nrcpts = (uint32_t)new.npays,
		.body = r->body, .body_len = r->body != NULL ? m->size : 0, .body_fd = r->body_fd,
		.arrival_wall_ms = m->arrival_wall_ms,
	});
	new.body = text.data;
	new.size = text.len;
	new.body_crc = crc32c(0, text.data, text.len);
	w = xcalloc(1, sizeof *w);
	w->qm = qm;
	w->id = m->id;
	d->busy = true;
	d->again = false;
	d->delay = false;
	counter_add(C_queue_dsn_total, 1);
	log_event("dsn", "id=%s of=%s rcpts=%zu", msgid_text(&new.id, id), msgid_text(&m->id, of), new.npays);
	qm_accept_own(qm, &new, on_accepted, w);
out:
	buf_free(&text);
	free(rcpts);
	free(pays);
}

/* A sender hears of the failure also when the body is past reading: without its headers. */
static void
dsn_unread(struct qm *qm, struct qm_dsn *d, unsigned read, const struct fault *f)
{
	char text[sizeof f->text];

	log_warn("damaged", "text=%s", log_quote(text, sizeof text, f->text));
	if (read != 0)
		dsn_start(qm, d, 0);
}

static void
on_read(void *ctx, struct store_read *r, const struct fault *f)
{
	struct dsn_wait *w = ctx;
	struct qm_dsn *d = dsn_find(w->qm, &w->id);
	struct store_message *m = store_find(w->qm->store, &w->id);

	if (d != NULL) {
		d->busy = false;
		if (m == NULL)
			dsn_over(w->qm, d);
		else if (r == NULL)
			dsn_unread(w->qm, d, w->read, f);
		else
			dsn_submit(w->qm, d, m, r);
	}
	store_read_free(r);
	free(w);
}

static void
dsn_start(struct qm *qm, struct qm_dsn *d, unsigned read)
{
	struct dsn_wait *w = xcalloc(1, sizeof *w);
	struct store_message *m = store_find(qm->store, &d->id);

	w->qm = qm;
	w->id = d->id;
	w->read = read;
	d->busy = true;
	store_read(qm->store, m, read, on_read, w);
}

void
qm_dsn_retry_all(struct qm *qm)
{
	struct qm_dsn *d;

	for (size_t at = 0; (d = hash_next(qm->dsns, &at)) != NULL; ) {
		struct store_message *m = store_find(qm->store, &d->id);

		if (d->busy)
			continue;
		if (m == NULL)
			dsn_over(qm, d);
		else
			qm_dsn_consider(qm, m);
	}
}
