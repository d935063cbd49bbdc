/*
 * logsink.h - where log lines end: standard error, the journal behind it, a
 * file, or syslog.  Used by one thread at a time; lines gather until
 * logsink_flush().
 */
#pragma once

#include <stdint.h>

#include "conf/conf.h"
#include "mta/base/fault.h"
#include "mta/base/log.h"

struct logsink;

MUST_CHECK bool logsink_open(struct logsink **out, const struct conf_log *conf, struct fault *f);
void logsink_free(struct logsink **s);		/* flushes */
void logsink_line(struct logsink *s, enum log_severity severity, int64_t wall_ms, const char *role,
    const char *text);
void logsink_flush(struct logsink *s);		/* may block: it is the log thread */
void logsink_reopen(struct logsink *s);		/* on failure the old file goes on, and says so */
