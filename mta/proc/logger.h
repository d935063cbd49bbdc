/*
 * logger.h - the log thread of the parent: takes the lines of all processes
 * (form: mta/base/log.h) and writes them, with time and role, where conf->log
 * says.
 *
 *   2026-11-23T19:30:00.123Z rx info session_open id=… peer=…
 *
 * Under the journal the time is left out and "<priority>" stands in front.
 * What a slow disk holds up stays in the socket buffers; what does not fit
 * there the processes drop and count.  Nothing ever waits for the log.
 */
#pragma once

#include "conf/conf.h"
#include "mta/base/fault.h"

struct logger;

/* Opens the file, if there is one, and starts the thread. */
MUST_CHECK bool logger_start(struct logger **out, const struct conf_log *conf, struct fault *f);

/* Writes what is still to be read, at most for a second, and ends the thread. */
void logger_stop(struct logger **lg);		/* *lg may be NULL */

/* Another place from now on; on a fault the old one stays. */
MUST_CHECK bool logger_change(struct logger *lg, const struct conf_log *conf, struct fault *f);

/* The file was moved away: opens it anew. */
void logger_reopen(struct logger *lg);

/*
 * The writing end for a process called name, non-blocking and close-on-exec.
 * The caller closes it; with its last copy the thread forgets the process.
 */
MUST_CHECK bool logger_attach(struct logger *lg, const char *name, int *fd_r, struct fault *f);
