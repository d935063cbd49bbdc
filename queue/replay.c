/*
 * replay.c - applies records to the index, and tells the caller what lives.
 * Never decides whether a record counts (recover.c did); never fails: a
 * record that makes no sense is skipped with a log line.
 * Read next: recover.c, index.c.
 */
#include "queue/replay.h"

#include <stdlib.h>
#include <string.h>

#include "mta/base/log.h"

static void
refer(struct segment *seg, uint32_t first)
{
	if (first < seg->min_ref)
		seg->min_ref = first;
}

static void
nonsense(const struct segment *seg, uint32_t offset, const struct record_header *h)
{
	log_warn("spool_record", "segment=%u offset=%u type=%u text=\"makes no sense, skipped\"",
	    seg->number, offset, h->type);
}

static bool
replay_debts(struct store *s, struct segment *seg, struct rd *r)
{
	uint32_t n = rd_u32(r);
	struct store_debt debt;

	while (n-- > 0 && debt_decode(r, &debt)) {
		struct live *l = index_find(&s->ix, &debt.id);

		if (l == NULL)
			continue;
		refer(seg, l->first);
		if (index_pay(&s->ix, l, &debt))
			index_finish(&s->ix, &l, 0);
	}
	return !r->bad;
}

static bool
replay_message(struct store *s, struct segment *seg, uint32_t offset, const struct record_header *h, struct rd *r)
{
	struct message_meta m;
	struct live *l = NULL;

	if (!message_meta_decode(&m, r))
		return false;
	if (!index_settled(&s->ix, &m.id)) {
		l = index_find(&s->ix, &m.id);
		if (l == NULL) {
			l = index_add(&s->ix, &m);
			index_count(&s->ix, l);
		} else {
			refer(seg, l->first);
		}
		if (m.nrcpts != l->m.nrcpts)
			return false;
		index_place(&s->ix, l, seg, offset, h->meta_len, h->body_len);
	}
	return h->type != RECORD_ACCEPT || replay_debts(s, seg, r);
}

/* The states as they were when the copy was made. */
static bool
replay_copy(struct store *s, struct segment *seg, uint32_t offset, const struct record_header *h, struct rd *r)
{
	struct rd head = *r;
	struct message_meta m;
	struct store_rcpt rcpt;
	struct live *l = NULL;
	unsigned n = 0;

	if (!replay_message(s, seg, offset, h, &head) || !message_meta_decode(&m, r))
		return false;
	l = index_find(&s->ix, &m.id);
	for (uint32_t o = 0; l != NULL && o < m.nrcpts; o++) {
		struct settle_item item = { .ordinal = o, .has_status = true };

		if (!copy_rcpt_decode(r, &rcpt, &n))
			return false;
		item.state = rcpt.state;
		item.flags = rcpt.flags;
		item.reason = rcpt.reason;
		item.attempts = rcpt.attempts;
		item.next_wall_ms = rcpt.next_wall_ms;
		(void)index_change(&s->ix, l, &item);
		if (n > 0) {
			l->rcpts[o].last_segment = seg->number;
			l->rcpts[o].last_offset = offset;
		}
		for (; n > 0; n--) {
			if (!history_item_skip(r))
				return false;
		}
	}
	if (l != NULL && l->m.nopen == 0)
		index_finish(&s->ix, &l, 0);
	return true;
}

static bool
replay_settle(struct store *s, struct segment *seg, uint32_t offset, struct rd *r)
{
	struct settle_head head;
	struct settle_item item;
	struct live *l = NULL;

	if (!settle_head_decode(r, &head))
		return false;
	l = index_find(&s->ix, &head.id);
	if (l == NULL)
		return true;		/* its message is finished and gone */
	refer(seg, l->first);
	while (head.n-- > 0) {
		if (!settle_item_decode(r, &item) || !index_change(&s->ix, l, &item))
			return false;
		if (item.has_status) {
			l->rcpts[item.ordinal].last_segment = seg->number;
			l->rcpts[item.ordinal].last_offset = offset;
		}
	}
	if (l->m.nopen == 0)
		index_finish(&s->ix, &l, 0);
	return true;
}

static bool
replay_note(struct store *s, struct segment *seg, uint32_t offset, const struct record_header *h, struct rd *r)
{
	struct note_meta m;
	struct note *n = NULL;

	if (!note_meta_decode(r, &m))
		return false;
	n = note_find(&s->ix, m.kind, m.key, m.key_len);
	if (n != NULL)
		refer(seg, n->first);
	if (m.drop) {
		if (n != NULL)
			note_forget(&s->ix, &n, 0);
		return true;
	}
	if (n == NULL)
		n = note_add(&s->ix, m.kind, m.key, m.key_len);
	n->version = s->ix.next_version++;
	note_place(&s->ix, n, seg, offset, (uint32_t)record_span(h->meta_len, h->body_len));
	return true;
}

void
replay_record(struct store *s, struct segment *seg, uint32_t offset, const struct record_header *h,
    const uint8_t *meta)
{
	struct rd r = rd_of(meta, h->meta_len);
	bool good = false;

	switch (h->type) {
	case RECORD_ACCEPT:
		good = replay_message(s, seg, offset, h, &r);
		break;
	case RECORD_COPY:
		good = replay_copy(s, seg, offset, h, &r);
		break;
	case RECORD_SETTLE:
		good = replay_settle(s, seg, offset, &r);
		break;
	case RECORD_NOTE:
		good = replay_note(s, seg, offset, h, &r);
		break;
	default:
		break;
	}
	if (!good)
		nonsense(seg, offset, h);
}

/* ---- telling ---- */

static void
tell_note(struct store *s, const struct note *n)
{
	const char *key = (const char *)n->key + 1;
	struct buf value = { 0 };

	if (store_note_get(s, n->key[0], key, &value))
		s->handlers.note(s->ctx, n->key[0], key, value.data, value.len);
	else
		log_warn("note_damaged", "kind=%u segment=%u offset=%u", n->key[0], n->segment, n->offset);
	buf_free(&value);
}

static void
tell_message(struct store *s, const struct segview *v, struct live *l)
{
	struct record_header h;
	struct message_meta m;
	struct envelope e = { 0 };
	uint8_t *record = NULL;
	struct rd r;
	bool good = segview_read(v, l->m.segment, l->m.offset, false, &h, &record);

	if (good) {
		r = rd_of(record + RECORD_HEADER, h.meta_len);
		good = message_meta_decode(&m, &r);
	}
	if (good) {
		r = rd_of(m.envelope, m.envelope_len);
		good = envelope_decode(&e, &r);
	}
	if (good && e.nrecipients == l->m.nrcpts) {
		s->handlers.message(s->ctx, &l->m, &e);
	} else {
		char text[MSGID_TEXT_MAX];

		log_warn("message_damaged", "id=%s segment=%u offset=%u at=recovery",
		    msgid_text(&l->m.id, text), l->m.segment, l->m.offset);
		l->stuck = true;
	}
	envelope_free(&e);
	free(record);
}

bool
recover_tell(struct store *s, struct fault *f)
{
	const struct segments *t = &s->ix.segments;
	struct segview *v = segview_new(t);
	struct note *n = NULL;
	size_t at = 0;

	(void)f;
	while (s->handlers.note != NULL && (n = hash_next(s->ix.notes, &at)) != NULL)
		tell_note(s, n);
	for (size_t i = 0; s->handlers.message != NULL && i < t->n; i++) {
		/* The handler may settle, and so finish, the message it is told. */
		LIST_EACH_SAFE(it, &t->v[i]->messages)
			tell_message(s, v, LIST_OWNER(it, struct live, node));
	}
	(void)segview_free(&v);
	return true;
}
