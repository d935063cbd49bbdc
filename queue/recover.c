/*
 * recover.c - from the segments on disk back to the index.
 * Never writes into a segment it reads; never counts a commit that the rule of
 * README.md does not count; never stops at damage: what can be read is kept,
 * the bytes around it are copied to quarantine/ and the log says so.
 * Read next: README.md ("When a commit counts"), record.h, replay.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mta/base/crc32c.h"
#include "mta/base/log.h"
#include "queue/file.h"
#include "queue/replay.h"
#include "queue/store_own.h"

struct recovery {
	struct store	*s;
	uint8_t		*data;		/* one segment, owned */
	size_t		 cap;
	uint32_t	 size;		/* of the segment in data */
	uint64_t	 expected;	/* seq of the next commit; 0: not known */
	uint64_t	 last;		/* highest seq that counts so far */
	uint32_t	 tail;		/* the era's first segment whose end only a later era tells; 0: none */
	uint64_t	 commits, damages;
	size_t		 empty;		/* last segments without any commit */
	int		 err;		/* while listing */
	bool		 newer;
};

/* ---- finding the segments ---- */

/* A file that is no segment of this spool: kept, but out of the way. */
static void
set_aside(struct recovery *v, const char *name, const char *why)
{
	const int err = file_rename(v->s->dirs.log, name, v->s->dirs.quarantine, name);

	v->damages++;
	log_warn("spool_quarantine", "file=log/%s why=\"%s\"%s", name, why,
	    err == 0 ? "" : " moved=no");
	if (err != 0 && v->err == 0)
		v->err = err;
}

static void
found(void *ctx, const char *name)
{
	struct recovery *v = ctx;
	struct store *s = v->s;
	struct segment_header h;
	struct segment *seg = NULL;
	uint8_t block[BLOCK];
	uint64_t size = 0;
	int fd = file_open_read(s->dirs.log, name), good = 0;

	if (fd == -1 || file_size(fd, &size) != 0) {
		v->err = errno;
		file_close(&fd);
		return;
	}
	if (size >= sizeof block && file_pread(fd, block, sizeof block, 0) == 0)
		good = segment_header_decode(&h, block);
	v->newer |= good == -1;
	if (good == -1 || good == 0 || memcmp(h.uuid, s->uuid, sizeof h.uuid) != 0 ||
	    segments_find(&s->ix.segments, h.number) != NULL) {
		file_close(&fd);
		if (good != -1)
			set_aside(v, name, good == 0 ? "no valid header" :
			    "of another spool, or twice");
		return;
	}
	seg = segment_new(h.number);
	seg->size = size < h.size ? (uint32_t)size : h.size;
	seg->epoch = h.epoch;
	seg->era = h.era;
	seg->prior = h.prior;
	seg->fd = fd;
	seg->state = SEGMENT_SEALED;
	segments_add(&s->ix.segments, seg);
}

static void
pool_found(void *ctx, const char *name)
{
	struct recovery *v = ctx;
	uint32_t number = 0;

	if (sscanf(name, "%10u", &number) == 1 && number >= v->s->pool.next_number)
		v->s->pool.next_number = number + 1;	/* its name would be in the way */
	if (v->s->pool.nnames < POOL_KEEP && strlen(name) < SEGMENT_NAME_MAX &&
	    strncmp(name, "new-", 4) != 0)
		pool_name(v->s, name);
	else if (file_unlink(v->s->dirs.pool, name) != 0)
		log_warn("spool_pool", "file=%s unlink=failed", name);
}

/* ---- reading one ---- */

static bool
load(struct recovery *v, const struct segment *seg, struct fault *f)
{
	int err = 0;

	if (v->cap < seg->size) {
		free(v->data);
		v->data = xmalloc(seg->size);
		v->cap = seg->size;
	}
	v->size = seg->size;
	err = file_pread(seg->fd, v->data, seg->size, 0);
	if (err != 0) {
		fault_sys(f, err, "segment", "read");
		return false;
	}
	return true;
}

/* A commit header of this segment at this place. */
static bool
commit_at(const struct recovery *v, const struct segment *seg, uint32_t off, struct commit_header *h)
{
	return off <= v->size - COMMIT_HEADER && commit_header_decode(h, v->data + off) &&
	    h->number == seg->number && h->epoch == seg->epoch && h->offset == off &&
	    h->length <= v->size - off;
}

static bool
payload_good(const struct recovery *v, const struct commit_header *h)
{
	return crc32c(0, v->data + h->offset + COMMIT_HEADER, h->length - COMMIT_HEADER) ==
	    h->payload_crc;
}

/* The first commit at or behind off; false: none. */
static bool
commit_from(const struct recovery *v, const struct segment *seg, uint32_t off, struct commit_header *h)
{
	for (; off + COMMIT_HEADER <= v->size; off += BLOCK) {
		if (commit_at(v, seg, off, h))
			return true;
	}
	return false;
}

/* ---- damage ---- */

static void
quarantine(struct recovery *v, const struct segment *seg, uint32_t from, uint32_t to)
{
	char name[64];
	int fd = -1, err = 0;

	snprintf(name, sizeof name, "%010u-%08x-%08x-%016llx", seg->number, from, to,
	    (unsigned long long)seg->epoch);
	fd = file_create(v->s->dirs.quarantine, name);
	if (fd == -1 && errno == EEXIST)
		return;				/* an earlier start kept it */
	if (fd == -1)
		err = errno;
	else
		err = file_pwrite(fd, v->data + from, to - from, 0);
	if (err == 0)
		err = file_sync(fd);
	file_close(&fd);
	if (err != 0)
		log_warn("spool_quarantine", "file=%s err=%d text=\"%s\"", name, err, strerror(err));
}

/*
 * Reads what it can of a damaged stretch: each record whose own checksum is
 * right and whose seq may count.
 */
static void
salvage(struct recovery *v, struct segment *seg, uint32_t from, uint32_t to, uint64_t last_seq, const char *why)
{
	size_t kept = 0;
	uint32_t off = from;

	while (off + RECORD_HEADER <= to) {
		const struct record_place at = { seg->epoch, seg->number, off };
		struct record_header h;

		if (!record_check(&h, v->data + off, to - off, &at) || h.seq > last_seq) {
			off += 8;
			continue;
		}
		replay_record(v->s, seg, off, &h, v->data + off + RECORD_HEADER);
		kept++;
		if (record_span(h.meta_len, h.body_len) > to - off)
			break;
		off += (uint32_t)record_span(h.meta_len, h.body_len);
	}
	v->damages++;
	quarantine(v, seg, from, to);
	log_warn("spool_damaged", "segment=%u from=%u to=%u why=\"%s\" salvaged=%zu", seg->number,
	    from, to, why, kept);
}

/* ---- one segment ---- */

/* What the walk is told about the era of a segment. */
struct bounds {
	uint64_t	must;		/* a hole up to this seq is damage */
	uint64_t	cap;		/* nothing above this seq counts */
};

static void
replay_commit(struct recovery *v, struct segment *seg, const struct commit_header *h)
{
	const uint32_t end = h->offset + h->length;
	uint32_t off = h->offset + COMMIT_HEADER;

	for (uint32_t i = 0; i < h->count && off < end; i++) {
		const struct record_place at = { seg->epoch, seg->number, off };
		struct record_header r;

		if (!record_check(&r, v->data + off, end - off, &at) ||
		    record_span(r.meta_len, r.body_len) > end - off) {
			salvage(v, seg, off, end, h->seq, "a record of a whole commit");
			break;
		}
		replay_record(v->s, seg, off, &r, v->data + off + RECORD_HEADER);
		off += (uint32_t)record_span(r.meta_len, r.body_len);
	}
	v->commits++;
	v->last = h->seq;
	v->expected = h->seq + 1;
}

static uint32_t
next_block(const struct commit_header *h)
{
	return h->offset + ((h->length + BLOCK - 1) & ~(BLOCK - 1));
}

/* The commit at its turn, judged.  False: the era ends here. */
static bool
judge(struct recovery *v, struct segment *seg, const struct commit_header *h, const struct bounds *b)
{
	if (h->seq > b->cap)
		return false;
	if (payload_good(v, h)) {
		replay_commit(v, seg, h);
		return true;
	}
	if (h->seq > b->must)
		return false;
	salvage(v, seg, h->offset, h->offset + h->length, h->seq, "checksum of a commit");
	v->last = h->seq;
	v->expected = h->seq + 1;
	return true;
}

/*
 * Walks one loaded segment.  False: the era ends in it (torn tail, or what a
 * later era does not count).  *open_r: it ended without saying so; where.
 */
static bool
walk(struct recovery *v, struct segment *seg, const struct bounds *b, uint32_t *open_r)
{
	uint32_t off = BLOCK;
	struct commit_header h;
	bool sealed = false;

	while (!sealed && commit_from(v, seg, off, &h)) {
		if (v->expected == 0)		/* the oldest, or behind a released one */
			v->expected = off == h.offset ? h.seq : 1;
		if (h.seq < v->expected && h.seq <= v->last) {
			off = h.offset + BLOCK;	/* cannot be: not ours to count twice */
			continue;
		}
		if (h.offset != off || h.seq > v->expected) {
			if (h.seq - 1 > b->must || h.seq > b->cap)
				return false;
			salvage(v, seg, off, h.offset, h.seq - 1, "a hole between commits");
		}
		if (!judge(v, seg, &h, b))
			return false;
		sealed = (h.flags & COMMIT_SEALS) != 0;
		off = next_block(&h);
	}
	seg->end = off;
	*open_r = sealed ? 0 : off;
	return true;
}

/* ---- eras ---- */

/* Highest seq that the last era's own commits call durable. */
static bool
durable_mark(struct recovery *v, uint64_t era, uint64_t *mark, struct fault *f)
{
	const struct segments *t = &v->s->ix.segments;

	for (size_t i = t->n; i-- > 0 && t->v[i]->era == era;) {
		struct commit_header h;
		uint32_t off = BLOCK;
		bool any = false;

		if (t->v[i]->prior > *mark)
			*mark = t->v[i]->prior;
		if (!load(v, t->v[i], f))
			return false;
		for (; commit_from(v, t->v[i], off, &h); off = h.offset + BLOCK) {
			any = true;
			if (h.durable > *mark)
				*mark = h.durable;
		}
		if (any)
			return true;
		v->empty++;
	}
	return true;
}

/*
 * The last segment is the only one of its era, and the era before has commits:
 * its header alone says which of them count, until the next era's is durable.
 */
static bool
ends_an_era(struct recovery *v)
{
	const struct segments *t = &v->s->ix.segments;
	size_t i = t->n - 1;
	struct commit_header h;
	struct fault f;

	if (i == 0 || t->v[i - 1]->era == t->v[i]->era)
		return false;
	for (const uint64_t era = t->v[i - 1]->era; i-- > 0 && t->v[i]->era == era;) {
		if (!load(v, t->v[i], &f) || commit_from(v, t->v[i], BLOCK, &h))
			return true;
	}
	return false;
}

/* Prepared ahead and never used: the reserve, so that a full disk can still start. */
static void
take_back_empty(struct recovery *v)
{
	struct segments *t = &v->s->ix.segments;

	for (; v->empty > 0 && v->s->pool.nnames < POOL_KEEP; v->empty--) {
		struct segment *seg = t->v[t->n - 1];
		char name[SEGMENT_NAME_MAX];

		if (ends_an_era(v))
			return;
		if (segment_take_out(&v->s->dirs, seg->number, true) != 0)
			return;			/* released later, as any other */
		pool_name(v->s, segment_name(seg->number, name));
		segments_remove(t, seg);
		segment_free(&seg);
	}
}

/* Nothing at all behind off in the segment of data that could be a commit. */
static bool
starts_with_commit(struct recovery *v, const struct segment *seg)
{
	uint8_t p[COMMIT_HEADER];
	struct commit_header h;

	(void)v;
	return file_pread(seg->fd, p, sizeof p, BLOCK) == 0 && commit_header_decode(&h, p) &&
	    h.number == seg->number && h.epoch == seg->epoch && h.offset == BLOCK;
}

/*
 * A segment ended without a seal.  That is right for the last one of an era and
 * where the next begins with the seq that follows; else commits are missing.
 */
static bool
judge_end(struct recovery *v, struct segment *seg, uint32_t off, const struct segment *next, const struct bounds *b)
{
	const bool last = next == NULL || next->era != seg->era || !starts_with_commit(v, next);

	if (v->expected == 0)
		return true;			/* empty */
	if (v->expected > b->must)
		return !last || next == NULL || next->era != seg->era;
	if (last || next->number != seg->number + 1)
		salvage(v, seg, off < seg->size ? off : seg->size, seg->size, b->must,
		    "the end of a segment is missing");
	return true;
}

static bool
walk_all(struct recovery *v, uint64_t era, uint64_t mark, struct fault *f)
{
	struct segments *t = &v->s->ix.segments;
	uint64_t ended = 0;			/* this era: no more counts */

	for (size_t i = 0; i < t->n; i++) {
		struct segment *seg = t->v[i];
		struct segment *next = i + 1 < t->n ? t->v[i + 1] : NULL;
		struct bounds b = { mark, UINT64_MAX };
		uint32_t open = 0;
		bool whole = false;

		for (size_t j = i + 1; seg->era != era && j < t->n; j++) {
			if (t->v[j]->era != seg->era) {
				b.must = b.cap = t->v[j]->prior;
				break;
			}
		}
		/* A new era goes on behind what it says counts; its first segments may be gone. */
		if (i > 0 && t->v[i - 1]->era != seg->era) {
			v->expected = t->v[i - 1]->number + 1 == seg->number ? seg->prior + 1 : 0;
			/* Its header alone says where the tail of the era before ends. */
			if (v->tail != 0)
				seg->min_ref = v->tail;
			v->tail = 0;
		}
		if (ended != seg->era) {
			if (!load(v, seg, f))
				return false;
			whole = walk(v, seg, &b, &open) &&
			    (open == 0 || judge_end(v, seg, open, next, &b));
		}
		if (v->tail == 0 && (!whole || open != 0))
			v->tail = seg->number;
		if (!whole)
			ended = seg->era;
		else if (open == 0 && next != NULL && next->number != seg->number + 1)
			v->expected = 0;	/* released ones may have been between */
	}
	return true;
}

/* ---- the whole ---- */

/* Commits that only the page cache may hold count from now on: onto the disk with them. */
static bool
make_durable(struct recovery *v, uint64_t era, struct fault *f)
{
	const struct segments *t = &v->s->ix.segments;

	for (size_t i = t->n; i-- > 0 && t->v[i]->era == era;) {
		const int err = file_sync(t->v[i]->fd);

		if (err != 0) {
			fault_sys(f, err, "segment", "sync");
			return false;
		}
	}
	return true;
}

static bool
recover_scan(struct recovery *v, struct fault *f)
{
	struct store *s = v->s;
	int err = file_list(s->dirs.log, found, v);

	if (err == 0)
		err = v->err;
	if (err == 0)
		err = file_list(s->dirs.pool, pool_found, v);
	if (err != 0) {
		fault_sys(f, err, "spool", "read its directories");
		return false;
	}
	if (v->newer) {
		fault_set(f, "spool: written by a newer relayd; nothing was touched");
		return false;
	}
	return true;
}

bool
recover(struct store *s, struct fault *f)
{
	struct recovery v = { .s = s };
	const struct segments *t = &s->ix.segments;
	uint64_t era = 0, mark = 0;
	bool ok = false;

	s->pool.next_number = 1;
	if (!recover_scan(&v, f))
		goto out;
	if (t->n > 0) {
		era = t->v[t->n - 1]->era;
		v.last = 0;
		if (t->v[t->n - 1]->number >= s->pool.next_number)
			s->pool.next_number = t->v[t->n - 1]->number + 1;
	}
	if (!durable_mark(&v, era, &mark, f) || !walk_all(&v, era, mark, f) ||
	    !make_durable(&v, era, f))
		goto out;
	if (v.last < mark)
		v.last = mark;			/* its last commits are damaged, or released */
	take_back_empty(&v);
	s->commit.tail = v.tail;
	s->commit.era = era + 1;
	s->commit.prior = s->commit.durable_seq = v.last;
	s->commit.next_seq = v.last + 1;
	log_event("spool_recovered", "segments=%zu commits=%llu messages=%llu recipients=%llu damaged=%llu",
	    t->n, (unsigned long long)v.commits, (unsigned long long)s->ix.nmessages,
	    (unsigned long long)s->ix.nrcpts, (unsigned long long)v.damages);
	ok = true;
out:
	free(v.data);
	return ok;
}
