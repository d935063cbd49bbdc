/*
 * logsink.c - the last step of a log line.  Never fails upwards: there is no
 * other place left to report to, so what cannot be written is lost.
 *
 *
 * Read next: logsink.h, logger.c (the only caller).
 */
#include "mta/proc/logsink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "mta/base/clock.h"
#include "mta/base/mem.h"

#define GATHER_BYTES (64u << 10)

struct logsink {
	enum conf_log_to	 to;
	char			*file;	/* owned; LOG_TO_FILE */
	int			 fd;	/* owned if LOG_TO_FILE; -1 for syslog */
	bool			 journal;	/* stderr is a stream of the journal */
	struct buf		 lines;
};

static const struct severity_row {
	const char	*name;
	int		 priority;	/* syslog(3) */
} severity_rows[] = {
	[LOG_SEV_INFO]	= { "info", LOG_INFO },
	[LOG_SEV_WARN]	= { "warn", LOG_WARNING },
	[LOG_SEV_FATAL]	= { "fatal", LOG_CRIT },
	[LOG_SEV_TRACE]	= { "trace", LOG_DEBUG },
};

static int
open_file(const char *path)
{
	return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
}

/* systemd names the device and inode of the stream it gave us. */
static bool
stderr_is_journal(void)
{
	const char *env = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return env != NULL && sscanf(env, "%llu:%llu", &dev, &ino) == 2 &&
	    fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev &&
	    st.st_ino == ino;
}

bool
logsink_open(struct logsink **out, const struct conf_log *conf, struct fault *f)
{
	struct logsink *s = xcalloc(1, sizeof *s);

	s->to = conf->to;
	s->fd = -1;
	switch (conf->to) {
	case LOG_TO_STDERR:
		s->fd = STDERR_FILENO;
		s->journal = stderr_is_journal();
		break;
	case LOG_TO_SYSLOG:
		openlog("relayd", LOG_PID, LOG_MAIL);
		break;
	case LOG_TO_FILE:
		s->file = xstrdup(conf->file == NULL ? "" : conf->file);
		s->fd = open_file(s->file);
		if (s->fd == -1) {
			fault_sys(f, errno, s->file, "open log");
			logsink_free(&s);
			return false;
		}
		break;
	}
	*out = s;
	return true;
}

void
logsink_free(struct logsink **s_p)
{
	struct logsink *s = *s_p;

	if (s == NULL)
		return;
	*s_p = NULL;
	logsink_flush(s);
	if (s->to == LOG_TO_FILE && s->fd != -1)
		(void)close(s->fd);
	buf_free(&s->lines);
	free(s->file);
	free(s);
}

void
logsink_line(struct logsink *s, enum log_severity severity, int64_t wall_ms,
    const char *role, const char *text)
{
	const struct severity_row *row = &severity_rows[severity];
	char time[CLOCK_TEXT_MAX];

	if (s->to == LOG_TO_SYSLOG) {
		syslog(row->priority, "%s %s %s", role, row->name, text);
		return;
	}
	if (s->journal)
		buf_printf(&s->lines, "<%d>%s %s %s\n", row->priority, role,
		    row->name, text);
	else
		buf_printf(&s->lines, "%s %s %s %s\n",
		    clock_rfc3339(wall_ms, time), role, row->name, text);
	if (s->lines.len >= GATHER_BYTES)
		logsink_flush(s);
}

void
logsink_flush(struct logsink *s)
{
	size_t done = 0;

	while (done < s->lines.len) {
		const ssize_t n = write(s->fd, s->lines.data + done,
		    s->lines.len - done);

		if (n > 0) {
			done += (size_t)n;
		} else if (n == -1 && errno == EAGAIN) {
			struct pollfd p = { .fd = s->fd, .events = POLLOUT };

			/* Somebody's terminal or pipe; it may be stuck for good. */
			if (poll(&p, 1, 1000) == 0)
				break;
		} else if (n != -1 || errno != EINTR) {
			break;
		}
	}
	s->lines.len = 0;
}

void
logsink_reopen(struct logsink *s)
{
	int fd;

	if (s->to != LOG_TO_FILE)
		return;
	logsink_flush(s);
	fd = open_file(s->file);
	if (fd == -1) {
		logsink_line(s, LOG_SEV_WARN, clock_wall_ms(), "parent",
		    "log_reopen_failed");
		return;
	}
	(void)close(s->fd);
	s->fd = fd;
}
