/*
 * sched.h - who is delivered next: destinations, the items that wait at them,
 * and the order in which tx processes are served.  Memory only: nothing here is
 * on disk, everything is rebuilt at recovery.  Cost per event is a heap or list
 * operation, never a scan.
 *
 * An item is what one message has for one recipient domain; store_message.user is
 * the head of a message's items, kept by the caller.  Where an item stands:
 *
 *   READY   in dest->ready: as soon as the destination may
 *   LATER   in dest->later, by its own next time (a 4xx to MAIL, RCPT, DATA, dot)
 *   LEASED  with a tx
 *   HELD    in dest->held, until released
 *
 * A destination is eligible when it has READY items, is neither deferred nor
 * held, and has window left; then it stands in its tx's ring, and sched_next()
 * takes one item from each in turn: a destination with 100,000 messages delays
 * another's only one by one round.  The window is 1 after a failure (a probe) and
 * grows with each delivery.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mta/base/heap.h"
#include "mta/base/list.h"
#include "queue/status.h"

struct conf_connector;
struct store_message;
struct sched;
struct sched_dest;

/* Interned: one per distinct recipient domain in the queue. */
struct sched_domain {
	char			*name;		/* lower case */
	struct sched_dest	*dest;		/* where it goes now */
	uint32_t		 items;		/* items that name it */
};

enum sched_place { PLACE_NONE = 0, PLACE_READY, PLACE_LATER, PLACE_LEASED, PLACE_HELD };

struct sched_item {
	struct store_message	*m;		/* borrowed from the store */
	struct sched_item	*next;		/* next item of the same message */
	struct sched_domain	*domain;
	struct sched_dest	*dest;		/* where it waits or is leased from; follows domain->dest */
	union {
		struct list	 link;		/* READY, HELD; LEASED: the leaseholder's */
		struct heap_node due;		/* LATER: key is wall ms */
	} u;
	uint32_t		 nrcpts;	/* of m's recipients, those of this domain still queued */
	uint8_t			 place;		/* enum sched_place */
	uint8_t			 fresh;		/* woken by retry: bypass cached DNS failures */
	uint8_t			 marked;	/* held by its own mark (RCPT_HELD), not by a rule */
	uint8_t			 asked;		/* what waits for the lease to end; the caller's */
	uint8_t			 reading;	/* decisions that wait for the envelope; the caller's */
};

/* Leases out at once to one destination. */
#define SCHED_WINDOW_NEW	20	/* never tried */
#define SCHED_WINDOW_PROBE	1	/* after a failure */

struct sched_dest {
	char			*key;		/* route_key() */
	char			*connector;
	char			*domain;	/* route key's domain, "*" for smarthosts */
	const struct conf_connector *conf;	/* NULL: no connector takes it any more */
	uint32_t		 number;	/* index in sched's table */
	unsigned		 tx;		/* the process it belongs to */
	struct list		 ready, held;
	struct heap		 later;
	struct list		 ring;		/* in the tx's ring while eligible */
	struct heap_node	 wake;		/* in sched's wakes: deferral's end or first LATER */

	uint32_t		 window, window_cap, leased;	/* items */
	bool			 proven;	/* its last attempt delivered */
	bool			 holding;	/* a hold rule, a disabled or missing connector */

	bool			 deferred;	/* as a whole, until next_wall_ms */
	int64_t			 next_wall_ms;
	int64_t			 since_wall_ms;	/* first failure in a row */
	uint32_t		 failures;	/* in a row */
	struct status		*last;		/* last failure; NULL: none */
	char			*with;		/* overrides of "retry --with", for the items it made fresh */

	uint64_t		 nitems, nrcpts;
	int64_t			 oldest_wall_ms; /* lower bound of the arrivals waiting; exact after sched_oldest() */
};


struct sched *sched_new(unsigned ntx);
void sched_free(struct sched **s);	/* items left over are the caller's to free, after this */

/* Destinations.  The connector and domain name it; found or made. */
struct sched_dest *sched_dest(struct sched *s, const char *key, const struct conf_connector *conf,
    const char *connector, const char *domain, unsigned tx);
struct sched_dest *sched_dest_find(struct sched *s, const char *key);
struct sched_dest *sched_dest_number(struct sched *s, uint32_t number);	/* NULL: gone */
/* All of them; *at starts at 0.  Numbers of gone ones are skipped. */
struct sched_dest *sched_dest_each(struct sched *s, uint32_t *at);
/* Frees destinations without items whose last failure is over. */
bool sched_dest_idle(const struct sched_dest *d);
void sched_dest_drop(struct sched *s, struct sched_dest *d);
int64_t sched_oldest(struct sched_dest *d);	/* exact; 0 when empty */

struct sched_domain *sched_domain(struct sched *s, const char *name);	/* found or made, dest NULL when made */
struct sched_dest *sched_domain_dest(struct sched *s, const char *name);	/* NULL: nothing queued for it */
struct sched_domain *sched_domain_each(struct sched *s, size_t *at);
/* Moves every item of the domain to dest (after a reload); leased ones follow when they return. */
void sched_reroute(struct sched *s, struct sched_domain *dom, struct sched_dest *dest);

/* Items.  The domain's dest is set. */
struct sched_item *sched_add(struct sched *s, struct store_message *m, struct sched_domain *dom, uint32_t nrcpts);
void sched_del(struct sched *s, struct sched_item *i);	/* frees it; not while LEASED */
void sched_ready(struct sched *s, struct sched_item *i);
void sched_later(struct sched *s, struct sched_item *i, int64_t next_wall_ms);
void sched_hold(struct sched *s, struct sched_item *i);

/* The next item for this tx, now LEASED; NULL: none eligible. */
struct sched_item *sched_next(struct sched *s, unsigned tx);
/* One more READY item of the same message for the same destination, LEASED too; NULL: none. */
struct sched_item *sched_sibling(struct sched *s, struct sched_item *i);
/* Some of its recipients are done; n are left, at least 1. */
void sched_shrink(struct sched_item *i, uint32_t n);
/* A leased item is back; put it somewhere with ready, later, hold or del after this. */
void sched_return(struct sched *s, struct sched_item *i);

/* At most max items leased at once to destinations that are not proven, per tx. */
void sched_unproven_max(struct sched *s, uint32_t max);

/* The destination as a whole. */
void sched_defer(struct sched *s, struct sched_dest *d, int64_t next_wall_ms);
/* It answered: proven, deferral over.  grow: it took a message, so the window grows by one. */
void sched_proven(struct sched *s, struct sched_dest *d, bool grow);
void sched_set_holding(struct sched *s, struct sched_dest *d, bool holding);
/* A new configuration for it: window bounds follow. */
void sched_set_conf(struct sched *s, struct sched_dest *d, const struct conf_connector *conf);
/* Due now: the deferral ends with a probe; items that wait LATER become READY too; all marked fresh. */
void sched_wake(struct sched *s, struct sched_dest *d);

/* After a step back of the wall clock: nothing of it waits beyond this time. */
void sched_cap(struct sched *s, struct sched_dest *d, int64_t latest_wall_ms);

/* Wakes what is due; returns the next wall time of interest, INT64_MAX: none. */
int64_t sched_tick(struct sched *s, int64_t now_wall_ms);
bool sched_has_work(const struct sched *s, unsigned tx);
