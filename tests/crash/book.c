/*
 * book.c - the oracle: what an image must hold, may hold and must not hold.
 * Never knows how the store does it: only what it said, and when.
 * Read next: book.h, queue/README.md (the crash table).
 */
#include "tests/crash/book.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mta/base/crc32c.h"
#include "queue/file.h"
#include "queue/store_own.h"

/* ---- what a number stands for ---- */

struct msgid
book_id(uint32_t n)
{
	struct msgid id = { { 0 } };

	for (int i = 0; i < 16; i++)
		id.b[i] = (uint8_t)((n + 7) * 2654435761u >> (i % 4 * 8));
	memcpy(id.b, &n, sizeof n);
	return id;
}

uint32_t
book_of(const struct msgid *id)
{
	struct msgid same;
	uint32_t n = 0;

	memcpy(&n, id->b, sizeof n);
	same = book_id(n);
	return n < BOOK_MESSAGES && memcmp(same.b, id->b, sizeof id->b) == 0 ? n : UINT32_MAX;
}

uint8_t *
book_body(uint32_t n, size_t size)
{
	uint8_t *b = xmalloc(size + 1);
	uint32_t x = n * 747796405u + 1;

	for (size_t i = 0; i < size; i++) {
		x = x * 1664525u + 1013904223u;
		b[i] = (uint8_t)(x >> 24);
	}
	return b;
}

void
book_address(uint32_t n, uint32_t ordinal, char buf[48])
{
	snprintf(buf, 48, "r%u.%u@there.test", n, ordinal);
}

void
book_new(const struct book *b, uint32_t n, struct book_new *out)
{
	const struct booked *m = &b->messages[n];

	memset(out, 0, sizeof *out);
	out->envelope = (struct envelope){ .sender = "a@here.test", .listener = "l",
	    .client = "192.0.2.1", .helo = "h", .arrival_wall_ms = 1000 + n,
	    .recipients = out->rcpts, .nrecipients = m->nrcpts };
	for (uint32_t i = 0; i < m->nrcpts; i++) {
		book_address(n, i, out->addresses[i]);
		out->rcpts[i].address = out->addresses[i];
	}
	out->body = book_body(n, m->size);
	out->n = (struct store_new){ .id = book_id(n), .envelope = &out->envelope,
	    .body = m->body_file ? NULL : out->body, .size = m->size,
	    .body_crc = crc32c(0, out->body, m->size), .body_file = m->body_file,
	    .reserve = m->dsn };
	if (m->dsn) {
		out->debt = (struct store_debt){ .id = book_id(m->debtor),
		    .ordinal = m->debtor_rcpt };
		out->n.pays = &out->debt;
		out->n.npays = 1;
	}
}

/* ---- durability ---- */

void
book_mark(struct book *b, uint32_t op, uint32_t tick)
{
	if (b->nmarks < BOOK_MARKS) {
		b->marks[b->nmarks].op = op;
		b->marks[b->nmarks++].tick = tick;
	}
}

uint32_t
book_durable_tick(const struct book *b, uint32_t at)
{
	uint32_t tick = 0;

	for (uint32_t i = 0; i < b->nmarks && b->marks[i].op <= at; i++)
		if (b->marks[i].tick > tick)
			tick = b->marks[i].tick;
	return tick;
}

/* ---- judging ---- */

struct judge {
	const struct book	*b;
	uint32_t		 at, durable;
	struct store		*s;
	const struct found	*f;
	char			*why;
	size_t			 size;
};

static bool PRINTF_LIKE(2, 3)
wrong(const struct judge *j, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(j->why, j->size, fmt, ap);
	va_end(ap);
	return false;
}

bool
change_is(const struct change *c, const struct store_rcpt *r)
{
	return c->state == r->state && c->flags == r->flags && c->attempts == r->attempts &&
	    c->next_wall_ms == r->next_wall_ms;
}

static bool
acked(const struct judge *j, uint32_t n)
{
	return j->b->messages[n].ack_op <= j->at;
}

/* A change that may be what the image holds. */
static bool
possible(const struct judge *j, const struct change *c)
{
	return c->op <= j->at && c->dead_op > j->at;
}

/* The latest change that must be in the image, or one after it. */
static uint32_t
oldest_right(const struct judge *j, const struct booked *m, uint32_t rcpt)
{
	uint32_t least = 0;

	for (uint32_t i = 1; i < m->rcpts[rcpt].n; i++) {
		const struct change *c = &m->rcpts[rcpt].v[i];

		if (c->op <= j->at && c->dead_op == OP_NEVER &&
		    (c->dsn != 0 ? acked(j, c->dsn - 1) : c->tick <= j->durable))
			least = i;
	}
	return least;
}

/* Which change of a recipient the image holds; UINT32_MAX: none that it may. */
static uint32_t
match(const struct judge *j, const struct booked *m, uint32_t rcpt, const struct store_rcpt *r)
{
	for (uint32_t i = m->rcpts[rcpt].n; i-- > oldest_right(j, m, rcpt);) {
		const struct change *c = &m->rcpts[rcpt].v[i];

		if (possible(j, c) && change_is(c, r))
			return i;
	}
	return UINT32_MAX;
}

static bool
may_be_gone(const struct judge *j, const struct booked *m)
{
	for (uint32_t r = 0; r < m->nrcpts; r++) {
		bool done = false;

		for (uint32_t i = oldest_right(j, m, r); i < m->rcpts[r].n; i++)
			done |= possible(j, &m->rcpts[r].v[i]) &&
			    m->rcpts[r].v[i].state == RCPT_DONE;
		if (!done)
			return false;
	}
	return true;
}

static bool
must_be_gone(const struct judge *j, const struct booked *m)
{
	for (uint32_t r = 0; r < m->nrcpts; r++)
		if (m->rcpts[r].v[oldest_right(j, m, r)].state != RCPT_DONE)
			return false;
	return true;
}

/* ---- one message ---- */

static bool
judge_body(const struct judge *j, uint32_t n, const struct store_message *sm)
{
	const struct booked *m = &j->b->messages[n];
	uint8_t *want = book_body(n, m->size), *got = NULL;
	uint64_t size = 0;
	char address[48];
	struct store_read r = { .body_fd = -1 };
	struct fault f = { 0 };
	char name[MSGID_TEXT_MAX];
	bool good = true;
	int fd = -1;

	if (store_read_now(j->s, sm, m->body_file ? 0 : STORE_READ_BODY, &r, &f) != 1) {
		free(want);
		return wrong(j, "message %u cannot be read: %s", n, f.text);
	}
	for (uint32_t i = 0; i < m->nrcpts; i++) {
		book_address(n, i, address);
		good &= i < r.envelope.nrecipients &&
		    strcmp(r.envelope.recipients[i].address, address) == 0;
	}
	if (m->body_file) {
		got = xmalloc(m->size + 1);
		fd = file_open_read(j->s->dirs.bodies, msgid_text(&sm->id, name));
		good &= fd != -1 && file_size(fd, &size) == 0 && size == m->size &&
		    file_pread(fd, got, m->size, 0) == 0;
		file_close(&fd);
	}
	good = good && memcmp(m->body_file ? got : r.body, want, m->size) == 0;
	store_read_free(&r);
	free(got);
	free(want);
	return good || wrong(j, "message %u is not what was accepted%s", n,
	    m->body_file ? " (a body of its own)" : "");
}

struct told_history {
	const struct booked	*m;
	uint32_t		 rcpt, next;	/* change to be told, from the latest down */
	unsigned		 n;
	bool			 wrong;
	char			 got[16], want[16];	/* the last one told */
};

static void
on_history(void *ctx, int64_t wall_ms, uint8_t state, const struct status *st)
{
	struct told_history *t = ctx;
	const struct change *v = t->m->rcpts[t->rcpt].v, *c = NULL;

	(void)wall_ms;
	if (t->wrong)
		return;
	while (t->next > 0 && (v[t->next].text == 0 || v[t->next].dead_op != OP_NEVER))
		t->next--;
	c = &v[t->next];
	t->next -= t->next > 0;
	snprintf(t->want, sizeof t->want, "t%u", c->text);
	snprintf(t->got, sizeof t->got, "%.15s", st->text);
	t->wrong = strcmp(t->want, t->got) != 0 || state != c->state;
	t->n++;
}

static bool
judge_history(const struct judge *j, uint32_t n, const struct store_message *sm, uint32_t rcpt, uint32_t held)
{
	const struct booked *m = &j->b->messages[n];
	struct told_history t = { .m = m, .rcpt = rcpt, .next = held };
	unsigned want = 0;

	for (uint32_t i = 1; i <= held; i++)
		want += m->rcpts[rcpt].v[i].text != 0 && m->rcpts[rcpt].v[i].dead_op == OP_NEVER;
	if (want > 10)
		want = 10;
	store_history(j->s, sm, rcpt, want, on_history, &t);
	/* Known: compaction may lose old ones; those that are told are the right ones. */
	return !t.wrong || wrong(j,
	    "message %u recipient %u: status %u of %u is \"%s\", wanted \"%s\"", n, rcpt, t.n,
	    want, t.got, t.want);
}

static bool
judge_recipients(const struct judge *j, uint32_t n, const struct store_message *sm)
{
	const struct booked *m = &j->b->messages[n];

	for (uint32_t r = 0; r < m->nrcpts; r++) {
		const uint32_t held = match(j, m, r, &sm->rcpts[r]);
		const struct change *c = &m->rcpts[r].v[held == UINT32_MAX ? 0 : held];
		const struct msgid dsn = book_id(c->dsn - 1);

		if (held == UINT32_MAX)
			return wrong(j, "message %u recipient %u: state %u attempts %u, "
			    "older than what is durable or never asked for", n, r,
			    sm->rcpts[r].state, sm->rcpts[r].attempts);
		if (c->dead_op == OP_NEVER && !judge_history(j, n, sm, r, held))
			return false;
		if (c->dsn != 0 && store_find(j->s, &dsn) == NULL &&
		    !may_be_gone(j, &j->b->messages[c->dsn - 1]))
			return wrong(j, "message %u recipient %u: paid by a DSN that is not there", n, r);
		for (uint32_t i = held + 1; i < m->rcpts[r].n; i++) {
			const struct msgid next = book_id(m->rcpts[r].v[i].dsn - 1);

			if (m->rcpts[r].v[i].dsn != 0 && store_find(j->s, &next) != NULL)
				return wrong(j, "message %u recipient %u: a DSN is there, the debt too", n, r);
		}
	}
	return true;
}

static bool
judge_message(const struct judge *j, uint32_t n)
{
	const struct booked *m = &j->b->messages[n];
	const struct msgid id = book_id(n);
	const struct store_message *sm = store_find(j->s, &id);
	const bool there = sm != NULL;

	if (j->f->told[n] != (there ? 1u : 0u))
		return wrong(j, "message %u was told %u times by recovery", n, j->f->told[n]);
	if (!there)
		return !acked(j, n) || may_be_gone(j, m) ||
		    wrong(j, "message %u was accepted and is lost", n);
	if (m->op > j->at)
		return wrong(j, "message %u is there before it was sent", n);
	if (m->refused_op <= j->at)
		return wrong(j, "message %u was refused and is there", n);
	if (must_be_gone(j, m))
		return wrong(j, "message %u is finished and came back", n);
	if (sm->size != m->size || sm->nrcpts != m->nrcpts)
		return wrong(j, "message %u has another size or other recipients", n);
	return judge_recipients(j, n, sm) && judge_body(j, n, sm);
}

static bool
judge_note(const struct judge *j, uint32_t at)
{
	const struct booked_note *note = &j->b->notes[at];
	bool good = j->f->notes[at] == 0;

	for (uint32_t i = 0; i < note->n && note->v[i].op <= j->at; i++) {
		if (note->v[i].tick <= j->durable)
			good = false;		/* what was before is over */
		good |= note->v[i].value == j->f->notes[at];
	}
	return good || wrong(j, "note %u has the value %u, older than what is durable or never put",
	    at, j->f->notes[at]);
}

bool
book_judge(const struct book *b, uint32_t at, struct store *s, const struct found *f, char *why, size_t size)
{
	const struct judge j = { b, at, book_durable_tick(b, at), s, f, why, size };

	if (f->foreign)
		return wrong(&j, "recovery told of something that nobody sent");
	for (uint32_t i = 0; i < BOOK_MESSAGES; i++)
		if (i < b->n ? !judge_message(&j, i) : f->told[i] != 0)
			return i < b->n ? false : wrong(&j, "message %u was never sent", i);
	for (uint32_t i = 0; i < BOOK_NOTES; i++)
		if (!judge_note(&j, i))
			return false;
	return true;
}

static uint64_t
mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15u;
	return h ^ h >> 29;
}

uint64_t
book_digest(const struct book *b, struct store *s, const struct found *f)
{
	uint64_t h = 1;

	for (uint32_t n = 0; n < b->n; n++) {
		const struct msgid id = book_id(n);
		const struct store_message *m = store_find(s, &id);

		h = mix(h, m != NULL);
		for (uint32_t i = 0; m != NULL && i < m->nrcpts; i++) {
			h = mix(h, m->rcpts[i].state + 8u * m->rcpts[i].flags);
			h = mix(h, m->rcpts[i].attempts);
			h = mix(h, (uint64_t)m->rcpts[i].next_wall_ms);
		}
	}
	for (uint32_t i = 0; i < BOOK_NOTES; i++)
		h = mix(h, f->notes[i]);
	return h;
}
