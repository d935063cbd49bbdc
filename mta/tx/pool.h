/*
 * pool.h - how many connections there may be: in all, per connector, and for
 * destinations without a recent success (at most half of either, so that those
 * that swallow connections cannot starve the living).  And the idle sessions, the
 * oldest of which makes room when somebody else needs a connection.
 *
 * A slot is held from the start of an attempt to the end of its session.
 */
#pragma once

#include <stdbool.h>

#include "mta/base/hash.h"
#include "mta/base/list.h"

struct conf_connector;
struct tx_pool_group;

struct tx_slot {
	struct tx_pool_group	*group;		/* borrowed; NULL: no slot held */
	bool			 living;	/* counted as one of a living destination */
};

/* Whoever waits for a slot embeds one; link points at itself otherwise. */
struct tx_wait {
	struct list	link;
};

typedef void tx_room_fn(struct tx_wait *w);	/* a slot may be free: try again */

struct tx_pool {
	unsigned	 max, used, unproven;	/* unproven: slots of those without a success */
	struct hash	*groups;		/* by connector name; owned */
	struct list	 living, others;	/* waiting for any slot */
	struct list	 idle;			/* idle sessions, oldest first */
	tx_room_fn	*on_room;
};

void tx_pool_init(struct tx_pool *p, unsigned max, tx_room_fn *on_room);
void tx_pool_clear(struct tx_pool *p);

/*
 * Takes a slot; else w waits its turn (on_room will be called), and the idle
 * session that is oldest is asked to go.
 */
bool tx_pool_take(struct tx_pool *p, const struct conf_connector *k, bool living, struct tx_slot *slot,
    struct tx_wait *w);
void tx_pool_give(struct tx_pool *p, struct tx_slot *slot);	/* not held: nothing */
/* Somebody was called and did not want the room after all: the next, please. */
void tx_pool_pass(struct tx_pool *p, const char *connector);
void tx_pool_proved(struct tx_pool *p, struct tx_slot *slot);	/* its destination lives */
