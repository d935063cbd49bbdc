/*
 * pool.c - where segments come from and where they go: ready ones prepared ahead,
 * two kept in reserve, old ones taken out and recycled.
 * Never lets mail have the reserve; never takes a segment out before what made
 * it unneeded is durable, nor before an older one that it refers to is gone.
 * Read next: segment.c, commit.c, compact.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "mta/base/log.h"
#include "mta/base/loop.h"
#include "queue/file.h"
#include "queue/store_own.h"

#define AGAIN_MS 1000

/* ---- preparing ---- */

struct prepare {
	struct job		 job;
	struct store		*store;
	struct segment_order	 order;
	int			 fd, err;
};

void
pool_name(struct store *s, const char *name)
{
	struct pool *p = &s->pool;

	if (p->nnames < POOL_NAMES_MAX && strlen(name) < SEGMENT_NAME_MAX)
		snprintf(p->names[p->nnames++], SEGMENT_NAME_MAX, "%s", name);
}

static void
order_fill(struct store *s, struct segment_order *o)
{
	struct pool *p = &s->pool;

	*o = (struct segment_order){ .dirs = &s->dirs };
	o->header.number = p->next_number++;
	memcpy(o->header.uuid, s->uuid, sizeof s->uuid);
	if (getrandom(&o->header.epoch, sizeof o->header.epoch, 0) != sizeof o->header.epoch)
		bug("getrandom failed");
	o->header.era = s->commit.era;
	o->header.prior = s->commit.prior;
	o->header.size = (uint32_t)s->conf.segment_bytes;
	if (p->nnames > 0)
		memcpy(o->source, p->names[--p->nnames], SEGMENT_NAME_MAX);
}

/*
 * The first segment of an era outlives the segments of the era before whose end
 * only its header tells: without it their torn tails would count again.
 */
static void
guard_tail(struct store *s, struct segment *seg)
{
	if (s->commit.tail != 0 && s->commit.tail < seg->min_ref)
		seg->min_ref = s->commit.tail;
	s->commit.tail = 0;
}

static struct segment *
order_segment(const struct segment_order *o, int fd)
{
	struct segment *seg = segment_new(o->header.number);

	seg->size = o->header.size;
	seg->epoch = o->header.epoch;
	seg->era = o->header.era;
	seg->prior = o->header.prior;
	seg->fd = fd;
	return seg;
}

static void
prepare_work(struct job *job)
{
	struct prepare *p = (struct prepare *)job;

	p->err = segment_make(&p->order, &p->fd);
}

static void prepare_failed(struct store *s, int err);
static void prepare_again(struct store *s, struct segment *seg);

static void
prepare_done(struct job *job, bool cancelled)
{
	struct prepare *p = (struct prepare *)job;
	struct store *s = p->store;

	if (cancelled) {
		file_close(&p->fd);
		free(p);
		return;
	}
	s->pool.preparing = false;
	if (p->err != 0) {
		prepare_failed(s, p->err);
	} else if (p->order.header.era != s->commit.era) {
		struct segment *seg = order_segment(&p->order, p->fd);

		prepare_again(s, seg);
	} else {
		s->pool.ready[s->pool.nready++] = order_segment(&p->order, p->fd);
		s->pool.starved = false;
		/* The era is on disk now: what it excludes can never come back. */
		commit_answer_refused(s);
	}
	free(p);
	pool_refill(s);
}

static void
prepare_start(struct store *s, struct segment *from)
{
	struct prepare *p = xcalloc(1, sizeof *p);

	p->job.work = prepare_work;
	p->job.done = prepare_done;
	p->store = s;
	p->fd = -1;
	order_fill(s, &p->order);
	if (from != NULL) {
		if (p->order.source[0] != '\0')
			pool_name(s, p->order.source);
		segment_name(from->number, p->order.source);
		p->order.source_in_log = true;
	}
	s->pool.preparing = true;
	helper_submit(s->helper, &p->job);
}

/* A segment prepared for an era that is over gets a new header. */
static void
prepare_again(struct store *s, struct segment *seg)
{
	prepare_start(s, seg);
	segment_free(&seg);
}

/* Nothing can be written for now: mail is turned away, our own records wait. */
static void
prepare_failed(struct store *s, int err)
{
	const bool space = err == ENOSPC || err == EDQUOT;

	log_warn("spool_segment_failed", "err=%d text=\"%s\"", err, strerror(err));
	if (!space && s->commit.failures > 0 && s->commit.active == NULL) {
		commit_break(s, "no new segment after a failed sync");
		return;
	}
	s->pool.starved = true;		/* the next turn refuses what finds no place */
	loop_timer_set(s->pool.again, AGAIN_MS);
}

void
pool_refill(struct store *s)
{
	struct pool *p = &s->pool;
	size_t stale = 0;

	if (p->preparing || s->commit.broken || loop_timer_is_set(p->again))
		return;
	while (stale < p->nready && p->ready[stale]->era == s->commit.era)
		stale++;
	if (stale < p->nready) {
		struct segment *seg = p->ready[stale];

		p->nready--;
		memmove(p->ready + stale, p->ready + stale + 1,
		    (p->nready - stale) * sizeof *p->ready);
		prepare_again(s, seg);
	} else if (p->nready < READY_MAX) {
		prepare_start(s, NULL);
	}
}

void
pool_new_era(struct store *s)
{
	loop_timer_clear(s->pool.again);
	pool_refill(s);
}

struct segment *
pool_take(struct store *s, bool own)
{
	struct pool *p = &s->pool;
	struct segment *seg = NULL;

	if (p->nready == 0 || (!own && p->nready <= RESERVE) || p->ready[0]->era != s->commit.era)
		return NULL;
	seg = p->ready[0];
	memmove(p->ready, p->ready + 1, --p->nready * sizeof *p->ready);
	guard_tail(s, seg);
	segments_add(&s->ix.segments, seg);
	return seg;
}

bool
pool_first(struct store *s, struct fault *f)
{
	struct segment_order o;
	int fd = -1, err = 0;

	order_fill(s, &o);
	err = segment_make(&o, &fd);
	if (err != 0) {
		fault_sys(f, err, "spool", "make a segment");
		return false;
	}
	s->commit.active = order_segment(&o, fd);
	s->commit.active->state = SEGMENT_ACTIVE;
	guard_tail(s, s->commit.active);
	segments_add(&s->ix.segments, s->commit.active);
	return true;
}

/* ---- taking out ---- */

struct take_out {
	struct job	 job;
	struct store	*store;
	struct segment	*seg;		/* in the table until done */
	bool		 keep;
	int		 err;
};

static void
take_out_work(struct job *job)
{
	struct take_out *t = (struct take_out *)job;

	t->err = segment_take_out(&t->store->dirs, t->seg->number, t->keep);
}

static void
take_out_done(struct job *job, bool cancelled)
{
	struct take_out *t = (struct take_out *)job;
	struct store *s = t->store;
	char name[SEGMENT_NAME_MAX];

	if (cancelled) {
		free(t);
		return;
	}
	s->pool.leaving_kept -= t->keep;
	if (t->err != 0) {
		/* It stays where it is, for the next start; never tried again and again. */
		log_warn("spool_release_failed", "segment=%u err=%d", t->seg->number, t->err);
	} else {
		if (t->keep)
			pool_name(s, segment_name(t->seg->number, name));
		segments_remove(&s->ix.segments, t->seg);
		segment_free(&t->seg);
	}
	free(t);
	s->pool.release_wanted = true;
	commit_kick(s);
}

static void
take_out(struct store *s, struct segment *seg)
{
	struct take_out *t = xcalloc(1, sizeof *t);

	seg->state = SEGMENT_LEAVING;
	t->job.work = take_out_work;
	t->job.done = take_out_done;
	t->store = s;
	t->seg = seg;
	t->keep = s->pool.nnames + s->pool.leaving_kept < POOL_KEEP &&
	    seg->size == s->conf.segment_bytes;
	s->pool.leaving_kept += t->keep;
	helper_submit(s->helper, &t->job);
}

void
pool_release(struct store *s)
{
	struct segments *t = &s->ix.segments;

	s->pool.release_wanted = false;
	for (size_t i = 0; i < t->n; i++) {
		if (segment_unneeded(t, i) && t->v[i]->killed <= s->commit.durable_chunk)
			take_out(s, t->v[i]);
	}
}

/* ---- start and end ---- */

static void
on_again(void *ctx)
{
	pool_refill(ctx);
}

void
pool_start(struct store *s)
{
	s->pool.again = loop_timer_new(s->loop, on_again, s);
	s->pool.release_wanted = true;
	pool_refill(s);
}

void
pool_stop(struct store *s)
{
	loop_timer_free(&s->pool.again);
	for (size_t i = 0; i < s->pool.nready; i++)
		segment_free(&s->pool.ready[i]);
	s->pool.nready = 0;
}
