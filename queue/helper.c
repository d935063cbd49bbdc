/*
 * helper.c - a queue of jobs, threads that work on it, and the way back.
 * Never calls done() from a thread; never knows what a job is about.
 * Read next: segment.c, bodies.c, read.c, compact.c (the jobs).
 */
#include "queue/helper.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "mta/base/log.h"
#include "mta/base/loop.h"
#include "mta/base/mem.h"

#define THREADS_MAX 16u

struct jobs {
	struct job *first, **last;
};

struct helper {
	pthread_mutex_t		 lock;		/* todo, finished, stop */
	pthread_cond_t		 more;
	struct jobs		 todo, finished;
	bool			 stop;
	struct loop_waker	*waker;		/* owned */
	unsigned		 nthreads;
	pthread_t		 threads[THREADS_MAX];
};

static void
jobs_init(struct jobs *q)
{
	q->first = NULL;
	q->last = &q->first;
}

static void
jobs_add(struct jobs *q, struct job *job)
{
	job->next = NULL;
	*q->last = job;
	q->last = &job->next;
}

static struct job *
jobs_take(struct jobs *q)
{
	struct job *job = q->first;

	if (job == NULL)
		return NULL;
	q->first = job->next;
	if (q->first == NULL)
		q->last = &q->first;
	return job;
}

static void *
helper_thread(void *arg)
{
	struct helper *h = arg;

	pthread_mutex_lock(&h->lock);
	while (!h->stop) {
		struct job *job = jobs_take(&h->todo);

		if (job == NULL) {
			pthread_cond_wait(&h->more, &h->lock);
			continue;
		}
		pthread_mutex_unlock(&h->lock);
		job->work(job);
		pthread_mutex_lock(&h->lock);
		jobs_add(&h->finished, job);
		loop_wake(h->waker);
	}
	pthread_mutex_unlock(&h->lock);
	return NULL;
}

static struct job *
helper_take(struct helper *h, struct jobs *from)
{
	struct job *job = NULL;

	pthread_mutex_lock(&h->lock);
	job = jobs_take(from);
	pthread_mutex_unlock(&h->lock);
	return job;
}

static void
on_finished(void *ctx)
{
	struct helper *h = ctx;
	struct job *job = NULL;

	while ((job = helper_take(h, &h->finished)) != NULL)
		job->done(job, false);
}

struct helper *
helper_new(struct loop *loop, unsigned nthreads)
{
	struct helper *h = xcalloc(1, sizeof *h);
	sigset_t all, before;

	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->more, NULL);
	jobs_init(&h->todo);
	jobs_init(&h->finished);
	h->waker = loop_waker_new(loop, on_finished, h);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (; h->nthreads < nthreads && h->nthreads < THREADS_MAX; h->nthreads++)
		if (pthread_create(&h->threads[h->nthreads], NULL, helper_thread, h) != 0)
			break;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (h->nthreads == 0)
		bug("no helper thread can be started");
	return h;
}

void
helper_submit(struct helper *h, struct job *job)
{
	pthread_mutex_lock(&h->lock);
	jobs_add(&h->todo, job);
	pthread_cond_signal(&h->more);
	pthread_mutex_unlock(&h->lock);
}

void
helper_free(struct helper **hp)
{
	struct helper *h = *hp;
	struct job *job = NULL;

	if (h == NULL)
		return;
	*hp = NULL;
	pthread_mutex_lock(&h->lock);
	h->stop = true;
	pthread_cond_broadcast(&h->more);
	pthread_mutex_unlock(&h->lock);
	for (unsigned i = 0; i < h->nthreads; i++)
		pthread_join(h->threads[i], NULL);
	while ((job = jobs_take(&h->finished)) != NULL)
		job->done(job, true);
	while ((job = jobs_take(&h->todo)) != NULL)
		job->done(job, true);
	loop_waker_free(&h->waker);
	pthread_cond_destroy(&h->more);
	pthread_mutex_destroy(&h->lock);
	free(h);
}
