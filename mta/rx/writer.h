/*
 * writer.h - the helper thread that writes and syncs large bodies, so that the
 * loop never waits for the disk.  Jobs run in the order given.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "mta/base/list.h"
#include "mta/base/mem.h"

struct loop;
struct rx_writer;

/* Belongs to the writer from rx_writer_add() until done() runs. */
struct rx_job {
	struct list	 node;
	int		 fd;		/* borrowed */
	struct buf	 data;		/* written at the end of the file; owned */
	bool		 sync;		/* then sync the file */
	uint32_t	 crc;		/* continued over data */
	uint64_t	 offset;	/* where the file ends; moved on */
	int		 err;		/* out: 0 or errno */
	void		(*done)(struct rx_job *job);	/* from the loop */
};

struct rx_writer *rx_writer_new(struct loop *loop);
void rx_writer_free(struct rx_writer **w);	/* waits for its jobs, done() does not run */
void rx_writer_add(struct rx_writer *w, struct rx_job *job);
