/*
 * rcpts.c - which recipients of a message an item means.  The index keeps no
 * addresses, so a message with several recipients is read first.
 */
#include <stdlib.h>
#include <string.h>

#include "mta/base/log.h"
#include "mta/qm/qm.h"

/* A question that waits for the envelope. */
struct wait {
	struct qm	*qm;
	struct msgid	 id;
	char		 domain[DOMAIN_MAX];
	qm_rcpts_fn	*fn;
	size_t		 arg_len;
	uint8_t		 arg[];
};

uint32_t
qm_rcpts_of(const struct store_message *m, const struct envelope *e, const struct sched_item *i, uint32_t *ordinals)
{
	char domain[DOMAIN_MAX];
	uint32_t n = 0;

	for (uint32_t k = 0; k < m->nrcpts && k < e->nrecipients; k++) {
		if (m->rcpts[k].state != RCPT_QUEUED)
			continue;
		if (!address_domain(e->recipients[k].address, domain))
			domain[0] = '\0';
		if (m->nrcpts == 1 || strcmp(domain, i->domain->name) == 0)
			ordinals[n++] = k;
	}
	return n;
}

static struct sched_item *
item_find(const struct store_message *m, const char *domain)
{
	for (struct sched_item *i = m->user; i != NULL; i = i->next)
		if (strcmp(i->domain->name, domain) == 0)
			return i;
	return NULL;
}

struct sched_item *
qm_item_of(const struct store_message *m, const struct envelope *e, uint32_t ordinal)
{
	char domain[DOMAIN_MAX];

	if (m->nrcpts == 1)
		return m->user;
	if (ordinal >= e->nrecipients)
		return NULL;
	if (!address_domain(e->recipients[ordinal].address, domain))
		domain[0] = '\0';
	return item_find(m, domain);
}

static void
on_envelope(void *ctx, struct store_read *r, const struct fault *f)
{
	struct wait *w = ctx;
	struct store_message *m = store_find(w->qm->store, &w->id);
	struct sched_item *i = m != NULL ? item_find(m, w->domain) : NULL;
	uint32_t *ordinals, n;

	if (i != NULL && i->reading > 0)
		i->reading--;
	if (r == NULL) {
		log_warn("damaged", "text=\"%s\"", f->text);
	} else if (i != NULL && i->place != PLACE_LEASED) {
		ordinals = xcalloc(m->nrcpts, sizeof *ordinals);
		n = qm_rcpts_of(m, &r->envelope, i, ordinals);
		w->fn(w->qm, i, ordinals, n, w->arg, w->arg_len);
		free(ordinals);
	}
	/* A DSN may have waited for this answer, the last of several. */
	m = store_find(w->qm->store, &w->id);
	if (m != NULL)
		qm_dsn_consider(w->qm, m);
	store_read_free(r);
	free(w);
}

void
qm_with_rcpts(struct qm *qm, struct sched_item *i, qm_rcpts_fn *fn, const void *arg, size_t arg_len)
{
	static const uint32_t only = 0;
	struct wait *w;

	w = xcalloc(1, sizeof *w + arg_len);
	w->qm = qm;
	w->fn = fn;
	w->arg_len = arg_len;
	if (arg_len > 0)
		memcpy(w->arg, arg, arg_len);
	if (i->m->nrcpts == 1) {
		fn(qm, i, &only, i->m->rcpts[0].state == RCPT_QUEUED, w->arg, arg_len);
		free(w);
		return;
	}
	if (i->reading < UINT8_MAX)
		i->reading++;
	w->id = i->m->id;
	strcpy(w->domain, i->domain->name);	/* DOMAIN_MAX both */
	store_read(qm->store, i->m, 0, on_envelope, w);
}

void
qm_item_drop(struct qm *qm, struct sched_item *i)
{
	struct sched_item **at = (struct sched_item **)&i->m->user;

	while (*at != i)
		at = &(*at)->next;
	*at = i->next;
	sched_del(qm->sched, i);
}
