/*
 * nexthop.c - one lookup from start to end: targets, sets, escalation, and the
 * verdict over all of them; the table of states that the other files fill.
 * Never calls its caller from inside one of the caller's calls, and never
 * frees itself before the turn is over.
 * Read next: lookup.h (the walk), lookup_mx.c, lookup_host.c.
 */
#include "mta/dns/nexthop.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mta/base/clock.h"
#include "mta/base/counters.h"
#include "mta/base/log.h"
#include "mta/base/loop.h"
#include "mta/base/mem.h"
#include "mta/base/str.h"
#include "mta/dns/lookup.h"

#define LOOKUPS_AT_ONCE 200u	/* RESOLUTION 6: wakes are paced */

/* ---- one lookup: fresh, and gone ---- */

static void
hosts_free(struct nexthop *n, size_t nhosts)
{
	for (size_t i = 0; n->hosts != NULL && i < nhosts; i++) {
		for (int f = 0; f < FAMILIES; f++) {
			dns_ask_cancel(&n->hosts[i].q[f].ask);
			free(n->hosts[i].addrs[f]);
		}
	}
	free(n->hosts);
	n->hosts = NULL;
	n->nhosts = 0;
}

/* nhosts shrinks when we find ourselves; the array ends at an unnamed host. */
static size_t
hosts_made(const struct nexthop *n)
{
	size_t count = 0;

	while (n->hosts != NULL && n->hosts[count].f.name[0] != '\0')
		count++;
	return count;
}

static void
lookup_clear(struct nexthop *n)
{
	dns_ask_cancel(&n->mx.ask);
	hosts_free(n, hosts_made(n));
	free(n->addrs);
	n->addrs = NULL;
	n->naddrs = 0;
	memset(&n->mx, 0, sizeof n->mx);
	memset(&n->f, 0, sizeof n->f);
	n->mx_done = n->given = false;
	n->group = n->group_end = 0;
	dns_set_unref(&n->set);
}

/* Only time spent waiting for DNS counts. */
static void
clock_stop(struct nexthop *n)
{
	if (n->waiting_since_ms == 0)
		return;
	n->budget_ms -= clock_mono_ms() - n->waiting_since_ms;
	n->waiting_since_ms = 0;
	loop_timer_clear(n->deadline);
}

static void
clock_start(struct nexthop *n)
{
	if (n->waiting_since_ms != 0)
		return;
	n->waiting_since_ms = clock_mono_ms();
	loop_timer_set(n->deadline, n->budget_ms > 0 ? n->budget_ms : 0);
}

static void
on_deadline(void *ctx)
{
	struct nexthop *n = ctx;

	n->f.deadline = true;
	trace_note(n->trace, "%s: lookup_deadline reached in set %s", n->name,
	    n->set->name);
	lookup_ask_expire(&n->mx);
	for (size_t i = 0; i < n->nhosts; i++)
		for (int f = 0; f < FAMILIES; f++)
			lookup_ask_expire(&n->hosts[i].q[f]);
	lookup_run(n);
}

/* ---- states: targets and sets ---- */

/* "[192.0.2.1]", "[IPv6:2001:db8::1]" (RFC 5321 4.1.3). */
static bool
literal_domain(const char *s, struct conf_addr *a)
{
	char ip[INET6_ADDRSTRLEN];
	const size_t len = strlen(s);

	memset(a, 0, sizeof *a);
	if (len < 3 || s[len - 1] != ']')
		return false;
	s++;
	a->family = AF_INET;
	if (str_starts_nocase(s, "IPv6:")) {
		s += 5;
		a->family = AF_INET6;
	}
	if (strlen(s) - 1 >= sizeof ip)
		return false;
	str_copy(ip, strlen(s), s);
	return inet_pton(a->family, ip, a->ip) == 1;
}

static enum lookup_state
state_wait(struct nexthop *n)
{
	return n->slot ? LOOKUP_TARGET : LOOKUP_WAIT;
}

static enum lookup_state
target_domain(struct nexthop *n)
{
	struct conf_addr a;
	struct status st;

	str_copy(n->name, sizeof n->name, n->domain);
	if (n->domain[0] != '[')
		return LOOKUP_SET;
	n->f.domain = n->name;
	n->f.set = "none";
	if (literal_domain(n->domain, &a))
		return lookup_literal(n, &a, n->name);
	status_set(&st, 5, 1, 3, STAGE_dns, REASON_dns_nxdomain,
	    "%s is not an address literal", n->domain);
	n->targets = xcalloc(1, sizeof *n->targets);
	n->targets[n->ntargets++] = (struct lookup_found){
		.found = FOUND_FINAL, .hard = true, .status = st,
	};
	return LOOKUP_JUDGE;
}

static enum lookup_state
state_target(struct nexthop *n)
{
	const struct conf_connector *k = n->connector;

	lookup_clear(n);
	n->set_at = 0;
	n->nsets = 0;
	n->smarthost = NULL;
	if (k->nsmarthosts == 0)
		return n->target == 0 ? target_domain(n) : LOOKUP_JUDGE;
	if (n->target == k->nsmarthosts)
		return LOOKUP_JUDGE;
	n->smarthost = &k->smarthosts[n->target];
	n->f.set = "none";
	n->f.domain = n->name;
	n->f.smarthost = true;
	if (n->smarthost->host == NULL) {
		struct conf_addr bare = n->smarthost->address;

		bare.port = 0;
		conf_addr_text(&bare, n->name);
		return lookup_literal(n, &n->smarthost->address, n->name);
	}
	str_copy(n->name, sizeof n->name, n->smarthost->host);
	if (n->policy->hosts_file && lookup_hosts_file(n)) {
		n->f.set = "hosts";
		return LOOKUP_GROUP;
	}
	return LOOKUP_SET;
}

static enum lookup_state
state_set(struct nexthop *n)
{
	lookup_clear(n);
	if (n->set_at >= n->policy->nresolvers)
		bug("connector %s has no resolver set", n->connector->name);
	n->set = resolver_set(n->r, &n->conf->sets[n->policy->sets[n->set_at]]);
	n->budget_ms = n->policy->lookup_deadline_ms;
	n->f.set = n->set->name;
	n->f.domain = n->name;
	n->f.smarthost = n->smarthost != NULL;
	if (n->smarthost == NULL || n->smarthost->mx)
		return LOOKUP_MX;
	lookup_own_host(n);
	return LOOKUP_GROUP;
}

static enum lookup_state
state_try(struct nexthop *n)
{
	return n->next ? LOOKUP_GROUP : LOOKUP_TRY;
}

/* ---- states: verdicts ---- */

static enum policy_found
judge_lookup(struct nexthop *n, struct status *st)
{
	const struct finding_host **v = xcalloc(n->nhosts + 1, sizeof *v);
	enum policy_found found;

	for (size_t i = 0; i < n->nhosts; i++)
		v[i] = &n->hosts[i].f;
	n->f.hosts = v;
	n->f.nhosts = n->nhosts;
	found = finding_judge(n->policy, &n->f, st);
	n->f.hosts = NULL;
	free(v);
	return found;
}

void
lookup_escalation_log(struct nexthop *n, const char *answer)
{
	char why[300], got[300];

	if (n->gave_up[0] == '\0')
		return;
	log_event("dns_escalated", "connector=%s domain=%s from=%s why=%s "
	    "to=%s answer=%s", n->connector->name, n->domain, n->gave_up,
	    log_quote(why, sizeof why, n->gave_up_why),
	    n->set != NULL ? n->set->name : "none",
	    log_quote(got, sizeof got, answer));
	n->gave_up[0] = '\0';
}

static enum lookup_state
escalate(struct nexthop *n, const struct status *st)
{
	const struct conf_resolve *p = n->policy;
	struct trace_entry e = { .kind = TRACE_ESCALATE };

	n->set_at++;
	finding_brief(st, e.u.escalate.why, sizeof e.u.escalate.why);
	str_copy(e.u.escalate.from, sizeof e.u.escalate.from, n->set->name);
	str_copy(e.u.escalate.to, sizeof e.u.escalate.to,
	    n->conf->sets[p->sets[n->set_at]].name);
	trace_add(n->trace, &e);
	counter_add(C_dns_escalations_total, 1);
	lookup_escalation_log(n, e.u.escalate.why);
	str_copy(n->gave_up, sizeof n->gave_up, n->set->name);
	str_copy(n->gave_up_why, sizeof n->gave_up_why, e.u.escalate.why);
	return LOOKUP_SET;
}

/* The words of the other sets, as far as there is room. */
static void
add_others(struct nexthop *n, size_t speaker)
{
	struct status *st = &n->sets[speaker].status;
	char brief[256];

	for (size_t i = 0; i < n->nsets; i++) {
		const size_t len = strlen(st->text);

		if (i == speaker)
			continue;
		finding_brief(&n->sets[i].status, brief, sizeof brief);
		if (len + strlen(brief) + 8 <= 500)
			snprintf(st->text + len, sizeof st->text - len,
			    "; %s %s", i < speaker ? "before:" : "after:",
			    brief);
	}
}

/* What the target came to over its sets. */
static void
target_end(struct nexthop *n)
{
	enum policy_found *v = xcalloc(n->nsets, sizeof *v);
	bool hard;
	size_t speaker;

	for (size_t i = 0; i < n->nsets; i++)
		v[i] = n->sets[i].found;
	speaker = policy_combine(v, n->nsets, &hard);
	free(v);
	add_others(n, speaker);
	n->targets = xrealloc(n->targets,
	    (n->ntargets + 1) * sizeof *n->targets);
	n->targets[n->ntargets] = n->sets[speaker];
	n->targets[n->ntargets++].hard = hard;
}

static enum lookup_state
state_found(struct nexthop *n)
{
	struct status st;
	const enum policy_found found = judge_lookup(n, &st);

	if (found != FOUND_USABLE) {
		char brief[256];

		n->sets = xrealloc(n->sets, (n->nsets + 1) * sizeof *n->sets);
		n->sets[n->nsets++] = (struct lookup_found){
			.found = found, .status = st };
		if (!n->given && n->set != NULL &&
		    policy_escalates(n->policy, found) &&
		    n->set_at + 1 < n->policy->nresolvers)
			return escalate(n, &st);
		finding_brief(&st, brief, sizeof brief);
		lookup_escalation_log(n, brief);
	}
	if (n->given)		/* earlier sets do not speak for this one */
		n->nsets = found == FOUND_USABLE ? 0 : 1;
	if (n->given && n->nsets == 1)
		n->sets[0] = (struct lookup_found){
			.found = found, .status = st };
	if (n->nsets != 0)
		target_end(n);
	n->target++;
	return LOOKUP_TARGET;
}

/* A smarthost is the operator's word: its faults are mended, not bounced. */
static void
soften(struct nexthop *n, struct status *st)
{
	if (n->connector->nsmarthosts != 0 && st->class_ == 5)
		st->class_ = 4;
}

static enum lookup_state
state_judge(struct nexthop *n)
{
	const struct lookup_found *speaker = NULL;

	for (size_t i = 0; i < n->ntargets; i++) {
		const struct lookup_found *t = &n->targets[i];

		if (speaker == NULL || (speaker->hard && !t->hard))
			speaker = t;
	}
	n->step = (struct nexthop_step){ .kind = NEXTHOP_END };
	if (speaker != NULL && !(n->given_any && speaker->hard))
		n->step.status = speaker->status;
	else if (!n->given_any)
		status_set(&n->step.status, 4, 4, 4, STAGE_dns, REASON_policy,
		    "no way out for %s", n->domain);
	soften(n, &n->step.status);
	n->emit = true;
	return LOOKUP_ENDED;
}

static enum lookup_state
state_ended(struct nexthop *n)
{
	(void)n;
	return LOOKUP_ENDED;
}

/* ---- the mover ---- */

static const struct lookup_row {
	const char		*name;
	/* Returns the next state; its own: wait. */
	enum lookup_state	(*run)(struct nexthop *n);
	bool			 dns;	/* waiting here is waiting for DNS */
} rows[] = {
	[LOOKUP_WAIT]	= { "wait",   state_wait,   false },
	[LOOKUP_TARGET]	= { "target", state_target, false },
	[LOOKUP_SET]	= { "set",    state_set,    false },
	[LOOKUP_MX]	= { "mx",     lookup_mx,    true },
	[LOOKUP_GROUP]	= { "group",  lookup_group, false },
	[LOOKUP_HOSTS]	= { "hosts",  lookup_hosts, true },
	[LOOKUP_TRY]	= { "try",    state_try,    false },
	[LOOKUP_FOUND]	= { "found",  state_found,  false },
	[LOOKUP_JUDGE]	= { "judge",  state_judge,  false },
	[LOOKUP_ENDED]	= { "ended",  state_ended,  false },
};
_Static_assert(COUNT_OF(rows) == LOOKUP_STATE_COUNT, "one row per state");

/* The first result is out, or the lookup is over: another may begin. */
static void
slot_release(struct nexthop *n)
{
	struct resolver *r = n->r;
	struct nexthop *first;

	if (!n->slot)
		return;
	n->slot = false;
	r->active--;
	if (list_empty(&r->waiting))
		return;
	first = LIST_OWNER(r->waiting.next, struct nexthop, node);
	list_del(&first->node);
	first->slot = true;
	r->active++;
	loop_timer_set(first->kick, 0);
}

static void
emit(struct nexthop *n)
{
	char got[64];

	snprintf(got, sizeof got, "%zu address%s", n->step.naddrs,
	    n->step.naddrs == 1 ? "" : "es");
	lookup_escalation_log(n, got);
	slot_release(n);
	n->emit = false;
	n->fn(n->ctx, &n->step);	/* n may be cancelled when it returns */
}

void
lookup_run(struct nexthop *n)
{
	enum lookup_state from;

	if (n->dead)
		return;
	do {
		from = n->state;
		n->state = rows[from].run(n);
		if (n->state != from) {
			clock_stop(n);
			log_trace("lookup", "domain=%s from=%s to=%s",
			    n->domain, rows[from].name,
			    rows[n->state].name);
		}
	} while (n->state != from);
	if (rows[n->state].dns)
		clock_start(n);
	if (n->emit)
		emit(n);
}

static void
on_kick(void *ctx)
{
	lookup_run(ctx);
}

/* ---- from outside ---- */

struct nexthop *
nexthop_start(struct resolver *r, const struct nexthop_args *args,
    nexthop_fn *fn, void *ctx)
{
	struct nexthop *n = xcalloc(1, sizeof *n);
	size_t len;

	n->r = r;
	n->conf = args->conf;
	n->connector = args->connector;
	n->policy = &args->connector->resolve;
	n->flags = args->flags;
	n->trace = args->trace;
	n->fn = fn;
	n->ctx = ctx;
	str_copy(n->domain, sizeof n->domain,
	    args->domain != NULL ? args->domain : "");
	len = strlen(n->domain);
	if (len > 1 && n->domain[len - 1] == '.')
		n->domain[len - 1] = '\0';
	if (args->kept != NULL) {
		n->kept = xmalloc(args->kept_len + 1);
		memcpy(n->kept, args->kept, args->kept_len);
		n->kept_len = args->kept_len;
	}
	n->kick = loop_timer_new(r->loop, on_kick, n);
	n->deadline = loop_timer_new(r->loop, on_deadline, n);
	list_init(&n->node);
	if (r->active < LOOKUPS_AT_ONCE) {
		n->slot = true;
		r->active++;
		loop_timer_set(n->kick, 0);
	} else {
		list_add_tail(&r->waiting, &n->node);
	}
	return n;
}

void
nexthop_next(struct nexthop *n)
{
	if (n->state != LOOKUP_TRY)
		bug("nexthop_next() of %s in state %s", n->domain,
		    rows[n->state].name);
	n->next = true;
	loop_timer_set(n->kick, 0);
}

static void
reap(void *ctx)
{
	free(ctx);
}

void
nexthop_cancel(struct nexthop **np)
{
	struct nexthop *n = *np;

	if (n == NULL)
		return;
	*np = NULL;
	n->dead = true;
	n->emit = false;
	list_del(&n->node);
	loop_timer_free(&n->kick);
	loop_timer_free(&n->deadline);
	slot_release(n);
	lookup_clear(n);
	free(n->kept);
	free(n->sets);
	free(n->targets);
	loop_retire(n->r->loop, n, reap);
}
