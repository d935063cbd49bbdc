/*
 * render.h - output for people: tables fitted to the terminal, colour, ages.
 *
 * Foreign text goes through render_text(): no escape sequence of a peer
 * reaches a terminal.  Pure but for the buffer written to.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mta/base/mem.h"

/* Bytes of the well-formed UTF-8 character at s (RFC 3629), 0: there is none. */
size_t utf8_length(const char *s, size_t n);

/* Appends s without control characters and broken UTF-8 ('?' each). */
void render_text(struct buf *b, const char *s);

enum colour { COLOUR_NONE = 0, COLOUR_BOLD, COLOUR_RED, COLOUR_GREEN, COLOUR_YELLOW };

/* "2026-11-23T19:30:00Z (4m10s ago)"; "-" for 0. */
void render_when(struct buf *b, int64_t wall_ms, int64_t now_wall_ms);
/* "in 2m", "now", "-" for 0. */
const char *render_next(int64_t wall_ms, int64_t now_wall_ms, char *buf, size_t size);
const char *render_bytes(uint64_t n, char buf[16]);	/* "812b", "4.2k", "17M" */

struct table_column {
	const char	*title;
	bool		 right;		/* numbers; ids, of which the end tells most */
	unsigned	 shrink;	/* 0: never cut; else least width it is cut to, on the left if right */
};

/*
 * A table whose widths come from its first rows (TABLE_SAMPLE of them, kept back
 * until then) and are fixed from there on, so that a table of any
 * length streams.  With width 0 (no terminal) nothing is cut.
 */
#define TABLE_SAMPLE 200
#define TABLE_COLUMNS 16

struct table {
	const struct table_column *columns;	/* borrowed, static */
	size_t		 ncolumns;
	unsigned	 width;
	bool		 colour;
	struct buf	*out;			/* borrowed */
	size_t		 widths[TABLE_COLUMNS];
	bool		 fixed;
	size_t		 nrows;
	char		**kept;			/* owned: cells of the rows kept back */
	size_t		 nkept;
	struct buf	 cell;			/* the cells of the row under way … */
	size_t		 at[TABLE_COLUMNS];	/* … and where each starts */
	size_t		 ncells;
};

void table_begin(struct table *t, const struct table_column *columns, size_t n,
    unsigned width, bool colour, struct buf *out);
void table_cell(struct table *t, const char *s);	/* NULL and "" become "-" */
void table_cellf(struct table *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
void table_row(struct table *t);		/* ends the row; missing cells are "-" */
void table_end(struct table *t);		/* writes what is kept back; frees */

/* s in colour when on is true. */
void render_coloured(struct buf *b, bool on, enum colour c, const char *s);
