/*
 * log.h - one line per fact that an operator asks about.
 *
 * Form: "EVENT key=value key=value …", values quoted when they hold blanks.
 * Lines gather in memory and are written once a turn to the descriptor given
 * to log_open(), without ever blocking: what does not fit is dropped and
 * counted ("log_dropped n=…").  Before log_open() lines go to stderr.
 *
 * On the descriptor a line is "<severity digit>ROLE EVENT …\n"; the parent's
 * log thread adds the time and passes it on to file, syslog or journal.
 */
#pragma once

#include <stdbool.h>

#include "mta/base/fault.h"

struct loop;

enum log_severity {
	LOG_SEV_INFO = 0,	/* an event */
	LOG_SEV_WARN,		/* someone should look */
	LOG_SEV_FATAL,		/* cannot start or go on */
	LOG_SEV_TRACE,		/* for us; off by default */
};

/*
 * fd non-blocking or a file; role is shown on every line ("rx", "tx2").  loop
 * NULL: lines are written at once; so again before the loop is freed.
 */
void log_open(struct loop *loop, int fd, const char *role);
void log_set_trace(bool on);
void log_flush(void);

void log_event(const char *event, const char *fmt, ...) PRINTF_LIKE(2, 3);
void log_warn(const char *event, const char *fmt, ...) PRINTF_LIKE(2, 3);
void log_fatal(const char *event, const char *fmt, ...) PRINTF_LIKE(2, 3);	/* does not exit */
void log_trace(const char *event, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Our own bug: logs, flushes, aborts. */
_Noreturn void bug(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* Quotes and escapes s for a value: buf receives "…" with safe text. Returns buf. */
const char *log_quote(char *buf, size_t size, const char *s);
