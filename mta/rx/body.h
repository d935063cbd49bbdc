/*
 * body.h - where the content of one message is kept until the queue has it:
 * in memory, or, when it grows large or all bodies together do, in a file that
 * the queue role hands over and the writer fills.
 *
 *   begin -> (append to mem, rx_body_grew)* -> rx_body_end -> ready()
 *
 * From anywhere rx_body_drop(): ready() and room() do not come after it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mta/base/mem.h"
#include "queue/envelope.h"
#include "queue/status.h"

struct rx;
struct rx_file;

struct rx_body {
	struct rx	*rx;		/* borrowed */
	struct msgid	 id;
	struct buf	 mem;		/* content not yet given to the writer; append here */
	uint64_t	 size;		/* octets in all */
	uint64_t	 large;		/* more than this goes to a file */
	uint64_t	 declared;	/* SIZE=, 0: not said */
	uint32_t	 crc;		/* CRC-32C of all; valid at ready() */
	size_t		 counted;	/* our share of rx->body_bytes */
	struct rx_file	*file;		/* owned; NULL: all in memory */
	bool		 failed;	/* status says why: the rest may be thrown away */
	struct status	 status;
	void		(*room)(void *ctx);	/* append again, after rx_body_grew() said false */
	void		(*ready)(void *ctx);	/* all is kept (or failed): after rx_body_end() */
	void		*ctx;
};

/* b->room, ready and ctx are set by the caller; the rest is reset. */
void rx_body_begin(struct rx_body *b, struct rx *rx, const struct msgid *id, uint64_t large,
    uint64_t declared);
/* Call after appending to mem.  False: append no more until room(). */
MUST_CHECK bool rx_body_grew(struct rx_body *b);
/* True: ready at once, ready() will not come. */
MUST_CHECK bool rx_body_end(struct rx_body *b);
/* The queue has taken it (taken), or nobody will: memory is freed, the file closed. */
void rx_body_drop(struct rx_body *b, bool taken);
