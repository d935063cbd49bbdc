/*
 * bodies.c - large bodies in files of their own: handed out, made durable by name
 * before the accept that names them, unlinked once nobody needs them.
 * Never writes or reads a body (rx does, and read.c); never unlinks the
 * body of a message before the settle of its last recipient is durable.
 * Read next: accept.c, read.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mta/base/log.h"
#include "queue/file.h"
#include "queue/store_own.h"

/* A body that someone is writing. */
struct streaming {
	struct streaming *next;
	struct msgid	  id;
	uint64_t	  declared;
};

/* A file that goes once chunk mark is durable. */
struct doomed {
	struct list	 link;
	struct msgid	 id;
	uint64_t	 mark;
};

/* ---- handing out ---- */

static bool
streaming_end(struct store *s, const struct msgid *id)
{
	for (struct streaming **at = &s->streaming; *at != NULL; at = &(*at)->next) {
		struct streaming *st = *at;

		if (memcmp(st->id.b, id->b, sizeof id->b) != 0)
			continue;
		s->room.streaming -= st->declared;
		*at = st->next;
		free(st);
		return true;
	}
	return false;
}

int
store_body_create(struct store *s, const struct msgid *id, uint64_t declared_size, struct status *why)
{
	char name[MSGID_TEXT_MAX];
	struct streaming *st = NULL;
	int fd = -1;

	if (s->commit.broken) {
		status_set(why, 4, 3, 0, STAGE_queue, REASON_local, "the spool cannot be written");
		return -1;
	}
	if (!room_for(s, declared_size)) {
		status_set(why, 4, 3, 1, STAGE_queue, REASON_local, "no room: %s", s->room.why);
		return -1;
	}
	fd = file_create(s->dirs.bodies, msgid_text(id, name));
	if (fd == -1) {
		log_warn("body_create_failed", "id=%s err=%d text=\"%s\"", name, errno, strerror(errno));
		status_set(why, 4, 3, 0, STAGE_queue, REASON_local, "no file for the message body");
		return -1;
	}
	st = xcalloc(1, sizeof *st);
	st->id = *id;
	st->declared = declared_size;
	st->next = s->streaming;
	s->streaming = st;
	s->room.streaming += declared_size;
	return fd;
}

/* ---- unlinking ---- */

struct unlink_job {
	struct job	job;
	int		dir;
	char		name[MSGID_TEXT_MAX];
	int		err;
};

static void
unlink_work(struct job *job)
{
	struct unlink_job *u = (struct unlink_job *)job;

	u->err = file_unlink(u->dir, u->name);
}

static void
unlink_done(struct job *job, bool cancelled)
{
	struct unlink_job *u = (struct unlink_job *)job;

	if (!cancelled && u->err != 0)
		log_warn("body_unlink_failed", "id=%s err=%d", u->name, u->err);
	free(u);
}

static void
unlink_later(struct store *s, const struct msgid *id)
{
	struct unlink_job *u = xcalloc(1, sizeof *u);

	u->job.work = unlink_work;
	u->job.done = unlink_done;
	u->dir = s->dirs.bodies;
	msgid_text(id, u->name);
	helper_submit(s->helper, &u->job);
}

void
store_body_drop(struct store *s, const struct msgid *id)
{
	/* Only what is being written: what an accept names, also one under way, is not the caller's any more. */
	if (index_find(&s->ix, id) == NULL && streaming_end(s, id))
		unlink_later(s, id);
}

void
bodies_finish(struct store *s, const struct msgid *id)
{
	struct doomed *d = xcalloc(1, sizeof *d);

	d->id = *id;
	d->mark = commit_mark(s);
	list_add_tail(&s->doomed, &d->link);
}

void
bodies_synced(struct store *s)
{
	LIST_EACH_SAFE(it, &s->doomed) {
		struct doomed *d = LIST_OWNER(it, struct doomed, link);

		if (d->mark > s->commit.durable_chunk)
			break;
		unlink_later(s, &d->id);
		list_del(&d->link);
		free(d);
	}
}

/* ---- accepting ---- */

/* One check of files and one sync of the directory, for all that wait. */
struct bodies_sync {
	struct job	 job;
	struct store	*store;
	int		 dir;
	int		 err;		/* of the directory */
	size_t		 n, cap;
	struct bodies_item {
		struct accept	*accept;
		char		 name[MSGID_TEXT_MAX];
		uint64_t	 size;
		int		 err;	/* of this file */
	} *items;			/* owned */
};

static void bodies_submit(struct store *s);

static void
sync_work(struct job *job)
{
	struct bodies_sync *b = (struct bodies_sync *)job;

	for (size_t i = 0; i < b->n; i++) {
		uint64_t size = 0;

		b->items[i].err = file_size_at(b->dir, b->items[i].name, &size);
		if (b->items[i].err == 0 && size != b->items[i].size)
			b->items[i].err = EIO;
	}
	b->err = file_sync_dir(b->dir);
}

static void
item_done(struct store *s, struct accept *a, int err)
{
	struct status why;

	streaming_end(s, &a->live->m.id);
	if (err != 0) {
		char text[MSGID_TEXT_MAX];

		log_warn("body_file_lost", "id=%s err=%d", msgid_text(&a->live->m.id, text), err);
		status_set(&why, 4, 3, 0, STAGE_queue, REASON_local, "the file of the message body is gone");
		accept_withdraw(s, a);
		accept_refuse(s, a, &why);
		return;
	}
	commit_add(s, a->own, &a->record, &(struct entry){ .kind = ENTRY_ACCEPT, .who = a,
	    .min_ref = a->min_ref }, true);
	buf_free(&a->record);
}

static void
sync_free(struct bodies_sync **b)
{
	free((*b)->items);
	free(*b);
	*b = NULL;
}

static void
sync_done(struct job *job, bool cancelled)
{
	struct bodies_sync *b = (struct bodies_sync *)job;
	struct store *s = b->store;

	for (size_t i = 0; i < b->n; i++) {
		if (cancelled)
			accept_free(&b->items[i].accept);
		else
			item_done(s, b->items[i].accept, b->err != 0 ? b->err : b->items[i].err);
	}
	sync_free(&b);
	if (cancelled)
		return;
	s->bodies_syncing = false;
	bodies_submit(s);
}

/* What came while a sync was under way is not covered by it: it waits for the next. */
static void
bodies_submit(struct store *s)
{
	if (s->bodies_syncing || s->bodies_waiting == NULL)
		return;
	s->bodies_syncing = true;
	helper_submit(s->helper, &s->bodies_waiting->job);
	s->bodies_waiting = NULL;
}

void
bodies_accept(struct store *s, struct accept *a, uint64_t size)
{
	struct bodies_sync *b = s->bodies_waiting;
	struct bodies_item *item = NULL;

	if (b == NULL) {
		b = s->bodies_waiting = xcalloc(1, sizeof *b);
		b->job.work = sync_work;
		b->job.done = sync_done;
		b->store = s;
		b->dir = s->dirs.bodies;
	}
	if (b->n == b->cap) {
		b->cap = b->cap == 0 ? 8 : b->cap * 2;
		b->items = xrealloc(b->items, b->cap * sizeof *b->items);
	}
	item = &b->items[b->n++];
	*item = (struct bodies_item){ .accept = a, .size = size };
	msgid_text(&a->live->m.id, item->name);
	bodies_submit(s);
}

/* ---- start and end ---- */

struct sweep {
	struct store	*store;
	size_t		 n;
	int		 err;
};

static void
sweep_one(void *ctx, const char *name)
{
	struct sweep *w = ctx;
	struct msgid id;
	const struct live *l = NULL;

	if (msgid_parse(name, &id))
		l = index_find(&w->store->ix, &id);
	if (l != NULL && l->m.body_file)
		return;
	w->n++;
	if (w->err == 0)
		w->err = file_unlink(w->store->dirs.bodies, name);
}

bool
bodies_sweep(struct store *s, struct fault *f)
{
	struct sweep w = { .store = s };
	int err = file_list(s->dirs.bodies, sweep_one, &w);

	if (err == 0)
		err = w.err;
	if (err != 0) {
		fault_sys(f, err, "bodies", "sweep");
		return false;
	}
	if (w.n > 0)
		log_event("bodies_swept", "n=%zu", w.n);
	return true;
}

void
bodies_stop(struct store *s)
{
	while (!list_empty(&s->doomed)) {	/* the next start sweeps them */
		struct doomed *d = LIST_OWNER(s->doomed.next, struct doomed, link);

		list_del(&d->link);
		free(d);
	}
	while (s->streaming != NULL) {
		struct streaming *st = s->streaming;

		s->streaming = st->next;
		free(st);
	}
	if (s->bodies_waiting != NULL) {
		for (size_t i = 0; i < s->bodies_waiting->n; i++)
			accept_free(&s->bodies_waiting->items[i].accept);
		sync_free(&s->bodies_waiting);
	}
}
