/*
 * dispatch.h - a destination: the jobs that wait for it, the sessions that
 * serve it, the attempts that open more of them.
 *
 * How many connections: one until the first is ready, then at most twice the
 * number that are ready, up to the connector's concurrency.  An attempt that
 * fails while sessions serve only stops growth for a second; one that fails
 * with none defers the destination (or fails its recipients, on a hard answer of DNS).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "mta/base/list.h"
#include "mta/base/loop.h"
#include "mta/tx/pool.h"
#include "queue/queue.h"

struct nexthop_addr;
struct tx;
struct tx_job;
struct tx_session;
struct tx_way;

struct tx_dest {
	struct tx		*tx;		/* borrowed */
	uint8_t			*key;		/* owned: number, overrides */
	size_t			 key_len;
	uint32_t		 number;
	char			*connector, *domain, *with;	/* owned; with may be NULL */
	struct tx_way		*way;		/* shared; NULL until first used */
	struct list		 waiting;	/* jobs */
	unsigned		 nwaiting;
	struct list		 busy, idle;	/* sessions */
	unsigned		 nready;	/* of both */
	struct list		 attempts;
	unsigned		 nattempts;
	struct nexthop_addr	*winner;	/* owned: the address that worked last; NULL */
	int64_t			 winner_mono_ms;
	int64_t			 success_mono_ms;	/* 0: never */
	int64_t			 hold_mono_ms;	/* no growth before */
	struct loop_timer	*hold;		/* kicks it then; NULL until needed */
	unsigned		 barren;	/* sessions in a row lost with nothing done */
	int64_t			 used_mono_ms;
	bool			 orphan;	/* the queue that numbered it is gone */
	bool			 kicked;
	bool			 called;	/* kicked because there may be room */
	struct list		 link;		/* tx->kicked, or tx->old_dests */
	struct list		 old_link;
	struct tx_wait		 wait;		/* for a slot */
};

void tx_dispatch(struct tx *tx, struct queue_lease *lease);	/* given */
void tx_dest_kick(struct tx_dest *d);		/* looked after at the end of this turn */
void tx_dest_on_room(struct tx_wait *w);

/* From its sessions. */
struct tx_job *tx_dest_next(struct tx_dest *d);	/* given; NULL: none */
bool tx_dest_wants(const struct tx_dest *d, const struct tx_session *s);	/* false: s is to leave */
void tx_dest_progress(struct tx_dest *d, struct tx_session *s);	/* a transaction came to its end */
void tx_dest_again(struct tx_dest *d, struct tx_job *job);	/* given: first in the queue */
/* s serves no more.  why: lost before it got anything done; else NULL. */
void tx_dest_left(struct tx_dest *d, struct tx_session *s, const struct status *why);

void tx_dest_all_reload(struct tx *tx);		/* unfinished lookups begin anew, idle sessions go */
void tx_dest_all_lost(struct tx *tx);		/* the queue went: forget what waits */
void tx_dest_all_drain(struct tx *tx);		/* give back what waits */
void tx_dest_all_abort(struct tx *tx);		/* … and what is under way */
void tx_dest_all_free(struct tx *tx);		/* the end: no callback follows */
void tx_dest_sweep(struct tx *tx);		/* frees those unused for a minute */
