/*
 * lookup_ask.c - gets one answer for a lookup: from the kept trace, from the
 * cache, or from the servers; and writes each into the trace.
 * Never judges an answer.
 * Read next: question.c, lookup_host.c.
 */
#include <stdlib.h>
#include <string.h>

#include "mta/base/loop.h"
#include "mta/base/mem.h"
#include "mta/base/str.h"
#include "mta/dns/lookup.h"
#include "mta/dns/packet.h"

/* ---- the trace ---- */

static void
trace_result(struct lookup_question *q, const struct dns_result *res)
{
	struct trace_entry e = { .kind = TRACE_QUESTION };
	struct trace_question *t = &e.u.question;
	const struct dns_answer *a = res->answer;

	str_copy(t->set, sizeof t->set, q->n->set->name);
	str_copy(t->server, sizeof t->server, res->server);
	str_copy(t->name, sizeof t->name, q->name);
	t->via = res->via;
	t->source = res->source;
	t->qtype = q->qtype;
	t->outcome = a->outcome;
	t->ms = res->ms;
	t->ttl_s = dns_kind(a->outcome) == DNS_SOFT ? 0 : res->ttl_s;
	t->nanswers = (uint16_t)a->total;
	while (t->kept < a->n && t->kept < TRACE_ANSWERS_MAX) {
		t->answers[t->kept] = a->rr[t->kept];
		t->kept++;
	}
	trace_add(q->n->trace, &e);
}

static void
trace_asked(struct nexthop *n, const struct dns_asked *a)
{
	struct trace_entry e = { .kind = TRACE_QUESTION };
	struct trace_question *t = &e.u.question;

	str_copy(t->set, sizeof t->set, n->set->name);
	str_copy(t->server, sizeof t->server, a->server);
	str_copy(t->name, sizeof t->name, a->name);
	t->via = a->via;
	t->qtype = a->qtype;
	t->outcome = a->outcome;
	t->ms = a->ms;
	if (a->target[0] != '\0') {
		t->nanswers = t->kept = 1;
		str_copy(t->answers[0].name, sizeof t->answers[0].name,
		    a->target);
	}
	trace_add(n->trace, &e);
}

void
lookup_not_asked(struct nexthop *n, const char *name, uint16_t qtype)
{
	struct trace_entry e = { .kind = TRACE_QUESTION };
	struct trace_question *t = &e.u.question;

	if (n->set == NULL)
		return;
	str_copy(t->set, sizeof t->set, n->set->name);
	str_copy(t->name, sizeof t->name, name);
	t->via = VIA_NONE;
	t->qtype = qtype;
	t->outcome = OUT_NOT_ASKED;
	trace_add(n->trace, &e);
}

/* ---- answers ---- */

static void
take(struct lookup_question *q, const struct dns_result *res)
{
	if (q->host != NULL)
		lookup_take_host(q, res);
	else
		lookup_take_mx(q->n, res);
}

static void
on_result(void *ctx, const struct dns_result *res)
{
	struct lookup_question *q = ctx;
	struct nexthop *n = q->n;

	q->ask = NULL;
	for (size_t i = 0; i < res->nasked; i++)
		trace_asked(n, &res->asked[i]);
	trace_result(q, res);
	take(q, res);
	loop_timer_set(n->kick, 0);	/* those that come together count so */
}

/* Nothing is to be had: that is unknown, as silence is. */
static void
take_silence(struct lookup_question *q, const char *server)
{
	struct dns_answer a;

	answer_set(&a, OUT_TIMEOUT);
	take(q, &(struct dns_result){
		.answer = &a, .server = server, .via = VIA_NONE });
}

static bool
take_kept(struct lookup_question *q)
{
	struct nexthop *n = q->n;
	struct trace_question t;
	struct dns_answer a = { 0 };
	struct dns_result res = { .answer = &a, .source = SRC_KEPT };

	if (!kept_find(n->kept, n->kept_len, n->set->name, q->name, q->qtype,
	    &t))
		return false;
	a.outcome = t.outcome;
	a.total = t.nanswers;
	a.n = t.kept;
	a.rr = t.answers;		/* borrowed, as all of this */
	res.server = t.server;
	res.via = t.via;
	res.ttl_s = t.ttl_s;
	res.ms = t.ms;
	trace_result(q, &res);
	take(q, &res);
	return true;
}

static bool
take_cached(struct lookup_question *q)
{
	struct dns_result res;

	if (!resolver_cached(q->n->set, q->name, q->qtype,
	    (q->n->flags & NEXTHOP_FRESH) != 0, &res))
		return false;
	trace_result(q, &res);
	take(q, &res);
	return true;
}

/* A name that DNS cannot carry does not exist. */
static void
take_impossible(struct lookup_question *q)
{
	struct dns_answer a;
	const struct dns_result res = {
		.answer = &a, .server = "", .via = VIA_NONE,
	};

	answer_set(&a, OUT_NXDOMAIN);
	trace_result(q, &res);
	take(q, &res);
}

void
lookup_ask(struct lookup_question *q)
{
	struct nexthop *n = q->n;

	if (!packet_name_ok(q->name)) {
		take_impossible(q);
	} else if (take_kept(q) || take_cached(q)) {
		return;
	} else if ((n->flags & NEXTHOP_NO_ASK) != 0 || n->f.deadline) {
		lookup_not_asked(n, q->name, q->qtype);
		take_silence(q, "");
	} else {
		q->ask = resolver_ask(n->set, q->name, q->qtype, on_result, q);
	}
}

void
lookup_ask_expire(struct lookup_question *q)
{
	struct dns_asked *asked;
	size_t nasked;

	if (q->ask == NULL)
		return;
	asked = dns_ask_so_far(q->ask, &nasked);
	dns_ask_cancel(&q->ask);
	for (size_t i = 0; i < nasked; i++)
		trace_asked(q->n, &asked[i]);
	take_silence(q, nasked != 0 ? asked[nasked - 1].server : "");
	free(asked);
}
