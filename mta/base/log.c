/*
 * log.c - lines gather in memory and leave once a turn.  Never blocks: what
 * the descriptor does not take stays up to GATHER_MAX, more is dropped and
 * counted.  Never lets a control character through, so that no peer can write
 * a line of its own.  One log per process, hence the file-static state.
 * Read next: log.h; mta/proc/logger.c (the other end).
 */
#include "mta/base/log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mta/base/counters.h"
#include "mta/base/loop.h"
#include "mta/base/mem.h"
#include "mta/base/str.h"

#define GATHER_MAX (256u << 10)
#define LINE_MAX_BYTES 4096
#define RETRY_MS 100

static struct {
	struct loop		*loop;		/* borrowed; NULL: write at once */
	bool			 posted;	/* a flush is posted */
	struct loop_timer	*retry;		/* a full descriptor is tried again */
	int			 fd;		/* borrowed; -1: stderr, for people */
	char			 role[32];
	bool			 trace;
	struct buf		 lines;		/* whole lines but for the first */
	uint64_t		 dropped;	/* not yet reported */
} state = { .fd = -1 };

static void
on_flush(void *ctx)
{
	(void)ctx;
	state.posted = false;
	log_flush();
}

void
log_open(struct loop *loop, int fd, const char *role)
{
	loop_timer_free(&state.retry);
	state.loop = loop;
	state.posted = false;
	state.fd = fd;
	(void)str_copy(state.role, sizeof state.role, role);
	if (fd == -1)
		buf_free(&state.lines);
	if (loop != NULL)
		state.retry = loop_timer_new(loop, on_flush, NULL);
}

void
log_set_trace(bool on)
{
	state.trace = on;
}

static void
append(enum log_severity severity, const char *event, const char *text)
{
	buf_printf(&state.lines, "%d%s %s%s%s\n", (int)severity, state.role,
	    event, text[0] == '\0' ? "" : " ", text);
}

/* Takes off the front what the descriptor took. */
static void
write_out(void)
{
	size_t done = 0;

	while (done < state.lines.len) {
		const ssize_t n = write(state.fd, state.lines.data + done,
		    state.lines.len - done);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno != EAGAIN) {
			/* Nobody reads: there is no better place to say so. */
			state.lines.len = done = 0;
		}
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	memmove(state.lines.data, state.lines.data + done,
	    state.lines.len - done);
	state.lines.len -= done;
}

void
log_flush(void)
{
	if (state.fd == -1)
		return;
	if (state.lines.len > 0)
		write_out();
	if (state.dropped > 0 && state.lines.len < GATHER_MAX / 2) {
		char text[32];

		(void)snprintf(text, sizeof text, "n=%llu",
		    (unsigned long long)state.dropped);
		state.dropped = 0;
		append(LOG_SEV_WARN, "log_dropped", text);
		write_out();
	}
	if (state.lines.len > 0 && state.retry != NULL)
		loop_timer_set(state.retry, RETRY_MS);
}

static void
line(enum log_severity severity, const char *event, const char *fmt, va_list ap)
{
	char text[LINE_MAX_BYTES];

	(void)vsnprintf(text, sizeof text, fmt, ap);
	for (char *c = text; *c != '\0'; c++) {
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
	}
	if (state.fd == -1) {
		(void)fprintf(stderr, "relayd: %s%s%s\n", event,
		    text[0] == '\0' ? "" : " ", text);
		return;
	}
	if (state.lines.len > GATHER_MAX) {
		state.dropped++;
		counter_add(C_log_dropped_total, 1);
		return;
	}
	append(severity, event, text);
	if (state.loop == NULL || severity == LOG_SEV_FATAL) {
		log_flush();
	} else if (!state.posted) {
		/* Not a turn hook: those that ran after it would be late. */
		state.posted = true;
		loop_post(state.loop, on_flush, NULL);
	}
}

#define LINE(severity) do { \
	va_list ap; \
\
	va_start(ap, fmt); \
	line((severity), event, fmt, ap); \
	va_end(ap); \
} while (0)

void
log_event(const char *event, const char *fmt, ...)
{
	LINE(LOG_SEV_INFO);
}

void
log_warn(const char *event, const char *fmt, ...)
{
	LINE(LOG_SEV_WARN);
}

void
log_fatal(const char *event, const char *fmt, ...)
{
	LINE(LOG_SEV_FATAL);
}

void
log_trace(const char *event, const char *fmt, ...)
{
	if (state.trace)
		LINE(LOG_SEV_TRACE);
}

void
bug(const char *fmt, ...)
{
	const char *event = "bug";

	LINE(LOG_SEV_FATAL);
	if (state.fd != -1 && state.lines.len > 0) {
		struct pollfd p = { .fd = state.fd, .events = POLLOUT };

		/* The last words may wait a moment: nothing else will run. */
		(void)poll(&p, 1, RETRY_MS);
		log_flush();
	}
	abort();
}

const char *
log_quote(char *buf, size_t size, const char *s)
{
	static const char hex[] = "0123456789abcdef";
	size_t n = 0;

	if (size < 3) {
		if (size > 0)
			buf[0] = '\0';
		return buf;
	}
	buf[n++] = '"';
	for (; *s != '\0'; s++) {
		const unsigned char c = (unsigned char)*s;
		const bool plain = c >= ' ' && c < 0x7f;
		const size_t need = !plain ? 4 : c == '"' || c == '\\' ? 2 : 1;

		if (n + need + 2 > size)
			break;
		if (need > 1)
			buf[n++] = '\\';
		if (plain) {
			buf[n++] = (char)c;
		} else {
			buf[n++] = 'x';
			buf[n++] = hex[c >> 4];
			buf[n++] = hex[c & 15];
		}
	}
	buf[n++] = '"';
	buf[n] = '\0';
	return buf;
}
