/*
 * chunk.c - where a turn's records gather: buffers of records, own and mail apart.
 * Never writes: commit.c does, when the turn ends.
 * Read next: store_own.h (struct chunk), commit.c.
 */
#include <stdlib.h>

#include "mta/base/loop.h"
#include "queue/store_own.h"

#define CHUNK_BYTES (1u << 20)		/* a chunk is closed above this */
#define SPARE_MAX 4u
#define SPARE_CAP (2u << 20)		/* larger buffers are not kept */

static size_t
chunk_bytes(const struct store *s)
{
	const size_t half = (s->conf.segment_bytes - 2 * BLOCK) / 2;

	return half < CHUNK_BYTES ? half : CHUNK_BYTES;
}

size_t
commit_largest(const struct store *s)
{
	/* Block 0, the seal, the commit's header and what rounding may take. */
	return s->conf.segment_bytes - 3 * BLOCK;
}

struct chunk *
chunk_new(struct store *s, bool own)
{
	struct commit *c = &s->commit;
	struct chunk *k = NULL;

	if (!list_empty(&c->spare)) {
		k = chunk_of(c->spare.next);
		list_del(&k->link);
		c->nspare--;
	} else {
		k = xcalloc(1, sizeof *k);
		(void)buf_room(&k->b, chunk_bytes(s) + BLOCK);
	}
	(void)buf_room(&k->b, COMMIT_HEADER);
	k->b.len = COMMIT_HEADER;
	k->n = 0;
	k->hurry = false;
	k->seg = NULL;
	k->id = own ? c->next_chunk++ : 0;
	list_add_tail(own ? &c->own : &c->mail, &k->link);
	return k;
}

void
chunk_free(struct chunk *k)
{
	buf_free(&k->b);
	free(k->entries);
	free(k);
}

void
chunk_done(struct store *s, struct chunk *k)
{
	list_del(&k->link);
	k->n = 0;
	if (s->commit.nspare == SPARE_MAX || k->b.cap > SPARE_CAP) {
		chunk_free(k);
		return;
	}
	list_add_tail(&s->commit.spare, &k->link);
	s->commit.nspare++;
}

static struct chunk *
chunk_open(struct store *s, bool own, size_t room)
{
	struct list *queue = own ? &s->commit.own : &s->commit.mail;
	struct chunk *k = list_empty(queue) ? NULL : chunk_of(queue->prev);

	if (k == NULL || (k->n > 0 && k->b.len + room > chunk_bytes(s)))
		k = chunk_new(s, own);
	return k;
}

size_t
commit_begin(struct store *s, bool own, enum record_type type, size_t size_hint, struct buf **buf_r)
{
	struct chunk *k = chunk_open(s, own, record_span(size_hint, 0));

	*buf_r = &k->b;
	return record_begin(&k->b, type);
}

void
commit_end(struct store *s, bool own, size_t start, const struct entry *e, bool hurry)
{
	struct chunk *k = chunk_of(own ? s->commit.own.prev : s->commit.mail.prev);

	if (k->n == k->cap) {
		k->cap = k->cap == 0 ? 64 : k->cap * 2;
		k->entries = xrealloc(k->entries, k->cap * sizeof *k->entries);
	}
	k->entries[k->n] = *e;
	k->entries[k->n++].at = (uint32_t)start;
	k->hurry |= hurry;
	commit_kick(s);
}

void
commit_add(struct store *s, bool own, const struct buf *record, const struct entry *e, bool hurry)
{
	struct chunk *k = chunk_open(s, own, record->len);
	const size_t start = k->b.len;

	buf_add(&k->b, record->data, record->len);
	commit_end(s, own, start, e, hurry);
}

uint64_t
commit_mark(const struct store *s)
{
	return s->commit.next_chunk - 1;
}

void
commit_kick(struct store *s)
{
	if (!loop_timer_is_set(s->commit.kick))
		loop_timer_set(s->commit.kick, 0);
}
