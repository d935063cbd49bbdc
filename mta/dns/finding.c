/*
 * finding.c - from the outcomes of one lookup to a status that an operator can
 * act on: which question, which server, which set, and which rule of the
 * policy made it a deferral or a failure.
 * Never asks; never fails a mail while anything the policy asks is unknown.
 * Codes: RFC 3463, 7505.  Read next: policy.c, nexthop.c.
 */
#include "mta/dns/finding.h"

#include <stdio.h>
#include <string.h>

#include "mta/base/clock.h"
#include "mta/base/mem.h"
#include "mta/base/str.h"
#include "mta/dns/packet.h"

static const char *const order_names[] = {
	[ORDER_BOTH] = "both", [ORDER_A_FIRST] = "a-first",
	[ORDER_AAAA_FIRST] = "aaaa-first",
};
static const char *const type_names[FAMILIES] = { "A", "AAAA" };

/* "AAAA mx.far.test: SERVFAIL from 127.0.0.1:5301 (set internal)" */
static void
say_question(struct buf *b, const struct finding *f, const char *type,
    const char *name, uint16_t outcome, const char *server)
{
	char text[24];

	buf_printf(b, "%s %s: %s", type, name,
	    trace_outcome_name(outcome, text));
	if (server[0] != '\0')
		buf_printf(b, " from %s", server);
	buf_printf(b, " (set %s)", f->set);
}

static void
say_deadline(struct buf *b, const struct conf_resolve *p,
    const struct finding *f)
{
	char span[CLOCK_SPAN_MAX];

	if (f->deadline)
		buf_printf(b, "; lookup_deadline=%s was reached",
		    clock_span(p->lookup_deadline_ms, span));
}

/* Fills *st; what b holds becomes the text. */
static void
set_status(struct status *st, unsigned class_, unsigned subject,
    unsigned detail, enum reason reason, struct buf *b)
{
	status_set(st, (uint8_t)class_, (uint16_t)subject, (uint16_t)detail,
	    STAGE_dns, reason, "%s", buf_cstr(b));
	buf_free(b);
}

/* The class of proven absence: the policy may want it deferred. */
static unsigned
absent_class(const struct conf_resolve *p)
{
	return p->nxdomain == NXDOMAIN_DEFER ? 4 : 5;
}

static void
say_nxdomain_policy(struct buf *b, const struct conf_resolve *p)
{
	if (p->nxdomain == NXDOMAIN_DEFER)
		buf_text(b, "; nxdomain=defer keeps the mail");
}

/* ---- MX ---- */

static enum policy_found
judge_mx_soft(const struct conf_resolve *p, const struct finding *f,
    struct status *st)
{
	struct buf b = { 0 };

	buf_text(&b, "DNS: ");
	say_question(&b, f, "MX", f->domain, f->mx, f->mx_server);
	say_deadline(&b, p, f);
	buf_text(&b, f->smarthost ? "; the name itself has no address" :
	    "; A and AAAA were not asked, for a failed MX question is not an "
	    "absent MX");
	set_status(st, 4, 4, 3, dns_reason(f->mx), &b);
	return dns_not_here(f->mx) && !f->smarthost ? FOUND_NOT_HERE :
	    FOUND_SOFT;
}

static enum policy_found
judge_nxdomain(const struct conf_resolve *p, const struct finding *f,
    struct status *st)
{
	struct buf b = { 0 };

	buf_text(&b, "DNS: ");
	say_question(&b, f, "MX", f->domain, f->mx, f->mx_server);
	buf_text(&b, "; there is no such domain");
	say_nxdomain_policy(&b, p);
	set_status(st, absent_class(p), 1, 2, REASON_dns_nxdomain, &b);
	return FOUND_ABSENT;
}

static enum policy_found
judge_null_mx(const struct finding *f, struct status *st)
{
	struct buf b = { 0 };

	buf_printf(&b, "DNS: MX %s: null MX", f->domain);
	if (f->mx_server[0] != '\0')
		buf_printf(&b, " from %s", f->mx_server);
	buf_printf(&b, " (set %s); the domain takes no mail (RFC 7505)",
	    f->set);
	set_status(st, 5, 1, 10, REASON_null_mx, &b);
	return FOUND_FINAL;
}

/* ---- hosts ---- */

/* What is said of the family that did not decide. */
static void
say_other(struct buf *b, const struct conf_resolve *p,
    const struct finding_host *h, enum family decider)
{
	const enum family other = decider == FAM_A ? FAM_AAAA : FAM_A;
	char text[24];

	if (other == FAM_AAAA && !p->ipv6)
		buf_text(b, "; AAAA was not asked (ipv6=false)");
	else if (!h->q[other].asked)
		buf_printf(b, "; %s was not asked", type_names[other]);
	else
		buf_printf(b, "; %s: %s", type_names[other],
		    trace_outcome_name(h->q[other].outcome, text));
}

static void
judge_host_soft(const struct conf_resolve *p, const struct finding *f,
    const struct finding_host *h, size_t more, struct status *st)
{
	struct buf b = { 0 };
	enum family decider;

	policy_host(p, h->q, &decider);
	buf_text(&b, "DNS: ");
	say_question(&b, f, type_names[decider], h->name, h->q[decider].outcome,
	    h->server[decider]);
	say_deadline(&b, p, f);
	if (p->on_failure == ON_FAILURE_STRICT)
		buf_printf(&b, "; order=%s on_failure=strict discards the host",
		    order_names[p->order]);
	say_other(&b, p, h, decider);
	if (more != 0)
		buf_printf(&b, "; %zu more host%s unknown", more,
		    more == 1 ? " is" : "s are");
	set_status(st, 4, 4, 3, dns_reason(h->q[decider].outcome), &b);
}

static void
judge_guarded(const struct finding *f, const struct finding_host *h,
    struct status *st)
{
	struct buf b = { 0 };

	buf_printf(&b, "DNS: %s has the %s address %s (set %s), where MX may "
	    "not lead; allow_addresses would exempt it", h->name, h->guarded,
	    h->guarded_ip, f->set);
	set_status(st, 4, 4, 4, REASON_policy, &b);
}

static enum policy_found
judge_no_address(const struct conf_resolve *p, const struct finding *f,
    struct status *st)
{
	const struct finding_host *h = f->nhosts != 0 ? f->hosts[0] : NULL;
	struct buf b = { 0 };
	enum family decider;

	buf_printf(&b, f->smarthost ? "DNS: %s has no address" : f->implicit ?
	    "DNS: %s has neither MX nor address" :
	    "DNS: no mail host of %s has an address", f->domain);
	if (h != NULL && !h->literal) {
		policy_host(p, h->q, &decider);
		buf_text(&b, "; ");
		say_question(&b, f, type_names[decider], h->name,
		    h->q[decider].outcome, h->server[decider]);
		say_other(&b, p, h, decider);
	} else if (h != NULL) {
		buf_printf(&b, "; %s is an IPv6 address (ipv6=false)", h->name);
	}
	if (f->nhosts > 1)
		buf_printf(&b, "; likewise %zu more", f->nhosts - 1);
	say_nxdomain_policy(&b, p);
	set_status(st, absent_class(p), 4, 4, REASON_dns_nodata, &b);
	return FOUND_ABSENT;
}

static enum policy_found
judge_ours(const struct finding *f, struct status *st)
{
	struct buf b = { 0 };

	buf_printf(&b, "mail for %s would come back: %s is this relay; its MX "
	    "and all of equal or worse preference are left out (set %s)",
	    f->domain, f->ours, f->set);
	set_status(st, 5, 4, 6, REASON_loop, &b);
	return FOUND_FINAL;
}

static enum policy_found
judge_left_out(const struct conf_resolve *p, const struct finding *f,
    struct status *st)
{
	struct buf b = { 0 };

	buf_printf(&b, "DNS: %s has %zu more MX hosts than were asked "
	    "(max_mx_hosts=%u, set %s); what they would say is unknown",
	    f->domain, f->left_out, p->max_mx_hosts, f->set);
	set_status(st, 4, 4, 4, REASON_policy, &b);
	return FOUND_SOFT;
}

static bool
host_soft(const struct conf_resolve *p, const struct finding_host *h)
{
	enum family decider;

	return !h->given && !h->literal && h->guarded == NULL &&
	    policy_host(p, h->q, &decider) == DNS_SOFT;
}

static enum policy_found
judge_hosts(const struct conf_resolve *p, const struct finding *f,
    struct status *st)
{
	const struct finding_host *soft = NULL, *guarded = NULL;
	size_t nsoft = 0;
	bool given = false;

	for (size_t i = 0; i < f->nhosts; i++) {
		const struct finding_host *h = f->hosts[i];

		given = given || h->given;
		if (host_soft(p, h) && nsoft++ == 0)
			soft = h;
		if (!h->given && h->guarded != NULL && guarded == NULL)
			guarded = h;
	}
	if (soft != NULL) {
		judge_host_soft(p, f, soft, nsoft - 1, st);
		return FOUND_SOFT;
	}
	if (guarded != NULL && !given) {
		judge_guarded(f, guarded, st);
		return FOUND_SOFT;
	}
	if (f->left_out != 0 && f->ours == NULL)
		return judge_left_out(p, f, st);
	if (given) {
		memset(st, 0, sizeof *st);
		return FOUND_USABLE;
	}
	if (f->ours != NULL)
		return judge_ours(f, st);
	/* A smarthost's MX may be soft and its own addresses absent. */
	if (f->mx_asked && dns_kind(f->mx) == DNS_SOFT)
		return judge_mx_soft(p, f, st);
	return judge_no_address(p, f, st);
}

enum policy_found
finding_judge(const struct conf_resolve *p, const struct finding *f,
    struct status *st)
{
	if (f->mx_asked && !f->smarthost) {
		if (f->null_mx)
			return judge_null_mx(f, st);
		if (dns_kind(f->mx) == DNS_SOFT)
			return judge_mx_soft(p, f, st);
		if (f->mx == OUT_NXDOMAIN)
			return judge_nxdomain(p, f, st);
	}
	return judge_hosts(p, f, st);
}

void
finding_brief(const struct status *st, char *buf, size_t size)
{
	const char *text = st->text;
	const char *end;

	if (str_starts_nocase(text, "DNS: "))
		text += 5;
	end = strchr(text, ';');
	str_safe(buf, size, text,
	    end != NULL ? (size_t)(end - text) : strlen(text));
}
