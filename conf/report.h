/*
 * report.h - what is wrong with a configuration file, one line each:
 * "file:line: path: what, wanted what".  All are collected, none ends the reading.
 */
#pragma once

#include <libconfig.h>

#include "mta/base/mem.h"

struct report {
	struct buf	*out;		/* borrowed */
	const char	*path;		/* borrowed: the main file as the user named it */
	char		*dir;		/* owned: its folder, with "/" at the end; "" for none */
	unsigned	 errors;	/* lines that are not warnings */
};

void report_begin(struct report *r, const char *path, struct buf *out);
void report_end(struct report *r);

/*
 * at: the setting; key: a member of it, given or missing, or NULL.  The line is
 * that of the member when it is there.
 */
void report_error(struct report *r, const config_setting_t *at, const char *key,
    const char *fmt, ...) PRINTF_LIKE(4, 5);
void report_warn(struct report *r, const config_setting_t *at, const char *key,
    const char *fmt, ...) PRINTF_LIKE(4, 5);

/* line 0: the file as a whole. */
void report_file_error(struct report *r, const char *file, unsigned line,
    const char *fmt, ...) PRINTF_LIKE(4, 5);
void report_file_warn(struct report *r, const char *file, unsigned line,
    const char *fmt, ...) PRINTF_LIKE(4, 5);

/* The name under which a file of the configuration is opened and shown.  Given. */
char *report_file(const struct report *r, const char *file);

/* "conf:31" where a setting stands, for "… of conf:31".  Given. */
char *report_where(const struct report *r, const config_setting_t *at);
