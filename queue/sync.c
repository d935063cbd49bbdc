/*
 * sync.c - fdatasync in a thread of its own, so that neither the loop nor a slow
 * helper job stands before a commit.
 * Never touches anything but the descriptors it was given.
 * Read next: commit.c.
 */
#include "queue/sync.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "mta/base/clock.h"
#include "mta/base/log.h"
#include "mta/base/loop.h"
#include "mta/base/mem.h"
#include "queue/file.h"

enum sync_state { SYNC_IDLE = 0, SYNC_ASKED, SYNC_FINISHED };

struct syncer {
	pthread_mutex_t		 lock;		/* of all below up to us */
	pthread_cond_t		 asked;
	enum sync_state		 state;
	bool			 stop;
	int			 fds[SYNC_FILES_MAX];
	size_t			 n;
	int			 err;
	int64_t			 us;
	struct loop_waker	*waker;		/* owned */
	pthread_t		 thread;
	sync_done_fn		*done;
	void			*ctx;
};

static void
sync_files(struct syncer *y)
{
	const int64_t began_us = clock_mono_us();

	y->err = 0;
	for (size_t i = 0; i < y->n; i++) {
		const int err = file_sync(y->fds[i]);

		if (y->err == 0)
			y->err = err;
	}
	y->us = clock_mono_us() - began_us;
}

static void *
sync_thread(void *arg)
{
	struct syncer *y = arg;

	pthread_mutex_lock(&y->lock);
	for (;;) {
		if (y->state == SYNC_ASKED) {
			/* The loop leaves fds, n, err and us alone until FINISHED. */
			pthread_mutex_unlock(&y->lock);
			sync_files(y);
			pthread_mutex_lock(&y->lock);
			y->state = SYNC_FINISHED;
			loop_wake(y->waker);
		} else if (y->stop) {
			break;
		} else {
			pthread_cond_wait(&y->asked, &y->lock);
		}
	}
	pthread_mutex_unlock(&y->lock);
	return NULL;
}

static void
on_synced(void *ctx)
{
	struct syncer *y = ctx;
	bool finished = false;

	pthread_mutex_lock(&y->lock);
	finished = y->state == SYNC_FINISHED;
	if (finished)
		y->state = SYNC_IDLE;
	pthread_mutex_unlock(&y->lock);
	if (finished)
		y->done(y->ctx, y->err, y->us);
}

struct syncer *
syncer_new(struct loop *loop, sync_done_fn *done, void *ctx)
{
	struct syncer *y = xcalloc(1, sizeof *y);
	sigset_t all, before;

	y->done = done;
	y->ctx = ctx;
	pthread_mutex_init(&y->lock, NULL);
	pthread_cond_init(&y->asked, NULL);
	y->waker = loop_waker_new(loop, on_synced, y);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&y->thread, NULL, sync_thread, y) != 0)
		bug("the sync thread cannot be started");
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return y;
}

void
syncer_start(struct syncer *y, const int *fds, size_t n)
{
	pthread_mutex_lock(&y->lock);
	if (y->state != SYNC_IDLE || n > SYNC_FILES_MAX)
		bug("a sync is under way already");
	memcpy(y->fds, fds, n * sizeof *fds);
	y->n = n;
	y->state = SYNC_ASKED;
	pthread_cond_signal(&y->asked);
	pthread_mutex_unlock(&y->lock);
}

int
syncer_free(struct syncer **yp)
{
	struct syncer *y = *yp;
	int err = 0;

	if (y == NULL)
		return 0;
	*yp = NULL;
	pthread_mutex_lock(&y->lock);
	y->stop = true;
	pthread_cond_signal(&y->asked);
	pthread_mutex_unlock(&y->lock);
	pthread_join(y->thread, NULL);
	err = y->state == SYNC_FINISHED ? y->err : 0;
	loop_waker_free(&y->waker);
	pthread_cond_destroy(&y->asked);
	pthread_mutex_destroy(&y->lock);
	free(y);
	return err;
}
