/*
 * segment.c - segment files: making, naming, taking out, and the table of them.
 * Never writes a commit and never decides that a segment may go while anything
 * in it counts: segment_unneeded() is the whole rule.
 * Read next: pool.c (when), commit.c (who writes into them), recover.c.
 */
#include "queue/segment.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queue/file.h"

const char *
segment_name(uint32_t number, char buf[SEGMENT_NAME_MAX])
{
	snprintf(buf, SEGMENT_NAME_MAX, "%010u", number);
	return buf;
}

struct segment *
segment_new(uint32_t number)
{
	struct segment *seg = xcalloc(1, sizeof *seg);

	seg->number = number;
	seg->fd = -1;
	seg->end = BLOCK;
	seg->min_ref = NO_REF;
	list_init(&seg->messages);
	list_init(&seg->notes);
	return seg;
}

void
segment_free(struct segment **seg)
{
	if (*seg == NULL)
		return;
	file_close(&(*seg)->fd);
	free(*seg);
	*seg = NULL;
}

/* ---- table ---- */

/* The first position whose number is not below. */
static size_t
segments_place(const struct segments *t, uint32_t number)
{
	size_t lo = 0, hi = t->n;

	while (lo < hi) {
		const size_t mid = lo + (hi - lo) / 2;

		if (t->v[mid]->number < number)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct segment *
segments_find(const struct segments *t, uint32_t number)
{
	const size_t at = segments_place(t, number);

	return at < t->n && t->v[at]->number == number ? t->v[at] : NULL;
}

void
segments_add(struct segments *t, struct segment *seg)
{
	const size_t at = segments_place(t, seg->number);

	if (t->n == t->cap) {
		t->cap = t->cap == 0 ? 64 : t->cap * 2;
		t->v = xrealloc(t->v, t->cap * sizeof *t->v);
	}
	memmove(t->v + at + 1, t->v + at, (t->n - at) * sizeof *t->v);
	t->v[at] = seg;
	t->n++;
}

void
segments_remove(struct segments *t, struct segment *seg)
{
	const size_t at = segments_place(t, seg->number);

	if (at == t->n || t->v[at] != seg)
		return;
	t->n--;
	memmove(t->v + at, t->v + at + 1, (t->n - at) * sizeof *t->v);
}

void
segments_clear(struct segments *t)
{
	for (size_t i = 0; i < t->n; i++)
		segment_free(&t->v[i]);
	free(t->v);
	*t = (struct segments){ 0 };
}

bool
segment_unneeded(const struct segments *t, size_t i)
{
	const struct segment *seg = t->v[i];

	if (seg->state != SEGMENT_SEALED || seg->nlive > 0 || seg->refs > 0 || seg->dirty)
		return false;
	/* Of the older ones the youngest tells whether any lies in [min_ref, seg). */
	return i == 0 || t->v[i - 1]->number < seg->min_ref;
}

/* ---- files ---- */

static int
make_new(const struct segment_order *o, const char *name, int *fd_r)
{
	int err = 0;

	*fd_r = file_create(o->dirs->pool, name);
	if (*fd_r == -1 && errno == EEXIST && file_unlink(o->dirs->pool, name) == 0)
		*fd_r = file_create(o->dirs->pool, name);
	if (*fd_r == -1)
		return errno;
	err = file_zero_fill(*fd_r, o->header.size);
	if (err != 0) {
		file_close(fd_r);
		if (file_unlink(o->dirs->pool, name) != 0)
			return err;	/* a leftover: swept at the next start */
	}
	return err;
}

static int
open_source(const struct segment_order *o, int *fd_r)
{
	uint64_t size = 0;
	int err = 0;

	if (o->source_in_log) {
		err = file_rename(o->dirs->log, o->source, o->dirs->pool, o->source);
		if (err == 0)
			err = file_sync_dir(o->dirs->pool);
		if (err == 0)
			err = file_sync_dir(o->dirs->log);
		if (err != 0)
			return err;
	}
	*fd_r = file_open_write(o->dirs->pool, o->source);
	if (*fd_r == -1)
		return errno;
	err = file_size(*fd_r, &size);
	if (err == 0 && size != o->header.size)
		err = EINVAL;		/* of other times: segment_bytes has changed */
	if (err != 0) {
		file_close(fd_r);
		if (file_unlink(o->dirs->pool, o->source) != 0)
			return EIO;
	}
	return err;
}

int
segment_make(struct segment_order *o, int *fd_r)
{
	uint8_t block[BLOCK];
	char name[SEGMENT_NAME_MAX], from[SEGMENT_NAME_MAX + 8];
	int err = 0;

	*fd_r = -1;
	segment_name(o->header.number, name);
	snprintf(from, sizeof from, "%s", o->source);
	if (o->source[0] == '\0' || open_source(o, fd_r) != 0) {
		snprintf(from, sizeof from, "new-%s", name);
		err = make_new(o, from, fd_r);
	}
	if (err != 0)
		return err;
	segment_header_encode(&o->header, block);
	err = file_pwrite(*fd_r, block, sizeof block, 0);
	if (err == 0)
		err = file_sync(*fd_r);
	if (err == 0)
		err = file_rename(o->dirs->pool, from, o->dirs->log, name);
	if (err == 0)
		err = file_sync_dir(o->dirs->log);
	if (err == 0)
		err = file_sync_dir(o->dirs->pool);
	if (err != 0)
		file_close(fd_r);
	return err;
}

int
segment_take_out(const struct spool_dirs *dirs, uint32_t number, bool keep)
{
	char name[SEGMENT_NAME_MAX];
	int err = 0;

	segment_name(number, name);
	if (keep)
		err = file_rename(dirs->log, name, dirs->pool, name);
	else
		err = file_unlink(dirs->log, name);
	if (err == 0)
		err = file_sync_dir(dirs->log);
	if (err == 0 && keep)
		err = file_sync_dir(dirs->pool);
	return err;
}

/* ---- views ---- */

struct segview *
segview_new(const struct segments *t)
{
	struct segview *v = xmalloc(sizeof *v + t->n * sizeof v->v[0]);

	v->n = 0;
	for (size_t i = 0; i < t->n; i++) {
		struct segment *seg = t->v[i];

		if (seg->state == SEGMENT_LEAVING)
			continue;		/* nothing in it is needed; it may go any time */
		seg->refs++;
		v->v[v->n++] = (struct segview_item){ .number = seg->number, .size = seg->size,
		    .epoch = seg->epoch, .fd = seg->fd, .seg = seg };
	}
	return v;
}

bool
segview_free(struct segview **view)
{
	struct segview *v = *view;
	bool unpinned = false;

	if (v == NULL)
		return false;
	for (size_t i = 0; i < v->n; i++)
		unpinned |= --v->v[i].seg->refs == 0;
	free(v);
	*view = NULL;
	return unpinned;
}

static const struct segview_item *
segview_find(const struct segview *v, uint32_t number)
{
	size_t lo = 0, hi = v->n;

	while (lo < hi) {
		const size_t mid = lo + (hi - lo) / 2;

		if (v->v[mid].number < number)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < v->n && v->v[lo].number == number ? &v->v[lo] : NULL;
}

bool
segview_read(const struct segview *v, uint32_t number, uint32_t offset, bool body,
    struct record_header *h, uint8_t **record_r)
{
	const struct segview_item *item = segview_find(v, number);
	const struct record_place at = { item == NULL ? 0 : item->epoch, number, offset };
	uint8_t head[RECORD_HEADER], *record = NULL;
	uint64_t n = 0;

	*record_r = NULL;
	if (item == NULL || offset < BLOCK || (uint64_t)offset + sizeof head > item->size ||
	    file_pread(item->fd, head, sizeof head, offset) != 0)
		return false;
	record_peek(h, head);
	n = sizeof head + (uint64_t)h->meta_len + (body ? h->body_len : 0);
	if (n > item->size - offset)
		return false;
	record = xmalloc((size_t)n);
	if (file_pread(item->fd, record, (size_t)n, offset) != 0 ||
	    !record_check(h, record, (size_t)n, &at)) {
		free(record);
		return false;
	}
	*record_r = record;
	return true;
}
