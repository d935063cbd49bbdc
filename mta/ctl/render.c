/*
 * render.c - tables, ages and sizes for people.  Never passes a control
 * character of foreign text on, never keeps more than a sample of a table.
 * Read next: look.c (the tables), json.h (the same for programs).
 */
#include "mta/ctl/render.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mta/base/clock.h"

#define GAP 2			/* blanks between columns */

static const char *const colours[] = {
	[COLOUR_NONE] = "", [COLOUR_BOLD] = "\033[1m", [COLOUR_RED] = "\033[31m",
	[COLOUR_GREEN] = "\033[32m", [COLOUR_YELLOW] = "\033[33m",
};

/* RFC 3629 4: the second byte's range depends on the first. */
static bool
utf8_second(uint8_t first, uint8_t second)
{
	switch (first) {
	case 0xe0:
		return second >= 0xa0 && second <= 0xbf;
	case 0xed:
		return second >= 0x80 && second <= 0x9f;
	case 0xf0:
		return second >= 0x90 && second <= 0xbf;
	case 0xf4:
		return second >= 0x80 && second <= 0x8f;
	default:
		return second >= 0x80 && second <= 0xbf;
	}
}

size_t
utf8_length(const char *s, size_t n)
{
	const uint8_t *p = (const uint8_t *)s;
	size_t len;

	if (n == 0)
		return 0;
	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (len > n || !utf8_second(p[0], p[1]))
		return 0;
	for (size_t i = 2; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	return len;
}

/* C0, DEL and C1: what a terminal might obey. */
static bool
is_control(const char *s, size_t len)
{
	const uint8_t *p = (const uint8_t *)s;

	if (len == 1)
		return p[0] < 0x20 || p[0] == 0x7f;
	return len == 2 && p[0] == 0xc2 && p[1] < 0xa0;
}

void
render_text(struct buf *b, const char *s)
{
	const size_t n = strlen(s);

	for (size_t i = 0; i < n;) {
		const size_t len = utf8_length(s + i, n - i);

		if (len == 0 || is_control(s + i, len))
			buf_u8(b, '?');
		else
			buf_add(b, s + i, len);
		i += len == 0 ? 1 : len;
	}
}

void
render_coloured(struct buf *b, bool on, enum colour c, const char *s)
{
	if (on && c != COLOUR_NONE)
		buf_text(b, colours[c]);
	render_text(b, s);
	if (on && c != COLOUR_NONE)
		buf_text(b, "\033[0m");
}

void
render_when(struct buf *b, int64_t wall_ms, int64_t now_wall_ms)
{
	char text[CLOCK_TEXT_MAX], span[CLOCK_SPAN_MAX];

	if (wall_ms == 0) {
		buf_text(b, "-");
		return;
	}
	/* Whole seconds are enough for people. */
	clock_rfc3339(wall_ms - wall_ms % 1000, text);
	buf_printf(b, "%.19sZ", text);
	if (wall_ms > now_wall_ms)
		buf_printf(b, " (in %s)", clock_span(wall_ms - now_wall_ms, span));
	else
		buf_printf(b, " (%s ago)", clock_span(now_wall_ms - wall_ms, span));
}

const char *
render_next(int64_t wall_ms, int64_t now_wall_ms, char *buf, size_t size)
{
	char span[CLOCK_SPAN_MAX];

	if (wall_ms == 0)
		snprintf(buf, size, "-");
	else if (wall_ms <= now_wall_ms)
		snprintf(buf, size, "now");
	else
		snprintf(buf, size, "in %s", clock_span(wall_ms - now_wall_ms, span));
	return buf;
}

const char *
render_bytes(uint64_t n, char buf[16])
{
	static const char units[] = "bkMGT";
	size_t unit = 0;
	double v = (double)n;

	while (v >= 1024 && unit + 2 < sizeof units) {
		v /= 1024;
		unit++;
	}
	if (unit == 0 || v >= 10)
		snprintf(buf, 16, "%.0f%c", v, units[unit]);
	else
		snprintf(buf, 16, "%.1f%c", v, units[unit]);
	return buf;
}

/* Characters, not bytes: good enough for a column. */
static size_t
shown(const char *s)
{
	size_t n = 0;

	for (; *s != '\0'; s++) {
		if (((uint8_t)*s & 0xc0) != 0x80)
			n++;
	}
	return n;
}

void
table_begin(struct table *t, const struct table_column *columns, size_t n,
    unsigned width, bool colour, struct buf *out)
{
	*t = (struct table){ .columns = columns, .ncolumns = n, .width = width,
	    .colour = colour, .out = out };
	for (size_t i = 0; i < n; i++)
		t->widths[i] = strlen(columns[i].title);
}

void
table_cell(struct table *t, const char *s)
{
	t->at[t->ncells++] = t->cell.len;
	render_text(&t->cell, s == NULL || *s == '\0' ? "-" : s);
	buf_u8(&t->cell, '\0');
}

void
table_cellf(struct table *t, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	table_cell(t, text);
}

/* Takes from the widest column that may give, until the line fits. */
static void
fit(struct table *t)
{
	size_t total = (t->ncolumns - 1) * GAP;

	for (size_t i = 0; i < t->ncolumns; i++)
		total += t->widths[i];
	while (t->width > 0 && total > t->width) {
		size_t widest = t->ncolumns;

		for (size_t i = 0; i < t->ncolumns; i++) {
			if (t->columns[i].shrink == 0 ||
			    t->widths[i] <= t->columns[i].shrink)
				continue;
			if (widest == t->ncolumns || t->widths[i] >= t->widths[widest])
				widest = i;
		}
		if (widest == t->ncolumns)
			break;
		t->widths[widest]--;
		total--;
	}
	t->fixed = true;
}

/* At most width characters of s, ".." in place of what was cut. */
static void
put_cut(struct buf *b, const char *s, size_t width)
{
	const size_t keep = width > 2 ? width - 2 : width;
	size_t n = 0;

	for (; *s != '\0'; s++) {
		if (((uint8_t)*s & 0xc0) != 0x80 && ++n > keep)
			break;
		buf_u8(b, (uint8_t)*s);
	}
	if (width > 2)
		buf_text(b, "..");
}

/* The same, but the end of s stays. */
static void
put_end(struct buf *b, const char *s, size_t width)
{
	size_t skip = shown(s) - (width > 2 ? width - 2 : width);

	while (skip > 0 || ((uint8_t)*s & 0xc0) == 0x80) {
		skip -= ((uint8_t)*s & 0xc0) != 0x80;
		s++;
	}
	if (width > 2)
		buf_text(b, "..");
	buf_text(b, s);
}

static void
put_cell(struct table *t, size_t i, const char *s)
{
	const struct table_column *c = &t->columns[i];
	const size_t n = shown(s), width = t->widths[i];
	const size_t pad = n < width ? width - n : 0;

	if (i > 0)
		buf_printf(t->out, "%*s", GAP, "");
	if (c->right && pad > 0)
		buf_printf(t->out, "%*s", (int)pad, "");
	if (t->width > 0 && n > width && c->shrink > 0)
		(c->right ? put_end : put_cut)(t->out, s, width);
	else
		buf_text(t->out, s);
	if (!c->right && pad > 0)
		buf_printf(t->out, "%*s", (int)pad, "");
}

/* No blanks at the end of a line, whatever its last cells are. */
static void
end_line(struct table *t, const char *tail)
{
	while (t->out->len > 0 && t->out->data[t->out->len - 1] == ' ')
		t->out->len--;
	buf_printf(t->out, "%s\n", tail);
}

static void
write_kept(struct table *t)
{
	fit(t);
	if (t->nrows > 0) {
		if (t->colour)
			buf_text(t->out, colours[COLOUR_BOLD]);
		for (size_t i = 0; i < t->ncolumns; i++)
			put_cell(t, i, t->columns[i].title);
		end_line(t, t->colour ? "\033[0m" : "");
	}
	for (size_t n = 0; n < t->nkept; n++) {
		put_cell(t, n % t->ncolumns, t->kept[n]);
		if (n % t->ncolumns == t->ncolumns - 1)
			end_line(t, "");
		free(t->kept[n]);
	}
	free(t->kept);
	t->kept = NULL;
	t->nkept = 0;
}

static void
keep_row(struct table *t)
{
	if (t->kept == NULL)
		t->kept = xcalloc(TABLE_SAMPLE * t->ncolumns, sizeof *t->kept);
	for (size_t i = 0; i < t->ncolumns; i++) {
		const char *s = (const char *)t->cell.data + t->at[i];
		const size_t n = shown(s);

		if (n > t->widths[i])
			t->widths[i] = n;
		t->kept[t->nkept++] = xstrdup(s);
	}
	if (t->nkept == TABLE_SAMPLE * t->ncolumns)
		write_kept(t);
}

void
table_row(struct table *t)
{
	while (t->ncells < t->ncolumns)
		table_cell(t, NULL);
	t->nrows++;
	if (!t->fixed) {
		keep_row(t);
	} else {
		for (size_t i = 0; i < t->ncolumns; i++)
			put_cell(t, i, (const char *)t->cell.data + t->at[i]);
		end_line(t, "");
	}
	t->cell.len = 0;
	t->ncells = 0;
}

void
table_end(struct table *t)
{
	if (t->columns == NULL)
		return;
	if (!t->fixed)
		write_kept(t);
	buf_free(&t->cell);
	*t = (struct table){ 0 };
}
