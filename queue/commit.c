/*
 * commit.c - group commit: a turn's records gather in chunks, a chunk becomes one
 * commit in the active segment, one sync covers all that was written before it.
 * Never answers an accept before the sync that covers it; never writes a
 * segment again after a failed write or sync of it.
 * Read next: README.md ("When a commit counts"), record.h, pool.c.
 */
#include <stdlib.h>
#include <string.h>

#include "mta/base/counters.h"
#include "mta/base/crc32c.h"
#include "mta/base/log.h"
#include "mta/base/loop.h"
#include "queue/file.h"
#include "queue/store_own.h"

#define ROUND_BYTES (8u << 20)		/* mail written before one sync */
#define SETTLE_LATE_MS 100

static void on_turn(void *ctx);
static void on_sync_done(void *ctx, int err, int64_t us);

/* ---- writing ---- */

/* Where a settle's statuses stand now: a later settle chains to it. */
static void
settle_written(struct store *s, const uint8_t *meta, size_t n, const struct segment *seg, uint32_t offset)
{
	struct rd r = rd_of(meta, n);
	struct settle_head head;
	struct settle_item item;
	struct live *l = NULL;

	if (!settle_head_decode(&r, &head) || (l = index_find(&s->ix, &head.id)) == NULL)
		return;
	while (head.n-- > 0 && settle_item_decode(&r, &item)) {
		if (!item.has_status || item.ordinal >= l->m.nrcpts)
			continue;
		l->rcpts[item.ordinal].last_segment = seg->number;
		l->rcpts[item.ordinal].last_offset = offset;
	}
}

static void
note_written(struct store *s, const struct entry *e, const struct record_header *h,
    const uint8_t *meta, struct segment *seg, uint32_t offset)
{
	struct rd r = rd_of(meta, h->meta_len);
	struct note_meta m;
	struct note *n = NULL;

	if (!note_meta_decode(&r, &m) || m.drop)
		return;
	n = note_find(&s->ix, m.kind, m.key, m.key_len);
	if (n != NULL && n->version == e->version)
		note_place(&s->ix, n, seg, offset, (uint32_t)record_span(h->meta_len, h->body_len));
}

static void
entry_written(struct store *s, struct chunk *k, struct entry *e)
{
	const uint8_t *record = k->b.data + e->at;
	const uint32_t offset = k->offset + e->at;
	struct record_header h;

	record_peek(&h, record);
	if (e->min_ref < k->seg->min_ref)
		k->seg->min_ref = e->min_ref;
	switch ((enum entry_kind)e->kind) {
	case ENTRY_ACCEPT:
		accept_written(s, e->who, k->seg, offset, &h);
		break;
	case ENTRY_SETTLE:
		settle_written(s, record + RECORD_HEADER, h.meta_len, k->seg, offset);
		break;
	case ENTRY_NOTE:
		note_written(s, e, &h, record + RECORD_HEADER, k->seg, offset);
		break;
	case ENTRY_COPY:
		copy_written(e->who, k->seg, offset);
		break;
	}
}

/* Fills in what depends on the place, and pads to whole blocks. */
static void
chunk_seal(struct store *s, struct chunk *k, struct segment *seg, uint32_t flags)
{
	struct commit *c = &s->commit;
	const uint32_t length = (uint32_t)k->b.len;
	const size_t pad = -k->b.len & (BLOCK - 1);
	struct commit_header h = {
		.number = seg->number, .offset = seg->end, .epoch = seg->epoch, .seq = c->next_seq,
		.durable = c->durable_seq, .length = length, .count = (uint32_t)k->n, .flags = flags,
	};

	k->seg = seg;
	k->offset = seg->end;
	k->seq = c->next_seq++;
	for (size_t i = 0; i < k->n; i++) {
		const struct record_place at = { seg->epoch, seg->number, seg->end + k->entries[i].at };

		record_seal(k->b.data + k->entries[i].at, &at, k->seq);
	}
	h.payload_crc = crc32c(0, k->b.data + COMMIT_HEADER, length - COMMIT_HEADER);
	commit_header_encode(&h, k->b.data);
	memset(buf_room(&k->b, pad), 0, pad);
}

/* False: the write failed; the segment is done for. */
static bool
chunk_put(struct store *s, struct chunk *k, uint32_t flags)
{
	struct commit *c = &s->commit;
	struct segment *seg = c->active;
	const size_t whole = (k->b.len + BLOCK - 1) & ~(size_t)(BLOCK - 1);
	int err = 0;

	chunk_seal(s, k, seg, flags);
	err = file_pwrite(seg->fd, k->b.data, whole, seg->end);
	seg->end += (uint32_t)whole;
	seg->dirty = true;
	list_del(&k->link);
	list_add_tail(&c->written, &k->link);
	counter_add(C_queue_commits_total, 1);
	for (size_t i = 0; i < k->n; i++)
		entry_written(s, k, &k->entries[i]);
	if (err != 0) {
		log_warn("spool_write_failed", "segment=%u err=%d text=\"%s\"", seg->number, err,
		    strerror(err));
		c->write_failed = true;
	}
	return err == 0;
}

/* The last commit of a full segment says so: what follows it is in another one. */
static bool
seal_active(struct store *s)
{
	struct chunk *k = chunk_new(s, false);
	const bool ok = chunk_put(s, k, COMMIT_SEALS);

	s->commit.active->state = SEGMENT_SEALED;
	s->pool.release_wanted = true;
	s->commit.active = NULL;
	return ok;
}

static size_t
dirty_segments(struct store *s, struct segment **out)
{
	size_t n = 0;

	/* Only the youngest ones can be dirty. */
	for (size_t i = s->ix.segments.n; i-- > 0 && n < SYNC_FILES_MAX;) {
		if (s->ix.segments.v[i]->dirty)
			out[n++] = s->ix.segments.v[i];
		else if (s->ix.segments.v[i]->era != s->commit.era)
			break;
	}
	return n;
}

/* An active segment with room for this many bytes; false: not now. */
static bool
make_room(struct store *s, size_t bytes, bool own)
{
	struct commit *c = &s->commit;
	struct segment *dirty[SYNC_FILES_MAX], *next = NULL;
	const size_t whole = (bytes + BLOCK - 1) & ~(size_t)(BLOCK - 1);

	if (c->active != NULL && c->active->end + whole + BLOCK <= c->active->size)
		return true;
	if (dirty_segments(s, dirty) >= SYNC_FILES_MAX - 1)
		return false;		/* after the sync */
	next = pool_take(s, own);
	if (next == NULL) {
		c->no_segment = true;
		return false;
	}
	if (c->active != NULL && !seal_active(s)) {
		next->state = SEGMENT_SEALED;	/* unused; the new era brings another */
		return false;
	}
	next->state = SEGMENT_ACTIVE;
	c->active = next;
	return true;
}

static void
write_queue(struct store *s, struct list *queue, bool own)
{
	size_t written = 0;

	while (!list_empty(queue) && !s->commit.write_failed && written < ROUND_BYTES) {
		struct chunk *k = chunk_of(queue->next);

		if (k->n == 0)
			break;
		if (!make_room(s, k->b.len, own))
			break;
		written += k->b.len;
		if (!chunk_put(s, k, 0))
			break;
	}
}

void
commit_write_own(struct store *s)
{
	if (!s->commit.broken)
		write_queue(s, &s->commit.own, true);
}

/* ---- syncing ---- */

static bool
someone_waits(const struct store *s)
{
	LIST_EACH(it, &s->commit.written) {
		if (chunk_of(it)->hurry)
			return true;
	}
	return false;
}

static void
start_sync(struct store *s)
{
	struct commit *c = &s->commit;
	int fds[SYNC_FILES_MAX];

	c->nsync_segs = dirty_segments(s, c->sync_segs);
	for (size_t i = 0; i < c->nsync_segs; i++) {
		c->sync_segs[i]->dirty = false;	/* written again meanwhile: dirty again */
		c->sync_segs[i]->refs++;
		fds[i] = c->sync_segs[i]->fd;
	}
	c->syncing = true;
	c->syncing_seq = c->next_seq - 1;
	c->late_now = false;
	loop_timer_clear(c->late);
	syncer_start(c->syncer, fds, c->nsync_segs);
}

static void
entry_synced(struct store *s, struct entry *e)
{
	if (e->kind == ENTRY_ACCEPT)
		accept_synced(s, e->who);
	else if (e->kind == ENTRY_COPY)
		copy_synced(s, e->who);
}

static void
chunks_synced(struct store *s)
{
	struct commit *c = &s->commit;

	c->durable_seq = c->syncing_seq;
	/* Callbacks may add chunks, but only behind: nothing here is touched by them. */
	while (!list_empty(&c->written) && chunk_of(c->written.next)->seq <= c->durable_seq) {
		struct chunk *k = chunk_of(c->written.next);

		if (k->id > c->durable_chunk)
			c->durable_chunk = k->id;
		for (size_t i = 0; i < k->n; i++)
			entry_synced(s, &k->entries[i]);
		chunk_done(s, k);
	}
	bodies_synced(s);
}

/* ---- failure ---- */

/* Takes the accepts out of a chunk and makes it ready to be written again. */
static void
chunk_strip(struct store *s, struct chunk *k)
{
	size_t kept = 0, len = COMMIT_HEADER;

	for (size_t i = 0; i < k->n; i++) {
		struct entry e = k->entries[i];
		struct record_header h;
		size_t span = 0;

		if (e.kind == ENTRY_ACCEPT) {
			struct accept *a = e.who;

			accept_withdraw(s, a);
			list_add_tail(&s->commit.refused, &a->link);
			continue;
		}
		record_peek(&h, k->b.data + e.at);
		span = record_span(h.meta_len, h.body_len);
		memmove(k->b.data + len, k->b.data + e.at, span);
		e.at = (uint32_t)len;
		len += span;
		k->entries[kept++] = e;
	}
	k->n = kept;
	k->b.len = len;
	k->hurry = true;
	k->seg = NULL;
}

/*
 * What was written since the last good sync is in doubt.  A new era begins: its
 * segments say in their headers that nothing beyond durable_seq counts.
 */
static void
log_failed(struct store *s, const char *what)
{
	struct commit *c = &s->commit;

	c->write_failed = false;
	if (++c->failures > 1) {
		commit_break(s, what);
		return;
	}
	log_warn("spool_era_ends", "reason=\"%s\" durable=%llu", what,
	    (unsigned long long)c->durable_seq);
	for (size_t i = 0; i < s->ix.segments.n; i++) {
		struct segment *seg = s->ix.segments.v[i];

		seg->dirty = false;
		if (seg->state == SEGMENT_ACTIVE)
			seg->state = SEGMENT_SEALED;
	}
	if (c->active != NULL)
		c->tail = c->active->number;
	c->active = NULL;
	/* Back to the front of the queue, last first: the order stays. */
	while (!list_empty(&c->written)) {
		struct chunk *k = chunk_of(c->written.prev);

		if (k->seg->number < c->tail || c->tail == 0)
			c->tail = k->seg->number;
		list_del(&k->link);
		chunk_strip(s, k);
		if (k->id != 0) {
			list_add_head(&c->own, &k->link);
		} else {
			list_init(&k->link);
			chunk_done(s, k);
		}
	}
	c->era++;
	c->prior = c->durable_seq;
	c->next_seq = c->durable_seq + 1;
	pool_new_era(s);
}

void
commit_answer_refused(struct store *s)
{
	struct status why;

	status_set(&why, 4, 3, 0, STAGE_queue, REASON_local, "the spool could not be written");
	while (!list_empty(&s->commit.refused)) {
		struct accept *a = LIST_OWNER(s->commit.refused.next, struct accept, link);

		list_del(&a->link);
		accept_refuse(s, a, &why);
	}
}

static void
refuse_chunks(struct store *s, struct list *queue, const struct status *why)
{
	while (!list_empty(queue)) {
		struct chunk *k = chunk_of(queue->next);

		for (size_t i = 0; i < k->n; i++) {
			if (k->entries[i].kind == ENTRY_ACCEPT) {
				accept_withdraw(s, k->entries[i].who);
				accept_refuse(s, k->entries[i].who, why);
			} else if (k->entries[i].kind == ENTRY_COPY) {
				free(k->entries[i].who);
			}
		}
		chunk_done(s, k);
	}
}

/* Mail that found no segment while none can be made. */
static void
refuse_homeless(struct store *s)
{
	struct status why;

	if (!s->commit.no_segment || !s->pool.starved)
		return;
	status_set(&why, 4, 3, 1, STAGE_queue, REASON_local, "no space for the spool");
	refuse_chunks(s, &s->commit.mail, &why);
}

static void
refuse_broken(struct store *s, struct list *queue)
{
	struct status why;

	if (list_empty(queue))
		return;
	status_set(&why, 4, 3, 0, STAGE_queue, REASON_local, "the spool cannot be written");
	refuse_chunks(s, queue, &why);
}

void
commit_break(struct store *s, const char *why)
{
	struct commit *c = &s->commit;

	if (c->broken)
		return;
	c->broken = true;
	log_fatal("spool_broken", "reason=\"%s\"", why);
	commit_answer_refused(s);
	refuse_broken(s, &c->written);
	refuse_broken(s, &c->own);
	refuse_broken(s, &c->mail);
	if (s->handlers.broken != NULL)
		s->handlers.broken(s->ctx, why);
}

/* ---- the loop's side ---- */

static void
on_sync_done(void *ctx, int err, int64_t us)
{
	struct store *s = ctx;
	struct commit *c = &s->commit;

	c->syncing = false;
	for (size_t i = 0; i < c->nsync_segs; i++)
		c->sync_segs[i]->refs--;
	counter_add(C_queue_syncs_total, 1);
	counter_add(C_queue_sync_us_total, us);
	if (c->broken)
		return;
	if (err != 0)
		log_failed(s, strerror(err));
	else
		chunks_synced(s);
	s->pool.release_wanted = true;
}

static void
on_late(void *ctx)
{
	struct store *s = ctx;

	s->commit.late_now = true;	/* the turn hook does it */
}

static void
on_kick(void *ctx)
{
	room_look(ctx);
	replies_run(ctx);		/* and the turn hook will run */
}

static void
on_turn(void *ctx)
{
	struct store *s = ctx;
	struct commit *c = &s->commit;

	if (c->broken) {
		refuse_broken(s, &c->own);
		refuse_broken(s, &c->mail);
		return;
	}
	write_queue(s, &c->own, true);
	c->no_segment = false;
	if (!c->syncing) {
		write_queue(s, &c->mail, false);
		refuse_homeless(s);
	}
	if (!c->syncing && c->write_failed)
		log_failed(s, "write error");
	else if (!c->syncing && !list_empty(&c->written) && (c->late_now || someone_waits(s)))
		start_sync(s);
	else if (!list_empty(&c->written) && !loop_timer_is_set(c->late) && !c->late_now)
		loop_timer_set(c->late, SETTLE_LATE_MS);
	if (s->pool.release_wanted) {
		pool_release(s);
		compact_maybe(s);
	}
	pool_refill(s);
	counter_set(C_queue_messages, (int64_t)s->ix.nmessages);
	counter_set(C_queue_recipients, (int64_t)s->ix.nrcpts);
	counter_set(C_queue_bytes, (int64_t)s->ix.bytes);
}

void
commit_start(struct store *s)
{
	struct commit *c = &s->commit;

	list_init(&c->mail);
	list_init(&c->own);
	list_init(&c->written);
	list_init(&c->spare);
	list_init(&c->refused);
	c->next_chunk = 1;
	c->last_reply = &c->replies;
	c->late = loop_timer_new(s->loop, on_late, s);
	c->kick = loop_timer_new(s->loop, on_kick, s);
	c->syncer = syncer_new(s->loop, on_sync_done, s);
	loop_on_turn(s->loop, on_turn, s);
}

/* At close: accepts that become durable here are found again under their ids. */
static void
drop_chunks(struct list *queue)
{
	while (!list_empty(queue)) {
		struct chunk *k = chunk_of(queue->next);

		for (size_t i = 0; i < k->n; i++) {
			if (k->entries[i].kind == ENTRY_ACCEPT) {
				struct accept *a = k->entries[i].who;

				accept_free(&a);
			} else if (k->entries[i].kind == ENTRY_COPY) {
				free(k->entries[i].who);
			}
		}
		list_del(&k->link);
		chunk_free(k);
	}
}

void
commit_stop(struct store *s)
{
	struct commit *c = &s->commit;
	int err = 0;

	if (c->syncer == NULL)
		return;
	loop_on_turn_remove(s->loop, on_turn, s);
	err = syncer_free(&c->syncer);
	for (size_t i = 0; c->syncing && i < c->nsync_segs; i++)
		c->sync_segs[i]->refs--;
	if (err == 0 && !c->broken) {
		write_queue(s, &c->own, true);
		write_queue(s, &c->mail, false);
		for (size_t i = 0; i < s->ix.segments.n; i++) {
			if (s->ix.segments.v[i]->dirty)
				err = file_sync(s->ix.segments.v[i]->fd);
			if (err != 0)
				break;
		}
	}
	if (err != 0)
		log_warn("spool_sync_failed", "at=close err=%d text=\"%s\"", err, strerror(err));
	loop_timer_free(&c->late);
	loop_timer_free(&c->kick);
	drop_chunks(&c->written);
	drop_chunks(&c->own);
	drop_chunks(&c->mail);
	drop_chunks(&c->spare);
	while (!list_empty(&c->refused)) {
		struct accept *a = LIST_OWNER(c->refused.next, struct accept, link);

		list_del(&a->link);
		accept_free(&a);
	}
	replies_free(s);
}
