/*
 * store_own.h - struct store and what its parts say to each other.  Only the
 * files of the store include this.
 *
 * Path of an accept: store.c checks and indexes it -> commit.c gathers it in a
 * chunk -> end of turn: the chunk becomes a commit in the active segment ->
 * sync thread -> accept_synced() in accept.c answers.  Path of a segment: pool.c
 * prepares it -> commit.c fills and seals it -> compact.c empties it -> pool.c
 * takes it out.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"
#include "queue/helper.h"
#include "queue/index.h"
#include "queue/segment.h"
#include "queue/store.h"
#include "queue/sync.h"

struct loop;
struct loop_timer;

/* ---- commit.c ---- */

enum entry_kind { ENTRY_ACCEPT = 0, ENTRY_SETTLE, ENTRY_NOTE, ENTRY_COPY };

/* One record of a chunk. */
struct entry {
	uint32_t	 at;		/* in the chunk's buffer */
	uint8_t		 kind;
	uint32_t	 min_ref;	/* see struct segment */
	void		*who;		/* ACCEPT: struct accept; COPY: struct copy */
	uint64_t	 version;	/* NOTE: of the put */
};

/* Records that become one commit; the buffer begins with room for its header. */
struct chunk {
	struct list	 link;
	uint64_t	 id;		/* own kind only: increasing in the order of writing; 0: mail */
	struct buf	 b;
	struct entry	*entries;
	size_t		 n, cap;
	bool		 hurry;		/* someone waits for the sync */
	/* Once written: */
	uint64_t	 seq;
	struct segment	*seg;
	uint32_t	 offset;
};

struct commit {
	struct list	 mail;		/* chunks of ordinary accepts, the last is open */
	struct list	 own;		/* settles, notes, DSNs, copies: may use the reserve */
	struct list	 written;	/* not yet known durable, in order */
	struct list	 spare;
	unsigned	 nspare;
	uint64_t	 next_seq, durable_seq;
	uint64_t	 next_chunk, durable_chunk;	/* ids of own chunks */
	uint64_t	 era, prior;			/* for headers of new segments */
	uint32_t	 tail;		/* segment of the era before that needs the next one's header; 0: none */
	struct segment	*active;	/* borrowed from the table; NULL: none could be had */
	struct syncer	*syncer;	/* owned */
	bool		 syncing;
	uint64_t	 syncing_seq;	/* covered by the sync under way */
	struct segment	*sync_segs[SYNC_FILES_MAX];
	size_t		 nsync_segs;
	struct loop_timer *late;	/* a settle waits at most this long */
	bool		 late_now;
	struct loop_timer *kick;	/* makes the loop turn */
	bool		 write_failed;
	bool		 no_segment;	/* the last write found none to go to */
	unsigned	 failures;
	bool		 broken;
	struct list	 refused;	/* accepts that a failed sync took; answered in the new era */
	struct reply	*replies, **last_reply;
};

/* ---- accept.c ---- */

struct accept {
	struct list		 link;		/* in commit.refused */
	struct store		*store;
	struct live		*live;		/* NULL: withdrawn from the index already */
	store_accept_fn		*done;
	void			*ctx;
	struct accept		*same;		/* came again while under way; owned */
	struct store_debt	*debts;		/* owned */
	size_t			 ndebts;
	bool			 own;		/* may use the reserve */
	struct buf		 record;	/* waits for the directory of bodies */
	uint32_t		 min_ref;
};

void accept_written(struct store *s, struct accept *a, struct segment *seg, uint32_t offset, const struct record_header *h);
void accept_synced(struct store *s, struct accept *a);
/* Takes it out of the index; accept_refuse() answers and frees. */
void accept_withdraw(struct store *s, struct accept *a);
void accept_refuse(struct store *s, struct accept *a, const struct status *why);
void accept_free(struct accept **a);
/* An answer that comes from the loop, soon. */
void reply_later(struct store *s, store_accept_fn *done, void *ctx, enum store_result r, const struct status *st);
void replies_run(struct store *s);
void replies_free(struct store *s);
void message_finish(struct store *s, struct live **l);	/* settled: unlinks the body too */

/* ---- pool.c ---- */

#define RESERVE 2u		/* ready segments that mail never uses */
#define READY_MAX (RESERVE + 1u)
#define POOL_KEEP 4u		/* files kept for recycling */
#define POOL_NAMES_MAX 64u

struct pool {
	struct segment	*ready[READY_MAX + 1];	/* owned, by number */
	size_t		 nready;
	bool		 preparing;
	char		 names[POOL_NAMES_MAX][SEGMENT_NAME_MAX];	/* files in pool/ */
	size_t		 nnames;
	unsigned	 leaving_kept;		/* on their way into pool/ */
	uint32_t	 next_number;
	bool		 starved;		/* the last attempt had no space */
	struct loop_timer *again;
	bool		 release_wanted;
};

/* ---- compact.c ---- */

struct copy {			/* one message on its way forward */
	struct list	 link;
	struct msgid	 id;
	uint32_t	 from_segment, from_offset;
	uint32_t	 to_segment, to_offset;
	uint32_t	 meta_len, body_len;
	uint32_t	 nrcpts;
	struct { uint32_t segment, offset; bool kept; } rcpts[];	/* latest status when copied */
};

struct compact {
	bool		 reading;	/* a job is out */
	unsigned	 writing;	/* copies not yet durable */
	bool		 stuck;		/* told once */
};

/* ---- room.c ---- */

struct room {
	bool		 room;
	bool		 told;		/* what the caller was told last */
	uint64_t	 free_bytes;
	int64_t		 looked_mono_ms;	/* at the file system */
	uint64_t	 streaming;	/* declared bytes of bodies being written */
	char		 why[128];
	struct loop_timer *again;
};

struct streaming;

struct store {
	struct conf_spool	 conf;		/* path is not kept */
	struct spool_dirs	 dirs;
	uint8_t			 uuid[16];
	struct loop		*loop;		/* NULL until start */
	struct store_handlers	 handlers;
	void			*ctx;
	struct index		 ix;
	struct commit		 commit;
	struct pool		 pool;
	struct compact		 compact;
	struct room		 room;
	struct helper		*helper;	/* owned */
	struct streaming	*streaming;	/* bodies handed out, owned */
	struct list		 doomed;	/* body files to unlink once their settle is durable */
	struct bodies_sync	*bodies_waiting;	/* accepts for the next sync of bodies/ */
	bool			 bodies_syncing;
};

/* chunk.c */
/*
 * Begins one record in the open chunk (own or mail): append metadata to *buf_r, then
 * commit_end().  size_hint: of metadata and body.
 */
size_t commit_begin(struct store *s, bool own, enum record_type type, size_t size_hint, struct buf **buf_r);
void commit_end(struct store *s, bool own, size_t start, const struct entry *e, bool hurry);
/* Adds a record built elsewhere. */
void commit_add(struct store *s, bool own, const struct buf *record, const struct entry *e, bool hurry);
uint64_t commit_mark(const struct store *s);	/* id of the own chunk gathered last */
size_t commit_largest(const struct store *s);	/* bytes of a record */
void commit_kick(struct store *s);		/* the loop turns soon */

static inline struct chunk *
chunk_of(struct list *link)
{
	return LIST_OWNER(link, struct chunk, link);
}
struct chunk *chunk_new(struct store *s, bool own);	/* the open one of its kind from now on */
void chunk_done(struct store *s, struct chunk *k);	/* kept as a spare, or freed */
void chunk_free(struct chunk *k);

/* commit.c */
void commit_start(struct store *s);
void commit_stop(struct store *s);		/* writes and syncs all it can, blocking */
void commit_write_own(struct store *s);		/* what this turn has gathered, now */
void commit_break(struct store *s, const char *why);
void commit_answer_refused(struct store *s);

/* pool.c */
void pool_start(struct store *s);
void pool_stop(struct store *s);
void pool_refill(struct store *s);		/* prepares what is missing */
struct segment *pool_take(struct store *s, bool own);	/* into the table; NULL: none now */
void pool_new_era(struct store *s);		/* what is ready must be prepared anew */
void pool_release(struct store *s);		/* takes out what is no longer needed */
MUST_CHECK bool pool_first(struct store *s, struct fault *f);	/* blocking, at start */
void pool_name(struct store *s, const char *name);	/* a file in pool/ for recycling */

/* bodies.c */
void bodies_accept(struct store *s, struct accept *a, uint64_t size);	/* → commit_add or refused */
void bodies_finish(struct store *s, const struct msgid *id);
void bodies_synced(struct store *s);		/* unlinks what is due */
MUST_CHECK bool bodies_sweep(struct store *s, struct fault *f);
void bodies_stop(struct store *s);

/* compact.c */
void compact_maybe(struct store *s);
void copy_written(struct copy *c, const struct segment *seg, uint32_t offset);
void copy_synced(struct store *s, struct copy *c);

/* room.c */
void room_start(struct store *s);
void room_stop(struct store *s);
bool room_for(struct store *s, uint64_t size);	/* new mail of this size; also looks anew */
void room_look(struct store *s);		/* once a turn */

/* recover.c */
MUST_CHECK bool recover(struct store *s, struct fault *f);
MUST_CHECK bool recover_tell(struct store *s, struct fault *f);

/* read.c */
struct history_list {
	struct history_item	*v;
	size_t			 n, cap;
};
/* The statuses of a recipient from its latest record backwards, any thread. */
void history_read(const struct segview *v, uint32_t segment, uint32_t offset, const struct msgid *id,
    uint32_t ordinal, size_t max, struct history_list *out);
