/*
 * probe.c - answers ctl: one lookup with all its groups, or one attempt that
 * stops before MAIL, by the very code that delivers; the DNS cache and servers.
 * Never touches a destination's sessions, nor anything queued.
 * Read next: mta/door/ask.h (the questions), attempt.c.
 */
#include "mta/tx/probe.h"

#include <stdlib.h>
#include <string.h>

#include "mta/base/clock.h"
#include "mta/base/loop.h"
#include "mta/base/str.h"
#include "mta/tx/attempt.h"
#include "mta/tx/session.h"
#include "mta/tx/tx.h"
#include "mta/tx/way.h"
#include "queue/trace.h"

#define PROBES_MAX 64	/* at once; each may hold a lookup and a connection */
#define PROBE_MS 60000	/* minutes of silence are no answer for an operator */

struct probe {
	struct list		 link;		/* in tx->probes */
	struct tx		*tx;		/* borrowed */
	uint32_t		 number;
	struct tx_way		*way;		/* shared */
	char			*domain;	/* owned, as kept and trace */
	uint8_t			*kept;
	struct buf		 trace;		/* of a lookup */
	struct nexthop		*nexthop;	/* owned */
	struct tx_attempt	*attempt;	/* owned while it runs */
	struct loop_timer	*limit;
	struct ask_answer	*answer;	/* owned */
	int64_t			 began_mono_ms;
};

static void
probe_reap(void *ctx)
{
	struct probe *p = ctx;

	tx_way_unref(&p->way);
	loop_timer_free(&p->limit);
	buf_free(&p->trace);
	free(p->domain);
	free(p->kept);
	free(p->answer);
	free(p);
}

static void
probe_retire(struct probe *p)
{
	list_del(&p->link);
	p->tx->nprobes--;
	nexthop_cancel(&p->nexthop);
	tx_attempt_cancel(&p->attempt);
	loop_timer_clear(p->limit);
	loop_retire(p->tx->loop, p, probe_reap);
}

static void
probe_answer(struct probe *p, const struct buf *trace)
{
	struct buf row = { 0 };

	p->answer->ms = (uint32_t)(clock_mono_ms() - p->began_mono_ms);
	p->answer->trace = trace->data;		/* borrowed for the encoding */
	p->answer->trace_len = (uint32_t)trace->len;
	ask_answer_encode(p->answer, &row);
	answerer_row(p->tx->answerer, p->number, &row);
	answerer_end(p->tx->answerer, p->number, true, 1, "");
	buf_free(&row);
	probe_retire(p);
}

static void
add_targets(struct ask_answer *a, const struct nexthop_addr *addrs, size_t n)
{
	for (size_t i = 0; i < n && a->ntargets < ASK_TARGETS; i++) {
		struct ask_target *t = &a->targets[a->ntargets++];

		str_copy(t->host, sizeof t->host, addrs[i].host);
		conf_addr_text(&addrs[i].addr, t->peer);
		t->pref = addrs[i].pref;
	}
}

/* ---- resolve ---- */

static void
on_step(void *ctx, const struct nexthop_step *step)
{
	struct probe *p = ctx;
	struct ask_answer *a = p->answer;

	if (step->kind == NEXTHOP_TRY) {
		add_targets(a, step->addrs, step->naddrs);
		nexthop_next(p->nexthop);
		return;
	}
	a->status = step->status;
	a->verdict = a->ntargets > 0 ? 2 : step->status.class_;
	probe_answer(p, &p->trace);
}

static void
start_resolve(struct probe *p, const struct ask_request *q)
{
	const struct nexthop_args args = {
		.conf = p->way->conf,
		.connector = p->way->k,
		.domain = p->domain,
		.flags = (q->flags & ASK_NO_ASK) != 0 ? NEXTHOP_NO_ASK :
							NEXTHOP_FRESH,
		.kept = p->kept,
		.kept_len = q->kept_len,
		.trace = &p->trace,
	};

	p->nexthop = nexthop_start(p->tx->resolver, &args, on_step, p);
}

/* ---- probe ---- */

static void
on_probed(void *ctx, struct tx_attempt *attempt,
    const struct tx_attempt_end *end)
{
	struct probe *p = ctx;
	struct ask_answer *a = p->answer;

	(void)attempt;
	p->attempt = NULL;
	add_targets(a, end->addrs, end->naddrs);
	a->verdict = end->session != NULL ? 2 : end->status->class_;
	if (end->session != NULL) {
		status_set(&a->status, 2, 0, 0, STAGE_ehlo, REASON_none,
		    "%s greets and takes mail", end->session->peer);
		str_copy(a->status.peer, sizeof a->status.peer,
		    end->session->peer);
	} else {
		a->status = *end->status;
	}
	/* The session has no destination: its next step is QUIT. */
	probe_answer(p, end->trace);
}

static void
start_probe(struct probe *p, const struct ask_request *q)
{
	const struct tx_attempt_args args = {
		.tx = p->tx, .way = p->way, .domain = p->domain, .fresh = true,
		.kept = p->kept, .kept_len = q->kept_len,
	};

	p->attempt = tx_attempt_start(&args, on_probed, p);
}

static void
on_limit(void *ctx)
{
	struct probe *p = ctx;

	answerer_end(p->tx->answerer, p->number, false, 0, "no end after 60 s");
	probe_retire(p);
}

static void
probe_start(struct tx *tx, uint32_t number, const struct ask_request *q)
{
	struct fault f;
	struct tx_way *way;
	struct probe *p;

	if (tx->nprobes >= PROBES_MAX || tx->draining) {
		answerer_end(tx->answerer, number, false, 0,
		    "too many lookups under way");
		return;
	}
	way = tx_way_new(tx->conf, q->connector != NULL ? q->connector : "",
	    q->with, &f);
	if (way == NULL) {
		answerer_end(tx->answerer, number, false, 0, f.text);
		return;
	}
	p = xcalloc(1, sizeof *p);
	p->tx = tx;
	p->number = number;
	p->way = way;
	p->domain = xstrdup(q->domain != NULL ? q->domain : "*");
	if (q->kept != NULL) {
		p->kept = xmalloc(q->kept_len + 1);
		memcpy(p->kept, q->kept, q->kept_len);
	}
	p->answer = xcalloc(1, sizeof *p->answer);
	p->began_mono_ms = clock_mono_ms();
	p->limit = loop_timer_new(tx->loop, on_limit, p);
	loop_timer_set(p->limit, PROBE_MS);
	list_add_tail(&tx->probes, &p->link);
	tx->nprobes++;
	if (q->verb == ASK_RESOLVE)
		start_resolve(p, q);
	else
		start_probe(p, q);
}

/* ---- the DNS cache ---- */

struct rows {
	struct tx	*tx;
	uint32_t	 number;
	uint64_t	 n;
};

static void
row_out(struct rows *rows, struct buf *row)
{
	answerer_row(rows->tx->answerer, rows->number, row);
	buf_free(row);
	rows->n++;
}

static void
on_cache_row(void *ctx, const struct dns_cache_row *r)
{
	char qtype[16], outcome[24];
	struct buf row = { 0 };

	buf_printf(&row, "%s\t%s\t%s\t%s\t%lld\t%s", r->set, r->name,
	    trace_qtype_name(r->qtype, qtype),
	    trace_outcome_name(r->outcome, outcome), (long long)r->ttl_ms,
	    r->answer);
	row_out(ctx, &row);
}

static void
on_server_row(void *ctx, const struct dns_server_row *r)
{
	struct buf row = { 0 };

	buf_printf(&row, "%s\t%s\t%llu\t%llu\t%llu\t%llu\t%u\t%lld", r->set,
	    r->server, (unsigned long long)r->asked,
	    (unsigned long long)r->answered, (unsigned long long)r->timeouts,
	    (unsigned long long)r->servfail, r->avg_ms,
	    (long long)r->cooldown_ms);
	row_out(ctx, &row);
}

void
probe_ask(void *ctx, uint32_t number, const struct ask_request *q)
{
	struct tx *tx = ctx;
	struct rows rows = { .tx = tx, .number = number };

	switch (q->verb) {
	case ASK_RESOLVE:
	case ASK_PROBE:
		probe_start(tx, number, q);
		return;
	case ASK_DNS_CACHE:
		resolver_cache_rows(tx->resolver, q->domain, on_cache_row,
		    &rows);
		break;
	case ASK_DNS_SERVERS:
		resolver_server_rows(tx->resolver, on_server_row, &rows);
		break;
	case ASK_DNS_FLUSH:
		rows.n = resolver_flush(tx->resolver, q->domain);
		break;
	default:
		answerer_end(tx->answerer, number, false, 0,
		    "unknown question");
		return;
	}
	answerer_end(tx->answerer, number, true, rows.n, "");
}

void
probe_all_cancel(struct tx *tx)
{
	LIST_EACH_SAFE(it, &tx->probes)
		probe_retire(LIST_OWNER(it, struct probe, link));
}
