/*
 * question.c - one question to the servers of a set: who is asked when, and
 * which answer wins.
 * Never judges for the mail: it ends with the outcome of the question.  Packets
 * live on after their question is answered, until their own time is over, so
 * that a slow server is told from a dead one.
 * Read next: answer.c (what counts), nexthop_host.c (who asks).
 */
#include <stdlib.h>
#include <string.h>

#include "mta/base/clock.h"
#include "mta/base/counters.h"
#include "mta/base/log.h"
#include "mta/base/loop.h"
#include "mta/base/mem.h"
#include "mta/base/str.h"
#include "mta/dns/cache.h"
#include "mta/dns/channel.h"
#include "mta/dns/packet.h"
#include "mta/dns/resolver.h"

#define ASKED_MAX 32u

/* A server in the eyes of one question. */
struct candidate {
	struct dns_server	*server;
	unsigned		 tries;		/* begun */
	bool			 out;		/* one is in flight */
	bool			 gave;		/* soft: not asked again */
};

/*
 * A question in flight.  Servers are asked in turn: the next after hedge of
 * silence, or at once when one gave a soft answer or its time is over.
 */
struct question {
	struct list		 node;		/* in set->questions */
	struct dns_set		*set;		/* counted */
	char			 name[256];	/* as asked */
	char			 now[256];	/* or where its CNAMEs led */
	uint16_t		 qtype;
	bool			 stale;		/* flushed: not joined or cached */
	struct list		 waiters;	/* struct dns_ask */
	struct loop_timer	*hedge;
	struct candidate	*candidates;
	size_t			 ncandidates;
	unsigned		 chain;
	uint32_t		 chain_ttl_s;
	struct dns_asked	 asked[ASKED_MAX];
	size_t			 nasked;
	uint16_t		 soft;		/* weightiest so far; 0: none */
	char			 soft_server[64];
	enum trace_transport	 soft_via;
	uint32_t		 soft_ms;
};

/* One packet to one server (UDP, and TCP after it). */
struct try {
	struct list		 node;		/* in set->tries_out */
	struct dns_set		*set;		/* counted */
	struct question		*q;		/* NULL: the question is over */
	struct candidate	*candidate;	/* in q */
	struct dns_server	*server;
	struct dns_packet_ask	*ask;
	enum trace_transport	 via;
	uint16_t		 udp_outcome;	/* why TCP was taken; 0: not */
	int64_t			 begun_ms;
	char			 name[256];
	uint16_t		 qtype;
};

struct dns_ask {
	struct list	 node;		/* in question->waiters */
	struct question	*q;
	dns_ask_fn	*fn;
	void		*ctx;
};

static void question_advance(struct question *q);
static void on_try_end(void *ctx, enum channel_end end, const uint8_t *p,
    size_t n);

/* ---- one packet ---- */

static void
try_send(struct try *t, enum trace_transport via)
{
	struct dns_server *sv = t->server;
	struct dns_channel **ch = via == VIA_TCP ? &sv->tcp : &sv->udp;
	uint8_t query[PACKET_QUERY_MAX];
	const size_t n = packet_query(query, packet_random_id(), t->name,
	    t->qtype);

	if (*ch == NULL)
		*ch = dns_channel_new(t->set->r->loop, &sv->addr,
		    via == VIA_TCP);
	sv->asked++;
	t->via = via;
	t->begun_ms = clock_mono_ms();
	t->ask = dns_channel_ask(*ch, query, n, t->set->timeout_ms, on_try_end,
	    t);
}

static void
try_begin(struct question *q, struct candidate *c)
{
	struct try *t = xcalloc(1, sizeof *t);

	t->set = q->set;
	t->set->refs++;
	t->q = q;
	t->candidate = c;
	t->server = c->server;
	t->qtype = q->qtype;
	str_copy(t->name, sizeof t->name, q->now);
	list_add_tail(&q->set->tries_out, &t->node);
	c->tries++;
	c->out = true;
	if (c->server->cooldown_until_ms != 0)
		c->server->probing = true;
	try_send(t, q->set->protocol == PROTOCOL_TCP ? VIA_TCP : VIA_UDP);
}

static void
try_free(struct try *t)
{
	struct dns_set *s = t->set;

	dns_channel_abandon(&t->ask);
	list_del(&t->node);
	free(t);
	dns_set_unref(&s);
}

/* ---- what is remembered of it ---- */

static struct dns_asked *
note_asked(struct question *q, const struct try *t, uint16_t outcome)
{
	struct dns_asked *a = &q->asked[q->nasked];

	if (q->nasked == ASKED_MAX)
		return NULL;
	q->nasked++;
	*a = (struct dns_asked){
		.qtype = t->qtype, .outcome = outcome, .via = t->via,
		.ms = (uint32_t)(clock_mono_ms() - t->begun_ms),
	};
	str_copy(a->name, sizeof a->name, t->name);
	str_copy(a->server, sizeof a->server, t->server->text);
	return a;
}

static void
note_soft(struct question *q, const struct try *t, uint16_t outcome)
{
	if (q->soft != 0 &&
	    dns_soft_weight(outcome) <= dns_soft_weight(q->soft))
		return;
	q->soft = outcome;
	q->soft_via = t->via;
	q->soft_ms = (uint32_t)(clock_mono_ms() - t->begun_ms);
	str_copy(q->soft_server, sizeof q->soft_server, t->server->text);
}

/* ---- the end of a question ---- */

static void
question_free(struct question *q)
{
	struct dns_set *s = q->set;

	LIST_EACH(it, &s->tries_out) {
		struct try *t = LIST_OWNER(it, struct try, node);

		if (t->q == q)
			t->q = NULL;
	}
	list_del(&q->node);
	loop_timer_free(&q->hedge);
	free(q->candidates);
	free(q);
	dns_set_unref(&s);
}

/* Hands the result to all who wait; from the loop only. */
static void
question_end(struct question *q, const struct dns_answer *a, const char *server,
    enum trace_transport via, uint32_t ms)
{
	struct dns_result res = {
		.answer = a, .server = server, .via = via, .source = SRC_FRESH,
		.ttl_s = a->ttl_s, .asked = q->asked, .nasked = q->nasked,
		.ms = ms,
	};

	list_del(&q->node);		/* asked again now, it is a new one */
	if (!q->stale)
		cache_put(q->set->cache, q->name, q->qtype, a, server, via,
		    clock_mono_ms());
	while (!list_empty(&q->waiters)) {
		struct dns_ask *w =
		    LIST_OWNER(q->waiters.next, struct dns_ask, node);
		dns_ask_fn *fn = w->fn;
		void *ctx = w->ctx;

		list_del(&w->node);
		free(w);
		fn(ctx, &res);
	}
	question_free(q);
}

static void
question_end_soft(struct question *q)
{
	struct dns_answer a;
	char server[64];

	answer_set(&a, q->soft != 0 ? q->soft : OUT_TIMEOUT);
	str_copy(server, sizeof server, q->soft_server);
	/* The one that is reported last is the result itself. */
	for (size_t i = q->nasked; i-- > 0;) {
		if (q->asked[i].outcome != a.outcome ||
		    q->asked[i].via != q->soft_via ||
		    strcmp(q->asked[i].server, server) != 0)
			continue;
		memmove(&q->asked[i], &q->asked[i + 1],
		    (q->nasked - i - 1) * sizeof q->asked[0]);
		q->nasked--;
		break;
	}
	question_end(q, &a, server, q->soft_via, q->soft_ms);
}

/* A CNAME leads out of the packet: the servers are asked for its target. */
static void
question_follow(struct question *q, const struct try *t,
    const struct dns_answer *a)
{
	struct dns_asked *said = note_asked(q, t, OUT_NOERROR);

	if (said != NULL) {
		said->qtype = QTYPE_CNAME;
		str_copy(said->target, sizeof said->target, a->cname);
	}
	q->chain += a->chain;
	if (a->ttl_s < q->chain_ttl_s)
		q->chain_ttl_s = a->ttl_s;
	LIST_EACH(it, &q->set->tries_out) {
		struct try *other = LIST_OWNER(it, struct try, node);

		if (other->q == q)
			other->q = NULL;
	}
	for (size_t i = 0; i < q->ncandidates; i++)
		q->candidates[i] = (struct candidate){
			.server = q->candidates[i].server };
	str_copy(q->now, sizeof q->now, a->cname);
	q->soft = 0;
	question_advance(q);
}

/* ---- an answer, or none ---- */

/* TC, or not to be understood: the same again by TCP, if that may be. */
static bool
try_by_tcp(struct try *t, uint16_t outcome)
{
	if (t->via != VIA_UDP || t->set->protocol != PROTOCOL_ANY)
		return false;
	if (outcome != OUT_TRUNCATED && outcome != OUT_GARBLED)
		return false;
	if (t->q != NULL)
		note_asked(t->q, t, outcome);
	t->udp_outcome = outcome;
	try_send(t, VIA_TCP);
	return true;
}

static void
count_answer(struct try *t, uint16_t outcome)
{
	struct dns_server *sv = t->server;

	sv->answered++;
	sv->ms_sum += (uint64_t)(clock_mono_ms() - t->begun_ms);
	if (outcome == OUT_SERVFAIL)
		sv->servfail++;
	server_alive(sv);
}

/* TCP gave nothing: what UDP said, noted before, stands. */
static void
fall_back_to_udp(struct try *t, struct dns_answer *a)
{
	if (t->q != NULL)
		note_asked(t->q, t, a->outcome);
	t->via = VIA_UDP;
	a->outcome = t->udp_outcome;
}

/* Gives the question what the try came to; t->q is not NULL. */
static void
question_take(struct try *t, struct dns_answer *a)
{
	struct question *q = t->q;
	const uint32_t ms = (uint32_t)(clock_mono_ms() - t->begun_ms);

	t->candidate->out = false;
	if (a->cname[0] != '\0') {
		if (q->chain + a->chain <= ANSWER_CHAIN_MAX &&
		    packet_name_ok(a->cname)) {
			question_follow(q, t, a);
			return;
		}
		answer_set(a, OUT_CNAME_LOOP);
	}
	if (q->chain + a->chain > ANSWER_CHAIN_MAX) {
		answer_free(a);
		answer_set(a, OUT_CNAME_LOOP);
	}
	if (dns_kind(a->outcome) == DNS_SOFT) {
		t->candidate->gave = a->outcome != OUT_TIMEOUT &&
		    a->outcome != OUT_NETWORK;
		/* A failed TCP after a noted UDP: the UDP counts. */
		if (t->via == VIA_TCP || t->udp_outcome == 0)
			note_asked(q, t, a->outcome);
		note_soft(q, t, a->outcome);
		question_advance(q);
		return;
	}
	if (q->chain_ttl_s < a->ttl_s)
		a->ttl_s = q->chain_ttl_s;
	question_end(q, a, t->server->text, t->via, ms);
}

static void
on_try_end(void *ctx, enum channel_end end, const uint8_t *p, size_t n)
{
	struct try *t = ctx;
	struct dns_answer a;

	t->ask = NULL;
	if (end == CHANNEL_ANSWER) {
		answer_read(&a, p, n, t->name, t->qtype);
		count_answer(t, a.outcome);
		if (try_by_tcp(t, a.outcome)) {
			answer_free(&a);
			return;
		}
	} else {
		answer_set(&a, end == CHANNEL_SILENCE ? OUT_TIMEOUT :
		    OUT_NETWORK);
		t->server->timeouts += end == CHANNEL_SILENCE;
		if (t->udp_outcome == 0)
			server_silent(t->server, t->name,
			    t->set->cooldown_ms, clock_mono_ms());
		else
			fall_back_to_udp(t, &a);
	}
	if (t->q != NULL)
		question_take(t, &a);
	answer_free(&a);
	try_free(t);
}

/* ---- who is asked next ---- */

static struct candidate *
next_candidate(struct question *q)
{
	struct candidate *best = NULL;

	for (size_t i = 0; i < q->ncandidates; i++) {
		struct candidate *c = &q->candidates[i];

		if (c->out || c->gave || c->tries >= q->set->tries)
			continue;
		if (best == NULL || c->tries < best->tries)
			best = c;
	}
	return best;
}

static bool
anything_out(const struct question *q)
{
	for (size_t i = 0; i < q->ncandidates; i++)
		if (q->candidates[i].out)
			return true;
	return false;
}

/* From the loop only, but for the first packet, which ends nothing. */
static void
question_advance(struct question *q)
{
	struct candidate *c = next_candidate(q);

	if (c != NULL) {
		try_begin(q, c);
		loop_timer_set(q->hedge, q->set->hedge_ms);
	} else if (!anything_out(q)) {
		question_end_soft(q);
	}
}

static void
on_hedge(void *ctx)
{
	struct question *q = ctx;

	if (next_candidate(q) != NULL || !anything_out(q))
		question_advance(q);
}

/* Servers in order without those on cooldown; all of them when all are. */
static void
find_candidates(struct question *q)
{
	struct dns_set *s = q->set;
	const int64_t now_ms = clock_mono_ms();
	size_t n = 0;

	q->candidates = xcalloc(s->nservers + 1, sizeof *q->candidates);
	for (size_t i = 0; i < s->nservers; i++)
		if (server_ready(&s->servers[i], now_ms))
			q->candidates[n++].server = &s->servers[i];
	for (size_t i = 0; n == 0 && i < s->nservers; i++)
		q->candidates[i].server = &s->servers[i];
	q->ncandidates = n != 0 ? n : s->nservers;
}

static struct question *
question_new(struct dns_set *s, const char *name, uint16_t qtype)
{
	struct question *q = xcalloc(1, sizeof *q);

	q->set = s;
	s->refs++;
	str_copy(q->name, sizeof q->name, name);
	str_copy(q->now, sizeof q->now, name);
	q->qtype = qtype;
	q->chain_ttl_s = ANSWER_TTL_MAX_S;
	list_init(&q->waiters);
	q->hedge = loop_timer_new(s->r->loop, on_hedge, q);
	find_candidates(q);
	list_add_tail(&s->questions, &q->node);
	if (q->ncandidates == 0)
		loop_timer_set(q->hedge, 0);	/* a set without servers */
	else
		question_advance(q);
	return q;
}

struct dns_ask *
resolver_ask(struct dns_set *s, const char *name, uint16_t qtype,
    dns_ask_fn *fn, void *ctx)
{
	struct dns_ask *a = xcalloc(1, sizeof *a);

	a->fn = fn;
	a->ctx = ctx;
	LIST_EACH(it, &s->questions) {
		struct question *q = LIST_OWNER(it, struct question, node);

		if (!q->stale && q->qtype == qtype &&
		    str_eq_nocase(q->name, name))
			a->q = q;
	}
	if (a->q == NULL)
		a->q = question_new(s, name, qtype);
	list_add_tail(&a->q->waiters, &a->node);
	return a;
}

void
dns_ask_cancel(struct dns_ask **ap)
{
	struct dns_ask *a = *ap;

	if (a == NULL)
		return;
	*ap = NULL;
	list_del(&a->node);
	/*
	 * A question that nobody waits for any more goes on: its answer is
	 * wanted soon again, and its packets are out anyway.
	 */
	free(a);
}

struct dns_asked *
dns_ask_so_far(const struct dns_ask *a, size_t *n_r)
{
	const struct question *q = a->q;
	struct dns_asked *v;
	size_t n = q->nasked;

	v = xcalloc(n + q->ncandidates + 1, sizeof *v);
	memcpy(v, q->asked, n * sizeof *v);
	LIST_EACH(it, &q->set->tries_out) {
		const struct try *t = LIST_OWNER(it, struct try, node);

		if (t->q != q)
			continue;
		v[n] = (struct dns_asked){
			.qtype = t->qtype, .outcome = OUT_TIMEOUT,
			.via = t->via,
			.ms = (uint32_t)(clock_mono_ms() - t->begun_ms),
		};
		str_copy(v[n].name, sizeof v[n].name, t->name);
		str_copy(v[n].server, sizeof v[n].server, t->server->text);
		n++;
	}
	*n_r = n;
	return v;
}

void
questions_stale(struct dns_set *s, const char *name)
{
	LIST_EACH(it, &s->questions) {
		struct question *q = LIST_OWNER(it, struct question, node);

		if (name == NULL || dns_name_below(q->name, name))
			q->stale = true;
	}
}

void
questions_stop(struct dns_set *s)
{
	s->refs++;			/* keep it while its parts let go */
	LIST_EACH_SAFE(it, &s->tries_out) {
		struct try *t = LIST_OWNER(it, struct try, node);

		t->q = NULL;
		try_free(t);
	}
	LIST_EACH_SAFE(it, &s->questions) {
		struct question *q = LIST_OWNER(it, struct question, node);

		LIST_EACH_SAFE(w, &q->waiters) {
			list_del(w);
			free(LIST_OWNER(w, struct dns_ask, node));
		}
		question_free(q);
	}
	s->refs--;
}
