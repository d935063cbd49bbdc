/*
 * writer.c - one thread, a list of jobs to it and a list of results back.
 * The thread touches nothing but a job that was given to it: no log, no
 * counters, no memory of a session.
 * Read next: writer.h; body.c, which makes the jobs.
 */
#include "mta/rx/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mta/base/crc32c.h"
#include "mta/base/log.h"
#include "mta/base/loop.h"

struct rx_writer {
	pthread_t		 thread;
	pthread_mutex_t		 lock;		/* guards the lists and stop */
	pthread_cond_t		 more;
	struct list		 todo, finished;
	bool			 stop;
	struct loop_waker	*waker;		/* owned */
};

static int
write_all(struct rx_job *job)
{
	const uint8_t *p = job->data.data;
	size_t left = job->data.len;

	while (left > 0) {
		ssize_t n = write(job->fd, p, left);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return errno;
		p += n;
		left -= (size_t)n;
	}
	return 0;
}

static void
run(struct rx_job *job)
{
	size_t n = job->data.len;

	job->crc = crc32c(job->crc, job->data.data, n);
	job->err = write_all(job);
	/* Begin to write back now: the sync at the end finds less to do. */
	if (job->err == 0 && n != 0)
		(void)sync_file_range(job->fd, (off_t)job->offset, (off_t)n,
		    SYNC_FILE_RANGE_WRITE);
	job->offset += n;
	if (job->err == 0 && job->sync && fdatasync(job->fd) == -1)
		job->err = errno;
}

static void *
work(void *arg)
{
	struct rx_writer *w = arg;

	pthread_mutex_lock(&w->lock);
	for (;;) {
		struct rx_job *job;

		while (list_empty(&w->todo) && !w->stop)
			pthread_cond_wait(&w->more, &w->lock);
		if (list_empty(&w->todo))
			break;
		job = LIST_OWNER(w->todo.next, struct rx_job, node);
		list_del(&job->node);
		pthread_mutex_unlock(&w->lock);
		run(job);
		pthread_mutex_lock(&w->lock);
		list_add_tail(&w->finished, &job->node);
		loop_wake(w->waker);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static void
on_wake(void *ctx)
{
	struct rx_writer *w = ctx;

	for (;;) {
		struct rx_job *job = NULL;

		pthread_mutex_lock(&w->lock);
		if (!list_empty(&w->finished)) {
			job = LIST_OWNER(w->finished.next, struct rx_job, node);
			list_del(&job->node);
		}
		pthread_mutex_unlock(&w->lock);
		if (job == NULL)
			return;
		job->done(job);
	}
}

struct rx_writer *
rx_writer_new(struct loop *loop)
{
	struct rx_writer *w = xcalloc(1, sizeof(*w));
	sigset_t all, before;
	int err;

	list_init(&w->todo);
	list_init(&w->finished);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->more, NULL);
	w->waker = loop_waker_new(loop, on_wake, w);
	sigfillset(&all);	/* signals are the loop's */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&w->thread, NULL, work, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err != 0)
		bug("pthread_create: %s", strerror(err));
	return w;
}

void
rx_writer_free(struct rx_writer **wp)
{
	struct rx_writer *w = *wp;

	*wp = NULL;
	if (w == NULL)
		return;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_signal(&w->more);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	loop_waker_free(&w->waker);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->more);
	free(w);
}

void
rx_writer_add(struct rx_writer *w, struct rx_job *job)
{
	pthread_mutex_lock(&w->lock);
	list_add_tail(&w->todo, &job->node);
	pthread_cond_signal(&w->more);
	pthread_mutex_unlock(&w->lock);
}
