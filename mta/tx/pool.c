/*
 * pool.c - counts connections and lets those wait that would be too many.
 * Never opens or closes one itself: it asks an idle session to go, and tells
 * who waits that there may be room.
 * Read next: dispatch.c (who takes), session.c (who gives back).
 */
#include "mta/tx/pool.h"

#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "mta/tx/session.h"

#define WAKE_MAX 16	/* of one list at a time: some will queue elsewhere */

struct tx_pool_group {
	char		*name;
	unsigned	 max, used, unproven;
	struct list	 living, others;	/* waiting for a slot of this connector */
};

/* What those without a success may hold of n. */
static unsigned
half(unsigned n)
{
	return n > 1 ? n / 2 : 1;
}

static const void *
group_key(const void *value, size_t *n_r)
{
	const struct tx_pool_group *g = value;

	*n_r = strlen(g->name);
	return g->name;
}

void
tx_pool_init(struct tx_pool *p, unsigned max, tx_room_fn *on_room)
{
	*p = (struct tx_pool){ .max = max, .on_room = on_room };
	p->groups = hash_new(group_key);
	list_init(&p->living);
	list_init(&p->others);
	list_init(&p->idle);
}

void
tx_pool_clear(struct tx_pool *p)
{
	struct tx_pool_group *g;

	for (size_t at = 0; (g = hash_next(p->groups, &at)) != NULL; ) {
		hash_del(p->groups, g->name, strlen(g->name));
		free(g->name);
		free(g);
	}
	hash_free(&p->groups);
}

static struct tx_pool_group *
group_of(struct tx_pool *p, const char *name)
{
	struct tx_pool_group *g = hash_get(p->groups, name, strlen(name));

	if (g != NULL)
		return g;
	g = xcalloc(1, sizeof *g);
	g->name = xstrdup(name);
	list_init(&g->living);
	list_init(&g->others);
	hash_put(p->groups, g);
	return g;
}

static void
evict(struct tx_pool *p, const struct tx_pool_group *g)
{
	LIST_EACH(it, &p->idle) {
		struct tx_session *s =
		    LIST_OWNER(it, struct tx_session, idle_link);

		if (g != NULL && s->slot.group != g)
			continue;
		tx_session_dismiss(s);
		return;
	}
}

static void
wait_in(struct list *list, struct tx_wait *w)
{
	list_del(&w->link);
	list_add_tail(list, &w->link);
}

bool
tx_pool_take(struct tx_pool *p, const struct conf_connector *k, bool living,
    struct tx_slot *slot, struct tx_wait *w)
{
	struct tx_pool_group *g = group_of(p, k->name);

	g->max = k->connections;
	if (g->used >= g->max || (!living && g->unproven >= half(g->max))) {
		wait_in(living ? &g->living : &g->others, w);
		if (g->used >= g->max)
			evict(p, g);
		return false;
	}
	if (p->used >= p->max || (!living && p->unproven >= half(p->max))) {
		wait_in(living ? &p->living : &p->others, w);
		if (p->used >= p->max)
			evict(p, NULL);
		return false;
	}
	list_del(&w->link);
	g->used++;
	g->unproven += !living;
	p->used++;
	p->unproven += !living;
	*slot = (struct tx_slot){ .group = g, .living = living };
	return true;
}

static void
wake(struct tx_pool *p, struct list *list, unsigned n)
{
	while (n-- > 0 && !list_empty(list)) {
		struct tx_wait *w =
		    LIST_OWNER(list->next, struct tx_wait, link);

		list_del(&w->link);
		p->on_room(w);
	}
}

/* In the connector, then in all: at most n of those who wait for the whole pool. */
static void
wake_some(struct tx_pool *p, struct tx_pool_group *g, unsigned n)
{
	wake(p, &g->living, 1);
	if (g->unproven < half(g->max))
		wake(p, &g->others, 1);
	wake(p, &p->living, n);
	if (p->unproven < half(p->max))
		wake(p, &p->others, n);
}

void
tx_pool_give(struct tx_pool *p, struct tx_slot *slot)
{
	struct tx_pool_group *g = slot->group;

	if (g == NULL)
		return;
	slot->group = NULL;
	g->used--;
	g->unproven -= !slot->living;
	p->used--;
	p->unproven -= !slot->living;
	wake_some(p, g, WAKE_MAX);
}

void
tx_pool_pass(struct tx_pool *p, const char *connector)
{
	wake_some(p, group_of(p, connector), 1);
}

void
tx_pool_proved(struct tx_pool *p, struct tx_slot *slot)
{
	if (slot->group == NULL || slot->living)
		return;
	slot->living = true;
	slot->group->unproven--;
	p->unproven--;
	wake(p, &slot->group->others, 1);
	wake(p, &p->others, 1);
}
