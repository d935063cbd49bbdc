/*
 * compact.c - carries what is still alive in the oldest segment forward, so that
 * the segment can go.
 * Never changes the index before the copy is durable; never copies a state that
 * is older than a record already gathered: states are taken from the index
 * when the copy is gathered, not when the message was read.
 * Read next: README.md ("Compaction"), pool.c (the release).
 */
#include <stdlib.h>
#include <string.h>

#include "mta/base/log.h"
#include "queue/store_own.h"

#define BATCH_BYTES (256u << 10)
#define BATCH_MAX 64u
#define SLACK_SEGMENTS 4u
#define HISTORY_MAX 10u			/* statuses kept of a recipient */
#define HISTORY_RCPTS 10u		/* with more recipients only the latest is kept */

/* One message or note read by the thread. */
struct compact_item {
	struct copy		*copy;		/* of a message; NULL: a note */
	struct note		*note;		/* borrowed: valid while version is the note's */
	uint8_t			*note_key;	/* owned; to find it again */
	size_t			 note_key_len;
	uint64_t		 version;
	uint32_t		 segment, offset;
	struct record_header	 h;
	uint8_t			*record;	/* owned */
	struct history_list	*history;	/* one for each recipient, owned */
};

struct compact_job {
	struct job		 job;
	struct store		*store;
	struct segview		*view;		/* owned */
	size_t			 n;
	struct compact_item	 items[BATCH_MAX];
};

/* ---- choosing ---- */

static bool
worth_it(const struct store *s)
{
	return index_log_bytes(&s->ix) > 2 * index_live_bytes(&s->ix) +
	    SLACK_SEGMENTS * s->conf.segment_bytes;
}

static struct copy *
copy_new(const struct live *l)
{
	struct copy *c = xcalloc(1, sizeof *c + l->m.nrcpts * sizeof c->rcpts[0]);

	c->id = l->m.id;
	c->from_segment = l->m.segment;
	c->from_offset = l->m.offset;
	c->nrcpts = l->m.nrcpts;
	for (uint32_t i = 0; i < l->m.nrcpts; i++) {
		c->rcpts[i].segment = l->rcpts[i].last_segment;
		c->rcpts[i].offset = l->rcpts[i].last_offset;
	}
	return c;
}

static void
choose_messages(struct compact_job *j, const struct segment *seg, size_t *bytes)
{
	LIST_EACH(it, &seg->messages) {
		struct live *l = LIST_OWNER(it, struct live, node);

		if (j->n == BATCH_MAX || *bytes > BATCH_BYTES)
			return;
		if (!l->m.durable || l->paying > 0 || l->copying || l->stuck)
			continue;
		l->copying = true;
		*bytes += live_span(l);
		j->items[j->n++] = (struct compact_item){ .copy = copy_new(l),
		    .segment = l->m.segment, .offset = l->m.offset };
	}
}

static void
choose_notes(struct compact_job *j, const struct segment *seg, size_t *bytes)
{
	LIST_EACH(it, &seg->notes) {
		struct note *n = LIST_OWNER(it, struct note, node);
		struct compact_item *item = &j->items[j->n];

		if (j->n == BATCH_MAX || *bytes > BATCH_BYTES)
			return;
		*bytes += n->span;
		*item = (struct compact_item){ .segment = n->segment, .offset = n->offset,
		    .version = n->version, .note_key_len = n->key_len };
		item->note_key = xmalloc(n->key_len);
		memcpy(item->note_key, n->key, n->key_len);
		j->n++;
	}
}

/* ---- in the thread ---- */

static void
compact_work(struct job *job)
{
	struct compact_job *j = (struct compact_job *)job;

	for (size_t i = 0; i < j->n; i++) {
		struct compact_item *item = &j->items[i];
		const struct copy *c = item->copy;
		size_t depth = 0;

		if (!segview_read(j->view, item->segment, item->offset, true, &item->h, &item->record) ||
		    c == NULL)
			continue;
		depth = c->nrcpts > HISTORY_RCPTS ? 1 : HISTORY_MAX;
		item->history = xcalloc(c->nrcpts, sizeof *item->history);
		for (uint32_t o = 0; o < c->nrcpts; o++)
			history_read(j->view, c->rcpts[o].segment, c->rcpts[o].offset, &c->id, o,
			    depth, &item->history[o]);
	}
}

/* ---- gathering ---- */

static bool
unchanged(const struct live *l, const struct copy *c)
{
	if (l->m.segment != c->from_segment || l->m.offset != c->from_offset || l->paying > 0)
		return false;
	for (uint32_t i = 0; i < c->nrcpts; i++) {
		if (l->rcpts[i].last_segment != c->rcpts[i].segment ||
		    l->rcpts[i].last_offset != c->rcpts[i].offset)
			return false;	/* a newer status: read again next time */
	}
	return true;
}

static void
copy_rcpts(struct buf *b, const struct live *l, struct copy *c, const struct history_list *history, bool all)
{
	for (uint32_t o = 0; o < l->m.nrcpts; o++) {
		const size_t n = all ? history[o].n : 0;

		copy_rcpt_encode(b, &l->rcpts[o], (unsigned)n);
		for (size_t i = 0; i < n; i++)
			history_item_encode(b, &history[o].v[i]);
		c->rcpts[o].kept = n > 0;
	}
}

/* False: its metadata makes no sense after all. */
static bool
copy_build(struct store *s, struct buf *b, const struct live *l, struct compact_item *item, bool history)
{
	struct rd r = rd_of(item->record + RECORD_HEADER, item->h.meta_len);
	struct message_meta meta;
	size_t start = 0;

	(void)s;
	if (!message_meta_decode(&meta, &r) || meta.nrcpts != l->m.nrcpts)
		return false;
	start = record_begin(b, RECORD_COPY);
	message_meta_encode(b, &meta, NULL);
	copy_rcpts(b, l, item->copy, item->history, history);
	record_meta_done(b, start);
	item->copy->meta_len = (uint32_t)(b->len - start - RECORD_HEADER);
	item->copy->body_len = item->h.body_len;
	buf_add(b, item->record + RECORD_HEADER + item->h.meta_len, item->h.body_len);
	record_end(b, start, item->h.body_len, item->h.body_crc);
	return true;
}

static void
message_forward(struct store *s, struct compact_item *item, bool placed)
{
	struct live *l = index_find(&s->ix, &item->copy->id);
	struct buf b = { 0 };
	char text[MSGID_TEXT_MAX];
	bool good = item->record != NULL;

	if (l == NULL)
		return;
	if (good && (!placed || !unchanged(l, item->copy))) {
		l->copying = false;
		return;
	}
	good = good && copy_build(s, &b, l, item, true);
	if (good && b.len > commit_largest(s)) {
		b.len = 0;
		good = copy_build(s, &b, l, item, false) && b.len <= commit_largest(s);
	}
	if (!good) {
		log_warn("message_damaged", "id=%s segment=%u offset=%u at=compaction",
		    msgid_text(&l->m.id, text), l->m.segment, l->m.offset);
		l->stuck = true;
		l->copying = false;
	} else {
		s->compact.writing++;
		commit_add(s, true, &b, &(struct entry){ .kind = ENTRY_COPY, .who = item->copy,
		    .min_ref = l->first }, true);
		item->copy = NULL;	/* the entry's now */
	}
	buf_free(&b);
}

static void
note_forward(struct store *s, struct compact_item *item)
{
	struct note *n = hash_get(s->ix.notes, item->note_key, item->note_key_len);
	struct rd r;
	struct note_meta meta;

	if (n == NULL || n->version != item->version || n->segment != item->segment)
		return;
	if (item->record != NULL) {
		r = rd_of(item->record + RECORD_HEADER, item->h.meta_len);
		if (note_meta_decode(&r, &meta)) {
			store_note_put(s, n->key[0], (const char *)n->key + 1, meta.value, meta.len);
			return;
		}
	}
	log_warn("note_damaged", "kind=%u segment=%u offset=%u", n->key[0], n->segment, n->offset);
	note_forget(&s->ix, &n, commit_mark(s));
}

static void
compact_done(struct job *job, bool cancelled)
{
	struct compact_job *j = (struct compact_job *)job;
	struct store *s = j->store;

	bool placed = false;

	/* A settle still without a place would be hidden by a copy that lacks its status. */
	if (!cancelled) {
		commit_write_own(s);
		placed = list_empty(&s->commit.own);
	}
	for (size_t i = 0; i < j->n; i++) {
		struct compact_item *item = &j->items[i];
		const uint32_t nrcpts = item->copy == NULL ? 0 : item->copy->nrcpts;

		if (!cancelled && item->copy != NULL)
			message_forward(s, item, placed);
		else if (!cancelled)
			note_forward(s, item);
		for (uint32_t o = 0; item->history != NULL && o < nrcpts; o++)
			free(item->history[o].v);
		free(item->history);
		free(item->record);
		free(item->note_key);
		free(item->copy);
	}
	if (cancelled) {
		free(j->view);
		free(j);
		return;
	}
	s->compact.reading = false;
	(void)segview_free(&j->view);
	s->pool.release_wanted |= placed;	/* else after the next sync */
	commit_kick(s);
	free(j);
}

/* ---- the copy's way ---- */

void
copy_written(struct copy *c, const struct segment *seg, uint32_t offset)
{
	c->to_segment = seg->number;
	c->to_offset = offset;
}

void
copy_synced(struct store *s, struct copy *c)
{
	struct live *l = index_find(&s->ix, &c->id);
	struct segment *to = segments_find(&s->ix.segments, c->to_segment);

	s->compact.writing--;
	if (l != NULL && to != NULL && l->m.segment == c->from_segment &&
	    l->m.offset == c->from_offset) {
		index_place(&s->ix, l, to, c->to_offset, c->meta_len, c->body_len);
		l->copying = false;
		for (uint32_t i = 0; i < c->nrcpts; i++) {
			struct store_rcpt *rcpt = &l->rcpts[i];

			if (!c->rcpts[i].kept || rcpt->last_segment != c->rcpts[i].segment ||
			    rcpt->last_offset != c->rcpts[i].offset)
				continue;
			rcpt->last_segment = c->to_segment;
			rcpt->last_offset = c->to_offset;
		}
	}
	free(c);
}

void
compact_maybe(struct store *s)
{
	struct compact_job *j = NULL;
	struct segment *seg = s->ix.segments.n == 0 ? NULL : s->ix.segments.v[0];
	size_t bytes = 0;

	if (seg == NULL || seg->state != SEGMENT_SEALED || seg->dirty || seg->nlive == 0 ||
	    s->compact.reading || s->compact.writing > 0 || !worth_it(s))
		return;
	j = xcalloc(1, sizeof *j);
	choose_notes(j, seg, &bytes);
	choose_messages(j, seg, &bytes);
	if (j->n == 0) {
		free(j);
		if (!s->compact.stuck)
			log_warn("compaction_stuck", "segment=%u live=%u", seg->number, seg->nlive);
		s->compact.stuck = true;
		return;
	}
	s->compact.stuck = false;
	j->job.work = compact_work;
	j->job.done = compact_done;
	j->store = s;
	j->view = segview_new(&s->ix.segments);
	s->compact.reading = true;
	helper_submit(s->helper, &j->job);
}
