/*
 * index.h - what is alive, in memory: messages by id, notes by key, and the ids
 * of settled messages whose ACCEPT is still on disk (so that an accept sent
 * again is answered "have it").
 *
 * Also keeps the segments' accounts: who lives in which.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mta/base/hash.h"
#include "mta/base/list.h"
#include "queue/segment.h"
#include "queue/store.h"

/* A message.  Until m.durable, m.user is its struct accept; from then on the caller's. */
struct live {
	struct store_message	 m;		/* first */
	struct list		 node;		/* in its segment */
	uint32_t		 meta_len, body_len;	/* of its record */
	uint32_t		 first;		/* oldest segment with a record of it that may still be there */
	uint16_t		 paying;	/* accepts under way that pay debts of it */
	bool			 copying;	/* compaction has it */
	bool			 stuck;		/* its record cannot be read: stays where it is */
	struct store_rcpt	 rcpts[];
};

struct note {
	struct list	 node;		/* in its segment; to itself while unwritten */
	uint32_t	 segment, offset;
	uint32_t	 first;		/* as in struct live; 0: none written yet */
	uint32_t	 span;		/* of its record */
	uint64_t	 version;	/* of the latest put */
	struct buf	 fresh;		/* the value, until it is written */
	bool		 copying;
	size_t		 key_len;	/* kind and key */
	uint8_t		 key[];		/* kind, then the key */
};

struct tomb {
	struct msgid	id;
	uint32_t	segment;	/* 0: free slot */
};

struct index {
	struct segments	 segments;
	struct hash	*messages;	/* struct live */
	struct hash	*notes;		/* struct note */
	struct tomb	*tombs;		/* ntombs of cap, open addressing */
	size_t		 ntombs, tombs_cap;
	uint64_t	 nmessages, nrcpts;	/* durable and open */
	uint64_t	 bytes;		/* octets of live bodies */
	uint64_t	 next_version;
};

void index_init(struct index *ix);
void index_free(struct index *ix);

/* ---- messages ---- */

struct live *index_find(const struct index *ix, const struct msgid *id);	/* durable or not */
struct live *index_add(struct index *ix, const struct message_meta *m);
/* Its record stands (now) there. */
void index_place(struct index *ix, struct live *l, struct segment *seg, uint32_t offset,
    uint32_t meta_len, uint32_t body_len);
/* Forgets it; mark: the chunk whose record did it. */
void index_forget(struct index *ix, struct live **l, uint64_t mark);
/* Forgets it as settled: its id stays known while its segment exists. */
void index_finish(struct index *ix, struct live **l, uint64_t mark);
bool index_settled(const struct index *ix, const struct msgid *id);

/* The states of one recipient.  False: no such ordinal. */
bool index_change(struct index *ix, struct live *l, const struct settle_item *i);
/* True: the message's last recipient is done. */
bool index_pay(struct index *ix, struct live *l, const struct store_debt *d);
void index_count(struct index *ix, struct live *l);	/* durable from now on: counted */

static inline struct live *
live_of(const struct store_message *m)
{
	return (struct live *)(uintptr_t)m;
}

static inline uint32_t
live_span(const struct live *l)
{
	return (uint32_t)record_span(l->meta_len, l->body_len);
}

/* ---- notes ---- */

struct note *note_find(const struct index *ix, uint8_t kind, const char *key, size_t key_len);
struct note *note_add(struct index *ix, uint8_t kind, const char *key, size_t key_len);
void note_place(struct index *ix, struct note *n, struct segment *seg, uint32_t offset, uint32_t span);
void note_forget(struct index *ix, struct note **n, uint64_t mark);
/* The record it has on disk, if any, is out of date. */
void note_unplace(struct index *ix, struct note *n, uint64_t mark);

/* ---- for compaction ---- */

uint64_t index_live_bytes(const struct index *ix);	/* of records */
uint64_t index_log_bytes(const struct index *ix);	/* of segments */
