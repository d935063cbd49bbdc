/*
 * helper.h - a few threads for what may block: jobs on descriptors and memory
 * of their own that share no state with the loop.
 */
#pragma once

#include <stdbool.h>

struct loop;
struct helper;

/* Embed as the first member of the job's own struct. */
struct job {
	struct job	*next;
	void		(*work)(struct job *job);	/* in a thread */
	/* In the loop, once; frees the job.  cancelled: at close; touch nothing but the job. */
	void		(*done)(struct job *job, bool cancelled);
};

/* Signals stay with the calling thread. */
struct helper *helper_new(struct loop *loop, unsigned nthreads);
void helper_submit(struct helper *h, struct job *job);	/* job given; first come, first begun */
/* Ends the threads after what they have begun; all other jobs are done as cancelled. */
void helper_free(struct helper **h);
