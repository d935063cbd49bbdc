/*
 * advice.c - blame from evidence, and the list of changes worth trying.
 * Never blames without a second witness, never asks anybody anything.
 * The rules of policies and sets are in ../dns/policy.c.
 * Read next: explain.c (who gathers the evidence and prints the conclusion).
 */
#include "mta/ctl/advice.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "mta/base/fault.h"
#include "queue/status.h"
#include "queue/trace.h"

static const char *const names[] = {
	[BLAME_UNKNOWN] = "unknown", [BLAME_OUR_DNS] = "our_dns",
	[BLAME_THEIR_DNS] = "their_dns", [BLAME_THEIR_DOMAIN] = "their_domain",
	[BLAME_THEIR_SERVER] = "their_server", [BLAME_NETWORK] = "network",
	[BLAME_OUR_CONFIG] = "our_config", [BLAME_OPERATOR] = "operator",
	[BLAME_THIS_MACHINE] = "this_machine",
};
_Static_assert(COUNT_OF(names) == BLAME_COUNT, "one name per blame");

const char *
blame_name(enum blame b)
{
	return (size_t)b < COUNT_OF(names) ? names[b] : "?";
}

/* ---- facts: how one set did on one question ---- */

enum quality { QUALITY_SOFT = 0, QUALITY_PROVEN };	/* usable or proven absence */

struct fact {
	char		set[64];
	char		name[256];
	uint16_t	qtype;
	uint16_t	outcome;	/* the last soft one, while quality is soft */
	enum quality	quality;
};

#define FACTS_MAX 256

struct facts {
	struct fact	*v;		/* owned */
	size_t		 n;
};

static struct fact *
fact_of(struct facts *f, const char *set, const char *name, uint16_t qtype)
{
	for (size_t i = 0; i < f->n; i++) {
		if (f->v[i].qtype == qtype && strcmp(f->v[i].set, set) == 0 &&
		    strcmp(f->v[i].name, name) == 0)
			return &f->v[i];
	}
	return NULL;
}

static void
facts_add(struct facts *f, const struct advice_trace *t)
{
	struct rd r = rd_of(t->p, t->len);
	struct trace_entry e;

	while (t->len > 0 && trace_next(&r, &e)) {
		const struct trace_question *q = &e.u.question;
		struct fact *one;

		if (e.kind != TRACE_QUESTION || q->outcome == OUT_NOT_ASKED)
			continue;
		one = fact_of(f, q->set, q->name, q->qtype);
		if (one == NULL && f->n == FACTS_MAX)
			continue;
		if (one == NULL) {
			f->v = xrealloc(f->v, (f->n + 1) * sizeof *f->v);
			one = &f->v[f->n++];
			*one = (struct fact){ .qtype = q->qtype };
			snprintf(one->set, sizeof one->set, "%s", q->set);
			snprintf(one->name, sizeof one->name, "%s", q->name);
		}
		if (q->outcome == OUT_NOERROR || q->outcome == OUT_NXDOMAIN ||
		    q->outcome == OUT_NODATA)
			one->quality = QUALITY_PROVEN;
		else
			one->outcome = q->outcome;
	}
}

static const char *
question_text(const struct fact *f, char buf[300])
{
	char qtype[16];

	snprintf(buf, 300, "%s %s", trace_qtype_name(f->qtype, qtype), f->name);
	return buf;
}

/* Who else was asked what failed, in words. */
struct witness {
	const struct fact	*answered;	/* by another set */
	const struct fact	*also_failed;	/* in another set */
	const struct fact	*sibling;	/* the same set, same name, another type, answered */
	bool			 healed;
};

static void
witnesses_of(const struct fact *failed, const struct facts *then, const struct facts *now,
    struct witness *w)
{
	const struct facts *both[] = { then, now };

	*w = (struct witness){ 0 };
	for (size_t k = 0; k < 2; k++) {
		for (size_t i = 0; i < both[k]->n; i++) {
			const struct fact *f = &both[k]->v[i];
			const bool same_set = strcmp(f->set, failed->set) == 0;

			if (strcmp(f->name, failed->name) != 0)
				continue;
			if (f->qtype != failed->qtype) {
				if (same_set && f->quality == QUALITY_PROVEN)
					w->sibling = f;
			} else if (same_set) {
				w->healed = w->healed || (both[k] == now &&
				    f->quality == QUALITY_PROVEN);
			} else if (f->quality == QUALITY_PROVEN) {
				w->answered = f;
			} else {
				w->also_failed = f;
			}
		}
	}
}

static int
weight(const struct witness *w)
{
	return w->answered != NULL ? 3 : w->healed ? 2 : w->also_failed != NULL ? 1 : 0;
}

static void
judge(const struct fact *failed, const struct witness *w, struct finding *out)
{
	char q[300], said[24], other[24], qtype[16];

	question_text(failed, q);
	trace_outcome_name(failed->outcome, said);
	out->healed = w->healed;
	if (w->healed) {
		out->who = w->answered != NULL ? BLAME_OUR_DNS : BLAME_UNKNOWN;
		snprintf(out->text, sizeof out->text, "%s: resolver set %s said %s to %s then, "
		    "but answers it now", w->answered != NULL ? "our DNS" :
		    "unknown (it has healed)", failed->set, said, q);
	} else if (w->answered != NULL) {
		out->who = BLAME_OUR_DNS;
		snprintf(out->text, sizeof out->text, "our DNS: resolver set %s says %s to %s, "
		    "set %s answers it", failed->set, said, q, w->answered->set);
	} else if (failed->outcome == OUT_NETWORK) {
		/* Their servers have no part in this: our own was not reached. */
		out->who = BLAME_OUR_DNS;
		snprintf(out->text, sizeof out->text, "our DNS: no server of resolver set %s "
		    "can be reached", failed->set);
	} else if (w->also_failed != NULL) {
		out->who = BLAME_THEIR_DNS;
		snprintf(out->text, sizeof out->text, "their DNS: no set gets an answer to %s "
		    "(%s: %s, %s: %s)", q, failed->set, said, w->also_failed->set,
		    trace_outcome_name(w->also_failed->outcome, other));
	} else {
		out->who = BLAME_UNKNOWN;
		snprintf(out->text, sizeof out->text, "unknown (one resolver set): %s says %s "
		    "to %s%s%s", failed->set, said, q, w->sibling != NULL ?
		    ", though it answers " : "", w->sibling != NULL ?
		    trace_qtype_name(w->sibling->qtype, qtype) : "");
	}
}

static void
blame_dns(const struct advice_trace *kept, const struct advice_trace *now, size_t nnow,
    struct finding *out)
{
	struct facts then = { 0 }, since = { 0 };
	const struct fact *worst = NULL;
	struct witness best = { 0 }, w;

	facts_add(&then, kept);
	for (size_t i = 0; i < nnow; i++)
		facts_add(&since, &now[i]);
	for (size_t i = 0; i < then.n; i++) {
		if (then.v[i].quality == QUALITY_PROVEN)
			continue;
		witnesses_of(&then.v[i], &then, &since, &w);
		if (worst == NULL || weight(&w) > weight(&best)) {
			worst = &then.v[i];
			best = w;
		}
	}
	if (worst != NULL)
		judge(worst, &best, out);
	else
		snprintf(out->text, sizeof out->text, "unknown: no failed question is on record");
	free(then.v);
	free(since.v);
}

/* What needs no second witness. */
static const struct {
	enum reason	 reason;
	enum blame	 who;
	const char	*text;
} plain[] = {
	{ REASON_dns_nxdomain, BLAME_THEIR_DOMAIN, "the domain does not exist (proven)" },
	{ REASON_dns_nodata, BLAME_THEIR_DOMAIN, "the domain has no address for mail (proven)" },
	{ REASON_null_mx, BLAME_THEIR_DOMAIN, "the domain says that it takes no mail" },
	{ REASON_connect_refused, BLAME_THEIR_SERVER, "their server: it refuses the connection" },
	{ REASON_connect_timeout, BLAME_NETWORK,
	  "their server or the network between: no answer to connects" },
	{ REASON_connect_unreachable, BLAME_NETWORK, "the network: no way to their address" },
	{ REASON_tls_required, BLAME_THEIR_SERVER,
	  "their server offers no TLS, our connector requires it" },
	{ REASON_tls_handshake, BLAME_THEIR_SERVER, "their server: the TLS handshake fails" },
	{ REASON_tls_verify, BLAME_THEIR_SERVER,
	  "their server: its certificate is not what the connector wants" },
	{ REASON_auth_failed, BLAME_OUR_CONFIG,
	  "our configuration: their server does not take our user and password" },
	{ REASON_smtp_greeting, BLAME_THEIR_SERVER, "their server: it turns us away at the greeting" },
	{ REASON_smtp_4xx, BLAME_THEIR_SERVER, "their server: it says to try later" },
	{ REASON_smtp_5xx, BLAME_THEIR_SERVER, "their server: it refuses the mail" },
	{ REASON_smtp_protocol, BLAME_THEIR_SERVER, "their server: its replies make no sense" },
	{ REASON_peer_lost, BLAME_THEIR_SERVER,
	  "their server or the network between: the connection broke" },
	{ REASON_loop, BLAME_OUR_CONFIG, "our configuration or their MX: the mail comes back to us" },
	{ REASON_held, BLAME_OPERATOR, "an operator holds it" },
	{ REASON_policy, BLAME_OUR_CONFIG, "our configuration: policy keeps it back" },
	{ REASON_local, BLAME_THIS_MACHINE, "this machine" },
};

void
advice_blame(const struct status *st, const struct advice_trace *kept,
    const struct advice_trace *now, size_t nnow, struct finding *out)
{
	*out = (struct finding){ .who = BLAME_UNKNOWN };
	for (size_t i = 0; i < COUNT_OF(plain); i++) {
		if (plain[i].reason == st->reason) {
			out->who = plain[i].who;
			snprintf(out->text, sizeof out->text, "%s", plain[i].text);
			return;
		}
	}
	if (reason_is_dns(st->reason) || st->stage == STAGE_dns)
		blame_dns(kept, now, nnow, out);
	else
		snprintf(out->text, sizeof out->text, "unknown");
}

/* ---- changes ---- */

static bool
names_set(const struct conf_connector *k, const char *set)
{
	for (size_t i = 0; i < k->resolve.nresolvers; i++) {
		if (strcmp(k->resolve.resolvers[i], set) == 0)
			return true;
	}
	return false;
}

struct changes {
	struct advice_change	*out;
	size_t			 n;
};

static void PRINTF_LIKE(4, 5)
add(struct changes *c, const char *key, bool named, const char *fmt, ...)
{
	struct advice_change *one = &c->out[c->n];
	va_list ap;
	int n;

	if (c->n == ADVICE_CHANGES_MAX)
		return;
	*one = (struct advice_change){ .named = named };
	snprintf(one->key, sizeof one->key, "%s", key);
	va_start(ap, fmt);
	n = vsnprintf(one->text, sizeof one->text, fmt, ap);
	va_end(ap);
	if (n > 0 && (size_t)n < sizeof one->text)	/* what was cut would mean another set */
		c->n++;
}

static void
add_sets(struct changes *c, const struct conf *conf, const struct conf_connector *k, bool all_sets)
{
	const struct conf_resolve *p = &k->resolve;
	char current[160] = "";

	for (size_t i = 0; i < p->nresolvers; i++) {
		const size_t at = strlen(current);

		snprintf(current + at, sizeof current - at, "%s%s", i > 0 ? "," : "",
		    p->resolvers[i]);
		if (p->nresolvers > 1)
			add(c, "resolvers", true, "resolvers=%s", p->resolvers[i]);
	}
	for (size_t i = 0; i < conf->nsets; i++) {
		const char *set = conf->sets[i].name;

		if (names_set(k, set) || conf->sets[i].nservers == 0)
			continue;
		add(c, "resolvers", false, "resolvers=%s", set);
		if (all_sets)
			add(c, "resolvers", false, "resolvers=%s,%s", current, set);
	}
}

size_t
advice_changes(const struct conf *conf, const struct conf_connector *k, bool all_sets,
    struct advice_change out[ADVICE_CHANGES_MAX])
{
	const struct conf_resolve *p = &k->resolve;
	struct changes c = { .out = out };

	if (p->ipv6)
		add(&c, "ipv6", true, "ipv6=false");
	if (p->order != ORDER_A_FIRST)
		add(&c, "order", true, "order=a-first");
	if (p->on_failure != ON_FAILURE_TOLERATE)
		add(&c, "on_failure", true, "on_failure=tolerate");
	add_sets(&c, conf, k, all_sets);
	return c.n;
}
