/*
 * record.h - what stands in a segment, by offset.  All numbers little endian.
 *
 * Block 0 of a segment: its identity, twice, at 0 and at 2048.
 *
 *   off len  field
 *     0   8  magic "RLYSEGM1"
 *     8   4  format version
 *    12   4  number: increasing over the life of the spool, never used twice
 *    16  16  uuid of the spool
 *    32   8  epoch: random, new at every opening or recycling
 *    40   8  era: grows with every start and with every failed sync
 *    48   8  prior: the highest commit of earlier eras that counts
 *    56   4  size of the segment
 *    60   4  crc32c of 0..59
 *
 * From 4096 on: commits, each on a 4096 boundary, one after the other.
 *
 *     0   8  magic "RLYCOMM1"
 *     8   4  number of the segment
 *    12   4  offset of this commit in it
 *    16   8  epoch of the segment
 *    24   8  seq: the predecessor's plus one, over all segments
 *    32   8  durable: the highest seq known durable when this was written
 *    40   4  length: this header and the records
 *    44   4  count of records
 *    48   4  flags: 1 = last commit of a full segment
 *    52   4  zero
 *    56   4  crc32c of the records
 *    60   4  crc32c of 0..59
 *
 * From 64 on in a commit: records, each on a multiple of 8.
 *
 *     0   4  magic "RLYR"
 *     4   2  type
 *     6   2  zero
 *     8   8  seq of its commit
 *    16   4  m: length of the metadata
 *    20   4  b: length of the body
 *    24   4  crc32c of the body
 *    28   4  crc32c of epoch, number, offset of the record, 0..27, metadata
 *    32   m  metadata
 *  32+m   b  body, then zeros up to a multiple of 8
 *
 * A commit is whole if and only if magic, number, offset, epoch and both crcs
 * agree.  When a whole commit counts: queue/README.md.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mta/base/mem.h"
#include "queue/store.h"

#define SPOOL_VERSION 1u
#define BLOCK 4096u
#define SEGMENT_HEADER 64u
#define SEGMENT_HEADER_COPY 2048u
#define COMMIT_HEADER 64u
#define RECORD_HEADER 32u

enum record_type {
	RECORD_ACCEPT = 1,	/* a message arrived; may pay debts */
	RECORD_COPY,		/* a message as compaction carried it forward */
	RECORD_SETTLE,		/* new states of recipients */
	RECORD_NOTE,		/* a note put or dropped */
	RECORD_SUMMARY,		/* reserved: what a sealed segment holds */
};

enum { COMMIT_SEALS = 1 };

struct segment_header {
	uint32_t	number;
	uint8_t		uuid[16];
	uint64_t	epoch, era, prior;
	uint32_t	size;
};

struct commit_header {
	uint32_t	number, offset;
	uint64_t	epoch, seq, durable;
	uint32_t	length, count, flags;
	uint32_t	payload_crc;
};

struct record_header {
	uint16_t	type;
	uint64_t	seq;
	uint32_t	meta_len, body_len, body_crc;
};

/* Where a record stands: what its checksum is bound to. */
struct record_place {
	uint64_t	epoch;
	uint32_t	number, offset;
};

/* A whole block 0. */
void segment_header_encode(const struct segment_header *h, uint8_t block[BLOCK]);
/* 1 good, 0 none or damaged, -1 good but of a newer format. */
int segment_header_decode(struct segment_header *h, const uint8_t block[BLOCK]);

void commit_header_encode(const struct commit_header *h, uint8_t p[COMMIT_HEADER]);
/* Only the header's own crc and magic; the caller compares place and epoch. */
bool commit_header_decode(struct commit_header *h, const uint8_t p[COMMIT_HEADER]);

/* Bytes a record of these lengths takes, padding included. */
size_t record_span(size_t meta_len, size_t body_len);

/*
 * Building: record_begin(), append metadata, record_meta_done(), append the body
 * (crc given), record_end().  Seq and crc are filled by record_seal() when the
 * place is known.
 */
size_t record_begin(struct buf *b, enum record_type type);	/* where it starts */
void record_meta_done(struct buf *b, size_t start);
void record_end(struct buf *b, size_t start, uint32_t body_len, uint32_t body_crc);
void record_seal(uint8_t *record, const struct record_place *at, uint64_t seq);

/* Header and metadata are right for this place; at most n bytes are looked at. */
bool record_check(struct record_header *h, const uint8_t *p, size_t n, const struct record_place *at);
/* Only lengths and type as written, for the first part of a read; unchecked. */
void record_peek(struct record_header *h, const uint8_t p[RECORD_HEADER]);

/* ---- metadata ---- */

enum { MESSAGE_BODY_FILE = 1, MESSAGE_NULL_SENDER = 2 };

/* The head of ACCEPT and COPY; the envelope follows as bytes, then the type's own. */
struct message_meta {
	struct msgid	 id;
	uint8_t		 flags;
	uint64_t	 size;
	uint32_t	 body_crc;
	int64_t		 arrival_wall_ms;
	uint32_t	 nrcpts;
	const uint8_t	*envelope;	/* borrowed from the record */
	size_t		 envelope_len;
};

void message_meta_encode(struct buf *b, const struct message_meta *m, const struct envelope *e);
/* Leaves r behind the envelope. */
bool message_meta_decode(struct message_meta *m, struct rd *r);

/* One recipient in a COPY; its history follows. */
void copy_rcpt_encode(struct buf *b, const struct store_rcpt *rcpt, unsigned nhistory);
bool copy_rcpt_decode(struct rd *r, struct store_rcpt *rcpt, unsigned *nhistory_r);

struct history_item {
	int64_t		wall_ms;
	uint8_t		state;
	struct status	status;
};
void history_item_encode(struct buf *b, const struct history_item *h);
bool history_item_decode(struct rd *r, struct history_item *h);
bool history_item_skip(struct rd *r);

/* One recipient in a SETTLE. */
struct settle_item {
	uint32_t	ordinal;
	uint8_t		state, flags, reason;
	bool		has_status;
	uint16_t	attempts;
	int64_t		next_wall_ms;
	uint32_t	prev_segment, prev_offset;	/* the record with the status before, 0: none */
	struct rd	status;				/* borrowed */
};
struct settle_head {
	struct msgid	id;
	int64_t		wall_ms;
	uint32_t	n;
};
void settle_head_encode(struct buf *b, const struct settle_head *h);
bool settle_head_decode(struct rd *r, struct settle_head *h);
void settle_item_encode(struct buf *b, const struct settle_item *i, const struct status *st);
bool settle_item_decode(struct rd *r, struct settle_item *i);

/* A debt in an ACCEPT, after u32 count. */
void debt_encode(struct buf *b, const struct store_debt *d);
bool debt_decode(struct rd *r, struct store_debt *d);

struct note_meta {
	uint8_t		 kind;
	bool		 drop;
	const char	*key;		/* borrowed, not terminated */
	size_t		 key_len;
	const uint8_t	*value;		/* borrowed */
	size_t		 len;
};
void note_meta_encode(struct buf *b, const struct note_meta *n);
bool note_meta_decode(struct rd *r, struct note_meta *n);
