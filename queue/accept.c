/*
 * accept.c - one new message from the call to its answer.
 * Never answers from inside the call; never says done before the commit that
 * holds the message is synced; never answers one call twice.
 * Read next: store_own.h (the path of an accept), commit.c, bodies.c.
 */
#include <stdlib.h>
#include <string.h>

#include "mta/base/crc32c.h"
#include "mta/base/log.h"
#include "mta/base/loop.h"
#include "queue/store_own.h"

struct reply {
	struct reply		*next;
	store_accept_fn		*done;
	void			*ctx;
	enum store_result	 result;
	struct status		 status;	/* with REFUSED */
};

/* ---- answers ---- */

void
reply_later(struct store *s, store_accept_fn *done, void *ctx, enum store_result r, const struct status *st)
{
	struct reply *reply = xcalloc(1, sizeof *reply);

	reply->done = done;
	reply->ctx = ctx;
	reply->result = r;
	if (st != NULL)
		reply->status = *st;
	*s->commit.last_reply = reply;
	s->commit.last_reply = &reply->next;
	commit_kick(s);
}

void
replies_run(struct store *s)
{
	struct reply *all = s->commit.replies;

	s->commit.replies = NULL;	/* what a callback adds waits for the next turn */
	s->commit.last_reply = &s->commit.replies;
	while (all != NULL) {
		struct reply *reply = all;

		all = reply->next;
		reply->done(reply->ctx, reply->result, NULL,
		    reply->result == STORE_REFUSED ? &reply->status : NULL);
		free(reply);
	}
}

void
replies_free(struct store *s)
{
	while (s->commit.replies != NULL) {
		struct reply *reply = s->commit.replies;

		s->commit.replies = reply->next;
		free(reply);
	}
	s->commit.last_reply = &s->commit.replies;
}

void
accept_free(struct accept **ap)
{
	struct accept *a = *ap;

	*ap = NULL;
	while (a != NULL) {
		struct accept *same = a->same;

		free(a->debts);
		buf_free(&a->record);
		free(a);
		a = same;
	}
}

/* ---- debts ---- */

/* A debtor under payment is not copied: its copy would be older than the payment. */
static void
debts_mark(struct store *s, const struct accept *a, int step)
{
	for (size_t i = 0; i < a->ndebts; i++) {
		struct live *l = index_find(&s->ix, &a->debts[i].id);

		if (l != NULL)
			l->paying = (uint16_t)(l->paying + step);
	}
}

static void
debts_pay(struct store *s, const struct accept *a)
{
	for (size_t i = 0; i < a->ndebts; i++) {
		struct live *l = index_find(&s->ix, &a->debts[i].id);

		if (l == NULL)
			continue;
		l->paying--;
		if (index_pay(&s->ix, l, &a->debts[i]))
			message_finish(s, &l);
	}
}

/* The segment with this accept may not go before those of its debtors. */
static uint32_t
debts_min_ref(struct store *s, const struct store_new *n)
{
	uint32_t min = NO_REF;

	for (size_t i = 0; i < n->npays; i++) {
		const struct live *l = index_find(&s->ix, &n->pays[i].id);

		if (l != NULL && l->first < min)
			min = l->first;
	}
	return min;
}

/* ---- outcome ---- */

void
accept_written(struct store *s, struct accept *a, struct segment *seg, uint32_t offset, const struct record_header *h)
{
	index_place(&s->ix, a->live, seg, offset, h->meta_len, h->body_len);
}

void
accept_synced(struct store *s, struct accept *a)
{
	struct live *l = a->live;

	l->m.user = NULL;
	index_count(&s->ix, l);
	debts_pay(s, a);
	for (struct accept *same = a->same; same != NULL; same = same->same)
		reply_later(s, same->done, same->ctx, STORE_HAVE_IT, NULL);
	a->done(a->ctx, STORE_DONE, &l->m, NULL);
	accept_free(&a);
}

void
accept_withdraw(struct store *s, struct accept *a)
{
	debts_mark(s, a, -1);
	if (a->live->m.body_file)
		bodies_finish(s, &a->live->m.id);
	index_forget(&s->ix, &a->live, commit_mark(s));
}

void
accept_refuse(struct store *s, struct accept *a, const struct status *why)
{
	for (struct accept *same = a->same; same != NULL; same = same->same)
		reply_later(s, same->done, same->ctx, STORE_REFUSED, why);
	reply_later(s, a->done, a->ctx, STORE_REFUSED, why);
	accept_free(&a);
}

/* ---- the call ---- */

/* Known already, or not to be had: answered.  False: go on. */
static bool
answer_at_once(struct store *s, const struct store_new *n, store_accept_fn *done, void *ctx)
{
	struct live *l = index_find(&s->ix, &n->id);
	struct status why;

	if (l != NULL && !l->m.durable) {
		struct accept *first = l->m.user, *a = xcalloc(1, sizeof *a);

		a->done = done;
		a->ctx = ctx;
		a->same = first->same;
		first->same = a;
		return true;
	}
	if (l != NULL || index_settled(&s->ix, &n->id)) {
		reply_later(s, done, ctx, STORE_HAVE_IT, NULL);
		return true;
	}
	if (s->commit.broken)
		status_set(&why, 4, 3, 0, STAGE_queue, REASON_local, "the spool cannot be written");
	else if (!n->reserve && !room_for(s, n->size))
		status_set(&why, 4, 3, 1, STAGE_queue, REASON_local, "no room: %s", s->room.why);
	else if (n->envelope->nrecipients == 0)
		status_set(&why, 5, 5, 0, STAGE_queue, REASON_local, "a message without recipients");
	else if (!n->body_file && crc32c(0, n->body, n->size) != n->body_crc)
		status_set(&why, 4, 3, 0, STAGE_queue, REASON_local, "the message was damaged on its way to the spool");
	else
		return false;
	reply_later(s, done, ctx, STORE_REFUSED, &why);
	return true;
}

static size_t
envelope_guess(const struct envelope *e)
{
	size_t n = 4096 + strlen(e->sender);

	/* 48: what frames an address, and its state when compaction copies it. */
	for (uint32_t i = 0; i < e->nrecipients; i++)
		n += 48 + strlen(e->recipients[i].address) +
		    (e->recipients[i].orcpt == NULL ? 0 : strlen(e->recipients[i].orcpt));
	return n;
}

static void
record_build(struct buf *b, size_t start, const struct store_new *n)
{
	const struct message_meta meta = {
		.id = n->id,
		.flags = (uint8_t)((n->body_file ? MESSAGE_BODY_FILE : 0) |
		    (n->envelope->sender[0] == '\0' ? MESSAGE_NULL_SENDER : 0)),
		.size = n->size,
		.body_crc = n->body_crc,
		.arrival_wall_ms = n->envelope->arrival_wall_ms,
		.nrcpts = n->envelope->nrecipients,
	};

	message_meta_encode(b, &meta, n->envelope);
	buf_u32(b, (uint32_t)n->npays);
	for (size_t i = 0; i < n->npays; i++)
		debt_encode(b, &n->pays[i]);
	record_meta_done(b, start);
	if (n->body_file) {
		record_end(b, start, 0, 0);
		return;
	}
	buf_add(b, n->body, n->size);
	record_end(b, start, (uint32_t)n->size, n->body_crc);
}

static struct accept *
accept_new(struct store *s, const struct store_new *n, store_accept_fn *done, void *ctx)
{
	struct accept *a = xcalloc(1, sizeof *a);
	const struct message_meta meta = {
		.id = n->id, .size = n->size, .nrcpts = n->envelope->nrecipients,
		.arrival_wall_ms = n->envelope->arrival_wall_ms,
		.flags = (uint8_t)((n->body_file ? MESSAGE_BODY_FILE : 0) |
		    (n->envelope->sender[0] == '\0' ? MESSAGE_NULL_SENDER : 0)),
	};

	list_init(&a->link);
	a->store = s;
	a->done = done;
	a->ctx = ctx;
	a->own = n->reserve;
	a->min_ref = debts_min_ref(s, n);
	a->live = index_add(&s->ix, &meta);
	a->live->m.user = a;
	if (n->npays > 0) {
		a->debts = xmalloc(n->npays * sizeof *a->debts);
		memcpy(a->debts, n->pays, n->npays * sizeof *a->debts);
		a->ndebts = n->npays;
		debts_mark(s, a, 1);
	}
	return a;
}

void
store_accept(struct store *s, const struct store_new *n, store_accept_fn *done, void *ctx)
{
	const size_t guess = RECORD_HEADER + envelope_guess(n->envelope) + n->npays * 24 +
	    (n->body_file ? 0 : n->size);
	struct accept *a = NULL;
	struct buf *b = NULL;
	struct status why;
	size_t start = 0;

	if (answer_at_once(s, n, done, ctx))
		return;
	if (guess > commit_largest(s)) {
		status_set(&why, 5, 3, 4, STAGE_queue, REASON_local,
		    "too large for the spool without a file of its own");
		reply_later(s, done, ctx, STORE_REFUSED, &why);
		return;
	}
	a = accept_new(s, n, done, ctx);
	if (n->body_file) {
		record_build(&a->record, record_begin(&a->record, RECORD_ACCEPT), n);
		bodies_accept(s, a, n->size);
		return;
	}
	start = commit_begin(s, a->own, RECORD_ACCEPT, guess, &b);
	record_build(b, start, n);
	commit_end(s, a->own, start, &(struct entry){ .kind = ENTRY_ACCEPT, .who = a,
	    .min_ref = a->min_ref }, true);
}
