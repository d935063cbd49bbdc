/*
 * hold.c - hold rules by domain or connector: they cover what is queued and what
 * comes, and survive a restart as notes.  A hold of single messages is a mark
 * on their recipients instead (settle.c).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mta/base/log.h"
#include "mta/qm/qm.h"

static bool
covered(struct qm *qm, const char *kind, const char *name)
{
	char key[DOMAIN_MAX + 16];

	snprintf(key, sizeof key, "%s:%s", kind, name);
	return hash_get(qm->holds, key, strlen(key)) != NULL;
}

bool
qm_hold_covers(struct qm *qm, const char *connector, const char *domain)
{
	return covered(qm, "connector", connector) || covered(qm, "domain", domain);
}

void
qm_hold_load(struct qm *qm, const char *key)
{
	struct qm_hold *h;

	if (hash_get(qm->holds, key, strlen(key)) != NULL)
		return;
	h = xcalloc(1, sizeof *h);
	h->key = xstrdup(key);
	hash_put(qm->holds, h);
}

bool
qm_domain_held(struct qm *qm, const struct sched_domain *dom)
{
	return hash_count(qm->holds) > 0 && strcmp(dom->dest->domain, dom->name) != 0 &&
	    covered(qm, "domain", dom->name);
}

static void
hold_later(struct qm *qm, struct sched_dest *d)
{
	for (uint32_t k = 0; k < d->later.n; ) {
		struct sched_item *i = LIST_OWNER(d->later.v[k], struct sched_item, u.due);

		if (qm_domain_held(qm, i->domain)) {
			sched_hold(qm->sched, i);
			k = 0;			/* the heap is another one now */
		} else {
			k++;
		}
	}
}

/*
 * Items one by one: those of a smarthost destination by their domain; those that
 * came from one by a reload let their new destination hold them.
 */
static void
apply_domains(struct qm *qm, struct sched_dest *d)
{
	hold_later(qm, d);
	LIST_EACH_SAFE(it, &d->ready) {
		struct sched_item *i = LIST_OWNER(it, struct sched_item, u.link);

		if (qm_domain_held(qm, i->domain))
			sched_hold(qm->sched, i);
	}
	LIST_EACH_SAFE(it, &d->held) {
		struct sched_item *i = LIST_OWNER(it, struct sched_item, u.link);

		if (!i->marked && !qm_domain_held(qm, i->domain))
			sched_ready(qm->sched, i);
	}
}

void
qm_holds_apply(struct qm *qm)
{
	struct sched_dest *d;
	uint32_t at = 0;

	while ((d = sched_dest_each(qm->sched, &at)) != NULL) {
		sched_set_holding(qm->sched, d, d->conf == NULL || !d->conf->enabled ||
		    qm_hold_covers(qm, d->connector, d->domain));
		apply_domains(qm, d);
	}
	qm_pump_soon(qm);
}

bool
qm_hold_set(struct qm *qm, const char *kind, const char *name, bool held)
{
	char key[DOMAIN_MAX + 16];
	struct qm_hold *h;

	snprintf(key, sizeof key, "%s:%s", kind, name);
	h = hash_get(qm->holds, key, strlen(key));
	if ((h != NULL) == held)
		return false;
	if (held) {
		qm_hold_load(qm, key);
		store_note_put(qm->store, NOTE_HOLD, key, (const uint8_t *)"1", 1);
	} else {
		hash_del(qm->holds, key, strlen(key));
		free(h->key);
		free(h);
		store_note_drop(qm->store, NOTE_HOLD, key);
	}
	log_event(held ? "hold" : "release", "rule=%s", key);
	qm_holds_apply(qm);
	return true;
}
