/*
 * segment.h - the segment files on disk and what of them is alive.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mta/base/list.h"
#include "queue/record.h"

/* The directories of a spool, opened once by path; -1: not open. */
struct spool_dirs {
	int	top, log, pool, bodies, quarantine;
	int	lock;			/* the locked file */
};

enum segment_state {
	SEGMENT_READY = 0,	/* prepared, empty, not in the table */
	SEGMENT_ACTIVE,		/* commits go here */
	SEGMENT_SEALED,		/* never written again */
	SEGMENT_LEAVING,	/* on its way out of log/ */
};

#define NO_REF UINT32_MAX

struct segment {
	uint32_t		 number, size;
	uint64_t		 epoch, era, prior;
	int			 fd;		/* owned */
	enum segment_state	 state;
	bool			 dirty;		/* written since its last sync */
	uint32_t		 end;		/* where the next commit goes */
	uint32_t		 refs;		/* jobs that read it */
	uint32_t		 min_ref;	/* lowest segment to whose records its own apply, or NO_REF */
	uint64_t		 killed;	/* chunk whose record killed something here last */
	uint32_t		 nlive;		/* live messages and notes here */
	uint64_t		 live_bytes;	/* of their records */
	struct list		 messages;	/* struct live, in order of offset */
	struct list		 notes;		/* struct note */
};

#define SEGMENT_NAME_MAX 24
const char *segment_name(uint32_t number, char buf[SEGMENT_NAME_MAX]);

struct segment *segment_new(uint32_t number);
void segment_free(struct segment **seg);	/* closes the file */

/* All segments that hold commits, by number. */
struct segments {
	struct segment	**v;
	size_t		  n, cap;
};
struct segment *segments_find(const struct segments *t, uint32_t number);
void segments_add(struct segments *t, struct segment *seg);
void segments_remove(struct segments *t, struct segment *seg);	/* not freed */
void segments_clear(struct segments *t);			/* frees all */

/* Nothing in it is needed any more, seen from the table: no live, no older one it refers to. */
bool segment_unneeded(const struct segments *t, size_t i);

/*
 * Makes one empty segment in log/ whose header and name are durable: from a file
 * in pool/ (source), or zero-filled anew (source NULL).  Blocks; any thread.
 * The header is written outside log/: nothing in log/ ever has a half-written one.
 */
struct segment_order {
	const struct spool_dirs	*dirs;
	struct segment_header	 header;
	char			 source[SEGMENT_NAME_MAX];	/* "" : new */
	bool			 source_in_log;	/* it is in log/ and must leave it first */
};
int segment_make(struct segment_order *o, int *fd_r);

/* Takes a segment file out of log/: into pool/ or off the disk; the directories are durable. */
int segment_take_out(const struct spool_dirs *dirs, uint32_t number, bool keep);

/*
 * What a thread needs to read records anywhere in the log: a snapshot that
 * pins every segment until segview_free().
 */
struct segview {
	size_t	n;
	struct segview_item {
		uint32_t	 number, size;
		uint64_t	 epoch;
		int		 fd;
		struct segment	*seg;	/* for the loop only */
	} v[];
};
struct segview *segview_new(const struct segments *t);
bool segview_free(struct segview **v);		/* in the loop; true: some segment is unpinned now */

/*
 * Reads and checks one record; *record_r is allocated (header, metadata and, when wanted,
 * body).  False: not there or damaged.  The body's crc is the caller's.
 */
bool segview_read(const struct segview *v, uint32_t number, uint32_t offset, bool body,
    struct record_header *h, uint8_t **record_r);
