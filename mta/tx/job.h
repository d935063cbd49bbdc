/*
 * job.h - one lease at work: which of its recipients are decided, and the
 * settle that ends it.
 *
 * Life of a recipient:  todo -> taken -> done    RCPT accepted, then the dot
 *                       todo -> done             refused
 *                       todo -> later -> todo    "too many": next transaction
 */
#pragma once

#include "mta/base/list.h"
#include "queue/queue.h"

struct tx_dest;
struct tx_said;
struct verdict;

enum tx_rcpt_state { RCPT_TODO = 0, RCPT_TAKEN, RCPT_LATER, RCPT_DONE };

struct tx_rcpt {
	enum tx_rcpt_state	 state;
	enum queue_outcome	 outcome;	/* when DONE */
	bool			 maybe_sent;
	const struct status	*status;	/* one of job->said, or NULL */
};

struct tx_job {
	struct list		 link;		/* in dest->waiting */
	struct tx_dest		*dest;		/* borrowed: outlives its jobs */
	struct queue_lease	*lease;		/* owned */
	unsigned		 losses;	/* connections lost under it */
	bool			 orphan;	/* the queue that leased it is gone */
	bool			 soft;		/* soft_bounce of the connector in use */
	struct tx_said		*said;		/* owned: the statuses recipients point to */
	uint32_t		 n;
	struct tx_rcpt		 rcpts[];
};

struct tx_job *tx_job_new(struct tx_dest *dest, struct queue_lease *lease);	/* lease given */
void tx_job_free(struct tx_job **job);

/* First recipient at or after i in that state; job->n: none. */
uint32_t tx_job_next(const struct tx_job *job, uint32_t i, enum tx_rcpt_state state);
uint32_t tx_job_count(const struct tx_job *job, enum tx_rcpt_state state);

/* A verdict falls on one recipient, or on all in a state (v->status is copied). */
void tx_job_judge(struct tx_job *job, uint32_t i, const struct verdict *v);
void tx_job_judge_all(struct tx_job *job, enum tx_rcpt_state state, const struct verdict *v);

/* The session is gone: what it had taken is to do again. */
void tx_job_reset(struct tx_job *job);
/* The transaction is over: with progress later recipients get the next one, else their deferral. */
void tx_job_round_over(struct tx_job *job, bool progress);

/*
 * Settles and frees: recipients not decided are returned.  trace is kept with
 * failures and deferrals.  Says each outcome in the log.
 */
void tx_job_settle(struct tx_job **job, struct queue *q, const struct buf *trace);
