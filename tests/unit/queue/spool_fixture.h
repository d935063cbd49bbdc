/*
 * spool_fixture.h - a store on a spool of its own in a temporary directory, and
 * a loop that turns until something is true.  Included by one test program each.
 */
#pragma once

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf.h"
#include "mta/base/clock.h"
#include "mta/base/crc32c.h"
#include "mta/base/loop.h"
#include "mta/base/mem.h"
#include "queue/store_own.h"

#define UNUSED_OK __attribute__((unused))
#define WAIT_MS 20000

struct seen_note {
	uint8_t	kind;
	char	key[64];
	char	value[64];
};

struct spool {
	char			 dir[256];
	struct conf_spool	 conf;
	struct loop		*loop;
	struct store		*store;
	struct seen_note	 notes[32];
	unsigned		 nnotes;	/* told by recovery */
	unsigned		 nmessages;	/* told by recovery */
	unsigned		 done, have, refused;	/* answers to accepts */
	struct status		 why;		/* of the last refusal */
	int			 room;		/* last told: 1, 0; -1 never */
	unsigned		 broken;
};

static void UNUSED_OK
spool_init(struct spool *sp, uint64_t segment_bytes)
{
	const char *tmp = getenv("TMPDIR");

	memset(sp, 0, sizeof *sp);
	snprintf(sp->dir, sizeof sp->dir, "%s/relayd-spool-XXXXXX", tmp == NULL ? "/tmp" : tmp);
	ck_assert_ptr_nonnull(mkdtemp(sp->dir));
	sp->conf = (struct conf_spool){ .path = sp->dir, .allow_ephemeral = true,
	    .segment_bytes = segment_bytes, .max_messages = 100000, .max_bytes = 1u << 30,
	    .large_bytes = 256u << 10 };
	sp->room = -1;
}

static void
spool_message(void *ctx, struct store_message *m, const struct envelope *e)
{
	struct spool *sp = ctx;

	ck_assert_uint_eq(m->nrcpts, e->nrecipients);
	ck_assert_uint_gt(m->nopen, 0);
	ck_assert(m->durable);
	sp->nmessages++;
}

static void
spool_note(void *ctx, uint8_t kind, const char *key, const uint8_t *value, size_t len)
{
	struct spool *sp = ctx;
	struct seen_note *n = &sp->notes[sp->nnotes++ % 32];

	n->kind = kind;
	snprintf(n->key, sizeof n->key, "%s", key);
	snprintf(n->value, sizeof n->value, "%.*s", (int)len, (const char *)value);
}

static void
spool_room(void *ctx, bool room, const char *why)
{
	(void)why;
	((struct spool *)ctx)->room = room;
}

static void
spool_broken(void *ctx, const char *why)
{
	(void)why;
	((struct spool *)ctx)->broken++;
}

static void UNUSED_OK
spool_open(struct spool *sp)
{
	const struct store_handlers h = { spool_message, spool_note, spool_room, spool_broken };
	struct fault f = { 0 };
	int code = 0;

	sp->nnotes = sp->nmessages = 0;
	sp->loop = loop_new();
	ck_assert_msg(store_lock(&sp->store, &sp->conf, &code, &f), "%d %s", code, f.text);
	ck_assert_msg(store_start(sp->store, sp->loop, &h, sp, &f), "%s", f.text);
}

static void UNUSED_OK
spool_close(struct spool *sp)
{
	store_close(&sp->store);
	loop_free(&sp->loop);
}

static void UNUSED_OK
spool_remove(struct spool *sp)
{
	char cmd[300];

	if (sp->store != NULL)
		spool_close(sp);
	snprintf(cmd, sizeof cmd, "rm -rf '%s'", sp->dir);
	ck_assert_int_eq(system(cmd), 0);
}

/* ---- turning ---- */

struct until {
	struct spool	*sp;
	bool		(*is)(struct spool *sp);
	bool		 true_now;
};

static void
until_turn(void *ctx)
{
	struct until *u = ctx;

	u->true_now = u->is(u->sp);
	if (u->true_now)
		loop_stop(u->sp->loop);
}

static void
until_late(void *ctx)
{
	loop_stop(((struct until *)ctx)->sp->loop);
}

static void
until_tick(void *ctx)
{
	(void)ctx;
}

static bool UNUSED_OK
spool_until(struct spool *sp, bool (*is)(struct spool *sp))
{
	struct until u = { sp, is, is(sp) };
	struct loop_timer *late = loop_timer_new(sp->loop, until_late, &u);
	struct loop_timer *tick = loop_timer_new(sp->loop, until_tick, &u);

	loop_timer_set(late, WAIT_MS);
	loop_timer_set(tick, 0);
	loop_on_turn(sp->loop, until_turn, &u);
	loop_run(sp->loop);
	loop_on_turn_remove(sp->loop, until_turn, &u);
	loop_timer_free(&tick);
	loop_timer_free(&late);
	return u.true_now;
}

static bool
spool_answered(struct spool *sp)
{
	return list_empty(&sp->store->commit.mail) && list_empty(&sp->store->commit.own) &&
	    list_empty(&sp->store->commit.written) && sp->store->commit.replies == NULL &&
	    sp->store->bodies_waiting == NULL && !sp->store->bodies_syncing &&
	    list_empty(&sp->store->commit.refused);
}

/* Nothing is under way, segments that may go are gone, the reserve is there. */
static bool
spool_quiet(struct spool *sp)
{
	const struct store *s = sp->store;

	for (size_t i = 0; i < s->ix.segments.n; i++)
		if (s->ix.segments.v[i]->state == SEGMENT_LEAVING)
			return false;
	return spool_answered(sp) && !s->compact.reading && s->compact.writing == 0 &&
	    !s->pool.preparing && !s->pool.release_wanted && s->pool.nready == READY_MAX;
}

static void UNUSED_OK
spool_settle_down(struct spool *sp)
{
	ck_assert_msg(spool_until(sp, spool_quiet), "the store does not come to rest");
}

static void UNUSED_OK
spool_answers(struct spool *sp)
{
	ck_assert_msg(spool_until(sp, spool_answered), "no answer");
}

/* ---- messages ---- */

static struct msgid UNUSED_OK
id_of(unsigned n)
{
	struct msgid id = { { 0 } };

	for (int i = 0; i < 16; i++)
		id.b[i] = (uint8_t)(n * 2654435761u >> (i % 4 * 8));
	memcpy(id.b, &n, sizeof n);
	return id;
}

static uint8_t *UNUSED_OK
body_of(unsigned n, size_t size)
{
	uint8_t *b = xmalloc(size + 1);
	uint32_t x = n * 747796405u + 1;

	for (size_t i = 0; i < size; i++) {
		x = x * 1664525u + 1013904223u;
		b[i] = (uint8_t)(x >> 24);
	}
	return b;
}

static void
spool_accepted(void *ctx, enum store_result r, struct store_message *m, const struct status *status)
{
	struct spool *sp = ctx;

	sp->done += r == STORE_DONE;
	sp->have += r == STORE_HAVE_IT;
	sp->refused += r == STORE_REFUSED;
	ck_assert_int_eq(m != NULL, r == STORE_DONE);
	ck_assert_int_eq(status != NULL, r == STORE_REFUSED);
	if (status != NULL)
		sp->why = *status;
	if (m != NULL)
		ck_assert(m->durable);
}

struct message_of {
	unsigned		 n, nrcpts;
	size_t			 size;
	bool			 body_file, reserve;
	const struct store_debt	*pays;
	size_t			 npays;
};

static void UNUSED_OK
spool_accept_as(struct spool *sp, const struct message_of *o)
{
	struct recipient rcpts[64];
	char addresses[64][64];
	struct envelope e = { .sender = "a@here.test", .listener = "l", .client = "192.0.2.1",
	    .helo = "h", .arrival_wall_ms = 1000 + o->n, .recipients = rcpts,
	    .nrecipients = o->nrcpts == 0 ? 1 : o->nrcpts };
	struct store_new n = { .id = id_of(o->n), .envelope = &e, .size = o->size,
	    .body_file = o->body_file, .reserve = o->reserve, .pays = o->pays, .npays = o->npays };
	uint8_t *body = body_of(o->n, o->size);

	for (unsigned i = 0; i < e.nrecipients; i++) {
		snprintf(addresses[i], sizeof addresses[i], "r%u.%u@there.test", o->n, i);
		rcpts[i] = (struct recipient){ .address = addresses[i] };
	}
	n.body_crc = crc32c(0, body, o->size);
	if (!o->body_file)
		n.body = body;
	store_accept(sp->store, &n, spool_accepted, sp);
	free(body);
}

static void UNUSED_OK
spool_accept(struct spool *sp, unsigned n, size_t size)
{
	spool_accept_as(sp, &(struct message_of){ .n = n, .size = size });
}

static struct store_message *UNUSED_OK
spool_get(struct spool *sp, unsigned n)
{
	const struct msgid id = id_of(n);

	return store_find(sp->store, &id);
}

static bool UNUSED_OK
spool_finish(struct spool *sp, unsigned n)
{
	struct store_message *m = spool_get(sp, n);
	struct status st;
	uint32_t nrcpts = 0;
	bool gone = false;

	ck_assert_ptr_nonnull(m);
	nrcpts = m->nrcpts;
	status_set(&st, 2, 0, 0, STAGE_dot, REASON_none, "taken");
	for (uint32_t i = 0; i < nrcpts && !gone; i++) {
		const struct store_change c = { .ordinal = i, .state = RCPT_DONE, .attempts = 1,
		    .status = &st };

		gone = store_settle(sp->store, m, &c, 1);
	}
	return gone;
}

static void UNUSED_OK
spool_defer(struct spool *sp, unsigned n, uint32_t ordinal, uint16_t attempts, const char *text)
{
	struct status st;
	const struct store_change c = { .ordinal = ordinal, .state = RCPT_QUEUED,
	    .attempts = attempts, .next_wall_ms = 5000 + attempts, .status = &st };

	status_set(&st, 4, 2, 2, STAGE_rcpt, REASON_smtp_4xx, "%s", text);
	ck_assert(!store_settle(sp->store, spool_get(sp, n), &c, 1));
}

struct read_wait {
	bool			 came;
	bool			 good;
	struct store_read	 r;
	struct spool		*sp;
};

static void
on_read(void *ctx, struct store_read *r, const struct fault *f)
{
	struct read_wait *w = ctx;

	w->came = true;
	w->good = r != NULL;
	ck_assert_int_eq(r == NULL, f != NULL);
	if (r != NULL)
		w->r = *r;
	loop_stop(w->sp->loop);
}

/* Reads a message by a helper thread. */
static bool UNUSED_OK
spool_read(struct spool *sp, unsigned n, struct store_read *out)
{
	struct read_wait w = { .sp = sp };

	store_read(sp->store, spool_get(sp, n), STORE_READ_BODY, on_read, &w);
	loop_run(sp->loop);
	ck_assert(w.came);
	*out = w.r;
	return w.good;
}

/* The message is there with this body. */
static void UNUSED_OK
spool_check(struct spool *sp, unsigned n, size_t size)
{
	uint8_t *body = body_of(n, size);
	char address[64];
	struct store_read r;
	struct fault f;
	int now = 0;

	ck_assert_msg(spool_get(sp, n) != NULL, "message %u is missing", n);
	ck_assert_uint_eq(spool_get(sp, n)->size, size);
	now = store_read_now(sp->store, spool_get(sp, n), STORE_READ_BODY, &r, &f);
	ck_assert_msg(now != -1, "message %u: %s", n, f.text);
	if (now == 0)
		ck_assert(spool_read(sp, n, &r));
	ck_assert_mem_eq(r.body, body, size);
	snprintf(address, sizeof address, "r%u.0@there.test", n);
	ck_assert_str_eq(r.envelope.recipients[0].address, address);
	store_read_free(&r);
	free(body);
}

/* ---- the directory ---- */

static unsigned UNUSED_OK
spool_files(struct spool *sp, const char *sub)
{
	char path[300];
	unsigned n = 0;
	DIR *d = NULL;
	struct dirent *e = NULL;

	snprintf(path, sizeof path, "%s/%s", sp->dir, sub);
	d = opendir(path);
	ck_assert_ptr_nonnull(d);
	while ((e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

/* A copy of the spool as it is on disk this moment: what a crash would leave. */
static void UNUSED_OK
spool_snapshot(const struct spool *sp, struct spool *copy)
{
	char cmd[700];

	spool_init(copy, sp->conf.segment_bytes);
	snprintf(cmd, sizeof cmd, "cp -a '%s/.' '%s'", sp->dir, copy->dir);
	ck_assert_int_eq(system(cmd), 0);
}
