/*
 * record.c - the bytes of segment headers, commits and records.
 * Pure: never reads a file, never looks at the index, trusts no length that it
 * did not compare with what is there.
 * Read next: record.h (the layout), recover.c (who judges), commit.c (who writes).
 */
#include "queue/record.h"

#include <string.h>

#include "mta/base/crc32c.h"

static const uint8_t segment_magic[8] = { 'R', 'L', 'Y', 'S', 'E', 'G', 'M', '1' };
static const uint8_t commit_magic[8] = { 'R', 'L', 'Y', 'C', 'O', 'M', 'M', '1' };
static const uint8_t record_magic[4] = { 'R', 'L', 'Y', 'R' };

static void
put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static void
put32(uint8_t *p, uint32_t v)
{
	put16(p, (uint16_t)v);
	put16(p + 2, (uint16_t)(v >> 16));
}

static void
put64(uint8_t *p, uint64_t v)
{
	put32(p, (uint32_t)v);
	put32(p + 4, (uint32_t)(v >> 32));
}

static uint16_t
get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t
get32(const uint8_t *p)
{
	return (uint32_t)get16(p) | (uint32_t)get16(p + 2) << 16;
}

static uint64_t
get64(const uint8_t *p)
{
	return (uint64_t)get32(p) | (uint64_t)get32(p + 4) << 32;
}

/* ---- segment header ---- */

void
segment_header_encode(const struct segment_header *h, uint8_t block[BLOCK])
{
	memset(block, 0, BLOCK);
	memcpy(block, segment_magic, 8);
	put32(block + 8, SPOOL_VERSION);
	put32(block + 12, h->number);
	memcpy(block + 16, h->uuid, 16);
	put64(block + 32, h->epoch);
	put64(block + 40, h->era);
	put64(block + 48, h->prior);
	put32(block + 56, h->size);
	put32(block + 60, crc32c(0, block, 60));
	memcpy(block + SEGMENT_HEADER_COPY, block, SEGMENT_HEADER);
}

static int
segment_header_decode_one(struct segment_header *h, const uint8_t *p)
{
	memset(h, 0, sizeof *h);
	if (memcmp(p, segment_magic, 8) != 0 || get32(p + 60) != crc32c(0, p, 60))
		return 0;
	if (get32(p + 8) > SPOOL_VERSION)
		return -1;
	h->number = get32(p + 12);
	memcpy(h->uuid, p + 16, 16);
	h->epoch = get64(p + 32);
	h->era = get64(p + 40);
	h->prior = get64(p + 48);
	h->size = get32(p + 56);
	return 1;
}

int
segment_header_decode(struct segment_header *h, const uint8_t block[BLOCK])
{
	const int first = segment_header_decode_one(h, block);

	return first != 0 ? first : segment_header_decode_one(h, block + SEGMENT_HEADER_COPY);
}

/* ---- commit header ---- */

void
commit_header_encode(const struct commit_header *h, uint8_t p[COMMIT_HEADER])
{
	memcpy(p, commit_magic, 8);
	put32(p + 8, h->number);
	put32(p + 12, h->offset);
	put64(p + 16, h->epoch);
	put64(p + 24, h->seq);
	put64(p + 32, h->durable);
	put32(p + 40, h->length);
	put32(p + 44, h->count);
	put32(p + 48, h->flags);
	put32(p + 52, 0);
	put32(p + 56, h->payload_crc);
	put32(p + 60, crc32c(0, p, 60));
}

bool
commit_header_decode(struct commit_header *h, const uint8_t p[COMMIT_HEADER])
{
	if (memcmp(p, commit_magic, 8) != 0 || get32(p + 60) != crc32c(0, p, 60))
		return false;
	h->number = get32(p + 8);
	h->offset = get32(p + 12);
	h->epoch = get64(p + 16);
	h->seq = get64(p + 24);
	h->durable = get64(p + 32);
	h->length = get32(p + 40);
	h->count = get32(p + 44);
	h->flags = get32(p + 48);
	h->payload_crc = get32(p + 56);
	return h->length >= COMMIT_HEADER;
}

/* ---- records ---- */

size_t
record_span(size_t meta_len, size_t body_len)
{
	return (RECORD_HEADER + meta_len + body_len + 7) & ~(size_t)7;
}

size_t
record_begin(struct buf *b, enum record_type type)
{
	const size_t start = b->len;
	uint8_t *p = buf_room(b, RECORD_HEADER);

	memset(p, 0, RECORD_HEADER);
	memcpy(p, record_magic, 4);
	put16(p + 4, (uint16_t)type);
	b->len += RECORD_HEADER;
	return start;
}

void
record_meta_done(struct buf *b, size_t start)
{
	put32(b->data + start + 16, (uint32_t)(b->len - start - RECORD_HEADER));
}

void
record_end(struct buf *b, size_t start, uint32_t body_len, uint32_t body_crc)
{
	const size_t pad = -(b->len - start) & 7;

	put32(b->data + start + 20, body_len);
	put32(b->data + start + 24, body_crc);
	memset(buf_room(b, 8), 0, 8);
	b->len += pad;
}

static uint32_t
record_crc(const uint8_t *record, uint32_t meta_len, const struct record_place *at)
{
	uint8_t where[16];
	uint32_t crc = 0;

	put64(where, at->epoch);
	put32(where + 8, at->number);
	put32(where + 12, at->offset);
	crc = crc32c(0, where, sizeof where);
	crc = crc32c(crc, record, 28);
	return crc32c(crc, record + RECORD_HEADER, meta_len);
}

void
record_seal(uint8_t *record, const struct record_place *at, uint64_t seq)
{
	put64(record + 8, seq);
	put32(record + 28, record_crc(record, get32(record + 16), at));
}

void
record_peek(struct record_header *h, const uint8_t p[RECORD_HEADER])
{
	h->type = get16(p + 4);
	h->seq = get64(p + 8);
	h->meta_len = get32(p + 16);
	h->body_len = get32(p + 20);
	h->body_crc = get32(p + 24);
}

bool
record_check(struct record_header *h, const uint8_t *p, size_t n, const struct record_place *at)
{
	if (n < RECORD_HEADER || memcmp(p, record_magic, 4) != 0)
		return false;
	record_peek(h, p);
	if (h->meta_len > n - RECORD_HEADER)
		return false;
	return get32(p + 28) == record_crc(p, h->meta_len, at);
}

/* ---- metadata ---- */

static void
id_encode(struct buf *b, const struct msgid *id)
{
	buf_add(b, id->b, sizeof id->b);
}

static void
id_decode(struct rd *r, struct msgid *id)
{
	const uint8_t *p = rd_raw(r, sizeof id->b);

	if (p != NULL)
		memcpy(id->b, p, sizeof id->b);
	else
		memset(id, 0, sizeof *id);
}

void
message_meta_encode(struct buf *b, const struct message_meta *m, const struct envelope *e)
{
	size_t at = 0;

	id_encode(b, &m->id);
	buf_u8(b, m->flags);
	buf_u64(b, m->size);
	buf_u32(b, m->body_crc);
	buf_i64(b, m->arrival_wall_ms);
	buf_u32(b, m->nrcpts);
	if (e == NULL) {
		buf_bytes(b, m->envelope, m->envelope_len);
		return;
	}
	at = b->len;
	buf_u32(b, 0);
	envelope_encode(e, b);
	buf_set_u32(b, at, (uint32_t)(b->len - at - 4));
}

bool
message_meta_decode(struct message_meta *m, struct rd *r)
{
	id_decode(r, &m->id);
	m->flags = rd_u8(r);
	m->size = rd_u64(r);
	m->body_crc = rd_u32(r);
	m->arrival_wall_ms = rd_i64(r);
	m->nrcpts = rd_u32(r);
	m->envelope = rd_bytes(r, &m->envelope_len);
	/* A recipient takes bytes in the envelope: more of them than bytes is nonsense. */
	return !r->bad && m->nrcpts > 0 && m->nrcpts <= m->envelope_len;
}

void
copy_rcpt_encode(struct buf *b, const struct store_rcpt *rcpt, unsigned nhistory)
{
	buf_u8(b, rcpt->state);
	buf_u8(b, rcpt->flags);
	buf_u8(b, rcpt->reason);
	buf_u16(b, rcpt->attempts);
	buf_i64(b, rcpt->next_wall_ms);
	buf_u8(b, (uint8_t)nhistory);
}

bool
copy_rcpt_decode(struct rd *r, struct store_rcpt *rcpt, unsigned *nhistory_r)
{
	memset(rcpt, 0, sizeof *rcpt);
	rcpt->state = rd_u8(r);
	rcpt->flags = rd_u8(r);
	rcpt->reason = rd_u8(r);
	rcpt->attempts = rd_u16(r);
	rcpt->next_wall_ms = rd_i64(r);
	*nhistory_r = rd_u8(r);
	return !r->bad && rcpt->state <= RCPT_DONE;
}

/* A counted piece as a reader of its own. */
static struct rd
piece(struct rd *r)
{
	size_t n = 0;
	const uint8_t *p = rd_bytes(r, &n);

	return p == NULL ? (struct rd){ .bad = true } : rd_of(p, n);
}

static void
status_bytes(struct buf *b, const struct status *st)
{
	const size_t at = b->len;

	buf_u32(b, 0);
	status_encode(st, b);
	buf_set_u32(b, at, (uint32_t)(b->len - at - 4));
}

void
history_item_encode(struct buf *b, const struct history_item *h)
{
	buf_i64(b, h->wall_ms);
	buf_u8(b, h->state);
	status_bytes(b, &h->status);
}

bool
history_item_decode(struct rd *r, struct history_item *h)
{
	struct rd st;

	h->wall_ms = rd_i64(r);
	h->state = rd_u8(r);
	st = piece(r);
	return !r->bad && status_decode(&h->status, &st);
}

bool
history_item_skip(struct rd *r)
{
	size_t n = 0;

	rd_i64(r);
	rd_u8(r);
	rd_bytes(r, &n);
	return !r->bad;
}

void
settle_head_encode(struct buf *b, const struct settle_head *h)
{
	id_encode(b, &h->id);
	buf_i64(b, h->wall_ms);
	buf_u32(b, h->n);
}

bool
settle_head_decode(struct rd *r, struct settle_head *h)
{
	id_decode(r, &h->id);
	h->wall_ms = rd_i64(r);
	h->n = rd_u32(r);
	return !r->bad;
}

void
settle_item_encode(struct buf *b, const struct settle_item *i, const struct status *st)
{
	buf_u32(b, i->ordinal);
	buf_u8(b, i->state);
	buf_u8(b, i->flags);
	buf_u8(b, i->reason);
	buf_u8(b, st != NULL);
	buf_u16(b, i->attempts);
	buf_i64(b, i->next_wall_ms);
	if (st == NULL)
		return;
	buf_u32(b, i->prev_segment);
	buf_u32(b, i->prev_offset);
	status_bytes(b, st);
}

bool
settle_item_decode(struct rd *r, struct settle_item *i)
{
	memset(i, 0, sizeof *i);
	i->ordinal = rd_u32(r);
	i->state = rd_u8(r);
	i->flags = rd_u8(r);
	i->reason = rd_u8(r);
	i->has_status = rd_u8(r) != 0;
	i->attempts = rd_u16(r);
	i->next_wall_ms = rd_i64(r);
	if (i->has_status) {
		i->prev_segment = rd_u32(r);
		i->prev_offset = rd_u32(r);
		i->status = piece(r);
	}
	return !r->bad && i->state <= RCPT_DONE;
}

void
debt_encode(struct buf *b, const struct store_debt *d)
{
	id_encode(b, &d->id);
	buf_u32(b, d->ordinal);
	buf_u8(b, d->delay);
}

bool
debt_decode(struct rd *r, struct store_debt *d)
{
	id_decode(r, &d->id);
	d->ordinal = rd_u32(r);
	d->delay = rd_u8(r) != 0;
	return !r->bad;
}

void
note_meta_encode(struct buf *b, const struct note_meta *n)
{
	buf_u8(b, n->kind);
	buf_u8(b, n->drop);
	buf_bytes(b, n->key, n->key_len);
	buf_bytes(b, n->value, n->len);
}

bool
note_meta_decode(struct rd *r, struct note_meta *n)
{
	n->kind = rd_u8(r);
	n->drop = rd_u8(r) != 0;
	n->key = (const char *)rd_bytes(r, &n->key_len);
	n->value = rd_bytes(r, &n->len);
	return !r->bad;
}
