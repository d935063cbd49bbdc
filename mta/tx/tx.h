/*
 * tx.h - one delivering process: what all destinations share.
 *
 * Life of a lease:
 *
 *   tx.c       on_lease: waits for a newer configuration if it names one
 *   dispatch   a job in the queue of its destination; is a session idle? else
 *   attempt    resolve, connect, greeting, EHLO: one attempt, many addresses
 *   session    MAIL, RCPT, DATA, the message, the dot; the next job, or idle
 *   job        settled: an outcome per recipient
 */
#pragma once

#include "conf/conf.h"
#include "mta/base/hash.h"
#include "mta/base/list.h"
#include "mta/base/loop.h"
#include "mta/dns/nexthop.h"
#include "mta/door/ask.h"
#include "mta/tx/pool.h"
#include "queue/queue.h"


#define TX_LEASES 4000u			/* credit: messages, bytes in memory */
#define TX_LEASE_BYTES (64ull << 20)
#define TX_SLOTS 1000u			/* sockets of deliveries */
#define TX_DRAIN_MS 5000		/* then what is unfinished is given back */
#define TX_CONF_WAIT_MS 2000		/* a lease waits so long for its configuration */

struct tx {
	struct loop		*loop;		/* borrowed */
	struct conf		*conf;		/* shared: the latest */
	struct resolver		*resolver;	/* owned */
	struct queue		*queue;		/* owned */
	struct answerer		*answerer;	/* owned */
	struct tx_pool		 pool;
	struct hash		*dests;		/* struct tx_dest, by number and overrides */
	struct list		 old_dests;	/* of a queue that went */
	struct list		 kicked;	/* destinations to look after this turn */
	bool			 run_posted;
	struct list		 early;		/* leases of a newer configuration */
	struct loop_timer	*early_timer;
	struct loop_timer	*sweep;
	struct list		 leaving;	/* sessions saying QUIT */
	struct list		 probes;
	unsigned		 nprobes;
	size_t			 njobs;
	bool			 draining;
	struct loop_timer	*drain_timer;
	loop_fn			*on_drained;
	void			*drained_ctx;
};

struct tx *tx_new(struct loop *loop, struct conf *conf);	/* conf is counted */
void tx_free(struct tx **tx);		/* only when its loop has ended or nothing is under way */
void tx_serve(struct tx *tx);		/* asks the queue for leases */
void tx_reload(struct tx *tx, struct conf *conf);
/* Finishes within TX_DRAIN_MS, then calls fn once from the loop. */
void tx_drain(struct tx *tx, loop_fn *fn, void *ctx);
