/*
 * qm.h - private to mta/qm: the queue role in one process.  It owns the store
 * (disk) and the schedule (memory) and answers the door.
 *
 * One message here:
 *
 *   accept.c   DF_ACCEPT -> store_accept() -> durable -> answer, items scheduled
 *   lease.c    an eligible item -> read -> DF_LEASE
 *   settle.c   outcomes -> store_settle(), the item waits again or is gone
 *   dest.c     a destination's failure, its note on disk, holds, routing
 *   dsn.c      debts -> a DSN, accepted like any message
 *   inspect.c, act.c    what relayctl sees and does
 */
#pragma once

#include "conf/conf.h"
#include "mta/base/hash.h"
#include "mta/base/list.h"
#include "mta/door/server.h"
#include "mta/proc/role.h"
#include "queue/sched.h"
#include "queue/store.h"

struct loop_timer;
struct router;

#define QM_TX_MAX 16

/* One process at the other side of the door; kept until nobody refers to it. */
struct qm_peer {
	struct list		 link;		/* in qm->peers */
	enum role		 role;
	unsigned		 index;
	struct door_peer	*door;		/* NULL: gone */
	unsigned		 refs;
	struct list		 bodies;	/* struct qm_body: handed out, not yet accepted */
};

struct qm_tx {
	struct qm_peer	*peer;		/* NULL: away */
	struct list	 leases;	/* struct qm_lease */
	uint32_t	 nleases, max_leases;
	uint64_t	 bytes, max_bytes;
};

struct qm_lease {
	struct list		 link;		/* in qm_tx.leases */
	uint64_t		 number;
	unsigned		 tx;
	struct msgid		 id;
	struct store_message	*m;
	struct sched_dest	*dest;
	uint64_t		 bytes;
	uint32_t		 nrcpts;
	uint32_t		*ordinals;	/* owned; item by item; NULL until sent */
	uint32_t		 nitems;
	bool			 reading;	/* the body comes from a helper; not sent yet */
	bool			 at_dot;
	int64_t			 began_wall_ms;	/* no attempt under it began before */
	struct sched_item	*items[];
};

struct qm {
	struct loop		*loop;
	struct conf		*conf;
	struct router		*router;
	struct store		*store;
	struct sched		*sched;
	unsigned		 ntx;
	struct list		 peers;
	struct qm_tx		 tx[QM_TX_MAX];
	struct hash		*leases;	/* by number */
	uint64_t		 last_lease;
	bool			 pump_posted;
	bool			 draining;
	struct loop_timer	*tick;		/* schedule: what is due */
	struct loop_timer	*minute;	/* sweep, DSNs that could not be written */
	struct loop_timer	*drained;
	struct hash		*holds;		/* struct qm_hold: rules by domain or connector */
	struct hash		*dsns;		/* struct qm_dsn: messages with debts, by id */
	struct list		 jobs;		/* struct qm_job: inspect requests under way */
	int64_t			 started_wall_ms;
	int64_t			 last_wall_ms, last_mono_ms;	/* to see a step of the wall clock */
};

extern struct qm the_qm;	/* the role's one state; only qm.c names it */

/* qm.c */
void qm_pump_soon(struct qm *qm);
void qm_tick_soon(struct qm *qm);
void qm_peer_unref(struct qm_peer **p);

/* accept.c */
void qm_accept(void *ctx, struct door_peer *p, const struct queue_message *m);
void qm_give_up(void *ctx, const struct msgid *id);
void qm_body_open(void *ctx, struct door_peer *p, const struct msgid *id, uint64_t declared);
void qm_body_drop(void *ctx, struct door_peer *p, const struct msgid *id);
/* The process that was writing them is gone. */
void qm_bodies_lost(struct qm *qm, struct qm_peer *peer);
/* Items for the queued recipients of a message: at recovery and after an accept. */
void qm_schedule(struct qm *qm, struct store_message *m, const struct envelope *e);
/* Our own new message (a DSN); done may be NULL-ctx'ed by the caller. */
typedef void qm_own_fn(void *ctx, enum store_result r);
void qm_accept_own(struct qm *qm, const struct store_new *n, qm_own_fn *done, void *ctx);

/* lease.c */
void qm_pump(struct qm *qm, unsigned tx);
void qm_lease_end(struct qm *qm, struct qm_lease *l);	/* its items are NONE afterwards; frees it */
void qm_leases_lost(struct qm *qm, unsigned tx);
void qm_serve(void *ctx, struct door_peer *p, uint32_t max_leases, uint64_t max_bytes);
void qm_at_dot(void *ctx, struct door_peer *p, uint64_t lease);
struct qm_lease *qm_lease_find(struct qm *qm, uint64_t number);

/* settle.c */
uint32_t qm_jitter(void);	/* any number, for retry_wait_ms() */
void qm_settle(void *ctx, struct door_peer *p, uint64_t lease, const struct msgid *id,
    const struct queue_settle *s, size_t n, const uint8_t *trace, size_t trace_len);
/* Fails the queued recipients of the item (expired, removed with a bounce); frees the item. */
void qm_item_fail(struct qm *qm, struct sched_item *i, const struct status *st);
/* Finishes them without a word (removed silently). */
void qm_item_remove(struct qm *qm, struct sched_item *i);
/* Sets or clears RCPT_HELD on them and moves the item. */
void qm_item_hold(struct qm *qm, struct sched_item *i, bool held, enum reason why);
/* An item that waits with its destination after a failed attempt begun then: expiry, delay notice. */
void qm_item_aged(struct qm *qm, struct sched_item *i, const struct status *last, int64_t began_wall_ms);

/* dest.c */
struct sched_domain *qm_route(struct qm *qm, const char *domain);
void qm_reroute_all(struct qm *qm);
void qm_dest_failed(void *ctx, struct door_peer *p, uint32_t dest, const struct status *st,
    int64_t began_wall_ms, const uint8_t *trace, size_t trace_len);
void qm_dest_note(struct qm *qm, struct sched_dest *d, const struct status *st, const uint8_t *trace, size_t trace_len);
void qm_dest_recovered(struct qm *qm, struct sched_dest *d, bool grow);
void qm_dest_load(struct qm *qm, const char *key, const uint8_t *value, size_t len);
/* The kept attempts, latest first; free each trace. */
unsigned qm_dest_attempts(struct qm *qm, const char *key, struct inspect_trace out[INSPECT_TRACES]);
void qm_dest_wake(struct qm *qm, struct sched_dest *d, const char *with);
uint64_t qm_wake_dns(struct qm *qm);
void qm_sweep(struct qm *qm);
/* A next time, no later than the longest step of the schedule from now. */
int64_t qm_capped(const struct sched_dest *d, int64_t next_wall_ms);
/* The wall clock was set back: nothing waits longer than its schedule's longest step. */
void qm_cap_all(struct qm *qm);

/* hold.c */
struct qm_hold {
	char	*key;		/* "domain:example.com", "connector:internet" */
};
bool qm_hold_covers(struct qm *qm, const char *connector, const char *domain);
bool qm_hold_set(struct qm *qm, const char *kind, const char *name, bool held);	/* false: nothing to change */
/* A domain rule on a smarthost connector, where the destination holds other domains too. */
bool qm_domain_held(struct qm *qm, const struct sched_domain *dom);
void qm_hold_load(struct qm *qm, const char *key);
void qm_holds_apply(struct qm *qm);

/* dsn.c */
struct qm_dsn {
	struct msgid	id;
	int64_t		since_mono_ms;	/* the first debt */
	bool		busy;		/* being read or accepted */
	bool		again;		/* more debts came meanwhile */
	bool		delay;		/* a delay notice is wanted too */
	struct status	why;		/* of the delay */
};
void qm_dsn_consider(struct qm *qm, struct store_message *m);
void qm_dsn_delay(struct qm *qm, struct store_message *m, const struct status *last);
void qm_dsn_retry_all(struct qm *qm);

/* rcpts.c: which recipients an item means */
/*
 * Calls fn with the ordinals of the item's recipients that are still queued: at
 * once for a message with one recipient, else after reading the envelope (the
 * message or the item may be gone by then: fn is not called).
 */
typedef void qm_rcpts_fn(struct qm *qm, struct sched_item *i, const uint32_t *ordinals, uint32_t n, void *arg, size_t arg_len);
void qm_with_rcpts(struct qm *qm, struct sched_item *i, qm_rcpts_fn *fn, const void *arg, size_t arg_len);
uint32_t qm_rcpts_of(const struct store_message *m, const struct envelope *e, const struct sched_item *i, uint32_t *ordinals);
/* The item that this recipient belongs to; NULL: none. */
struct sched_item *qm_item_of(const struct store_message *m, const struct envelope *e, uint32_t ordinal);
/* Unlinks the item from its message and deletes it. */
void qm_item_drop(struct qm *qm, struct sched_item *i);

/* inspect.c, act.c */
void qm_inspect(void *ctx, struct door_peer *p, uint32_t number, const struct inspect_request *req);
void qm_inspect_cancel(void *ctx, struct door_peer *p, uint32_t number);
void qm_inspect_pause(void *ctx, struct door_peer *p, uint32_t number, bool paused);
void qm_inspect_gone(struct qm *qm, struct qm_peer *peer);
/* What an operator asked for while items of m were leased; they are back.  m may be gone after this. */
void qm_act_waiting(struct qm *qm, struct store_message *m);
