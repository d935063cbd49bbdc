/*
 * fault.c - one line for the operator about what went wrong here.  Never
 * allocates, so that it works when memory or descriptors are gone; never
 * lets a newline through, because a fault becomes one log line.
 * Read next: log.h (where most faults end), str.h.
 */
#include "mta/base/fault.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void
one_line(char *s)
{
	for (; *s != '\0'; s++) {
		if (*s == '\n' || *s == '\r')
			*s = ' ';
	}
}

void
fault_set(struct fault *f, const char *fmt, ...)
{
	va_list ap;

	if (f == NULL)
		return;
	f->err = 0;
	va_start(ap, fmt);
	(void)vsnprintf(f->text, sizeof f->text, fmt, ap);
	va_end(ap);
	one_line(f->text);
}

void
fault_sys(struct fault *f, int err, const char *thing, const char *what)
{
	if (f == NULL)
		return;
	/* A longer thing (a path) may be cut; the reason at the end may not. */
	(void)snprintf(f->text, sizeof f->text, "%.300s: %.100s: %.90s", thing,
	    what, strerror(err));
	f->err = err;
	one_line(f->text);
}
