/*
 * inspect.h - private to mta/qm: one inspect request under way.  Rows are made
 * in slices, a bounded number a turn, so that the queue goes on with its work;
 * a reader that is slow is waited for.
 */
#pragma once

#include "mta/door/inspect.h"
#include "mta/qm/qm.h"

struct qm_job {
	struct list		 link;		/* in qm->jobs */
	struct qm		*qm;
	struct qm_peer		*peer;		/* counted */
	uint32_t		 number;
	struct inspect_request	 req;		/* owned */
	bool			 paused, cancelled, posted;
	struct loop_timer	*again;		/* while ctl is slow to take rows */
	unsigned		 reading;	/* envelopes asked for and not yet here */
	bool			 walked;	/* nothing more to visit */
	struct msgid		*ids;		/* what is to be visited: owned */
	size_t			 nids, at;
	uint64_t		 n;		/* rows, or recipients acted on */
};

/* Does the item match what the index knows?  Sender and recipient need the envelope. */
bool qm_item_matches(const struct qm_job *job, const struct sched_item *i, int64_t now_wall_ms);
bool qm_dest_matches(const struct inspect_filter *f, const struct sched_dest *d);
bool qm_needs_envelope(const struct inspect_filter *f);
bool qm_envelope_matches(const struct inspect_filter *f, const struct envelope *e, const struct sched_item *i);
enum inspect_state qm_item_state(const struct sched_item *i);

/* act.c: one matching item; returns recipients acted on (or that would be). */
uint64_t qm_act_on(struct qm_job *job, struct sched_item *i);
/* act.c: requests that speak of destinations alone; true: done, job->n says how many. */
bool qm_act_on_dests(struct qm_job *job);
