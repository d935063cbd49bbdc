/*
 * queue_tx.h - a door without a queue behind it: leases are made by the test,
 * settles are kept for it.  Linked in place of mta/door's client.
 */
#pragma once

#include "queue/queue.h"

#define FAKE_SETTLES 4096

struct fake_settle {
	uint64_t		 lease;
	uint32_t		 ordinal;
	enum queue_outcome	 outcome;
	bool			 maybe_sent;
	struct status		 status;	/* class_ 0: none was given */
	size_t			 trace_len;
};

struct fake_failed {
	uint32_t		 dest;
	struct status		 status;
	size_t			 trace_len;
};

struct fake_queue {
	struct fake_settle	 settles[FAKE_SETTLES];
	size_t			 nsettles;	/* recipients */
	size_t			 nended;	/* leases */
	struct fake_failed	 failed[64];
	size_t			 nfailed;
	size_t			 nat_dot;
	size_t			 nleased;
	uint64_t		 last_lease;
	bool			 stopped;
};

extern struct fake_queue fake_queue;

void fake_queue_reset(void);

struct fake_lease {
	uint32_t	 dest;
	const char	*connector, *domain;
	const char	*sender;
	const char	*rcpts;		/* blank-separated */
	const char	*body;		/* NULL: body_fd */
	int		 body_fd;	/* given */
	uint64_t	 size;		/* of the file */
	bool		 body_8bit;
	bool		 fresh;
	const char	*with;
	uint64_t	 generation;
};

/* Hands one to the role; the number it got. */
uint64_t fake_queue_lease(const struct fake_lease *f);
void fake_queue_lost(void);
/* The settle of recipient i of that lease; NULL: none yet. */
const struct fake_settle *fake_queue_settle(uint64_t lease, uint32_t ordinal);
