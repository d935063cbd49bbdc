/*
 * undot.h - the octets between DATA and its end (RFC 5321 4.5.2), strictly:
 * only CR LF . CR LF ends them, a lone LF is an octet like any other.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct undot {
	bool	line_start;	/* a dot here is stuffed, or the end */
};

/*
 * Gives what is whole to octets(); returns what was used up.  The rest comes
 * again with more behind it.  *end: the final dot was among it.
 */
size_t undot_feed(struct undot *u, const char *p, size_t n, void (*octets)(void *ctx, const char *p, size_t n),
    void *ctx, bool *end);
