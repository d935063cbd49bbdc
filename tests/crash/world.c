/*
 * world.c - loop, helper threads and sync thread of the simulated process.
 * Never runs two things at once and never asks the kernel: the same seed gives
 * the same order of everything.
 * Read next: world.h, mta/base/loop.h, queue/helper.h, queue/sync.h.
 */
#include "tests/crash/world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "mta/base/clock.h"
#include "mta/base/loop.h"
#include "mta/base/mem.h"
#include "queue/helper.h"
#include "queue/sync.h"
#include "tests/crash/disk.h"
#include "tests/fake/clock.h"

/* The real one under another name. */
#define crc32c real_crc32c
#include "mta/base/crc32c.c"
#undef crc32c

#define HOOKS_MAX 4
#define LONG_MS 50			/* a timer that one waits for */

struct loop_timer {
	struct loop_timer	*next;
	struct loop		*loop;
	bool			 set;
	int64_t			 at_mono_ms;
	loop_fn			*fn;
	void			*ctx;
};

struct loop {
	struct loop_timer	*timers;
	struct { loop_fn *fn; void *ctx; } hooks[HOOKS_MAX];
	unsigned		 nhooks;
	struct helper		*helper;	/* of the one store */
	struct syncer		*syncer;
};

struct helper {
	struct loop	*loop;
	struct job	*todo, *finished;
};

struct syncer {
	struct loop		*loop;
	sync_done_fn		*done;
	void			*ctx;
	bool			 busy;		/* asked and not yet ended */
	bool			 told;		/* planted: answered already */
	struct disk_sync	 syncs[SYNC_FILES_MAX];
	size_t			 n;
};

static uint64_t rng = 1;

void
world_seed(uint64_t seed)
{
	rng = seed;
}

/* Of the C library's place: uuid and epochs follow from the seed. */
ssize_t
getrandom(void *p, size_t n, unsigned flags)
{
	uint8_t *to = p;

	(void)flags;
	for (size_t i = 0; i < n; i++)
		to[i] = (uint8_t)chance(&rng);
	return (ssize_t)n;
}

uint32_t
crc32c(uint32_t crc, const void *p, size_t n)
{
	return plant_now == PLANT_NO_CHECKSUM ? 0 : real_crc32c(crc, p, n);
}

/* ---- loop ---- */

struct loop *
loop_new(void)
{
	return xcalloc(1, sizeof(struct loop));
}

void
loop_free(struct loop **loop)
{
	free(*loop);
	*loop = NULL;
}

struct loop_timer *
loop_timer_new(struct loop *loop, loop_fn *fn, void *ctx)
{
	struct loop_timer *t = xcalloc(1, sizeof *t);

	t->loop = loop;
	t->fn = fn;
	t->ctx = ctx;
	t->next = loop->timers;
	loop->timers = t;
	return t;
}

void
loop_timer_set(struct loop_timer *t, int64_t ms)
{
	t->set = true;
	t->at_mono_ms = clock_mono_ms() + ms;
}

void
loop_timer_clear(struct loop_timer *t)
{
	t->set = false;
}

bool
loop_timer_is_set(const struct loop_timer *t)
{
	return t->set;
}

void
loop_timer_free(struct loop_timer **t)
{
	struct loop_timer **at = NULL;

	if (*t == NULL)
		return;
	for (at = &(*t)->loop->timers; *at != *t; at = &(*at)->next)
		continue;
	*at = (*t)->next;
	free(*t);
	*t = NULL;
}

void
loop_on_turn(struct loop *loop, loop_fn *fn, void *ctx)
{
	if (loop->nhooks == HOOKS_MAX)
		abort();
	loop->hooks[loop->nhooks].fn = fn;
	loop->hooks[loop->nhooks++].ctx = ctx;
}

void
loop_on_turn_remove(struct loop *loop, loop_fn *fn, void *ctx)
{
	for (unsigned i = 0; i < loop->nhooks; i++) {
		if (loop->hooks[i].fn == fn && loop->hooks[i].ctx == ctx)
			loop->hooks[i] = loop->hooks[--loop->nhooks];
	}
}

/* Only a log with a loop asks for it, and ours has none. */
void
loop_post(struct loop *loop, loop_fn *fn, void *ctx)
{
	(void)loop;
	(void)fn;
	(void)ctx;
	abort();
}

/* ---- helper threads ---- */

static void
job_add(struct job **list, struct job *job)
{
	while (*list != NULL)
		list = &(*list)->next;
	job->next = NULL;
	*list = job;
}

static struct job *
job_take(struct job **list, uint32_t skip)
{
	struct job *job = NULL;

	while (skip-- > 0 && (*list)->next != NULL)
		list = &(*list)->next;
	job = *list;
	*list = job->next;
	return job;
}

struct helper *
helper_new(struct loop *loop, unsigned nthreads)
{
	struct helper *h = xcalloc(1, sizeof *h);

	(void)nthreads;
	h->loop = loop;
	return loop->helper = h;
}

void
helper_submit(struct helper *h, struct job *job)
{
	job_add(&h->todo, job);
}

void
helper_free(struct helper **hp)
{
	struct helper *h = *hp;

	*hp = NULL;
	while (h->finished != NULL) {
		struct job *job = job_take(&h->finished, 0);

		job->done(job, true);
	}
	while (h->todo != NULL) {
		struct job *job = job_take(&h->todo, 0);

		job->done(job, true);
	}
	h->loop->helper = NULL;
	free(h);
}

/* The threads overtake each other: one of the first three works. */
static void
helper_turn(struct helper *h)
{
	if (h->todo != NULL && chance_below(&rng, 2) == 0) {
		struct job *job = job_take(&h->todo, chance_below(&rng, 3));

		job->work(job);
		job_add(&h->finished, job);
	}
	while (h->finished != NULL && chance_below(&rng, 2) == 0) {
		struct job *job = job_take(&h->finished, 0);

		job->done(job, false);
	}
}

/* ---- sync thread ---- */

struct syncer *
syncer_new(struct loop *loop, sync_done_fn *done, void *ctx)
{
	struct syncer *y = xcalloc(1, sizeof *y);

	y->loop = loop;
	y->done = done;
	y->ctx = ctx;
	return loop->syncer = y;
}

static int
syncer_end(struct syncer *y)
{
	int err = 0;

	for (size_t i = 0; i < y->n; i++) {
		const int one = disk_sync_end(&y->syncs[i]);

		if (err == 0)
			err = one;
	}
	y->busy = false;
	y->n = 0;
	return err;
}

void
syncer_start(struct syncer *y, const int *fds, size_t n)
{
	if (y->busy)
		(void)syncer_end(y);	/* planted: the loop believes that it has ended */
	for (size_t i = 0; i < n; i++)
		y->syncs[i] = disk_sync_begin(fds[i]);
	y->n = n;
	y->busy = true;
	y->told = false;
}

static void
syncer_turn(struct syncer *y)
{
	if (!y->busy)
		return;
	if (plant_now == PLANT_EARLY_ANSWER && !y->told) {
		y->told = true;
		y->done(y->ctx, 0, 1);
	} else if (chance_below(&rng, 3) == 0) {
		const int err = syncer_end(y);

		if (!y->told)
			y->done(y->ctx, err, 1);
	}
}

int
syncer_free(struct syncer **yp)
{
	struct syncer *y = *yp;
	int err = 0;

	*yp = NULL;
	if (y->busy)
		err = syncer_end(y);
	y->loop->syncer = NULL;
	free(y);
	return err;
}

/* ---- turning ---- */

bool
world_idle(const struct loop *loop)
{
	if (loop->helper->todo != NULL || loop->helper->finished != NULL || loop->syncer->busy)
		return false;
	for (const struct loop_timer *t = loop->timers; t != NULL; t = t->next)
		if (t->set && t->at_mono_ms - clock_mono_ms() < LONG_MS)
			return false;
	return true;
}

static void
wait_for_timer(const struct loop *loop)
{
	int64_t least = INT64_MAX;

	for (const struct loop_timer *t = loop->timers; t != NULL; t = t->next)
		if (t->set && t->at_mono_ms - clock_mono_ms() < least)
			least = t->at_mono_ms - clock_mono_ms();
	if (least != INT64_MAX && least > 0)
		fake_clock_advance(least);
}

void
world_turn(struct loop *loop)
{
	if (world_idle(loop))
		wait_for_timer(loop);
	helper_turn(loop->helper);
	syncer_turn(loop->syncer);
	for (struct loop_timer *t = loop->timers, *next = NULL; t != NULL; t = next) {
		next = t->next;
		if (!t->set || t->at_mono_ms > clock_mono_ms())
			continue;
		t->set = false;
		t->fn(t->ctx);
	}
	for (unsigned i = 0; i < loop->nhooks; i++)
		loop->hooks[i].fn(loop->hooks[i].ctx);
}
