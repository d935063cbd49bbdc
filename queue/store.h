/*
 * store.h - the embedded store: a log of segments on local disk, the index of
 * what lives in it, group commit, recovery, compaction.  queue/README.md is
 * the promise; the queue role (mta/qm) is the only caller.
 *
 * Knows messages, recipients' states and keyed notes; knows nothing of
 * connectors, schedules of retry, or the network.
 *
 * Callbacks come from the loop, never from inside a call.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "queue/envelope.h"
#include "queue/status.h"

struct conf_spool;
struct loop;
struct store;

enum rcpt_state {
	RCPT_QUEUED = 0,	/* to be delivered, now or at next_wall_ms */
	RCPT_OWED,		/* failed; the sender's DSN is not yet written */
	RCPT_DONE,		/* delivered, or failed and its DSN accepted, or removed */
};

enum rcpt_flag {
	RCPT_HELD = 1,		/* by an operator, or poison, or policy */
	RCPT_MAYBE_SENT = 2,	/* an attempt was lost after the final dot */
	RCPT_DELAY_TOLD = 4,	/* the delay notice was accepted */
};

/* 24 bytes a recipient. */
struct store_rcpt {
	uint8_t		state;		/* enum rcpt_state */
	uint8_t		flags;		/* enum rcpt_flag */
	uint8_t		reason;		/* enum reason of the last settle */
	uint8_t		unused;
	uint16_t	attempts;	/* own attempts, saturating */
	uint16_t	unused2;
	uint32_t	last_segment;	/* record of its latest settle with a status, 0: none */
	uint32_t	last_offset;
	int64_t		next_wall_ms;	/* 0: at once */
};

/* A queued message in the index: owned by the store, valid until the call that finishes its last recipient. */
struct store_message {
	struct msgid		 id;
	uint32_t		 segment, offset;	/* its ACCEPT record; compaction moves it */
	uint64_t		 size;			/* octets of the body */
	int64_t			 arrival_wall_ms;
	uint32_t		 nrcpts;
	uint32_t		 nopen;			/* not RCPT_DONE */
	bool			 body_file;
	bool			 durable;		/* false until its commit is synced */
	bool			 null_sender;
	void			*user;			/* the caller's */
	struct store_rcpt	*rcpts;			/* nrcpts of them */
};

/* ---- open and recover ---- */

struct store_handlers {
	/* Recovery: each message with an open recipient, envelope borrowed until return. */
	void	(*message)(void *ctx, struct store_message *m, const struct envelope *e);
	/* Recovery: each note alive.  Before the messages. */
	void	(*note)(void *ctx, uint8_t kind, const char *key, const uint8_t *value, size_t len);
	/* Room for new mail came or went (hysteresis inside). */
	void	(*room)(void *ctx, bool room, const char *why);
	/* A second failure of the disk, or the like: nothing is accepted any more. */
	void	(*broken)(void *ctx, const char *why);
};

/*
 * Two steps, because the role's sandbox closes between them: store_lock() opens the
 * directory by path, checks owner, mode, format and file system, and locks it;
 * store_start() recovers and begins to work, touching files only relative to it.
 * Both fail with one clear line.  *exit_code: sysexits (73 not writable, 75 locked by
 * another, 78 ephemeral or newer format).
 */
MUST_CHECK bool store_lock(struct store **out, const struct conf_spool *conf, int *exit_code, struct fault *f);
MUST_CHECK bool store_start(struct store *s, struct loop *loop, const struct store_handlers *h, void *ctx, struct fault *f);
void store_reconf(struct store *s, const struct conf_spool *conf);	/* bounds may change, the path not */
/* Writes and syncs what is pending (blocking), stops the threads. */
void store_close(struct store **s);

/* ---- accept ---- */

enum store_result {
	STORE_DONE = 0,		/* durable now */
	STORE_HAVE_IT,		/* this id is here already, alive or settled, and durable */
	STORE_REFUSED,		/* no room, or the disk failed: status says which */
};

struct store_debt {		/* a DSN pays it */
	struct msgid	id;
	uint32_t	ordinal;
	bool		delay;	/* true: a delay notice (RCPT_DELAY_TOLD), else OWED -> DONE */
};

struct store_new {
	struct msgid		 id;
	const struct envelope	*envelope;
	const uint8_t		*body;		/* NULL with body_file */
	uint64_t		 size;
	uint32_t		 body_crc;
	bool			 body_file;	/* bodies/ID is there and synced; the store syncs the directory */
	bool			 reserve;	/* a DSN: may use the reserve */
	const struct store_debt	*pays;
	size_t			 npays;
};

/*
 * m only with STORE_DONE; status only with STORE_REFUSED.  Debts are paid just before: a
 * message whose last recipient was paid for is gone then (store_find() tells).
 */
typedef void store_accept_fn(void *ctx, enum store_result r, struct store_message *m, const struct status *status);

/* All borrowed until return: the body is copied into the commit once. */
void store_accept(struct store *s, const struct store_new *n, store_accept_fn *done, void *ctx);

/* fd (given, write-only) for a body of its own, or -1 with a status. */
int store_body_create(struct store *s, const struct msgid *id, uint64_t declared_size, struct status *why);
void store_body_drop(struct store *s, const struct msgid *id);

/* ---- settle ---- */

struct store_change {
	uint32_t		 ordinal;
	uint8_t			 state;		/* enum rcpt_state */
	uint8_t			 flags;		/* the new flags, whole */
	uint16_t		 attempts;
	int64_t			 next_wall_ms;
	const struct status	*status;	/* kept as history; NULL: mark only (hold, retry time) */
};

/*
 * Takes effect in the index at once, is written this turn and synced with the next
 * commit, at latest after 100 ms.  A message whose last recipient is done is
 * forgotten: true is returned and m is gone.  m must be durable.
 */
bool store_settle(struct store *s, struct store_message *m, const struct store_change *c, size_t n);

/* ---- notes: the latest value under (kind, key) lives until dropped ---- */

enum { NOTE_DESTINATION = 1, NOTE_HOLD = 2 };

void store_note_put(struct store *s, uint8_t kind, const char *key, const uint8_t *value, size_t len);
void store_note_drop(struct store *s, uint8_t kind, const char *key);
bool store_note_get(struct store *s, uint8_t kind, const char *key, struct buf *value);	/* from disk; false: none */

/* ---- read ---- */

struct store_read {
	struct envelope	 envelope;	/* whole */
	uint8_t		*body;		/* NULL when body_file or not wanted */
	int		 body_fd;	/* read-only, or -1 */
};
void store_read_free(struct store_read *r);

enum { STORE_READ_BODY = 1 };

/*
 * store_read_now(): 1 done (checksums right), 0 it would have to wait for the disk, -1
 * damaged (fault says what; the message should be held with reason local).
 * store_read(): the same by a helper thread; r is given to fn (free it), NULL with a fault when damaged.
 * m may be finished meanwhile: fn still comes.
 */
int store_read_now(struct store *s, const struct store_message *m, unsigned flags, struct store_read *r, struct fault *f);
typedef void store_read_fn(void *ctx, struct store_read *r, const struct fault *f);
void store_read(struct store *s, const struct store_message *m, unsigned flags, store_read_fn *fn, void *ctx);

/* Latest first, at most max; for showing. */
void store_history(struct store *s, const struct store_message *m, uint32_t ordinal, unsigned max,
    void (*fn)(void *ctx, int64_t wall_ms, uint8_t state, const struct status *st), void *ctx);

/* ---- look ---- */

struct store_message *store_find(struct store *s, const struct msgid *id);	/* alive only */
/* By the tail of the text form; NULL: none or more than one, *count says how many. */
struct store_message *store_find_tail(struct store *s, const char *tail, unsigned *count);
struct store_message *store_each(struct store *s, size_t *at);	/* all alive; *at starts at 0; no change between calls */

struct store_stats {
	uint64_t	messages, recipients, bytes;
	uint64_t	segments, spool_bytes, free_bytes;
	bool		room;
	char		room_why[128];
};
void store_stats(const struct store *s, struct store_stats *st);
