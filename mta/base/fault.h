/*
 * fault.h - what went wrong on this machine, in one line for the operator.
 *
 * A fault names the thing, the place and what was wanted.  What a peer said
 * is never a fault: that is a struct status (queue/status.h).
 */
#pragma once

#include <stddef.h>

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define COUNT_OF(a) (sizeof(a) / sizeof(a)[0])

struct fault {
	int	err;		/* errno value, 0 when there is none */
	char	text[512];	/* one line, no newline, always terminated */
};

/* Sets the text; err becomes 0.  f may be NULL: then nothing is kept. */
void fault_set(struct fault *f, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* "THING: WHAT: strerror(err)", e.g. fault_sys(f, errno, path, "open segment"). */
void fault_sys(struct fault *f, int err, const char *thing, const char *what);
