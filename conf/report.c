/*
 * report.c - error lines with place and path of a setting.
 * Must never decide what is an error: it only says where it is.
 * Read next: load.c and check.c (who find errors), syntax.c.
 */
#include "conf/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
report_begin(struct report *r, const char *path, struct buf *out)
{
	const char *slash = strrchr(path, '/');

	*r = (struct report){ .out = out, .path = path };
	r->dir = xstrndup(path, slash == NULL ? 0 : (size_t)(slash - path) + 1);
}

void
report_end(struct report *r)
{
	free(r->dir);
	r->dir = NULL;
}

char *
report_file(const struct report *r, const char *file)
{
	/* libconfig names an included file as it is written in @include */
	if (file == NULL || strcmp(file, r->path) == 0)
		return xstrdup(r->path);
	return xasprintf("%s%s", r->dir, file);
}

char *
report_where(const struct report *r, const config_setting_t *at)
{
	char *file = report_file(r, config_setting_source_file(at));
	char *where = xasprintf("%s:%u", file, config_setting_source_line(at));

	free(file);
	return where;
}

static void
put_path(struct buf *b, const config_setting_t *at)
{
	const config_setting_t *up = config_setting_parent(at);
	const char *name = config_setting_name(at);
	const char *label;

	if (up == NULL)
		return;
	put_path(b, up);
	if (name != NULL)
		buf_printf(b, "%s%s", config_setting_is_root(up) ? "" : ".",
		    name);
	else
		buf_printf(b, "[%d]", config_setting_index(at));
	if (config_setting_is_group(at) && name == NULL &&
	    config_setting_lookup_string(at, "name", &label))
		buf_printf(b, "(%s)", label);
}

static void
put_line(struct report *r, const char *file, unsigned line, const char *path,
    const char *kind, const char *fmt, va_list args)
{
	char *text = NULL;

	if (vasprintf(&text, fmt, args) == -1)
		abort();
	buf_text(r->out, file);
	if (line != 0)
		buf_printf(r->out, ":%u", line);
	buf_printf(r->out, ": %s%s%s%s\n", path, *path == '\0' ? "" : ": ",
	    kind, text);
	free(text);
}

static void
put(struct report *r, const config_setting_t *at, const char *key,
    const char *kind, const char *fmt, va_list args)
{
	struct buf path = { 0 };
	const config_setting_t *member = NULL;
	char *file;

	if (key != NULL && config_setting_is_group(at))
		member = config_setting_get_member(at, key);
	if (member != NULL)
		at = member;
	put_path(&path, at);
	if (key != NULL && member == NULL)
		buf_printf(&path, "%s%s", path.len == 0 ? "" : ".", key);
	file = report_file(r, config_setting_source_file(at));
	put_line(r, file, config_setting_source_line(at), buf_cstr(&path), kind,
	    fmt, args);
	free(file);
	buf_free(&path);
}

void
report_error(struct report *r, const config_setting_t *at, const char *key,
    const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	put(r, at, key, "", fmt, args);
	va_end(args);
	r->errors++;
}

void
report_warn(struct report *r, const config_setting_t *at, const char *key,
    const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	put(r, at, key, "warning: ", fmt, args);
	va_end(args);
}

void
report_file_error(struct report *r, const char *file, unsigned line,
    const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	put_line(r, file, line, "", "", fmt, args);
	va_end(args);
	r->errors++;
}

void
report_file_warn(struct report *r, const char *file, unsigned line,
    const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	put_line(r, file, line, "", "warning: ", fmt, args);
	va_end(args);
}
