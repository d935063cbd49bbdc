/*
 * dot.c - dot-stuffing and its reverse, a line at a time by memchr.
 * Never decides what malformed line ends mean: it reports them.  Never takes
 * anything but CRLF "." CRLF for the end, however the octets arrive.
 * Read next: dot.h; mta/rx/data.c and mta/tx/steps.c, which use it.
 */
#include "mta/smtp/dot.h"

#include <string.h>

static bool
starts_line(const struct smtp_dot_out *d)
{
	return !d->in_line;
}

void
smtp_dot_out(struct smtp_dot_out *d, const void *data, size_t n, struct buf *out)
{
	const uint8_t *p = data, *run = data, *end = p + n;

	if (n == 0)
		return;
	if (*p == '.' && starts_line(d))
		buf_u8(out, '.');
	while ((p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		if (++p == end)
			break;
		if (*p != '.')
			continue;
		buf_add(out, run, (size_t)(p - run));
		buf_u8(out, '.');
		run = p;
	}
	buf_add(out, run, (size_t)(end - run));
	if (end[-1] == '\n')
		d->lf = n > 1 ? end[-2] != '\r' : !d->cr;
	else
		d->lf = false;
	d->in_line = end[-1] != '\n';
	d->cr = end[-1] == '\r';
}

void
smtp_dot_out_end(struct smtp_dot_out *d, struct buf *out)
{
	if (d->in_line || d->lf)
		buf_text(out, "\r\n");
	buf_text(out, ".\r\n");
}

/* What the last octet was; the reader's whole memory between two pieces. */
enum {
	AT_LINE_START = 0,	/* the line before ended in CRLF, or nothing was read */
	IN_LINE,
	AFTER_CR,		/* a CR of content, held back */
	AFTER_DOT,		/* a dot at the start of a line, held back */
	AFTER_DOT_CR,		/* and a CR after it, both held back */
};

static void
put(struct buf *out, const void *p, size_t n)
{
	if (out != NULL && n != 0)
		buf_add(out, p, n);
}

/*
 * Everything up to the next LF that is followed by a dot or by the piece's end
 * can be copied as it stands.  Returns where the slow way must go on.
 */
static const uint8_t *
copy_lines(struct smtp_dot_in *d, const uint8_t *p, const uint8_t *end, struct buf *out)
{
	const uint8_t *run = p, *line = p, *lf;

	while ((lf = memchr(line, '\n', (size_t)(end - line))) != NULL) {
		const uint8_t *text_end = lf;
		bool crlf = lf > line && lf[-1] == '\r';

		if (crlf)
			text_end--;
		else
			d->flags |= SMTP_DOT_BARE_LF;
		if (memchr(line, '\r', (size_t)(text_end - line)) != NULL)
			d->flags |= SMTP_DOT_BARE_CR;
		line = lf + 1;
		d->state = crlf ? AT_LINE_START : IN_LINE;
		if (crlf && line < end && *line == '.')
			break;
	}
	if (lf == NULL && line < end) {		/* a line without its end */
		const uint8_t *stop = end[-1] == '\r' ? end - 1 : end;

		if (memchr(line, '\r', (size_t)(stop - line)) != NULL)
			d->flags |= SMTP_DOT_BARE_CR;
		put(out, run, (size_t)(stop - run));
		d->state = stop == end ? IN_LINE : AFTER_CR;
		return end;
	}
	put(out, run, (size_t)(line - run));
	return line;
}

/* One octet where something is held back, or a line begins with a dot. */
static bool
step(struct smtp_dot_in *d, uint8_t c, struct buf *out)
{
	switch (d->state) {
	case AT_LINE_START:
		d->state = AFTER_DOT;		/* called for a dot only */
		return true;
	case AFTER_CR:
		put(out, "\r", 1);
		if (c == '\n') {
			put(out, "\n", 1);
			d->state = AT_LINE_START;
			return true;
		}
		break;
	case AFTER_DOT:
		if (c == '\r') {
			d->state = AFTER_DOT_CR;
			return true;
		}
		d->state = IN_LINE;		/* the dot was stuffing */
		return false;
	case AFTER_DOT_CR:
		if (c == '\n') {
			d->done = true;
			return true;
		}
		put(out, "\r", 1);
		break;
	}
	d->flags |= SMTP_DOT_BARE_CR;
	d->state = IN_LINE;
	return false;
}

size_t
smtp_dot_in(struct smtp_dot_in *d, const void *data, size_t n, struct buf *out)
{
	const uint8_t *p = data, *end = p + n;

	while (p < end && !d->done) {
		bool slow = d->state >= AFTER_CR ||
		    (d->state == AT_LINE_START && *p == '.');

		if (!slow)
			p = copy_lines(d, p, end, out);
		else if (step(d, *p, out))
			p++;
	}
	if (p != data && memchr(data, 0, (size_t)(p - (const uint8_t *)data)) != NULL)
		d->flags |= SMTP_DOT_NUL;
	return (size_t)(p - (const uint8_t *)data);
}
