/*
 * dispatch.c - destinations: jobs wait here, idle sessions take them, attempts
 * are started when more connections are wanted, and what an attempt's failure
 * means for all that waits is carried out.
 * Never talks SMTP or DNS itself; runs once a turn per destination.
 * Read next: dispatch.h (how many connections), attempt.c, steps.c.
 */
#include "mta/tx/dispatch.h"

#include <stdlib.h>
#include <string.h>

#include "mta/base/clock.h"
#include "mta/base/log.h"
#include "mta/tx/attempt.h"
#include "mta/tx/job.h"
#include "mta/tx/session.h"
#include "mta/tx/tx.h"
#include "mta/tx/verdict.h"
#include "mta/tx/way.h"

#define WINNER_MS 5000	/* an address that worked is used without asking again */
#define LIVING_MS 300000	/* a success that long ago still counts */
#define HOLD_MS 1000	/* no growth after an attempt failed beside sessions */
#define BARREN_MAX 4	/* sessions in a row lost with nothing done */
#define UNUSED_MS 60000	/* then an empty destination is forgotten */

static bool
is_living(const struct tx_dest *d)
{
	return d->success_mono_ms != 0 &&
	    clock_mono_ms() - d->success_mono_ms < LIVING_MS;
}

/* ---- kicks ---- */

static void dest_run(struct tx_dest *d);

static void
on_run(void *ctx)
{
	struct tx *tx = ctx;

	tx->run_posted = false;
	while (!list_empty(&tx->kicked)) {
		struct tx_dest *d =
		    LIST_OWNER(tx->kicked.next, struct tx_dest, link);

		list_del(&d->link);
		d->kicked = false;
		dest_run(d);
		if (d->called)		/* has no use for the room any more */
			tx_pool_pass(&tx->pool, d->connector);
		d->called = false;
	}
}

void
tx_dest_kick(struct tx_dest *d)
{
	struct tx *tx = d->tx;

	if (d->kicked)
		return;
	d->kicked = true;
	list_add_tail(&tx->kicked, &d->link);
	if (tx->run_posted)
		return;
	tx->run_posted = true;
	loop_post(tx->loop, on_run, tx);
}

void
tx_dest_on_room(struct tx_wait *w)
{
	struct tx_dest *d = LIST_OWNER(w, struct tx_dest, wait);

	d->called = true;
	tx_dest_kick(d);
}

static void
on_hold_over(void *ctx)
{
	tx_dest_kick(ctx);
}

/* ---- what waits ---- */

static struct tx_job *
take_first(struct tx_dest *d)
{
	struct tx_job *job;

	if (list_empty(&d->waiting))
		return NULL;
	job = LIST_OWNER(d->waiting.next, struct tx_job, link);
	list_del(&job->link);
	d->nwaiting--;
	return job;
}

static void
return_waiting(struct tx_dest *d)
{
	struct tx_job *job;

	while ((job = take_first(d)) != NULL)
		tx_job_settle(&job, d->tx->queue, NULL);
}

static void
say_failed(const struct tx_dest *d, const struct status *st, unsigned n)
{
	char code[STATUS_CODE_MAX], dest[DOMAIN_MAX * 2],
	    text[STATUS_TEXT_MAX + 64];

	log_event("dest_deferred",
	    "dest=%s connector=%s peer=%s code=%s stage=%s reason=%s "
	    "messages=%u text=%s",
	    log_quote(dest, sizeof dest, d->domain), d->connector,
	    st->peer[0] != '\0' ? st->peer : "-", status_code(st, code),
	    stage_name(st->stage), reason_name(st->reason), n,
	    log_quote(text, sizeof text, st->text));
}

/* Nobody of this destination can be served: all that waits shares its fate. */
static void
dest_failed(struct tx_dest *d, const struct status *why, int64_t began_wall_ms,
    const struct buf *trace)
{
	struct verdict v = {
		.whom = HITS_RECIPIENT, .outcome = OUTCOME_FAILED,
		.status = *why,
	};
	struct tx_job *job;

	if (d->nwaiting == 0)
		return;
	if (why->class_ != 5) {
		say_failed(d, why, d->nwaiting);
		if (!d->orphan)
			queue_dest_failed(d->tx->queue, d->number, why,
			    began_wall_ms, trace->data, trace->len);
		return_waiting(d);
		return;
	}
	while ((job = take_first(d)) != NULL) {
		job->soft = d->way != NULL && d->way->k->soft_bounce;
		tx_job_judge_all(job, RCPT_TODO, &v);
		tx_job_settle(&job, d->tx->queue, trace);
	}
}

/* ---- attempts ---- */

static void
remember_winner(struct tx_dest *d, const struct tx_session *s, bool asked)
{
	if (d->winner == NULL)
		d->winner = xmalloc(sizeof *d->winner);
	else if (!asked)	/* still the same answer: it does not grow younger */
		return;
	*d->winner = s->at;
	d->winner_mono_ms = clock_mono_ms();
}

static void
forget_winner(struct tx_dest *d)
{
	free(d->winner);
	d->winner = NULL;
}

static void
hold_growth(struct tx_dest *d)
{
	d->hold_mono_ms = clock_mono_ms() + HOLD_MS;
	if (d->hold == NULL)
		d->hold = loop_timer_new(d->tx->loop, on_hold_over, d);
	loop_timer_set(d->hold, HOLD_MS);
}

static void
on_attempt_end(void *ctx, struct tx_attempt *a,
    const struct tx_attempt_end *end)
{
	struct tx_dest *d = ctx;
	struct tx_session *s = end->session;

	(void)a;
	d->nattempts--;
	d->used_mono_ms = clock_mono_ms();
	if (s == NULL) {
		forget_winner(d);
		if (d->nready > 0)
			hold_growth(d);
		else if (d->nattempts == 0)
			dest_failed(d, end->status, end->began_wall_ms,
			    end->trace);
		tx_dest_kick(d);
		return;
	}
	s->dest = d;
	d->nready++;
	list_add_tail(&d->busy, &s->link);
	remember_winner(d, s, end->asked);
	tx_dest_kick(d);
}

static bool
any_fresh(const struct tx_dest *d)
{
	LIST_EACH(it, &d->waiting)
		if (LIST_OWNER(it, struct tx_job, link)->lease->fresh)
			return true;
	return false;
}

static bool
start_attempt(struct tx_dest *d)
{
	struct tx_attempt_args args = {
		.tx = d->tx,
		.way = d->way,
		.domain = d->domain,
		.fresh = any_fresh(d),
	};
	struct tx_attempt *a;
	struct tx_slot slot;

	if (!tx_pool_take(&d->tx->pool, d->way->k, is_living(d), &slot,
		&d->wait))
		return false;
	if (d->winner != NULL && !args.fresh &&
	    clock_mono_ms() - d->winner_mono_ms < WINNER_MS)
		args.known = d->winner;
	a = tx_attempt_start(&args, on_attempt_end, d);
	a->slot = slot;
	list_add_tail(&d->attempts, &a->link);
	d->nattempts++;
	return true;
}

static void
cancel_attempts(struct tx_dest *d, bool also_talking)
{
	LIST_EACH_SAFE(it, &d->attempts) {
		struct tx_attempt *a = LIST_OWNER(it, struct tx_attempt, link);

		if (a->talking != NULL && !also_talking)
			continue;
		tx_attempt_cancel(&a);
		d->nattempts--;
	}
}

/* ---- the turn of one destination ---- */

/* The connector as configured now; what runs keeps its own. */
static bool
renew_way(struct tx_dest *d)
{
	struct tx *tx = d->tx;
	struct fault f;

	if (d->way != NULL && d->way->conf == tx->conf)
		return d->way->k->enabled;
	tx_way_unref(&d->way);
	forget_winner(d);
	d->way = tx_way_new(tx->conf, d->connector, d->with, &f);
	if (d->way == NULL && d->with != NULL &&
	    conf_connector(tx->conf, d->connector) != NULL) {
		log_warn("overrides", "connector=%s text=\"%s\"", d->connector,
		    f.text);
		d->way = tx_way_new(tx->conf, d->connector, NULL, &f);
	}
	return d->way != NULL && d->way->k->enabled;
}

static bool
wants_more(const struct tx_dest *d)
{
	const unsigned limit = d->way->k->concurrency;
	unsigned most = d->nready == 0 ? 1 : d->nready * 2;

	if (most > limit)
		most = limit;
	if (d->nwaiting <= d->nattempts || d->nready + d->nattempts >= most)
		return false;
	return d->nready == 0 || clock_mono_ms() >= d->hold_mono_ms;
}

static void
dest_run(struct tx_dest *d)
{
	if (d->nwaiting == 0)
		return;
	if (d->tx->draining || !renew_way(d)) {
		return_waiting(d);
		return;
	}
	while (d->nwaiting > 0 && !list_empty(&d->idle))
		tx_session_wake(
		    LIST_OWNER(d->idle.next, struct tx_session, link));
	while (wants_more(d)) {
		d->called = false;
		if (!start_attempt(d))
			return;
	}
}

/* ---- from its sessions ---- */

struct tx_job *
tx_dest_next(struct tx_dest *d)
{
	d->used_mono_ms = clock_mono_ms();
	return take_first(d);
}

bool
tx_dest_wants(const struct tx_dest *d, const struct tx_session *s)
{
	return !d->orphan && !d->tx->draining && s->way->conf == d->tx->conf &&
	    s->way->k->enabled;
}

void
tx_dest_progress(struct tx_dest *d, struct tx_session *s)
{
	d->barren = 0;
	d->success_mono_ms = clock_mono_ms();
	tx_pool_proved(&d->tx->pool, &s->slot);
}

void
tx_dest_again(struct tx_dest *d, struct tx_job *job)
{
	/* Its lease is over, or nothing new is begun any more. */
	if (d->orphan || d->tx->draining) {
		tx_job_settle(&job, d->tx->queue, NULL);
		return;
	}
	list_add_head(&d->waiting, &job->link);
	d->nwaiting++;
	tx_dest_kick(d);
}

void
tx_dest_left(struct tx_dest *d, struct tx_session *s, const struct status *why)
{
	d->nready--;
	if (d->nwaiting > 0)
		tx_dest_kick(d);
	if (why == NULL)
		return;
	forget_winner(d);
	if (++d->barren < BARREN_MAX || d->nready > 0)
		return;
	d->barren = 0;
	/* It greets, then lets every transaction down: no message's fault. */
	cancel_attempts(d, true);
	dest_failed(d, why, clock_wall_ms(), &s->trace);
}

/* ---- coming and going ---- */

static size_t
make_key(uint8_t **key_r, uint32_t number, const char *with)
{
	struct buf b = { 0 };

	buf_u32(&b, number);
	if (with != NULL)
		buf_text(&b, with);
	*key_r = b.data;
	return b.len;
}

static struct tx_dest *
dest_new(struct tx *tx, const struct queue_lease *l)
{
	struct tx_dest *d = xcalloc(1, sizeof *d);

	d->tx = tx;
	d->key_len = make_key(&d->key, l->dest, l->with);
	d->number = l->dest;
	d->connector = xstrdup(l->connector);
	d->domain = xstrdup(l->domain);
	d->with = xstrdup(l->with);
	list_init(&d->waiting);
	list_init(&d->busy);
	list_init(&d->idle);
	list_init(&d->attempts);
	list_init(&d->link);
	list_init(&d->old_link);
	list_init(&d->wait.link);
	hash_put(tx->dests, d);
	return d;
}

static void
dest_free(struct tx_dest *d)
{
	cancel_attempts(d, true);
	list_del(&d->link);
	list_del(&d->old_link);
	list_del(&d->wait.link);
	loop_timer_free(&d->hold);
	tx_way_unref(&d->way);
	free(d->winner);
	free(d->key);
	free(d->connector);
	free(d->domain);
	free(d->with);
	free(d);
}

void
tx_dispatch(struct tx *tx, struct queue_lease *lease)
{
	uint8_t *key;
	const size_t n = make_key(&key, lease->dest, lease->with);
	struct tx_dest *d = hash_get(tx->dests, key, n);
	struct tx_job *job;

	free(key);
	if (d == NULL)
		d = dest_new(tx, lease);
	d->used_mono_ms = clock_mono_ms();
	job = tx_job_new(d, lease);
	list_add_tail(&d->waiting, &job->link);
	d->nwaiting++;
	tx_dest_kick(d);
}

/* ---- all of them ---- */

static void
dismiss_idle(struct tx_dest *d)
{
	while (!list_empty(&d->idle))
		tx_session_dismiss(
		    LIST_OWNER(d->idle.next, struct tx_session, link));
}

void
tx_dest_all_reload(struct tx *tx)
{
	struct tx_dest *d;

	for (size_t at = 0; (d = hash_next(tx->dests, &at)) != NULL; ) {
		dismiss_idle(d);
		cancel_attempts(d, false);
		tx_dest_kick(d);
	}
}

void
tx_dest_all_lost(struct tx *tx)
{
	struct tx_dest *d;
	struct tx_job *job;

	for (size_t at = 0; (d = hash_next(tx->dests, &at)) != NULL; ) {
		hash_del(tx->dests, d->key, d->key_len);
		list_add_tail(&tx->old_dests, &d->old_link);
		d->orphan = true;
		while ((job = take_first(d)) != NULL)
			tx_job_free(&job);
		cancel_attempts(d, true);
		dismiss_idle(d);
		LIST_EACH(it, &d->busy) {
			struct tx_session *s =
			    LIST_OWNER(it, struct tx_session, link);

			if (s->job != NULL)
				s->job->orphan = true;
		}
	}
}

void
tx_dest_all_drain(struct tx *tx)
{
	struct tx_dest *d;

	for (size_t at = 0; (d = hash_next(tx->dests, &at)) != NULL; ) {
		return_waiting(d);
		cancel_attempts(d, true);
		dismiss_idle(d);
	}
}

static void
abort_sessions(struct tx_dest *d)
{
	struct list *const lists[] = { &d->busy, &d->idle };

	for (size_t i = 0; i < COUNT_OF(lists); i++)
		while (!list_empty(lists[i]))
			tx_session_abort(LIST_OWNER(lists[i]->next,
			    struct tx_session, link));
}

void
tx_dest_all_abort(struct tx *tx)
{
	struct tx_dest *d;

	for (size_t at = 0; (d = hash_next(tx->dests, &at)) != NULL; )
		abort_sessions(d);
	LIST_EACH(it, &tx->old_dests)
		abort_sessions(LIST_OWNER(it, struct tx_dest, old_link));
}

void
tx_dest_all_free(struct tx *tx)
{
	struct tx_dest *d;

	tx_dest_all_lost(tx);
	tx_dest_all_abort(tx);
	LIST_EACH_SAFE(it, &tx->old_dests) {
		d = LIST_OWNER(it, struct tx_dest, old_link);
		dest_free(d);
	}
}

static bool
is_unused(const struct tx_dest *d, int64_t now_mono_ms)
{
	return d->nwaiting == 0 && d->nready == 0 && d->nattempts == 0 &&
	    !d->kicked && now_mono_ms - d->used_mono_ms >= UNUSED_MS;
}

void
tx_dest_sweep(struct tx *tx)
{
	const int64_t now_mono_ms = clock_mono_ms();
	struct tx_dest *d;

	for (size_t at = 0; (d = hash_next(tx->dests, &at)) != NULL; ) {
		if (!is_unused(d, now_mono_ms))
			continue;
		hash_del(tx->dests, d->key, d->key_len);
		dest_free(d);
	}
	LIST_EACH_SAFE(it, &tx->old_dests) {
		d = LIST_OWNER(it, struct tx_dest, old_link);
		if (is_unused(d, now_mono_ms))
			dest_free(d);
	}
}
