/*
 * read.c - messages and histories back from disk, checksums compared.
 * Never hands out a byte whose checksum is wrong, and never a descriptor of a
 * segment: segments are recycled, and would show other people's mail.
 * Read next: record.h, segment.c (views).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mta/base/crc32c.h"
#include "mta/base/loop.h"
#include "queue/file.h"
#include "queue/store_own.h"

#define CRC_STEP (256u << 10)

/* All that a thread needs to read one message; nothing of it is shared. */
struct where {
	struct msgid	id;
	uint32_t	number, offset;
	uint64_t	epoch;
	int		fd;		/* of the segment, pinned */
	uint32_t	meta_len, body_len;
	uint64_t	size;
	bool		body_file, want_body;
	int		bodies;		/* directory */
};

void
store_read_free(struct store_read *r)
{
	envelope_free(&r->envelope);
	free(r->body);
	file_close(&r->body_fd);
	*r = (struct store_read){ .body_fd = -1 };
}

static bool
where_of(struct store *s, const struct store_message *m, unsigned flags, struct where *w)
{
	const struct live *l = live_of(m);
	const struct segment *seg = segments_find(&s->ix.segments, m->segment);

	if (seg == NULL)
		return false;
	*w = (struct where){
		.id = m->id, .number = m->segment, .offset = m->offset, .epoch = seg->epoch,
		.fd = seg->fd, .meta_len = l->meta_len, .body_len = l->body_len, .size = m->size,
		.body_file = m->body_file, .want_body = (flags & STORE_READ_BODY) != 0,
		.bodies = s->dirs.bodies,
	};
	return true;
}

static bool
damaged(const struct where *w, struct fault *f, const char *what)
{
	char text[MSGID_TEXT_MAX];

	fault_set(f, "message %s in segment %u at %u: %s", msgid_text(&w->id, text), w->number,
	    w->offset, what);
	return false;
}

/* The record's head is right and is this message's. */
static bool
head_check(const struct where *w, const uint8_t *record, struct store_read *r, struct fault *f)
{
	const struct record_place at = { w->epoch, w->number, w->offset };
	struct record_header h;
	struct message_meta meta;
	struct rd rd, envelope;

	if (!record_check(&h, record, RECORD_HEADER + w->meta_len, &at))
		return damaged(w, f, "checksum of the envelope is wrong");
	rd = rd_of(record + RECORD_HEADER, h.meta_len);
	if (!message_meta_decode(&meta, &rd) || memcmp(meta.id.b, w->id.b, sizeof w->id.b) != 0)
		return damaged(w, f, "another record stands there");
	envelope = rd_of(meta.envelope, meta.envelope_len);
	if (!envelope_decode(&r->envelope, &envelope))
		return damaged(w, f, "the envelope cannot be decoded");
	if (r->body != NULL && crc32c(0, r->body, w->body_len) != h.body_crc)
		return damaged(w, f, "checksum of the body is wrong");
	return true;
}

int
store_read_now(struct store *s, const struct store_message *m, unsigned flags, struct store_read *r, struct fault *f)
{
	struct where w;
	uint8_t *head = NULL;
	struct iovec iov[2];
	int err = 0, result = -1;

	*r = (struct store_read){ .body_fd = -1 };
	if (!where_of(s, m, flags, &w)) {
		fault_set(f, "segment %u is gone", m->segment);
		return -1;
	}
	if (w.body_file && w.want_body)
		return 0;		/* its checksum takes reading all of it */
	head = xmalloc(RECORD_HEADER + w.meta_len);
	iov[0] = (struct iovec){ head, RECORD_HEADER + w.meta_len };
	if (w.want_body) {
		r->body = xmalloc(w.body_len + 1);
		iov[1] = (struct iovec){ r->body, w.body_len };
	}
	err = file_preadv_nowait(w.fd, iov, w.want_body && w.body_len > 0 ? 2 : 1, w.offset);
	if (err == EAGAIN)
		result = 0;
	else if (err != 0)
		fault_sys(f, err, "segment", "read");
	else if (head_check(&w, head, r, f))
		result = 1;
	free(head);
	if (result != 1)
		store_read_free(r);
	return result;
}

/* ---- in a thread ---- */

struct read_job {
	struct job		 job;
	struct store		*store;
	struct segment		*seg;		/* pinned */
	struct where		 where;
	struct store_read	 result;
	bool			 good;
	struct fault		 fault;
	store_read_fn		*fn;
	void			*ctx;
};

static bool
body_file_check(const struct where *w, int fd, uint32_t want_crc, struct fault *f)
{
	uint8_t *buf = xmalloc(CRC_STEP);
	uint64_t off = 0, size = 0;
	uint32_t crc = 0;
	bool good = file_size(fd, &size) == 0 && size == w->size;

	while (good && off < size) {
		const size_t n = size - off < CRC_STEP ? (size_t)(size - off) : CRC_STEP;

		good = file_pread(fd, buf, n, off) == 0;
		crc = crc32c(crc, buf, n);
		off += n;
	}
	free(buf);
	if (!good || crc != want_crc)
		return damaged(w, f, "the file of the body is damaged");
	return true;
}

static bool
body_file_open(const struct where *w, const uint8_t *record, struct store_read *r, struct fault *f)
{
	struct message_meta meta;
	struct rd rd = rd_of(record + RECORD_HEADER, w->meta_len);
	char name[MSGID_TEXT_MAX];

	r->body_fd = file_open_read(w->bodies, msgid_text(&w->id, name));
	if (r->body_fd == -1)
		return damaged(w, f, "the file of the body is gone");
	if (!message_meta_decode(&meta, &rd))
		return damaged(w, f, "no body checksum");
	return body_file_check(w, r->body_fd, meta.body_crc, f);
}

static void
read_work(struct job *job)
{
	struct read_job *j = (struct read_job *)job;
	const struct where *w = &j->where;
	const size_t head_len = RECORD_HEADER + w->meta_len;
	uint8_t *head = xmalloc(head_len);
	int err = file_pread(w->fd, head, head_len, w->offset);

	if (err == 0 && w->want_body && !w->body_file) {
		j->result.body = xmalloc(w->body_len + 1);
		err = file_pread(w->fd, j->result.body, w->body_len, w->offset + head_len);
	}
	if (err != 0)
		fault_sys(&j->fault, err, "segment", "read");
	else
		j->good = head_check(w, head, &j->result, &j->fault) &&
		    (!w->want_body || !w->body_file ||
		    body_file_open(w, head, &j->result, &j->fault));
	free(head);
}

static void
read_done(struct job *job, bool cancelled)
{
	struct read_job *j = (struct read_job *)job;

	if (!cancelled) {
		if (j->seg != NULL && --j->seg->refs == 0)
			j->store->pool.release_wanted = true;
		if (j->good)
			j->fn(j->ctx, &j->result, NULL);
		else
			j->fn(j->ctx, NULL, &j->fault);
	}
	if (cancelled || !j->good)
		store_read_free(&j->result);
	free(j);
}

void
store_read(struct store *s, const struct store_message *m, unsigned flags, store_read_fn *fn, void *ctx)
{
	struct read_job *j = xcalloc(1, sizeof *j);

	j->job.work = read_work;
	j->job.done = read_done;
	j->store = s;
	j->fn = fn;
	j->ctx = ctx;
	j->result.body_fd = -1;
	if (where_of(s, m, flags, &j->where)) {
		j->seg = segments_find(&s->ix.segments, m->segment);
		j->seg->refs++;
	} else {
		j->where.fd = -1;	/* the thread finds that out */
	}
	helper_submit(s->helper, &j->job);
}

/* ---- history ---- */

static void
history_add(struct history_list *out, const struct history_item *item)
{
	if (out->n == out->cap) {
		out->cap = out->cap == 0 ? 4 : out->cap * 2;
		out->v = xrealloc(out->v, out->cap * sizeof *out->v);
	}
	out->v[out->n++] = *item;
}

/* The item of one recipient in a SETTLE; where the one before it stands. */
static bool
history_from_settle(struct rd *r, const struct msgid *id, uint32_t ordinal, struct history_item *item,
    uint32_t *segment, uint32_t *offset)
{
	struct settle_head head;
	struct settle_item i;

	if (!settle_head_decode(r, &head) || memcmp(head.id.b, id->b, sizeof id->b) != 0)
		return false;
	while (head.n-- > 0 && settle_item_decode(r, &i)) {
		if (i.ordinal != ordinal || !i.has_status)
			continue;
		item->wall_ms = head.wall_ms;
		item->state = i.state;
		*segment = i.prev_segment;
		*offset = i.prev_offset;
		return status_decode(&item->status, &i.status);
	}
	return false;
}

static void
history_from_copy(struct rd *r, const struct msgid *id, uint32_t ordinal, size_t max, struct history_list *out)
{
	struct message_meta meta;
	struct store_rcpt rcpt;
	struct history_item item;
	unsigned n = 0;

	if (!message_meta_decode(&meta, r) || memcmp(meta.id.b, id->b, sizeof id->b) != 0)
		return;
	for (uint32_t o = 0; copy_rcpt_decode(r, &rcpt, &n); o++) {
		for (; n > 0; n--) {
			if (o != ordinal) {
				if (!history_item_skip(r))
					return;
			} else if (out->n < max && history_item_decode(r, &item)) {
				history_add(out, &item);
			}
		}
		if (o == ordinal)
			return;
	}
}

void
history_read(const struct segview *v, uint32_t segment, uint32_t offset, const struct msgid *id,
    uint32_t ordinal, size_t max, struct history_list *out)
{
	struct record_header h;
	struct history_item item;

	while (segment != 0 && out->n < max) {
		uint8_t *record = NULL;
		struct rd r;
		bool more = false;

		if (!segview_read(v, segment, offset, false, &h, &record))
			return;
		r = rd_of(record + RECORD_HEADER, h.meta_len);
		if (h.type == RECORD_COPY) {
			history_from_copy(&r, id, ordinal, max, out);
		} else if (h.type == RECORD_SETTLE) {
			more = history_from_settle(&r, id, ordinal, &item, &segment, &offset);
			if (more)
				history_add(out, &item);
		}
		free(record);
		if (!more)
			return;
	}
}

void
store_history(struct store *s, const struct store_message *m, uint32_t ordinal, unsigned max,
    void (*fn)(void *ctx, int64_t wall_ms, uint8_t state, const struct status *st), void *ctx)
{
	struct segview *v = NULL;
	struct history_list list = { 0 };

	if (ordinal >= m->nrcpts)
		return;
	commit_write_own(s);		/* a settle of this very turn is history too */
	v = segview_new(&s->ix.segments);
	history_read(v, m->rcpts[ordinal].last_segment, m->rcpts[ordinal].last_offset, &m->id,
	    ordinal, max, &list);
	(void)segview_free(&v);
	for (size_t i = 0; i < list.n; i++)
		fn(ctx, list.v[i].wall_ms, list.v[i].state, &list.v[i].status);
	free(list.v);
}
