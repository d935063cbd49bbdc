/*
 * sched.c - destinations, items and the rings that tx processes are served from.
 * Memory only; never reads a clock, never touches the spool or a channel.
 * Read sched.h first; next: mta/qm/lease.c (who takes), mta/qm/settle.c (who
 * brings back).
 */
#include "queue/sched.h"

#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "mta/base/hash.h"
#include "mta/base/log.h"
#include "mta/base/mem.h"
#include "queue/store.h"

struct ring {
	struct list	 proven, unproven;	/* eligible destinations */
	uint32_t	 unproven_leased;	/* items out to destinations not proven */
	bool		 turn;			/* which list is served next */
};

struct sched {
	struct hash		*by_key;	/* struct sched_dest */
	struct hash		*domains;	/* struct sched_domain */
	struct sched_dest	**dests;	/* by number; NULL: free */
	uint32_t		 ndests, cap;
	struct heap		 wakes;		/* sched_dest.wake */
	struct ring		*rings;
	unsigned		 ntx;
	uint32_t		 unproven_max;
};

static const void *
dest_key_of(const void *value, size_t *n_r)
{
	const struct sched_dest *d = value;

	*n_r = strlen(d->key);
	return d->key;
}

static const void *
domain_key_of(const void *value, size_t *n_r)
{
	const struct sched_domain *d = value;

	*n_r = strlen(d->name);
	return d->name;
}

struct sched *
sched_new(unsigned ntx)
{
	struct sched *s = xcalloc(1, sizeof *s);

	s->by_key = hash_new(dest_key_of);
	s->domains = hash_new(domain_key_of);
	s->ntx = ntx;
	s->unproven_max = UINT32_MAX;
	s->rings = xcalloc(ntx, sizeof *s->rings);
	for (unsigned i = 0; i < ntx; i++) {
		list_init(&s->rings[i].proven);
		list_init(&s->rings[i].unproven);
	}
	return s;
}

static void
domain_free(struct sched *s, struct sched_domain *d)
{
	hash_del(s->domains, d->name, strlen(d->name));
	free(d->name);
	free(d);
}

static void
dest_free(struct sched_dest *d)
{
	heap_clear(&d->later);
	free(d->key);
	free(d->connector);
	free(d->domain);
	free(d->last);
	free(d->with);
	free(d);
}

void
sched_free(struct sched **sp)
{
	struct sched *s = *sp;
	struct sched_domain *dom;

	if (s == NULL)
		return;
	for (size_t at = 0; (dom = hash_next(s->domains, &at)) != NULL; )
		domain_free(s, dom);
	heap_clear(&s->wakes);
	for (uint32_t i = 0; i < s->ndests; i++)
		if (s->dests[i] != NULL)
			dest_free(s->dests[i]);
	hash_free(&s->by_key);
	hash_free(&s->domains);
	free(s->dests);
	free(s->rings);
	free(s);
	*sp = NULL;
}

void
sched_unproven_max(struct sched *s, uint32_t max)
{
	s->unproven_max = max;
}

/* ---- destinations ---- */

/* Puts the destination into its ring, or takes it out, as its state says. */
static void
dest_place(struct sched *s, struct sched_dest *d)
{
	struct ring *ring = &s->rings[d->tx];
	const bool eligible = !list_empty(&d->ready) && !d->deferred && !d->holding &&
	    d->leased < d->window;

	if (!eligible)
		list_del(&d->ring);
	else if (list_empty(&d->ring))
		list_add_tail(d->proven ? &ring->proven : &ring->unproven, &d->ring);
}

static void
dest_set_proven(struct sched *s, struct sched_dest *d, bool proven)
{
	struct ring *ring = &s->rings[d->tx];

	if (d->proven == proven)
		return;
	if (proven)
		ring->unproven_leased -= d->leased;
	else
		ring->unproven_leased += d->leased;
	d->proven = proven;
	list_del(&d->ring);
	dest_place(s, d);
}

/* When something changes by itself: the deferral's end, or the first LATER item. */
static void
dest_set_wake(struct sched *s, struct sched_dest *d)
{
	const struct heap_node *first = heap_top(&d->later);
	int64_t at = INT64_MAX;

	if (d->deferred)
		at = d->next_wall_ms;
	if (first != NULL && first->key < at)
		at = first->key;
	if (at == INT64_MAX)
		heap_del(&s->wakes, &d->wake);
	else
		heap_put(&s->wakes, &d->wake, at);
}

static uint32_t
window_cap(const struct conf_connector *conf)
{
	/* Four leases a connection keep the pipe full without filling tx with bodies. */
	return conf != NULL ? conf->concurrency * 4 : 1;
}

struct sched_dest *
sched_dest(struct sched *s, const char *key, const struct conf_connector *conf,
    const char *connector, const char *domain, unsigned tx)
{
	struct sched_dest *d = hash_get(s->by_key, key, strlen(key));

	if (d != NULL)
		return d;
	d = xcalloc(1, sizeof *d);
	d->key = xstrdup(key);
	d->connector = xstrdup(connector);
	d->domain = xstrdup(domain);
	d->conf = conf;
	d->tx = tx;
	d->window_cap = window_cap(conf);
	d->window = SCHED_WINDOW_NEW < d->window_cap ? SCHED_WINDOW_NEW : d->window_cap;
	d->wake.at = HEAP_NONE;
	list_init(&d->ready);
	list_init(&d->held);
	list_init(&d->ring);
	hash_put(s->by_key, d);
	if (s->ndests == s->cap) {
		s->cap = s->cap == 0 ? 64 : s->cap * 2;
		s->dests = xrealloc(s->dests, s->cap * sizeof *s->dests);
	}
	d->number = s->ndests;
	s->dests[s->ndests++] = d;
	return d;
}

struct sched_dest *
sched_dest_find(struct sched *s, const char *key)
{
	return hash_get(s->by_key, key, strlen(key));
}

struct sched_dest *
sched_dest_number(struct sched *s, uint32_t number)
{
	return number < s->ndests ? s->dests[number] : NULL;
}

struct sched_dest *
sched_dest_each(struct sched *s, uint32_t *at)
{
	while (*at < s->ndests) {
		struct sched_dest *d = s->dests[(*at)++];

		if (d != NULL)
			return d;
	}
	return NULL;
}

bool
sched_dest_idle(const struct sched_dest *d)
{
	return d->nitems == 0 && d->leased == 0;
}

/*
 * Numbers are not given out again in this life: a late frame about a dropped
 * destination finds nothing.  The table is compacted by a restart only; 8
 * bytes a destination that once was.
 */
void
sched_dest_drop(struct sched *s, struct sched_dest *d)
{
	list_del(&d->ring);
	heap_del(&s->wakes, &d->wake);
	hash_del(s->by_key, d->key, strlen(d->key));
	s->dests[d->number] = NULL;
	dest_free(d);
}

static int64_t
oldest_of_list(const struct list *head, int64_t oldest)
{
	LIST_EACH(it, head) {
		const struct sched_item *i = LIST_OWNER(it, struct sched_item, u.link);

		if (oldest == 0 || i->m->arrival_wall_ms < oldest)
			oldest = i->m->arrival_wall_ms;
	}
	return oldest;
}

int64_t
sched_oldest(struct sched_dest *d)
{
	int64_t oldest = oldest_of_list(&d->ready, 0);

	oldest = oldest_of_list(&d->held, oldest);
	for (uint32_t k = 0; k < d->later.n; k++) {
		const struct sched_item *i = LIST_OWNER(d->later.v[k], struct sched_item, u.due);

		if (oldest == 0 || i->m->arrival_wall_ms < oldest)
			oldest = i->m->arrival_wall_ms;
	}
	if (d->leased > 0 && d->oldest_wall_ms != 0)	/* what is out may be the oldest */
		return oldest == 0 || d->oldest_wall_ms < oldest ? d->oldest_wall_ms : oldest;
	d->oldest_wall_ms = oldest;
	return oldest;
}

void
sched_defer(struct sched *s, struct sched_dest *d, int64_t next_wall_ms)
{
	dest_set_proven(s, d, false);
	d->deferred = true;
	d->next_wall_ms = next_wall_ms;
	d->window = SCHED_WINDOW_PROBE;
	dest_place(s, d);
	dest_set_wake(s, d);
}

void
sched_proven(struct sched *s, struct sched_dest *d, bool grow)
{
	if (grow && d->window < d->window_cap)
		d->window++;
	d->deferred = false;
	d->failures = 0;
	d->since_wall_ms = 0;
	if (d->last != NULL) {
		free(d->last);
		d->last = NULL;
	}
	dest_set_proven(s, d, true);
	dest_place(s, d);
	dest_set_wake(s, d);
}

void
sched_set_holding(struct sched *s, struct sched_dest *d, bool holding)
{
	d->holding = holding;
	dest_place(s, d);
}

void
sched_set_conf(struct sched *s, struct sched_dest *d, const struct conf_connector *conf)
{
	d->conf = conf;
	d->window_cap = window_cap(conf);
	if (d->window > d->window_cap)
		d->window = d->window_cap;
	dest_place(s, d);
}

/* ---- domains ---- */

struct sched_domain *
sched_domain(struct sched *s, const char *name)
{
	struct sched_domain *d = hash_get(s->domains, name, strlen(name));

	if (d == NULL) {
		d = xcalloc(1, sizeof *d);
		d->name = xstrdup(name);
		hash_put(s->domains, d);
	}
	return d;
}

struct sched_dest *
sched_domain_dest(struct sched *s, const char *name)
{
	const struct sched_domain *d = hash_get(s->domains, name, strlen(name));

	return d != NULL ? d->dest : NULL;
}

struct sched_domain *
sched_domain_each(struct sched *s, size_t *at)
{
	return hash_next(s->domains, at);
}

/* ---- items ---- */

static void
item_count(struct sched_item *i, struct sched_dest *d, int sign)
{
	d->nitems += (uint64_t)sign;
	d->nrcpts += (uint64_t)sign * i->nrcpts;
	if (sign > 0 && (d->oldest_wall_ms == 0 || i->m->arrival_wall_ms < d->oldest_wall_ms))
		d->oldest_wall_ms = i->m->arrival_wall_ms;
	if (d->nitems == 0)
		d->oldest_wall_ms = 0;
}

/* Out of whatever list or heap it is in; the place becomes NONE. */
static void
item_unplace(struct sched *s, struct sched_item *i)
{
	struct sched_dest *d = i->dest;

	switch (i->place) {
	case PLACE_READY:
	case PLACE_HELD:
		list_del(&i->u.link);
		break;
	case PLACE_LATER:
		heap_del(&d->later, &i->u.due);
		dest_set_wake(s, d);
		break;
	case PLACE_LEASED:
		bug("sched: item moved while leased");
	}
	i->place = PLACE_NONE;
}

struct sched_item *
sched_add(struct sched *s, struct store_message *m, struct sched_domain *dom, uint32_t nrcpts)
{
	struct sched_item *i = xcalloc(1, sizeof *i);

	(void)s;
	i->m = m;
	i->domain = dom;
	i->dest = dom->dest;
	i->nrcpts = nrcpts;
	dom->items++;
	item_count(i, dom->dest, 1);
	return i;
}

void
sched_del(struct sched *s, struct sched_item *i)
{
	struct sched_domain *dom = i->domain;
	struct sched_dest *d = i->dest;

	item_unplace(s, i);
	item_count(i, d, -1);
	free(i);
	dest_place(s, d);
	if (--dom->items == 0)
		domain_free(s, dom);
}

void
sched_ready(struct sched *s, struct sched_item *i)
{
	struct sched_dest *d = i->dest;

	item_unplace(s, i);
	/* What was out and came back goes to the front: it is older than what waits. */
	if (!list_empty(&d->ready) &&
	    LIST_OWNER(d->ready.next, struct sched_item, u.link)->m->arrival_wall_ms > i->m->arrival_wall_ms)
		list_add_head(&d->ready, &i->u.link);
	else
		list_add_tail(&d->ready, &i->u.link);
	i->place = PLACE_READY;
	dest_place(s, d);
}

void
sched_later(struct sched *s, struct sched_item *i, int64_t next_wall_ms)
{
	struct sched_dest *d = i->dest;

	item_unplace(s, i);
	i->u.due.at = HEAP_NONE;
	heap_put(&d->later, &i->u.due, next_wall_ms);
	i->place = PLACE_LATER;
	dest_place(s, d);
	dest_set_wake(s, d);
}

void
sched_hold(struct sched *s, struct sched_item *i)
{
	struct sched_dest *d = i->dest;

	item_unplace(s, i);
	list_add_tail(&d->held, &i->u.link);
	i->place = PLACE_HELD;
	dest_place(s, d);
}

void
sched_shrink(struct sched_item *i, uint32_t n)
{
	i->dest->nrcpts -= i->nrcpts - n;
	i->nrcpts = n;
}

/* ---- leasing ---- */

static struct sched_item *
dest_take(struct sched *s, struct sched_dest *d)
{
	struct sched_item *i = LIST_OWNER(d->ready.next, struct sched_item, u.link);

	list_del(&i->u.link);
	i->place = PLACE_LEASED;
	d->leased++;
	if (!d->proven)
		s->rings[d->tx].unproven_leased++;
	list_del(&d->ring);		/* to the end of the ring, if still eligible */
	dest_place(s, d);
	return i;
}

struct sched_item *
sched_next(struct sched *s, unsigned tx)
{
	struct ring *ring = &s->rings[tx];
	const bool unproven = !list_empty(&ring->unproven) && ring->unproven_leased < s->unproven_max;
	struct list *from;

	if (!unproven && list_empty(&ring->proven))
		return NULL;
	if (unproven && !list_empty(&ring->proven)) {
		ring->turn = !ring->turn;
		from = ring->turn ? &ring->proven : &ring->unproven;
	} else {
		from = unproven ? &ring->unproven : &ring->proven;
	}
	return dest_take(s, LIST_OWNER(from->next, struct sched_dest, ring));
}

struct sched_item *
sched_sibling(struct sched *s, struct sched_item *first)
{
	struct sched_dest *d = first->domain->dest;

	for (struct sched_item *i = first->m->user; i != NULL; i = i->next) {
		if (i->place != PLACE_READY || i->dest != d)
			continue;
		list_del(&i->u.link);
		i->place = PLACE_LEASED;
		d->leased++;
		if (!d->proven)
			s->rings[d->tx].unproven_leased++;
		dest_place(s, d);
		return i;
	}
	return NULL;
}

void
sched_return(struct sched *s, struct sched_item *i)
{
	struct sched_dest *d = i->dest;

	if (i->place != PLACE_LEASED)
		bug("sched: return of an item that is not leased");
	i->place = PLACE_NONE;
	list_init(&i->u.link);
	d->leased--;
	if (!d->proven)
		s->rings[d->tx].unproven_leased--;
	if (d != i->domain->dest) {		/* rerouted while it was out */
		item_count(i, d, -1);
		i->dest = i->domain->dest;
		item_count(i, i->dest, 1);
	}
	dest_place(s, d);
}

bool
sched_has_work(const struct sched *s, unsigned tx)
{
	return !list_empty(&s->rings[tx].proven) || !list_empty(&s->rings[tx].unproven);
}

/* ---- waking ---- */

static void
dest_ripen(struct sched *s, struct sched_dest *d, int64_t until_wall_ms, bool fresh)
{
	struct heap_node *first;

	while ((first = heap_top(&d->later)) != NULL && first->key <= until_wall_ms) {
		struct sched_item *i = LIST_OWNER(first, struct sched_item, u.due);

		heap_del(&d->later, first);
		i->place = PLACE_NONE;
		i->fresh = fresh;
		list_add_tail(&d->ready, &i->u.link);
		i->place = PLACE_READY;
	}
	dest_place(s, d);
	dest_set_wake(s, d);
}

void
sched_wake(struct sched *s, struct sched_dest *d)
{
	d->deferred = false;
	LIST_EACH(it, &d->ready)
		LIST_OWNER(it, struct sched_item, u.link)->fresh = true;
	dest_ripen(s, d, INT64_MAX, true);
}

void
sched_cap(struct sched *s, struct sched_dest *d, int64_t latest_wall_ms)
{
	if (d->deferred && d->next_wall_ms > latest_wall_ms)
		d->next_wall_ms = latest_wall_ms;
	/* Keys only shrink, to the largest of all: the order of the heap stays. */
	for (uint32_t k = 0; k < d->later.n; k++)
		if (d->later.v[k]->key > latest_wall_ms)
			d->later.v[k]->key = latest_wall_ms;
	dest_set_wake(s, d);
}

int64_t
sched_tick(struct sched *s, int64_t now_wall_ms)
{
	struct heap_node *top;

	while ((top = heap_top(&s->wakes)) != NULL && top->key <= now_wall_ms) {
		struct sched_dest *d = LIST_OWNER(top, struct sched_dest, wake);

		if (d->deferred && d->next_wall_ms <= now_wall_ms)
			d->deferred = false;
		dest_ripen(s, d, now_wall_ms, false);
	}
	return top != NULL ? top->key : INT64_MAX;
}

/* ---- another way, after a reload ---- */

static void
item_move(struct sched *s, struct sched_item *i, struct sched_dest *to)
{
	const int64_t due = i->place == PLACE_LATER ? i->u.due.key : 0;
	const uint8_t place = i->place;

	item_unplace(s, i);
	item_count(i, i->dest, -1);
	i->dest = to;
	item_count(i, to, 1);
	if (place == PLACE_LATER)
		sched_later(s, i, due);
	else if (place == PLACE_HELD)
		sched_hold(s, i);
	else
		sched_ready(s, i);
}

static void
list_move(struct sched *s, struct list *head, const struct sched_domain *dom, struct sched_dest *to)
{
	LIST_EACH_SAFE(it, head) {
		struct sched_item *i = LIST_OWNER(it, struct sched_item, u.link);

		if (i->domain == dom)
			item_move(s, i, to);
	}
}

static void
later_move(struct sched *s, struct sched_dest *from, const struct sched_domain *dom, struct sched_dest *to)
{
	struct heap_node **all = xmalloc((from->later.n + 1) * sizeof *all);
	const uint32_t n = from->later.n;

	if (n > 0)
		memcpy(all, from->later.v, n * sizeof *all);
	for (uint32_t k = 0; k < n; k++) {
		struct sched_item *i = LIST_OWNER(all[k], struct sched_item, u.due);

		if (i->domain == dom)
			item_move(s, i, to);
	}
	free(all);
}

void
sched_reroute(struct sched *s, struct sched_domain *dom, struct sched_dest *to)
{
	struct sched_dest *from = dom->dest;

	dom->dest = to;
	if (from == to)
		return;
	list_move(s, &from->ready, dom, to);
	list_move(s, &from->held, dom, to);
	later_move(s, from, dom, to);
	dest_place(s, from);
}
