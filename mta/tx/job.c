/*
 * job.c - one lease at work: outcomes per recipient, the settle, and the lines
 * of the log that tell how each recipient fared.
 * Never talks to a peer and never decides what a reply means.
 * Read next: verdict.h (who decides), steps.c (who calls).
 */
#include "mta/tx/job.h"

#include <stdlib.h>
#include <string.h>

#include "mta/base/counters.h"
#include "mta/base/log.h"
#include "mta/tx/dispatch.h"
#include "mta/tx/tx.h"
#include "mta/tx/verdict.h"

struct tx_said {
	struct tx_said	*next;
	struct status	 status;
};

struct tx_job *
tx_job_new(struct tx_dest *dest, struct queue_lease *lease)
{
	const uint32_t n = lease->envelope.nrecipients;
	struct tx_job *job = xcalloc(1, sizeof *job + n * sizeof job->rcpts[0]);

	list_init(&job->link);
	job->dest = dest;
	job->lease = lease;
	job->n = n;
	dest->tx->njobs++;
	return job;
}

void
tx_job_free(struct tx_job **jobp)
{
	struct tx_job *job = *jobp;

	*jobp = NULL;
	if (job == NULL)
		return;
	list_del(&job->link);
	job->dest->tx->njobs--;
	for (struct tx_said *s = job->said, *next; s != NULL; s = next) {
		next = s->next;
		free(s);
	}
	queue_lease_free(&job->lease);
	free(job);
}

uint32_t
tx_job_next(const struct tx_job *job, uint32_t i, enum tx_rcpt_state state)
{
	while (i < job->n && job->rcpts[i].state != state)
		i++;
	return i;
}

uint32_t
tx_job_count(const struct tx_job *job, enum tx_rcpt_state state)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < job->n; i++)
		n += job->rcpts[i].state == state;
	return n;
}

static struct tx_said *
keep_said(struct tx_job *job, const struct status *st)
{
	struct tx_said *s = xmalloc(sizeof *s);

	s->status = *st;
	s->next = job->said;
	job->said = s;
	return s;
}

static void
decide(struct tx_job *job, struct tx_rcpt *r, const struct verdict *v,
    struct tx_said *said)
{
	r->outcome = v->outcome;
	r->maybe_sent = v->maybe_sent;
	r->status = &said->status;
	r->state = v->later ? RCPT_LATER : RCPT_DONE;
	if (job->soft)
		verdict_soften(&r->outcome, &said->status);
}

void
tx_job_judge(struct tx_job *job, uint32_t i, const struct verdict *v)
{
	decide(job, &job->rcpts[i], v, keep_said(job, &v->status));
}

void
tx_job_judge_all(struct tx_job *job, enum tx_rcpt_state state,
    const struct verdict *v)
{
	struct tx_said *said = NULL;

	for (uint32_t i = 0; i < job->n; i++) {
		if (job->rcpts[i].state != state)
			continue;
		if (said == NULL)
			said = keep_said(job, &v->status);
		decide(job, &job->rcpts[i], v, said);
	}
}

void
tx_job_reset(struct tx_job *job)
{
	for (uint32_t i = 0; i < job->n; i++)
		if (job->rcpts[i].state == RCPT_TAKEN ||
		    job->rcpts[i].state == RCPT_LATER)
			job->rcpts[i].state = RCPT_TODO;
}

void
tx_job_round_over(struct tx_job *job, bool progress)
{
	for (uint32_t i = 0; i < job->n; i++)
		if (job->rcpts[i].state == RCPT_LATER)
			job->rcpts[i].state = progress ? RCPT_TODO : RCPT_DONE;
}

static void
say_outcome(const struct tx_job *job, const struct recipient *to,
    const struct tx_rcpt *r)
{
	static const char *const events[] = {
		[OUTCOME_DELIVERED] = "delivered",
		[OUTCOME_DEFERRED]  = "deferred",
		[OUTCOME_FAILED]    = "failed",
	};
	static const enum counter counts[] = {
		[OUTCOME_DELIVERED] = C_tx_delivered_total,
		[OUTCOME_DEFERRED]  = C_tx_deferred_total,
		[OUTCOME_FAILED]    = C_tx_failed_total,
	};
	const struct status *st = r->status;
	char id[MSGID_TEXT_MAX], code[STATUS_CODE_MAX], rcpt[600],
	    text[STATUS_TEXT_MAX + 64], dest[DOMAIN_MAX * 2];

	counter_add(counts[r->outcome], 1);
	log_event(events[r->outcome],
	    "id=%s rcpt=%s dest=%s connector=%s peer=%s code=%s stage=%s "
	    "reason=%s%s text=%s",
	    msgid_text(&job->lease->id, id),
	    log_quote(rcpt, sizeof rcpt, to->address),
	    log_quote(dest, sizeof dest, job->lease->domain),
	    job->lease->connector, st->peer[0] != '\0' ? st->peer : "-",
	    status_code(st, code), stage_name(st->stage),
	    reason_name(st->reason), r->maybe_sent ? " maybe_sent=yes" : "",
	    log_quote(text, sizeof text, st->text));
}

void
tx_job_settle(struct tx_job **jobp, struct queue *q, const struct buf *trace)
{
	struct tx_job *job = *jobp;
	struct queue_settle few[16], *s = few;
	bool delivered = false, keep_trace = false;

	if (job->n > COUNT_OF(few))
		s = xcalloc(job->n, sizeof *s);
	for (uint32_t i = 0; i < job->n; i++) {
		const struct tx_rcpt *r = &job->rcpts[i];

		s[i] =
		    (struct queue_settle){ .ordinal = job->lease->ordinals[i],
			    .outcome = OUTCOME_RETURNED };
		if (r->state != RCPT_DONE)
			continue;
		s[i].outcome = r->outcome;
		if (r->outcome == OUTCOME_RETURNED)
			continue;
		s[i].maybe_sent = r->maybe_sent;
		s[i].status = r->status;
		delivered |= r->outcome == OUTCOME_DELIVERED;
		keep_trace |= r->outcome != OUTCOME_DELIVERED;
		say_outcome(job, &job->lease->envelope.recipients[i], r);
	}
	if (delivered)
		counter_add(C_tx_bytes_total, (int64_t)job->lease->size);
	/* A new queue can only use good news: the rest it leases anew. */
	if (!job->orphan || delivered)
		queue_settle(q, job->lease, s, job->n,
		    keep_trace && trace != NULL ? trace->data : NULL,
		    keep_trace && trace != NULL ? trace->len : 0);
	if (s != few)
		free(s);
	tx_job_free(jobp);
}
