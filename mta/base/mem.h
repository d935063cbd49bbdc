/*
 * mem.h - allocation that cannot fail, growable byte buffers, and the wire
 * form all records and frames share (little endian, length before content).
 *
 * Out of memory ends the process: the spool makes that safe.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mta/base/fault.h"

void *xmalloc(size_t size);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t size);
char *xstrdup(const char *s);			/* NULL gives NULL */
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) PRINTF_LIKE(1, 2);

/*
 * A growable buffer.  { NULL, 0, 0 } is an empty one.  data is owned by the
 * buffer; data[len] is not terminated unless buf_cstr() was called last.
 */
struct buf {
	uint8_t	*data;
	size_t	 len;
	size_t	 cap;
};

void buf_free(struct buf *b);			/* leaves it empty and usable */
uint8_t *buf_room(struct buf *b, size_t n);	/* n writable bytes at the end; len unchanged */
void buf_add(struct buf *b, const void *p, size_t n);
void buf_u8(struct buf *b, uint8_t v);
void buf_u16(struct buf *b, uint16_t v);
void buf_u32(struct buf *b, uint32_t v);
void buf_u64(struct buf *b, uint64_t v);
void buf_i64(struct buf *b, int64_t v);
void buf_bytes(struct buf *b, const void *p, size_t n);	/* u32 n, then the bytes */
void buf_str(struct buf *b, const char *s);	/* as bytes; NULL is kept apart from "" */
void buf_text(struct buf *b, const char *s);	/* the characters alone */
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
const char *buf_cstr(struct buf *b);		/* terminates (not counted in len), returns data */
void buf_set_u32(struct buf *b, size_t at, uint32_t v);	/* overwrite, e.g. a length */

/*
 * Bounded reading.  After the first read past the end, bad is true and every
 * read gives 0, NULL or "": check bad once, at the end.
 */
struct rd {
	const uint8_t	*p;
	const uint8_t	*end;
	bool		 bad;
};

static inline struct rd
rd_of(const void *p, size_t n)
{
	return (struct rd){ .p = p, .end = (const uint8_t *)p + n };
}

uint8_t rd_u8(struct rd *r);
uint16_t rd_u16(struct rd *r);
uint32_t rd_u32(struct rd *r);
uint64_t rd_u64(struct rd *r);
int64_t rd_i64(struct rd *r);
const uint8_t *rd_raw(struct rd *r, size_t n);		/* borrowed; NULL when short */
const uint8_t *rd_bytes(struct rd *r, size_t *n_r);	/* u32 length first; borrowed */
char *rd_str(struct rd *r);				/* given: free() it; NULL as written */
void rd_copy_str(struct rd *r, char *dst, size_t size);	/* always terminates; cut if longer */
size_t rd_left(const struct rd *r);
