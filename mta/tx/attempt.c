/*
 * attempt.c - one attempt at a destination, from its name to a session that is
 * ready for MAIL, or to the status that says why there is none.
 * Never knows what is to be delivered, nor what a failure does to it.
 * Read next: attempt.h (the story), mta/dns/nexthop.h, session.c,
 * dispatch.c (who starts one).
 */
#include "mta/tx/attempt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mta/base/clock.h"
#include "mta/base/counters.h"
#include "mta/base/log.h"
#include "mta/base/loop.h"
#include "mta/base/str.h"
#include "mta/tx/session.h"
#include "mta/tx/tx.h"
#include "mta/tx/way.h"
#include "queue/trace.h"

#define STAGGER_MS 250		/* RFC 8305 5: Connection Attempt Delay */
#define RACING_MAX 6		/* connects at once, the rest wait */

enum addr_state { ADDR_UNTRIED = 0, ADDR_TRYING, ADDR_FAILED };

static void try_next(struct tx_attempt *a);

static void
attempt_reap(void *ctx)
{
	struct tx_attempt *a = ctx;

	tx_way_unref(&a->way);
	loop_timer_free(&a->stagger);
	buf_free(&a->trace);
	free(a->addrs);
	free(a->tried);
	free(a);
}

static void
abort_tries(struct tx_attempt *a)
{
	while (!list_empty(&a->tries))
		tx_session_abort(
		    LIST_OWNER(a->tries.next, struct tx_session, link));
}

static void
attempt_retire(struct tx_attempt *a)
{
	a->retired = true;
	list_del(&a->link);
	abort_tries(a);
	nexthop_cancel(&a->nexthop);
	loop_timer_clear(a->stagger);
	tx_pool_give(&a->tx->pool, &a->slot);
	loop_retire(a->tx->loop, a, attempt_reap);
}

static void
attempt_end(struct tx_attempt *a, struct tx_session *s,
    const struct status *why)
{
	const struct tx_attempt_end end = {
		.session = s,
		.status = why,
		.trace = s != NULL ? &s->trace : &a->trace,
		.addrs = a->addrs,
		.naddrs = a->naddrs,
		.asked = a->asked,
		.began_wall_ms = a->began_wall_ms,
	};

	a->fn(a->ctx, a, &end);
	attempt_retire(a);
}

static void
note_failure(struct tx_attempt *a, const struct status *why)
{
	if (verdict_says_more(&a->best, why))
		a->best = *why;
}

static void
trace_connect(struct tx_attempt *a, const struct nexthop_addr *at,
    int64_t began_mono_ms, int err)
{
	struct trace_entry e = { .kind = TRACE_CONNECT };

	str_copy(e.u.connect.host, sizeof e.u.connect.host, at->host);
	conf_addr_text(&at->addr, e.u.connect.peer);
	e.u.connect.ms = (uint32_t)(clock_mono_ms() - began_mono_ms);
	e.u.connect.err = err;
	trace_add(&a->trace, &e);
}

/* ---- the answer of the resolver ---- */

static void
set_group(struct tx_attempt *a, const struct nexthop_addr *addrs, size_t n)
{
	free(a->addrs);
	free(a->tried);
	a->addrs = xcalloc(n, sizeof *addrs);
	memcpy(a->addrs, addrs, n * sizeof *addrs);
	a->tried = xcalloc(n, 1);
	a->naddrs = n;
}

static void
resolved_end(struct tx_attempt *a, const struct status *said)
{
	struct status why = *said;

	/* A host that failed says more than a later one without address. */
	if (a->best.class_ != 0)
		why = a->best;
	if (why.class_ == 0)
		status_set(&why, 4, 4, 0, STAGE_dns, REASON_local,
		    "no address to try");
	attempt_end(a, NULL, &why);
}

static void
on_step(void *ctx, const struct nexthop_step *step)
{
	struct tx_attempt *a = ctx;

	if (step->kind == NEXTHOP_END) {
		resolved_end(a, &step->status);
		return;
	}
	set_group(a, step->addrs, step->naddrs);
	try_next(a);
}

static void
ask(struct tx_attempt *a)
{
	const struct nexthop_args args = {
		.conf = a->way->conf,
		.connector = a->way->k,
		.domain = a->domain,
		.flags = a->fresh ? NEXTHOP_FRESH : 0,
		.kept = a->kept,
		.kept_len = a->kept_len,
		.trace = &a->trace,
	};

	a->asked = true;
	if (a->nexthop == NULL)
		a->nexthop = nexthop_start(a->tx->resolver, &args, on_step, a);
	else
		nexthop_next(a->nexthop);
}

/* ---- connecting ---- */

static size_t
first_untried(const struct tx_attempt *a)
{
	size_t i = 0;

	while (i < a->naddrs && a->tried[i] != ADDR_UNTRIED)
		i++;
	return i;
}

static void
connect_failed(struct tx_attempt *a, size_t i, int err)
{
	char peer[TX_PEER_MAX];
	struct status why;

	counter_add(C_tx_connects_failed_total, 1);
	a->tried[i] = ADDR_FAILED;
	tx_peer_name(&a->addrs[i], peer, sizeof peer);
	verdict_connect(&why, peer, err);
	trace_connect(a, &a->addrs[i], clock_mono_ms(), err);
	note_failure(a, &why);
}

static unsigned
racing(const struct tx_attempt *a)
{
	unsigned n = 0;

	LIST_EACH(it, &a->tries)
		n++;
	return n;
}

/* One more address, or the next group when all have failed. */
static void
try_next(struct tx_attempt *a)
{
	struct tx_session *s = NULL;
	size_t i;
	int err;

	while (s == NULL && (i = first_untried(a)) < a->naddrs) {
		s = tx_session_new(a, i, &err);
		if (s == NULL) {
			connect_failed(a, i, err);
			continue;
		}
		a->tried[i] = ADDR_TRYING;
		list_add_tail(&a->tries, &s->link);
	}
	if (s != NULL && racing(a) < RACING_MAX && first_untried(a) < a->naddrs)
		loop_timer_set(a->stagger, STAGGER_MS);
	if (list_empty(&a->tries))
		ask(a);
}

static void
on_stagger(void *ctx)
{
	struct tx_attempt *a = ctx;

	if (!a->retired && a->talking == NULL)
		try_next(a);
}

void
tx_attempt_connected(struct tx_attempt *a, struct tx_session *s)
{
	a->talking = s;
	loop_timer_clear(a->stagger);
	trace_connect(a, &s->at, s->began_mono_ms, 0);
	LIST_EACH_SAFE(it, &a->tries) {
		struct tx_session *other =
		    LIST_OWNER(it, struct tx_session, link);

		if (other == s)
			continue;
		/* Not failed: it is wanted should this peer not want us. */
		a->tried[other->at_number] = ADDR_UNTRIED;
		trace_connect(a, &other->at, other->began_mono_ms, ECANCELED);
		tx_session_abort(other);
	}
}

void
tx_attempt_ready(struct tx_attempt *a, struct tx_session *s)
{
	a->talking = NULL;
	nexthop_family_worked(a->tx->resolver, s->at.host, s->at.addr.family);
	nexthop_cancel(&a->nexthop);	/* it appends to the trace no more */
	s->trace = a->trace;
	a->trace = (struct buf){ 0 };
	s->slot = a->slot;
	a->slot = (struct tx_slot){ 0 };
	attempt_end(a, s, NULL);
}

/* family_on_5xx = false: a host that refused one family refused both. */
static void
give_up_host(struct tx_attempt *a, const struct nexthop_addr *at)
{
	for (size_t i = 0; i < a->naddrs; i++)
		if (a->tried[i] == ADDR_UNTRIED &&
		    strcmp(a->addrs[i].host, at->host) == 0 &&
		    a->addrs[i].addr.family != at->addr.family)
			a->tried[i] = ADDR_FAILED;
}

void
tx_attempt_failed(struct tx_attempt *a, struct tx_session *s,
    const struct status *why, int err)
{
	a->tried[s->at_number] = ADDR_FAILED;
	if (err != 0) {
		counter_add(C_tx_connects_failed_total, 1);
		trace_connect(a, &s->at, s->began_mono_ms, err);
	}
	if (s == a->talking)
		a->talking = NULL;
	if (why->stage == STAGE_greeting && why->reply >= 500 &&
	    !a->way->k->resolve.family_on_5xx)
		give_up_host(a, &s->at);
	note_failure(a, why);
	if (a->talking == NULL)
		try_next(a);
}

/* ---- from outside ---- */

struct tx_attempt *
tx_attempt_start(const struct tx_attempt_args *args, tx_attempt_fn *fn,
    void *ctx)
{
	struct tx_attempt *a = xcalloc(1, sizeof *a);

	list_init(&a->link);
	list_init(&a->tries);
	a->tx = args->tx;
	a->way = tx_way_ref(args->way);
	a->domain = args->domain;
	a->fresh = args->fresh;
	a->kept = args->kept;
	a->kept_len = args->kept_len;
	a->began_wall_ms = clock_wall_ms();
	a->fn = fn;
	a->ctx = ctx;
	a->stagger = loop_timer_new(a->tx->loop, on_stagger, a);
	if (args->known != NULL) {
		trace_note(&a->trace,
		    "the address that worked last is tried first");
		set_group(a, args->known, 1);
		loop_timer_set(a->stagger, 0);
	} else {
		ask(a);
	}
	return a;
}

void
tx_attempt_cancel(struct tx_attempt **ap)
{
	struct tx_attempt *a = *ap;

	*ap = NULL;
	if (a != NULL && !a->retired)
		attempt_retire(a);
}
