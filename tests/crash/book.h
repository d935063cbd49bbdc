/*
 * book.h - what a workload did and was told, each entry with the number of
 * operations the disk had seen: what an image at any operation must hold
 * follows from it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "queue/store.h"
#include "tests/crash/disk.h"

#define BOOK_MESSAGES 512u
#define BOOK_RCPTS 4u
#define BOOK_CHANGES 24u
#define BOOK_NOTES 4u
#define BOOK_VALUES 64u
#define BOOK_MARKS 2048u

/* A state of a recipient; the first is that of a new one. */
struct change {
	uint32_t	op, tick;	/* when it was asked for */
	uint32_t	dead_op;	/* OP_NEVER, or when its accept was refused: it never was */
	uint8_t		state, flags;
	uint16_t	attempts;
	int64_t		next_wall_ms;
	uint32_t	text;		/* of the status; 0: none */
	uint32_t	dsn;		/* paid by this message, plus one; 0: a settle */
};

struct booked {
	size_t		size;
	uint32_t	nrcpts;
	bool		body_file;
	bool		dsn;
	uint32_t	debtor, debtor_rcpt;	/* of a DSN */
	uint32_t	tick;		/* of the first accept */
	uint32_t	op;		/* of the first accept */
	uint32_t	ack_op;		/* OP_NEVER: not told done or have it */
	uint32_t	refused_op;	/* OP_NEVER, or the latest word was no */
	bool		waiting;	/* no answer yet */
	struct {
		struct change	v[BOOK_CHANGES];
		uint32_t	n;
		bool		paying;	/* a DSN is under way */
	} rcpts[BOOK_RCPTS];
};

struct booked_note {
	struct { uint32_t op, tick, value; } v[BOOK_VALUES];	/* value 0: dropped or never put */
	uint32_t	n;
};

struct book {
	struct booked		 messages[BOOK_MESSAGES];
	uint32_t		 n;
	struct booked_note	 notes[BOOK_NOTES];
	/* From this operation on, what was asked for up to this tick is durable. */
	struct { uint32_t op, tick; } marks[BOOK_MARKS];
	uint32_t		 nmarks;
	uint32_t		 tick;
};

struct msgid book_id(uint32_t n);
uint32_t book_of(const struct msgid *id);		/* its number; UINT32_MAX: none of ours */
uint8_t *book_body(uint32_t n, size_t size);		/* given */
void book_address(uint32_t n, uint32_t ordinal, char buf[48]);
bool change_is(const struct change *c, const struct store_rcpt *r);
void book_mark(struct book *b, uint32_t op, uint32_t tick);
uint32_t book_durable_tick(const struct book *b, uint32_t at);

/* The envelope and the rest of an accept; body given. */
struct book_new {
	struct store_new	 n;
	struct envelope		 envelope;
	struct recipient	 rcpts[BOOK_RCPTS];
	char			 addresses[BOOK_RCPTS][48];
	struct store_debt	 debt;
	uint8_t			*body;		/* owned */
};
void book_new(const struct book *b, uint32_t n, struct book_new *out);

/*
 * What is in the store against the book: an image made at operation at.  Room for
 * one line in why.
 */
struct found {
	unsigned	told[BOOK_MESSAGES];	/* by recovery */
	uint32_t	notes[BOOK_NOTES];	/* value; 0: none */
	bool		foreign;		/* told something that is not in the book */
};
bool book_judge(const struct book *b, uint32_t at, struct store *s, const struct found *f, char *why, size_t size);
/* All that the store holds, as one number. */
uint64_t book_digest(const struct book *b, struct store *s, const struct found *f);
