/*
 * undot.c - the receiving half of transparency for sinksmtp.  Never repairs a
 * line end: what a sender did wrong must show in the body.
 * Read next: ../sinksmtp.c (who feeds it).
 */
#include "tests/lab/lib/undot.h"

#include <string.h>

#define LINE_BOUND 4096		/* a longer line is handed on in parts */

size_t
undot_feed(struct undot *u, const char *p, size_t n,
    void (*octets)(void *ctx, const char *p, size_t n), void *ctx, bool *end)
{
	size_t used = 0;

	*end = false;
	while (used < n && !*end) {
		const char *line = p + used;
		const char *lf = memchr(line, '\n', n - used);
		size_t len = lf ? (size_t)(lf - line) + 1 : n - used;
		bool whole = lf && len >= 2 && lf[-1] == '\r';
		bool dot = u->line_start && line[0] == '.';

		/* An unfinished line waits, so that CR LF and the dot stay whole. */
		if (!lf && len < LINE_BOUND)
			break;
		if (!lf)
			len--;		/* a CR may be last */
		*end = dot && len == 3 && whole;
		if (!*end) {
			octets(ctx, line + dot, len - dot);
			u->line_start = whole;
		}
		used += len;
	}
	return used;
}
