/*
 * work.c - the workload: mail small and large, settles, deferrals, DSNs, notes,
 * a full disk, a failed sync, stops, kills and starts, compaction by the way.
 * Never judges (book.c does); never does what mta/qm would not do.
 * Read next: work.h, book.h, queue/store.h.
 */
#include "tests/crash/work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "mta/base/log.h"
#include "mta/base/loop.h"
#include "mta/base/mem.h"
#include "queue/file.h"
#include "queue/store_own.h"
#include "tests/crash/book.h"
#include "tests/crash/disk.h"
#include "tests/crash/world.h"

#define BODIES_MAX 4096u		/* larger ones go to a file of their own */
#define TURNS_MAX 3000

struct work;

/* The context of an accept: which message it is about. */
struct asked {
	struct work	*w;
	uint32_t	 n;
};

struct work {
	const struct conf_spool	*conf;
	struct disk		*disk;
	struct book		*book;
	struct loop		*loop;
	struct store		*store;
	uint64_t		 rng;
	uint32_t		 written;	/* changes up to this tick have their place */
	bool			 broken, failed_once;
	struct asked		 asked[BOOK_MESSAGES];
};

static void
on_broken(void *ctx, const char *why)
{
	(void)why;
	((struct work *)ctx)->broken = true;
}

static void
work_open(struct work *w)
{
	const struct store_handlers h = { .broken = on_broken };
	struct fault f = { 0 };
	int code = 0;

	w->broken = false;
	w->loop = loop_new();
	if (!store_lock(&w->store, w->conf, &code, &f))
		bug("the workload cannot open its spool: %s", f.text);
	disk_set_recovering(w->disk, true);
	if (!store_start(w->store, w->loop, &h, w, &f))
		bug("the workload cannot start its spool: %s", f.text);
	disk_set_recovering(w->disk, false);
}

static void
work_mark(struct work *w)
{
	book_mark(w->book, disk_ops(w->disk), w->book->tick);
}

static bool
quiet(const struct store *s)
{
	return list_empty(&s->commit.mail) && list_empty(&s->commit.own) &&
	    list_empty(&s->commit.written) && list_empty(&s->commit.refused) &&
	    s->commit.replies == NULL && s->bodies_waiting == NULL && !s->bodies_syncing;
}

/* Until all that was asked for is answered and on disk. */
static void
work_rest(struct work *w)
{
	for (int i = 0; i < TURNS_MAX && !w->broken; i++) {
		if (quiet(w->store)) {
			work_mark(w);
			return;
		}
		world_turn(w->loop);
	}
	if (!w->broken)
		bug("the store does not come to rest");
}

/* ---- accepts ---- */

static void
pay_end(struct work *w, const struct booked *m, bool paid)
{
	struct booked *debtor = NULL;

	if (!m->dsn)
		return;
	debtor = &w->book->messages[m->debtor];
	debtor->rcpts[m->debtor_rcpt].paying = false;
	if (!paid)
		debtor->rcpts[m->debtor_rcpt].v[debtor->rcpts[m->debtor_rcpt].n - 1].dead_op =
		    disk_ops(w->disk);
}

static void
on_accepted(void *ctx, enum store_result r, struct store_message *sm, const struct status *st)
{
	const struct asked *a = ctx;
	struct work *w = a->w;
	struct booked *m = &w->book->messages[a->n];
	const uint32_t op = disk_ops(w->disk);

	(void)sm;
	(void)st;
	m->waiting = false;
	if (r == STORE_REFUSED) {
		m->refused_op = op;
		pay_end(w, m, false);
		return;
	}
	if (r == STORE_DONE)
		book_mark(w->book, op, m->tick);
	m->ack_op = op;
	pay_end(w, m, true);
}

static void
work_send(struct work *w, uint32_t n)
{
	struct booked *m = &w->book->messages[n];
	struct book_new new;

	w->asked[n] = (struct asked){ w, n };
	m->waiting = true;
	book_new(w->book, n, &new);
	store_accept(w->store, &new.n, on_accepted, &w->asked[n]);
	free(new.body);
}

/* What rx and its helper do: in pieces, synced.  False: no file. */
static bool
write_body(struct work *w, uint32_t n)
{
	const struct booked *m = &w->book->messages[n];
	const struct msgid id = book_id(n);
	struct status why;
	uint8_t *body = NULL;
	bool ok = true;
	int fd = store_body_create(w->store, &id, m->size, &why);

	if (fd == -1)
		return false;
	body = book_body(n, m->size);
	for (size_t off = 0; off < m->size && ok;) {
		const size_t left = m->size - off, step = left < 6000 ? left : 6000;

		ok = file_pwrite(fd, body + off, step, off) == 0;
		off += step;
		if (chance_below(&w->rng, 2) == 0)
			world_turn(w->loop);
	}
	if (plant_now != PLANT_BODY_NOT_SYNCED)
		ok = ok && file_sync(fd) == 0;
	file_close(&fd);
	free(body);
	if (!ok)
		store_body_drop(w->store, &id);
	return ok;
}

static struct booked *
work_new(struct work *w, size_t size, uint32_t nrcpts)
{
	struct book *b = w->book;
	struct booked *m = NULL;

	if (b->n == BOOK_MESSAGES)
		return NULL;
	m = &b->messages[b->n++];
	m->size = size;
	m->nrcpts = nrcpts;
	m->ack_op = m->refused_op = OP_NEVER;
	m->tick = ++b->tick;
	m->op = disk_ops(w->disk);
	for (uint32_t i = 0; i < nrcpts; i++) {
		m->rcpts[i].n = 1;
		m->rcpts[i].v[0].dead_op = OP_NEVER;
		m->rcpts[i].v[0].tick = m->tick;
	}
	return m;
}

static void
work_accept(struct work *w, size_t size)
{
	struct booked *m = work_new(w, size, 1 + chance_below(&w->rng, BOOK_RCPTS));
	const uint32_t n = w->book->n - 1;

	if (m == NULL)
		return;
	m->body_file = size > BODIES_MAX;
	if (m->body_file && !write_body(w, n)) {
		m->refused_op = disk_ops(w->disk);
		return;
	}
	work_send(w, n);
}

static void
work_accept_any(struct work *w)
{
	const uint32_t kind = chance_below(&w->rng, 12);

	if (kind == 0)
		work_accept(w, BODIES_MAX + 1 + chance_below(&w->rng, 16000));
	else
		work_accept(w, chance_below(&w->rng, kind < 4 ? BODIES_MAX : 900));
	/* rx never got its answer from an earlier queue role, or asks twice. */
	if (chance_below(&w->rng, 10) == 0 && !w->book->messages[w->book->n - 1].body_file &&
	    w->book->messages[w->book->n - 1].waiting)
		work_send(w, w->book->n - 1);
}

/* ---- settles ---- */

/* One that the store has and that can take another change. */
static struct store_message *
pick(struct work *w, uint32_t *n_r, uint32_t *rcpt_r)
{
	struct book *b = w->book;

	/* An attempt takes longer than a turn: no two statuses of one recipient in one. */
	if (list_empty(&w->store->commit.own))
		w->written = b->tick;
	for (int tries = 0; tries < 20 && b->n > 0; tries++) {
		const uint32_t n = chance_below(&w->rng, b->n);
		const struct msgid id = book_id(n);
		struct store_message *m = store_find(w->store, &id);
		const uint32_t rcpt = chance_below(&w->rng, b->messages[n].nrcpts);

		if (m == NULL || b->messages[n].rcpts[rcpt].n == BOOK_CHANGES ||
		    b->messages[n].rcpts[rcpt].paying ||
		    b->messages[n].rcpts[rcpt].v[b->messages[n].rcpts[rcpt].n - 1].tick > w->written ||
		    m->rcpts[rcpt].state == RCPT_DONE)
			continue;
		*n_r = n;
		*rcpt_r = rcpt;
		return m;
	}
	return NULL;
}

static struct change *
book_change(struct work *w, uint32_t n, uint32_t rcpt)
{
	struct booked *m = &w->book->messages[n];
	struct change *c = &m->rcpts[rcpt].v[m->rcpts[rcpt].n];

	*c = c[-1];
	for (uint32_t i = m->rcpts[rcpt].n; i-- > 0;) {
		*c = m->rcpts[rcpt].v[i];
		if (c->dead_op == OP_NEVER)
			break;
	}
	m->rcpts[rcpt].n++;
	c->op = disk_ops(w->disk);
	c->tick = ++w->book->tick;
	c->dead_op = OP_NEVER;
	c->text = c->dsn = 0;
	return c;
}

static void
settle(struct work *w, struct store_message *m, uint32_t n, uint32_t rcpt, uint8_t state, bool told)
{
	struct change *c = book_change(w, n, rcpt);
	const struct msgid id = m->id;
	const bool body_file = m->body_file;
	struct status st;
	struct store_change change = { .ordinal = rcpt };

	c->state = change.state = state;
	if (told) {
		c->text = c->tick;
		c->attempts++;
		c->next_wall_ms = state == RCPT_QUEUED ? (int64_t)c->tick * 1000 : 0;
		status_set(&st, state == RCPT_QUEUED ? 4 : state == RCPT_OWED ? 5 : 2, 0, 0,
		    STAGE_rcpt, REASON_smtp_4xx, "t%u", c->tick);
		change.status = &st;
	} else {
		c->flags ^= RCPT_HELD;		/* an operator's word */
		c->next_wall_ms = c->tick;
	}
	change.flags = c->flags;
	change.attempts = c->attempts;
	change.next_wall_ms = c->next_wall_ms;
	if (store_settle(w->store, m, &change, 1) && body_file &&
	    plant_now == PLANT_BODY_GONE_EARLY) {
		char name[MSGID_TEXT_MAX];

		if (file_unlink(w->store->dirs.bodies, msgid_text(&id, name)) != 0)
			bug("unlink");
	}
}

static void
work_settle(struct work *w)
{
	uint32_t n = 0, rcpt = 0;
	struct store_message *m = pick(w, &n, &rcpt);
	const uint32_t kind = chance_below(&w->rng, 12);

	if (m == NULL)
		return;
	if (m->rcpts[rcpt].state == RCPT_OWED) {
		struct booked *dsn = NULL, *debtor = &w->book->messages[n];
		struct change *c = NULL;

		if ((dsn = work_new(w, 200 + chance_below(&w->rng, 600), 1)) == NULL)
			return;
		dsn->dsn = true;
		dsn->debtor = n;
		dsn->debtor_rcpt = rcpt;
		c = book_change(w, n, rcpt);
		c->state = RCPT_DONE;
		c->dsn = w->book->n;
		debtor->rcpts[rcpt].paying = true;
		work_send(w, w->book->n - 1);
		return;
	}
	/* Some stay, so that there is something to carry forward. */
	if (kind < 7)
		settle(w, m, n, rcpt, n % 9 == 0 ? RCPT_QUEUED : RCPT_DONE, true);
	else if (kind < 10)
		settle(w, m, n, rcpt, RCPT_QUEUED, true);
	else
		settle(w, m, n, rcpt, kind == 10 ? RCPT_OWED : RCPT_QUEUED, kind == 10);
}

/* Every recipient of one message. */
static void
work_deliver(struct work *w)
{
	uint32_t n = 0, rcpt = 0;
	struct store_message *m = pick(w, &n, &rcpt);
	const struct msgid id = book_id(n);
	const struct booked *b = &w->book->messages[n];

	if (m == NULL || n % 9 == 0)
		return;
	for (uint32_t i = 0; i < b->nrcpts; i++) {
		m = store_find(w->store, &id);
		if (m != NULL && m->rcpts[i].state == RCPT_QUEUED && !b->rcpts[i].paying &&
		    b->rcpts[i].v[b->rcpts[i].n - 1].tick <= w->written &&
		    b->rcpts[i].n < BOOK_CHANGES)
			settle(w, m, n, i, RCPT_DONE, true);
	}
}

static void
work_note(struct work *w)
{
	const uint32_t at = chance_below(&w->rng, BOOK_NOTES);
	struct booked_note *note = &w->book->notes[at];
	const bool drop = chance_below(&w->rng, 4) == 0;
	char key[8], value[16];

	if (note->n == BOOK_VALUES)
		return;
	note->v[note->n].op = disk_ops(w->disk);
	note->v[note->n].tick = ++w->book->tick;
	note->v[note->n].value = drop ? 0 : w->book->tick;
	note->n++;
	snprintf(key, sizeof key, "k%u", at);
	snprintf(value, sizeof value, "%u", w->book->tick);
	if (drop)
		store_note_drop(w->store, NOTE_DESTINATION, key);
	else
		store_note_put(w->store, NOTE_DESTINATION, key, (const uint8_t *)value, strlen(value));
}

/* ---- stops ---- */

/* rx sends all again that was not answered; a large one it must take back. */
static void
send_again(struct work *w)
{
	struct book *b = w->book;
	const uint32_t n = b->n;

	for (uint32_t i = 0; i < n; i++)
		if (b->messages[i].waiting)
			work_send(w, i);
}

/*
 * A kill takes with it what was gathered and not yet written: the book forgets
 * it, if nobody was promised that it is durable.
 */
static void
forget_changes(struct work *w, uint32_t n, const struct store_message *m, uint32_t durable)
{
	struct booked *b = &w->book->messages[n];

	for (uint32_t i = 0; i < b->nrcpts; i++) {
		const uint32_t last = b->rcpts[i].n - (b->rcpts[i].paying ? 1 : 0);

		for (uint32_t j = last; j-- > 1;) {
			struct change *c = &b->rcpts[i].v[j];

			if (c->dead_op != OP_NEVER)
				continue;
			if (b->rcpts[i].paying || change_is(c, &m->rcpts[i]))
				break;
			if (c->tick <= durable)
				bug("message %u recipient %u: a durable change is lost", n, i);
			c->dead_op = disk_ops(w->disk);
		}
	}
}

static void
forget_note(struct work *w, uint32_t at, uint32_t durable)
{
	struct booked_note *note = &w->book->notes[at];
	struct buf value = { 0 };
	char key[8];
	uint32_t found = 0;

	snprintf(key, sizeof key, "k%u", at);
	if (store_note_get(w->store, NOTE_DESTINATION, key, &value))
		found = (uint32_t)strtoul(buf_cstr(&value), NULL, 10);
	buf_free(&value);
	while (note->n > 0 && note->v[note->n - 1].value != found) {
		if (note->v[note->n - 1].tick <= durable)
			bug("note %u: a durable value is lost", at);
		note->n--;
	}
}

static void
forget(struct work *w)
{
	const uint32_t durable = book_durable_tick(w->book, disk_ops(w->disk));

	for (uint32_t i = 0; i < w->book->n; i++) {
		const struct msgid id = book_id(i);
		const struct store_message *m = store_find(w->store, &id);

		if (m != NULL)
			forget_changes(w, i, m, durable);
	}
	for (uint32_t i = 0; i < BOOK_NOTES; i++)
		forget_note(w, i, durable);
}

static void
work_restart(struct work *w, bool kill)
{
	disk_set_full(w->disk, false);
	disk_fail_sync(w->disk, false);
	disk_set_dead(w->disk, kill);
	store_close(&w->store);
	loop_free(&w->loop);
	disk_set_dead(w->disk, false);
	work_open(w);
	forget(w);
	work_mark(w);			/* recovery has synced all it counts */
	send_again(w);
}

static void
work_full(struct work *w)
{
	disk_set_full(w->disk, true);
	for (int i = 0; i < 12; i++) {
		work_accept(w, 2000);
		work_settle(w);
		world_turn(w->loop);
		world_turn(w->loop);
	}
	disk_set_full(w->disk, false);
}

static void
work_fail_sync(struct work *w)
{
	if (w->failed_once)
		return;
	w->failed_once = true;		/* a second one ends the store */
	disk_fail_sync(w->disk, true);
	for (int i = 0; i < 5; i++) {
		work_accept(w, chance_below(&w->rng, 900));
		work_settle(w);
	}
	work_rest(w);
	disk_fail_sync(w->disk, false);
}

/* ---- the whole ---- */

static void
work_step(struct work *w)
{
	const uint32_t what = chance_below(&w->rng, 100);

	if (what < 40) {
		work_accept_any(w);
	} else if (what < 60) {
		work_settle(w);
	} else if (what < 78) {
		work_deliver(w);
	} else if (what < 82) {
		work_note(w);
	} else if (what < 93) {
		for (uint32_t n = chance_below(&w->rng, 8); n > 0; n--)
			world_turn(w->loop);
	} else if (what < 95) {
		work_rest(w);
	} else if (what < 97) {
		work_restart(w, true);
	} else if (what < 98) {
		work_restart(w, false);
	} else if (what < 99) {
		work_full(w);
	} else {
		work_fail_sync(w);
	}
	if (w->broken)
		work_restart(w, true);
}

struct disk *
work_run(const struct conf_spool *conf, uint64_t seed, uint32_t steps, struct book **book_r)
{
	struct work w = { .conf = conf, .disk = disk_new(), .rng = seed };

	w.book = *book_r = xcalloc(1, sizeof **book_r);
	world_seed(chance(&w.rng));
	disk_mount(w.disk);
	work_open(&w);
	for (uint32_t i = 0; i < steps; i++) {
		/* Tides: a queue that fills, and one that empties and is compacted. */
		if (i / 60 % 2 == 1 && chance_below(&w.rng, 2) == 0)
			work_deliver(&w);
		work_step(&w);
	}
	if (!w.broken)
		work_rest(&w);
	disk_set_dead(w.disk, true);
	store_close(&w.store);
	loop_free(&w.loop);
	disk_set_dead(w.disk, false);
	return w.disk;
}
