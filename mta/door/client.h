/*
 * client.h - private to mta/door: the handle of queue/queue.h and what its
 * three files (client.c, lease.c, inspect.c) call of each other.
 */
#pragma once

#include "mta/base/hash.h"
#include "mta/base/list.h"
#include "mta/base/mem.h"
#include "mta/proc/channel.h"
#include "queue/queue.h"

struct queue {
	struct loop		*loop;		/* borrowed */
	struct channel		*channel;	/* owned; NULL while the queue role is away */

	/* accepts: sent again to each new queue role until answered */
	struct hash		*by_id;		/* struct queue_accept */
	struct list		 accepts, opens;
	struct loop_timer	*patience;
	size_t			 under_way;	/* octets of unanswered accepts */
	struct buf		 given_up;	/* ids, for a queue that is away */
	void			(*on_relief)(void *ctx);
	void			*relief_ctx;

	/* leases */
	const struct queue_tx_handlers *tx;	/* NULL: this role takes none */
	void			*tx_ctx;
	uint32_t		 max_leases;
	uint64_t		 max_bytes;
	bool			 stopped;
	struct buf		 stale;		/* settles of a queue that went, frame by frame */

	/* inspect */
	struct list		 asked;
	uint32_t		 last_number;
};

void door_on_lease(struct queue *q, struct rd *r, int fd);
void door_leases_lost(struct queue *q);
void door_leases_attached(struct queue *q);

void door_on_inspect(struct queue *q, uint16_t type, struct rd *r);
void door_inspect_lost(struct queue *q);
void door_inspect_free(struct queue *q);
