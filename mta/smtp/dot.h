/*
 * dot.h - the dots of DATA (RFC 5321 4.5.2), both ways, in pieces of any size.
 *
 * Out: a dot that begins a line is doubled; the end is CRLF "." CRLF.  SMTP
 * cannot carry a body whose last line has no end, so one is added to it.
 * A dot after a bare LF is doubled too: there are receivers that take the LF
 * for a line's end, and one could smuggle a message past us to them.
 *
 * In: the end is CRLF "." CRLF and nothing else, whatever the pieces.  What
 * looks like it with a bare CR or LF is content, and reported.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mta/base/mem.h"

/* { 0 } is a new one. */
struct smtp_dot_out {
	bool	in_line;	/* the last octet was no LF */
	bool	cr;		/* it was a CR */
	bool	lf;		/* it was a LF without CR */
};

void smtp_dot_out(struct smtp_dot_out *d, const void *p, size_t n, struct buf *out);
/* Adds CRLF where the body did not end in one, then "." CRLF.  An empty body is the dot alone. */
void smtp_dot_out_end(struct smtp_dot_out *d, struct buf *out);

enum {
	SMTP_DOT_BARE_LF = 1,
	SMTP_DOT_BARE_CR = 2,
	SMTP_DOT_NUL = 4,
};

/* { 0 } is a new one: the line of DATA has just ended. */
struct smtp_dot_in {
	uint8_t	state;
	uint8_t	flags;		/* SMTP_DOT_* met so far */
	bool	done;		/* the end was read */
};

/*
 * Appends content to out (NULL: thrown away, still checked); returns octets consumed.  All of them,
 * unless the end was met: what follows it is left.
 */
size_t smtp_dot_in(struct smtp_dot_in *d, const void *p, size_t n, struct buf *out);
