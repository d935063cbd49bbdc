/*
 * queue.h - the door: the only way to the queue, for rx (accept), tx (lease,
 * settle) and ctl (inspect, mta/door/inspect.h).  That a call crosses a
 * process boundary is the business of mta/door/ and mta/proc/ alone.
 *
 * Life of a message, seen from here:
 *
 *   rx  queue_accept() -> QUEUE_DONE: durable, the 250 may go out
 *   tx  on_lease: recipients of one message for one destination
 *       connects, talks …  queue_at_dot() before the final dot
 *       queue_settle(): each leased recipient delivered, deferred, failed or
 *       returned untried; the lease ends
 *       queue_dest_failed(): nobody of this destination can be served now
 *
 * Every call is asynchronous; callbacks come from the loop, never from inside
 * a call.  A queue that restarts is bridged: accepts not yet answered are
 * sent again under the same id; leases end with their channel.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "queue/envelope.h"
#include "queue/status.h"

struct loop;
struct queue;

/* The handle of this role; it works from the start, also before a queue is there. */
struct queue *queue_new(struct loop *loop);
void queue_free(struct queue **q);
/* A (new) channel to the queue role, from role_ops.peer; fd given. */
void queue_attach(struct queue *q, int fd);

/* ---- accept: rx ---- */

enum queue_result {
	QUEUE_DONE = 0,		/* durable: only this permits a 250 */
	QUEUE_REFUSED,		/* said no: status tells (4.3.1 no room, 4.3.0 cannot) */
	QUEUE_UNKNOWN,		/* no queue for 60 s: answer 451; the id is given up by the door */
};

struct queue_message {
	struct msgid		 id;
	const struct envelope	*envelope;	/* borrowed until done */
	/* The whole message as it will go out (our Received first, CRLF line ends, not dot-stuffed). */
	const uint8_t		*body;		/* borrowed until done; NULL: body_file */
	uint64_t		 size;		/* octets of the body */
	bool			 body_file;	/* written to the file of queue_body_open(), synced by the caller */
	uint32_t		 body_crc;	/* CRC-32C of all of it */
};

typedef void queue_done_fn(void *ctx, enum queue_result result, const struct status *status);

struct queue_accept;	/* one accept under way */
struct queue_accept *queue_accept(struct queue *q, const struct queue_message *m, queue_done_fn *done, void *ctx);
/* The client is gone: done will not come, the borrowed may be freed at once.  Takes the message back if the queue has it not yet. */
void queue_accept_cancel(struct queue *q, struct queue_accept **a);

/*
 * A file of its own for a large body: fd (given, write-only, empty) or -1 with
 * a status.  The file is swept when no accept names it in the end.
 */
typedef void queue_body_fn(void *ctx, int fd, const struct status *status);
void queue_body_open(struct queue *q, const struct msgid *id, uint64_t declared_size, queue_body_fn *done, void *ctx);
void queue_body_drop(struct queue *q, const struct msgid *id);	/* will not be accepted after all */

/* Bytes on the way to the queue: above QUEUE_PRESSURE rx stops reading its clients. */
#define QUEUE_PRESSURE (32u << 20)
size_t queue_pressure(const struct queue *q);
void queue_on_relief(struct queue *q, void (*fn)(void *ctx), void *ctx);	/* pressure fell below half */

/* ---- lease and settle: tx ---- */

struct queue_lease {
	uint64_t	 lease;		/* number, unique in this life of the queue role */
	uint32_t	 dest;		/* destination number, same life */
	char		*connector;	/* its name */
	char		*domain;	/* route key: recipient domain, "*" on a smarthost connector */
	uint64_t	 conf_generation;
	struct msgid	 id;
	struct envelope	 envelope;	/* only the leased recipients */
	uint32_t	*ordinals;	/* of them, in the message */
	uint32_t	 attempts;	/* before this one */
	bool		 fresh;		/* woken by retry, flush or reload: bypass cached failures */
	char		*with;		/* KEY=VALUE … of "retry --with", blank-separated; NULL */
	uint8_t		*body;		/* or NULL: */
	int		 body_fd;	/* read-only, the whole file is the body; -1 */
	uint64_t	 size;
};
void queue_lease_free(struct queue_lease **l);	/* closes body_fd */

enum queue_outcome {
	OUTCOME_DELIVERED = 0,
	OUTCOME_DEFERRED,	/* its own schedule: reply to MAIL, RCPT, DATA or the dot */
	OUTCOME_FAILED,
	OUTCOME_RETURNED,	/* not tried, or the destination's failure: waits with the destination */
};

struct queue_settle {		/* one recipient */
	uint32_t		 ordinal;
	enum queue_outcome	 outcome;
	bool			 maybe_sent;	/* lost after the final dot: may be a duplicate */
	const struct status	*status;	/* borrowed until return; for RETURNED NULL */
};

struct queue_tx_handlers {
	void	(*lease)(void *ctx, struct queue_lease *lease);	/* given */
	void	(*lost)(void *ctx);	/* the queue went: all leases are over, settle what is delivered all the same */
};

/* At most max_leases and max_bytes are out at a time: the credit. */
void queue_serve(struct queue *q, uint32_t max_leases, uint64_t max_bytes, const struct queue_tx_handlers *h, void *ctx);

/* Ends the lease; every leased recipient is named once.  trace: the attempt's, kept with failures and deferrals. */
void queue_settle(struct queue *q, const struct queue_lease *l, const struct queue_settle *s, size_t n,
    const uint8_t *trace, size_t trace_len);
void queue_at_dot(struct queue *q, const struct queue_lease *l);

/*
 * An attempt at the destination as a whole failed softly (DNS, connect, TLS,
 * greeting, AUTH): it is deferred by its schedule.  Send this first, then settle its leases as
 * RETURNED.  began_wall_ms: when the attempt began.
 */
void queue_dest_failed(struct queue *q, uint32_t dest, const struct status *status, int64_t began_wall_ms,
    const uint8_t *trace, size_t trace_len);

/* No more leases, please (drain); those out are still settled. */
void queue_stop(struct queue *q);
