/*
 * inspect.h - the looking and acting part of the door, for ctl (and later
 * web): one request, rows, one end.  Rows come as they are found; the queue
 * role goes on with its work between them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "queue/envelope.h"
#include "queue/queue.h"
#include "queue/status.h"

enum inspect_verb {
	INSPECT_STATUS = 1,	/* one inspect_status */
	INSPECT_QUEUE,		/* inspect_dest rows, oldest first; trace left out */
	INSPECT_DEST,		/* the same for matching destinations, with the latest traces */
	INSPECT_LIST,		/* inspect_item rows: one per message and destination */
	INSPECT_SHOW,		/* inspect_message rows: with attempts */
	INSPECT_CAT,		/* raw octets of one message, in pieces */
	INSPECT_RETRY,		/* acting: END tells how many */
	INSPECT_HOLD,
	INSPECT_RELEASE,
	INSPECT_REMOVE,
	INSPECT_WAKE_DNS,	/* retry all that waits for a DNS reason */
};

/* Which messages or destinations.  NULL or 0: not asked for.  All must match. */
struct inspect_filter {
	bool	 all;
	char	*id;		/* unique tail of an id */
	char	*sender;	/* whole address, case ignored; "<>" the null sender */
	char	*recipient;
	char	*domain;
	char	*connector;
	char	*reason;	/* reason_name() */
	char	*status;	/* "active", "ready", "retry", "suspended" */
	int64_t	 older_ms;
};
void inspect_filter_free(struct inspect_filter *f);	/* what hangs on it */
void inspect_filter_encode(const struct inspect_filter *f, struct buf *b);
bool inspect_filter_decode(struct inspect_filter *f, struct rd *r);

enum inspect_flags {
	INSPECT_DRY_RUN = 1,
	INSPECT_BOUNCE = 2,	/* remove: with a DSN to the sender */
	INSPECT_RESERVED_1 = 4,
};

struct inspect_request {
	enum inspect_verb	 verb;
	unsigned		 flags;
	struct inspect_filter	 filter;
	char			*with;		/* retry --with, blank-separated; or NULL */
};

/* Exchange's own words for a destination or an item. */
enum inspect_state { STATE_ACTIVE = 0, STATE_READY, STATE_RETRY, STATE_SUSPENDED };
const char *inspect_state_name(enum inspect_state s);	/* "Active" … */

struct inspect_status {
	int64_t	 started_wall_ms;
	uint64_t messages, recipients, bytes;		/* queued now */
	uint64_t active, ready, retry, suspended;	/* recipients */
	int64_t	 oldest_wall_ms;			/* 0: none */
	uint64_t owed;					/* failed, DSN not yet written */
	uint64_t segments, spool_bytes, free_bytes;
	bool	 room;					/* false: new mail gets 452 */
	char	 room_why[128];
	uint32_t held_rules;				/* holds by domain or connector */
};

struct inspect_trace {		/* one attempt of a destination */
	int64_t		 wall_ms;
	struct status	 status;
	uint8_t		*trace;	/* queue/trace.h; owned by the row */
	uint32_t	 trace_len;
};

#define INSPECT_TRACES 10

struct inspect_dest {
	char			 connector[64];
	char			 domain[DOMAIN_MAX];	/* "*": smarthost connector */
	enum inspect_state	 state;
	uint64_t		 count;			/* recipients */
	uint64_t		 messages;
	uint64_t		 leased;
	int64_t			 oldest_wall_ms;
	int64_t			 since_wall_ms;		/* first failed attempt in a row, 0: none */
	int64_t			 next_wall_ms;		/* next try; 0: now or never (held) */
	int64_t			 expires_wall_ms;	/* of the oldest */
	uint32_t		 failures;		/* attempts failed in a row */
	bool			 deferred;		/* the destination itself (not only some messages) */
	struct status		 status;		/* last failure, class_ 0: none */
	uint32_t		 ntraces;		/* latest first; only INSPECT_DEST */
	struct inspect_trace	 traces[INSPECT_TRACES];
};

struct inspect_item {
	struct msgid		 id;
	char			*sender;	/* owned by the row, NULL where only index fields were asked */
	char			*connector;
	char			*domain;
	enum inspect_state	 state;
	uint64_t		 size;
	uint32_t		 recipients;
	int64_t			 arrival_wall_ms;
	int64_t			 next_wall_ms;
	uint32_t		 attempts;
	enum reason		 reason;
	bool			 maybe_sent;
};

struct inspect_attempt {
	int64_t		 wall_ms;
	enum queue_outcome outcome;
	struct status	 status;
};

struct inspect_rcpt {
	char			*address;
	char			*connector;
	char			*domain;
	enum inspect_state	 state;
	char			 word[16];	/* "queued" "delivered" "failed" "owed" "removed" */
	int64_t			 next_wall_ms;
	uint32_t		 attempts;
	uint32_t		 nhistory;	/* latest first, at most INSPECT_TRACES */
	struct inspect_attempt	 history[INSPECT_TRACES];
};

struct inspect_message {
	struct msgid		 id;
	struct envelope		 envelope;
	uint64_t		 size;
	bool			 body_file;
	int64_t			 expires_wall_ms;
	uint32_t		 nrcpts;
	struct inspect_rcpt	*rcpts;
};

/* Each row has encode (queue role), decode and free (the asking role). */
void inspect_status_encode(const struct inspect_status *s, struct buf *b);
bool inspect_status_decode(struct inspect_status *s, struct rd *r);
void inspect_dest_encode(const struct inspect_dest *d, struct buf *b);
bool inspect_dest_decode(struct inspect_dest *d, struct rd *r);
void inspect_dest_free(struct inspect_dest *d);
void inspect_item_encode(const struct inspect_item *i, struct buf *b);
bool inspect_item_decode(struct inspect_item *i, struct rd *r);
void inspect_item_free(struct inspect_item *i);
void inspect_message_encode(const struct inspect_message *m, struct buf *b);
bool inspect_message_decode(struct inspect_message *m, struct rd *r);
void inspect_message_free(struct inspect_message *m);

void inspect_request_free(struct inspect_request *q);
void inspect_request_encode(const struct inspect_request *q, struct buf *b);
bool inspect_request_decode(struct inspect_request *q, struct rd *r);

/*
 * The asking side.  row: one encoded row (borrowed), decoded by the function
 * that goes with the verb; for INSPECT_CAT the octets themselves.  end comes once and last: ok false: text says why
 * ("not found", "ambiguous: 3 ids end so", "queue role not reachable"); n: rows, or recipients acted on.
 */
struct inspect;
struct inspect_handlers {
	void	(*row)(void *ctx, struct rd *row);
	void	(*end)(void *ctx, bool ok, uint64_t n, const char *text);
};
struct inspect *queue_inspect(struct queue *q, const struct inspect_request *req, const struct inspect_handlers *h, void *ctx);
void queue_inspect_cancel(struct queue *q, struct inspect **i);
void queue_inspect_pause(struct queue *q, struct inspect *i, bool paused);	/* rows wait in the queue role */
