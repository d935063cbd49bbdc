/*
 * store.c - the store's life and its small calls: settle, notes, look.
 * Never touches a file itself; never calls a handler from inside a call.
 * Read next: store.h, store_own.h (the parts), README.md (the promise).
 */
#include "queue/store.h"

#include <stdlib.h>
#include <string.h>

#include "mta/base/clock.h"
#include "mta/base/log.h"
#include "mta/base/loop.h"
#include "queue/file.h"
#include "queue/guard.h"
#include "queue/store_own.h"

#define HELPERS 3u

/* ---- life ---- */

static void
conf_take(struct store *s, const struct conf_spool *conf)
{
	const uint64_t least = 16 * BLOCK, most = 1u << 30;

	s->conf = *conf;
	s->conf.path = NULL;		/* the sandbox has no paths */
	if (s->conf.segment_bytes == 0)
		s->conf.segment_bytes = 16u << 20;
	if (s->conf.segment_bytes < least)
		s->conf.segment_bytes = least;
	if (s->conf.segment_bytes > most)
		s->conf.segment_bytes = most;
	s->conf.segment_bytes &= ~(uint64_t)(BLOCK - 1);
}

bool
store_lock(struct store **out, const struct conf_spool *conf, int *exit_code, struct fault *f)
{
	struct store *s = xcalloc(1, sizeof *s);

	conf_take(s, conf);
	list_init(&s->doomed);
	index_init(&s->ix);
	if (!guard_open(&s->dirs, s->uuid, conf, exit_code, f)) {
		index_free(&s->ix);
		free(s);
		return false;
	}
	*out = s;
	return true;
}

bool
store_start(struct store *s, struct loop *loop, const struct store_handlers *h, void *ctx, struct fault *f)
{
	s->loop = loop;
	s->handlers = *h;
	s->ctx = ctx;
	if (!recover(s, f) || !bodies_sweep(s, f) || !pool_first(s, f)) {
		s->loop = NULL;
		return false;
	}
	s->helper = helper_new(loop, HELPERS);
	commit_start(s);
	room_start(s);
	pool_start(s);
	return recover_tell(s, f);
}

void
store_reconf(struct store *s, const struct conf_spool *conf)
{
	const uint64_t segment_bytes = s->conf.segment_bytes;

	conf_take(s, conf);
	s->conf.segment_bytes = segment_bytes;	/* at the next start */
	if (s->loop != NULL)
		commit_kick(s);
}

void
store_close(struct store **sp)
{
	struct store *s = *sp;

	if (s == NULL)
		return;
	*sp = NULL;
	if (s->loop != NULL) {
		commit_stop(s);
		helper_free(&s->helper);
		bodies_stop(s);
		room_stop(s);
		pool_stop(s);
	}
	index_free(&s->ix);
	guard_close(&s->dirs);
	free(s);
}

/* ---- settle ---- */

void
message_finish(struct store *s, struct live **l)
{
	if ((*l)->m.body_file)
		bodies_finish(s, &(*l)->m.id);
	index_finish(&s->ix, l, commit_mark(s));
}

static void
settle_encode(struct buf *b, struct live *l, const struct store_change *c, size_t n)
{
	const struct settle_head head = { .id = l->m.id, .wall_ms = clock_wall_ms(), .n = (uint32_t)n };

	settle_head_encode(b, &head);
	for (size_t i = 0; i < n; i++) {
		const struct store_rcpt *rcpt = &l->rcpts[c[i].ordinal];
		const struct settle_item item = {
			.ordinal = c[i].ordinal, .state = c[i].state, .flags = c[i].flags,
			.attempts = c[i].attempts, .next_wall_ms = c[i].next_wall_ms,
			.reason = c[i].status == NULL ? 0 : (uint8_t)c[i].status->reason,
			.prev_segment = rcpt->last_segment, .prev_offset = rcpt->last_offset,
		};

		settle_item_encode(b, &item, c[i].status);
	}
}

static void
settle_apply(struct store *s, struct live *l, const struct store_change *c, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct settle_item item = {
			.ordinal = c[i].ordinal, .state = c[i].state, .flags = c[i].flags,
			.attempts = c[i].attempts, .next_wall_ms = c[i].next_wall_ms,
			.has_status = c[i].status != NULL,
			.reason = c[i].status == NULL ? 0 : (uint8_t)c[i].status->reason,
		};

		(void)index_change(&s->ix, l, &item);
	}
}

#define SETTLES_A_RECORD 256u	/* so that a record stays far below a segment */

bool
store_settle(struct store *s, struct store_message *m, const struct store_change *c, size_t n)
{
	struct live *l = live_of(m);

	if (!m->durable)
		bug("settle of a message that is not durable");
	for (size_t done = 0; done < n;) {
		const size_t left = n - done, step = left < SETTLES_A_RECORD ? left : SETTLES_A_RECORD;
		struct buf *b = NULL;
		size_t start = 0;

		for (size_t i = done; i < done + step; i++)
			if (c[i].ordinal >= m->nrcpts)
				bug("settle of a recipient that is not there");
		start = commit_begin(s, true, RECORD_SETTLE, 64 + step * 128, &b);
		settle_encode(b, l, c + done, step);
		record_meta_done(b, start);
		record_end(b, start, 0, 0);
		commit_end(s, true, start, &(struct entry){ .kind = ENTRY_SETTLE, .min_ref = l->first },
		    false);
		done += step;
	}
	settle_apply(s, l, c, n);
	if (m->nopen > 0)
		return false;
	message_finish(s, &l);
	return true;
}

/* ---- notes ---- */

static void
note_write(struct store *s, const struct note_meta *m, uint32_t first, uint64_t version)
{
	struct buf *b = NULL;
	const size_t start = commit_begin(s, true, RECORD_NOTE, 64 + m->key_len + m->len, &b);
	const uint32_t active = s->commit.active == NULL ? 1 : s->commit.active->number;

	note_meta_encode(b, m);
	record_meta_done(b, start);
	record_end(b, start, 0, 0);
	/* A put not yet written goes to the active segment or a later one. */
	commit_end(s, true, start, &(struct entry){ .kind = ENTRY_NOTE, .version = version,
	    .min_ref = first != 0 ? first : active }, false);
}

void
store_note_put(struct store *s, uint8_t kind, const char *key, const uint8_t *value, size_t len)
{
	const size_t key_len = strlen(key);
	struct note *n = note_find(&s->ix, kind, key, key_len);
	struct note_meta m = { .kind = kind, .key = key, .key_len = key_len, .value = value, .len = len };

	if (len + key_len + 256 > commit_largest(s) || key_len > 1024) {
		log_warn("note_too_large", "kind=%u len=%zu", kind, len);
		return;
	}
	if (n == NULL)
		n = note_add(&s->ix, kind, key, key_len);
	n->version = s->ix.next_version++;
	note_write(s, &m, n->first, n->version);
	note_unplace(&s->ix, n, commit_mark(s));
	n->fresh.len = 0;
	buf_add(&n->fresh, value, len);
}

void
store_note_drop(struct store *s, uint8_t kind, const char *key)
{
	const size_t key_len = strlen(key);
	struct note *n = note_find(&s->ix, kind, key, key_len);
	const struct note_meta m = { .kind = kind, .drop = true, .key = key, .key_len = key_len };

	if (n == NULL)
		return;
	note_write(s, &m, n->first, 0);
	note_forget(&s->ix, &n, commit_mark(s));
}

bool
store_note_get(struct store *s, uint8_t kind, const char *key, struct buf *value)
{
	const struct note *n = note_find(&s->ix, kind, key, strlen(key));
	struct segview *v = NULL;
	struct record_header h;
	struct note_meta m;
	uint8_t *record = NULL;
	bool good = false;

	if (n == NULL)
		return false;
	if (n->segment == 0) {
		buf_add(value, n->fresh.data, n->fresh.len);
		return true;
	}
	v = segview_new(&s->ix.segments);
	if (segview_read(v, n->segment, n->offset, false, &h, &record)) {
		struct rd r = rd_of(record + RECORD_HEADER, h.meta_len);

		good = h.type == RECORD_NOTE && note_meta_decode(&r, &m);
		if (good)
			buf_add(value, m.value, m.len);
	}
	free(record);
	(void)segview_free(&v);
	return good;
}

/* ---- look ---- */

struct store_message *
store_find(struct store *s, const struct msgid *id)
{
	struct live *l = index_find(&s->ix, id);

	return l != NULL && l->m.durable ? &l->m : NULL;
}

struct store_message *
store_each(struct store *s, size_t *at)
{
	struct live *l = NULL;

	while ((l = hash_next(s->ix.messages, at)) != NULL) {
		if (l->m.durable)
			return &l->m;
	}
	return NULL;
}

struct store_message *
store_find_tail(struct store *s, const char *tail, unsigned *count)
{
	struct store_message *m = NULL, *hit = NULL;
	size_t at = 0;

	*count = 0;
	while ((m = store_each(s, &at)) != NULL) {
		if (!msgid_has_tail(&m->id, tail))
			continue;
		hit = m;
		++*count;
	}
	return *count == 1 ? hit : NULL;
}

void
store_stats(const struct store *s, struct store_stats *st)
{
	memset(st, 0, sizeof *st);
	st->messages = s->ix.nmessages;
	st->recipients = s->ix.nrcpts;
	st->bytes = s->ix.bytes;
	st->segments = s->ix.segments.n;
	st->spool_bytes = index_log_bytes(&s->ix) +
	    (s->pool.nready + s->pool.nnames) * s->conf.segment_bytes;
	st->free_bytes = s->room.free_bytes;
	st->room = s->room.room && !s->commit.broken;
	memcpy(st->room_why, s->room.why, sizeof st->room_why);
}
