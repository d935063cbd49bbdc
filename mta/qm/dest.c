/*
 * dest.c - destinations in the queue role: routing of domains, failures of a
 * destination as a whole with their note on disk, waking.  One note per destination
 * holds its latest attempts; never one record a message.
 *
 * The note's value:
 *   u8 version 1, i64 next, i64 since, u32 failures, str connector, str domain,
 *   u32 n, then n attempts, latest first: i64 wall ms, status, bytes trace
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mta/base/clock.h"
#include "mta/base/log.h"
#include "mta/door/ask.h"
#include "mta/qm/qm.h"
#include "mta/route/route.h"
#include "queue/retry.h"

#define NOTE_VERSION	1
#define NOTE_MAX	(64u << 10)	/* older attempts are left out above this */

/* ---- routing ---- */

static struct sched_dest *
dest_for(struct qm *qm, const char *domain)
{
	const struct conf_connector *k = domain[0] != '\0' ? router_find(qm->router, domain) : NULL;
	char key[ROUTE_KEY_MAX];
	const char *route = domain;
	struct sched_dest *d;

	if (k == NULL) {
		snprintf(key, sizeof key, "-/%s", domain);
	} else {
		route_key(k, domain, key);
		if (k->nsmarthosts > 0)
			route = "*";
	}
	d = sched_dest(qm->sched, key, k, k != NULL ? k->name : "-", route,
	    ask_owner(k != NULL ? k->name : "-", route, qm->ntx));
	sched_set_conf(qm->sched, d, k);
	sched_set_holding(qm->sched, d, k == NULL || !k->enabled ||
	    qm_hold_covers(qm, d->connector, d->domain));
	if (k == NULL && d->nitems == 0)
		log_warn("no_connector", "domain=%s text=\"held: no connector takes it\"", domain);
	return d;
}

struct sched_domain *
qm_route(struct qm *qm, const char *domain)
{
	struct sched_domain *dom = sched_domain(qm->sched, domain);

	if (dom->dest == NULL)
		dom->dest = dest_for(qm, domain);
	return dom;
}

/* After a reload: per distinct domain, not per message. */
void
qm_reroute_all(struct qm *qm)
{
	struct sched_dest *d;
	struct sched_domain *dom;
	uint32_t n = 0;

	for (size_t at = 0; (dom = sched_domain_each(qm->sched, &at)) != NULL; )
		sched_reroute(qm->sched, dom, dest_for(qm, dom->name));
	/* Those whose connector went keep no pointer into the old configuration. */
	while ((d = sched_dest_each(qm->sched, &n)) != NULL)
		sched_set_conf(qm->sched, d, conf_connector(qm->conf, d->connector));
	/* A rule by domain holds the destination on an MX connector, items on a smarthost one. */
	qm_holds_apply(qm);
}

/* ---- the note ---- */

static void
attempt_put(struct buf *b, int64_t wall_ms, const struct status *st, const uint8_t *trace, size_t len)
{
	buf_i64(b, wall_ms);
	status_encode(st, b);
	buf_bytes(b, trace, len);
}

static bool
note_head(struct rd *r, int64_t *next, int64_t *since, uint32_t *failures, char **connector, char **domain)
{
	if (rd_u8(r) != NOTE_VERSION)
		return false;
	*next = rd_i64(r);
	*since = rd_i64(r);
	*failures = rd_u32(r);
	*connector = rd_str(r);
	*domain = rd_str(r);
	return !r->bad && *connector != NULL && *domain != NULL;
}

static unsigned
note_attempts(struct rd *r, struct inspect_trace out[INSPECT_TRACES])
{
	unsigned n = rd_u32(r), k = 0;

	for (; k < n && k < INSPECT_TRACES; k++) {
		const uint8_t *p;
		size_t len;

		out[k].wall_ms = rd_i64(r);
		if (!status_decode(&out[k].status, r) || (p = rd_bytes(r, &len)) == NULL)
			break;
		out[k].trace = xmalloc(len + 1);
		memcpy(out[k].trace, p, len);
		out[k].trace_len = (uint32_t)len;
	}
	return k;
}

unsigned
qm_dest_attempts(struct qm *qm, const char *key, struct inspect_trace out[INSPECT_TRACES])
{
	struct buf b = { 0 };
	int64_t next, since;
	uint32_t failures;
	char *connector = NULL, *domain = NULL;
	unsigned n = 0;
	struct rd r;

	if (store_note_get(qm->store, NOTE_DESTINATION, key, &b)) {
		r = rd_of(b.data, b.len);
		if (note_head(&r, &next, &since, &failures, &connector, &domain))
			n = note_attempts(&r, out);
		free(connector);
		free(domain);
	}
	buf_free(&b);
	return n;
}

void
qm_dest_note(struct qm *qm, struct sched_dest *d, const struct status *st, const uint8_t *trace, size_t trace_len)
{
	struct inspect_trace old[INSPECT_TRACES] = { 0 };
	const unsigned nold = qm_dest_attempts(qm, d->key, old);
	struct buf b = { 0 };
	uint32_t n = 1;
	size_t at;

	buf_u8(&b, NOTE_VERSION);
	buf_i64(&b, d->next_wall_ms);
	buf_i64(&b, d->since_wall_ms);
	buf_u32(&b, d->failures);
	buf_str(&b, d->connector);
	buf_str(&b, d->domain);
	at = b.len;
	buf_u32(&b, 0);
	attempt_put(&b, clock_wall_ms(), st, trace, trace_len);
	for (unsigned k = 0; k < nold; k++) {
		if (n < INSPECT_TRACES && b.len + old[k].trace_len < NOTE_MAX) {
			attempt_put(&b, old[k].wall_ms, &old[k].status, old[k].trace, old[k].trace_len);
			n++;
		}
		free(old[k].trace);
	}
	buf_set_u32(&b, at, n);
	store_note_put(qm->store, NOTE_DESTINATION, d->key, b.data, b.len);
	buf_free(&b);
	if (d->last == NULL)		/* says, too, that there is a note to drop */
		d->last = xmalloc(sizeof *d->last);
	*d->last = *st;
}

int64_t
qm_capped(const struct sched_dest *d, int64_t next_wall_ms)
{
	const int64_t latest = clock_wall_ms() + (d->conf != NULL ? retry_longest_ms(&d->conf->retry) : 60000);

	return next_wall_ms < latest ? next_wall_ms : latest;
}

void
qm_cap_all(struct qm *qm)
{
	struct sched_dest *d;
	uint32_t at = 0;

	while ((d = sched_dest_each(qm->sched, &at)) != NULL)
		sched_cap(qm->sched, d, qm_capped(d, INT64_MAX));
}

/* At recovery, before the messages: a destination that was deferred still is. */
void
qm_dest_load(struct qm *qm, const char *key, const uint8_t *value, size_t len)
{
	struct rd r = rd_of(value, len);
	struct inspect_trace kept[INSPECT_TRACES] = { 0 };
	const struct conf_connector *k;
	char *connector = NULL, *domain = NULL;
	int64_t next, since;
	struct sched_dest *d;
	uint32_t failures;
	unsigned n;

	if (!note_head(&r, &next, &since, &failures, &connector, &domain))
		goto out;
	n = note_attempts(&r, kept);
	k = conf_connector(qm->conf, connector);
	if (k == NULL || n == 0)
		goto free_kept;
	d = sched_dest(qm->sched, key, k, connector, domain, ask_owner(connector, domain, qm->ntx));
	d->since_wall_ms = since;
	d->failures = failures;
	d->last = xmalloc(sizeof *d->last);
	*d->last = kept[0].status;
	if (failures > 0)
		sched_defer(qm->sched, d, qm_capped(d, next));
free_kept:
	for (unsigned i = 0; i < n; i++)
		free(kept[i].trace);
out:
	free(connector);
	free(domain);
}

/* ---- failure and recovery of a destination ---- */

/* Only where the oldest can be old enough: then everything that waits is looked at. */
static void
dest_age(struct qm *qm, struct sched_dest *d, int64_t began_wall_ms)
{
	const int64_t oldest = d->oldest_wall_ms != 0 ? sched_oldest(d) : 0;
	struct sched_item **all;
	uint32_t n = 0;

	if (oldest == 0 || d->conf == NULL ||
	    (!retry_expired(&d->conf->retry, oldest, began_wall_ms) &&
	    !retry_notice_due(&d->conf->retry, oldest, began_wall_ms)))
		return;
	all = xcalloc(d->nitems + 1, sizeof *all);
	LIST_EACH(it, &d->ready)
		all[n++] = LIST_OWNER(it, struct sched_item, u.link);
	for (uint32_t k = 0; k < d->later.n; k++)
		all[n++] = LIST_OWNER(d->later.v[k], struct sched_item, u.due);
	for (uint32_t k = 0; k < n; k++)
		qm_item_aged(qm, all[k], d->last, began_wall_ms);
	free(all);
}

void
qm_dest_failed(void *ctx, struct door_peer *door, uint32_t number, const struct status *st,
    int64_t began_wall_ms, const uint8_t *trace, size_t trace_len)
{
	struct qm *qm = ctx;
	struct sched_dest *d = sched_dest_number(qm->sched, number);
	char span[CLOCK_SPAN_MAX], code[STATUS_CODE_MAX], text[STATUS_TEXT_MAX + 64];
	const int64_t now = clock_wall_ms();
	int64_t wait = 60000;

	(void)door;
	if (d == NULL)
		return;
	d->failures++;
	if (d->since_wall_ms == 0)
		d->since_wall_ms = began_wall_ms;
	free(d->with);
	d->with = NULL;
	if (d->conf != NULL)
		wait = retry_wait_ms(&d->conf->retry, st->reason, d->failures, qm_jitter());
	sched_defer(qm->sched, d, now + wait);
	qm_dest_note(qm, d, st, trace, trace_len);
	log_event("dest_waits", "dest=%s failures=%u waiting=%llu next=%s reason=%s code=%s text=%s", d->key,
	    d->failures, (unsigned long long)d->nrcpts, clock_span(wait, span), reason_name(st->reason),
	    status_code(st, code), log_quote(text, sizeof text, st->text));
	dest_age(qm, d, began_wall_ms);
	qm_tick_soon(qm);
}

void
qm_dest_recovered(struct qm *qm, struct sched_dest *d, bool grow)
{
	if (d->failures > 0 || d->last != NULL) {
		log_event("dest_recovered", "dest=%s failures=%u waiting=%llu", d->key, d->failures,
		    (unsigned long long)d->nrcpts);
		store_note_drop(qm->store, NOTE_DESTINATION, d->key);
	}
	sched_proven(qm->sched, d, grow);
	qm_pump_soon(qm);
}

void
qm_dest_wake(struct qm *qm, struct sched_dest *d, const char *with)
{
	free(d->with);
	d->with = xstrdup(with);
	sched_wake(qm->sched, d);
	qm_pump_soon(qm);
}

/* What waits for a DNS reason is tried at once: after a flush and after a reload. */
uint64_t
qm_wake_dns(struct qm *qm)
{
	struct sched_dest *d;
	uint32_t at = 0;
	uint64_t n = 0;

	while ((d = sched_dest_each(qm->sched, &at)) != NULL) {
		if (d->deferred && d->last != NULL &&
		    (reason_is_dns(d->last->reason) || d->last->reason == REASON_policy)) {
			n += d->nrcpts;
			qm_dest_wake(qm, d, NULL);
		}
	}
	return n;
}

/* Destinations that nobody needs any more, and their notes. */
void
qm_sweep(struct qm *qm)
{
	struct sched_dest *d;
	uint32_t at = 0;

	while ((d = sched_dest_each(qm->sched, &at)) != NULL) {
		if (!sched_dest_idle(d))
			continue;
		if (d->last != NULL)
			store_note_drop(qm->store, NOTE_DESTINATION, d->key);
		sched_dest_drop(qm->sched, d);
	}
}
