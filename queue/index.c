/*
 * index.c - the tables of what is alive, and the accounts of the segments.
 * Never reads or writes a file; never calls back.
 * Read next: index.h, store.c (who changes it at run time), recover.c (at start).
 */
#include "queue/index.h"

#include <stdlib.h>
#include <string.h>

#define TOMBS_FIRST 1024u

static const void *
live_key(const void *value, size_t *n_r)
{
	const struct live *l = value;

	*n_r = sizeof l->m.id.b;
	return l->m.id.b;
}

static const void *
note_key(const void *value, size_t *n_r)
{
	const struct note *n = value;

	*n_r = n->key_len;
	return n->key;
}

void
index_init(struct index *ix)
{
	memset(ix, 0, sizeof *ix);
	ix->messages = hash_new(live_key);
	ix->notes = hash_new(note_key);
	ix->next_version = 1;
}

void
index_free(struct index *ix)
{
	size_t at = 0;
	struct live *l = NULL;
	struct note *n = NULL;

	if (ix->messages == NULL)
		return;
	while ((l = hash_next(ix->messages, &at)) != NULL)
		free(l);
	at = 0;
	while ((n = hash_next(ix->notes, &at)) != NULL) {
		buf_free(&n->fresh);
		free(n);
	}
	hash_free(&ix->messages);
	hash_free(&ix->notes);
	free(ix->tombs);
	segments_clear(&ix->segments);
	memset(ix, 0, sizeof *ix);
}

/* ---- accounts ---- */

static void
account_add(struct segment *seg, uint32_t span)
{
	seg->nlive++;
	seg->live_bytes += span;
}

static void
account_sub(struct index *ix, uint32_t number, uint32_t span, uint64_t mark)
{
	struct segment *seg = segments_find(&ix->segments, number);

	if (seg == NULL)
		return;
	seg->nlive--;
	seg->live_bytes -= span;
	if (seg->killed < mark)
		seg->killed = mark;
}

/* ---- messages ---- */

struct live *
index_find(const struct index *ix, const struct msgid *id)
{
	return hash_get(ix->messages, id->b, sizeof id->b);
}

struct live *
index_add(struct index *ix, const struct message_meta *m)
{
	struct live *l = xcalloc(1, sizeof *l + (size_t)m->nrcpts * sizeof l->rcpts[0]);

	l->m.id = m->id;
	l->m.size = m->size;
	l->m.arrival_wall_ms = m->arrival_wall_ms;
	l->m.nrcpts = l->m.nopen = m->nrcpts;
	l->m.body_file = (m->flags & MESSAGE_BODY_FILE) != 0;
	l->m.null_sender = (m->flags & MESSAGE_NULL_SENDER) != 0;
	l->m.rcpts = l->rcpts;
	list_init(&l->node);
	hash_put(ix->messages, l);
	return l;
}

void
index_place(struct index *ix, struct live *l, struct segment *seg, uint32_t offset,
    uint32_t meta_len, uint32_t body_len)
{
	const struct segment *old = l->m.segment == 0 ? NULL :
	    segments_find(&ix->segments, l->m.segment);

	if (old != NULL)
		account_sub(ix, l->m.segment, live_span(l), 0);
	/* Compaction takes the oldest first: when the first is gone, the last is next. */
	if (old != NULL && segments_find(&ix->segments, l->first) == NULL)
		l->first = l->m.segment;
	else if (old == NULL)
		l->first = seg->number;
	list_del(&l->node);
	l->m.segment = seg->number;
	l->m.offset = offset;
	l->meta_len = meta_len;
	l->body_len = body_len;
	list_add_tail(&seg->messages, &l->node);
	account_add(seg, live_span(l));
}

void
index_count(struct index *ix, struct live *l)
{
	l->m.durable = true;
	ix->nmessages++;
	ix->nrcpts += l->m.nopen;
	ix->bytes += l->m.size;
}

void
index_forget(struct index *ix, struct live **lp, uint64_t mark)
{
	struct live *l = *lp;

	*lp = NULL;
	if (l->m.durable) {
		ix->nmessages--;
		ix->nrcpts -= l->m.nopen;
		ix->bytes -= l->m.size;
	}
	if (l->m.segment != 0)
		account_sub(ix, l->m.segment, live_span(l), mark);
	list_del(&l->node);
	hash_del(ix->messages, l->m.id.b, sizeof l->m.id.b);
	free(l);
}

bool
index_change(struct index *ix, struct live *l, const struct settle_item *i)
{
	struct store_rcpt *rcpt = NULL;

	if (i->ordinal >= l->m.nrcpts)
		return false;
	rcpt = &l->rcpts[i->ordinal];
	if (rcpt->state != RCPT_DONE && i->state == RCPT_DONE) {
		l->m.nopen--;
		if (l->m.durable)
			ix->nrcpts--;
	}
	if (rcpt->state != RCPT_DONE)	/* done is done: a late word changes nothing */
		rcpt->state = i->state;
	/* What was told cannot be untold: the payer's record may stand before this one. */
	rcpt->flags = (uint8_t)(i->flags | (rcpt->flags & RCPT_DELAY_TOLD));
	rcpt->attempts = i->attempts;
	rcpt->next_wall_ms = i->next_wall_ms;
	if (i->has_status)
		rcpt->reason = i->reason;
	return true;
}

bool
index_pay(struct index *ix, struct live *l, const struct store_debt *d)
{
	struct store_rcpt *rcpt = NULL;

	if (d->ordinal >= l->m.nrcpts)
		return false;
	rcpt = &l->rcpts[d->ordinal];
	if (d->delay) {
		rcpt->flags |= RCPT_DELAY_TOLD;
	} else if (rcpt->state == RCPT_OWED) {
		rcpt->state = RCPT_DONE;
		l->m.nopen--;
		if (l->m.durable)
			ix->nrcpts--;
	}
	return l->m.nopen == 0;
}

/* ---- settled ids ---- */

static size_t
tomb_slot(const struct index *ix, const struct msgid *id)
{
	uint64_t h = 0;

	/* The tail is random, minted by ourselves: no peer chooses it. */
	memcpy(&h, id->b + 8, sizeof h);
	h *= 0x9e3779b97f4a7c15u;
	return (size_t)(h >> 20) & (ix->tombs_cap - 1);
}

static struct tomb *
tomb_find(const struct index *ix, const struct msgid *id)
{
	size_t at = 0;

	if (ix->tombs_cap == 0)
		return NULL;
	at = tomb_slot(ix, id);
	while (ix->tombs[at].segment != 0 &&
	    memcmp(ix->tombs[at].id.b, id->b, sizeof id->b) != 0)
		at = (at + 1) & (ix->tombs_cap - 1);
	return &ix->tombs[at];
}

/* Room for one more; ids of segments that went are left out. */
static void
tombs_rebuild(struct index *ix)
{
	struct tomb *old = ix->tombs;
	const size_t n = ix->tombs_cap;
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		kept += old[i].segment != 0 &&
		    segments_find(&ix->segments, old[i].segment) != NULL;
	ix->tombs_cap = TOMBS_FIRST;
	while (ix->tombs_cap < (kept + 1) * 3)
		ix->tombs_cap *= 2;
	ix->tombs = xcalloc(ix->tombs_cap, sizeof *ix->tombs);
	ix->ntombs = kept;
	for (size_t i = 0; i < n; i++) {
		if (old[i].segment != 0 &&
		    segments_find(&ix->segments, old[i].segment) != NULL)
			*tomb_find(ix, &old[i].id) = old[i];
	}
	free(old);
}

void
index_finish(struct index *ix, struct live **l, uint64_t mark)
{
	const struct msgid id = (*l)->m.id;
	const uint32_t segment = (*l)->m.segment;
	struct tomb *t = NULL;

	index_forget(ix, l, mark);
	if (segment == 0)
		return;
	if ((ix->ntombs + 1) * 3 > ix->tombs_cap * 2)
		tombs_rebuild(ix);
	t = tomb_find(ix, &id);
	ix->ntombs += t->segment == 0;
	*t = (struct tomb){ .id = id, .segment = segment };
}

bool
index_settled(const struct index *ix, const struct msgid *id)
{
	const struct tomb *t = tomb_find(ix, id);

	return t != NULL && t->segment != 0 && segments_find(&ix->segments, t->segment) != NULL;
}

/* ---- notes ---- */

#define NOTE_KEY_MAX 2048u

struct note *
note_find(const struct index *ix, uint8_t kind, const char *key, size_t key_len)
{
	uint8_t k[NOTE_KEY_MAX];

	if (key_len >= sizeof k)
		return NULL;
	k[0] = kind;
	memcpy(k + 1, key, key_len);
	return hash_get(ix->notes, k, key_len + 1);
}

struct note *
note_add(struct index *ix, uint8_t kind, const char *key, size_t key_len)
{
	struct note *n = xcalloc(1, sizeof *n + key_len + 2);

	n->key[0] = kind;
	memcpy(n->key + 1, key, key_len);	/* and a 0, for the callers */
	n->key_len = key_len + 1;
	list_init(&n->node);
	hash_put(ix->notes, n);
	return n;
}

void
note_unplace(struct index *ix, struct note *n, uint64_t mark)
{
	if (n->segment != 0)
		account_sub(ix, n->segment, n->span, mark);
	list_del(&n->node);
	n->segment = n->offset = 0;
}

void
note_place(struct index *ix, struct note *n, struct segment *seg, uint32_t offset, uint32_t span)
{
	note_unplace(ix, n, 0);
	if (n->first == 0)
		n->first = seg->number;
	else if (segments_find(&ix->segments, n->first) == NULL)
		n->first = ix->segments.v[0]->number;	/* or any later one: at least not after */
	n->segment = seg->number;
	n->offset = offset;
	n->span = span;
	list_add_tail(&seg->notes, &n->node);
	account_add(seg, span);
	buf_free(&n->fresh);
}

void
note_forget(struct index *ix, struct note **np, uint64_t mark)
{
	struct note *n = *np;

	*np = NULL;
	note_unplace(ix, n, mark);
	hash_del(ix->notes, n->key, n->key_len);
	buf_free(&n->fresh);
	free(n);
}

/* ---- sums ---- */

uint64_t
index_live_bytes(const struct index *ix)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < ix->segments.n; i++)
		sum += ix->segments.v[i]->live_bytes;
	return sum;
}

uint64_t
index_log_bytes(const struct index *ix)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < ix->segments.n; i++)
		sum += ix->segments.v[i]->size;
	return sum;
}
