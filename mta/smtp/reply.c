/*
 * reply.c - reads the replies of an SMTP server as they arrive.
 * Never judges what a reply means for a message (mta/tx/verdict.c does), and
 * never keeps more than reply.h promises, whatever the peer sends.
 * Read next: reply.h.
 */
#include "mta/smtp/reply.h"

#include <string.h>

#include "mta/base/str.h"

void
smtp_reply_parser_reset(struct smtp_reply_parser *p)
{
	struct buf lines = p->lines;

	lines.len = 0;
	*p = (struct smtp_reply_parser){ .lines = lines };
}

void
smtp_reply_parser_free(struct smtp_reply_parser *p)
{
	buf_free(&p->lines);
	*p = (struct smtp_reply_parser){ .nlines = 0 };
}

const char *
smtp_reply_line(const struct smtp_reply_parser *p, unsigned i)
{
	const char *s = (const char *)p->lines.data;

	if (i >= p->nkept)
		return NULL;
	while (i-- > 0)
		s += strlen(s) + 1;
	return s;
}

static bool
is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static const char *
number(const char *s, uint16_t *n_r)
{
	unsigned n = 0, digits = 0;

	while (is_digit((uint8_t)*s) && digits < 4) {
		n = n * 10 + (unsigned)(*s++ - '0');
		digits++;
	}
	if (digits == 0 || digits > 3)
		return NULL;
	*n_r = (uint16_t)n;
	return s;
}

const char *
smtp_enhanced_parse(const char *s, uint8_t *class_r, uint16_t *subject_r, uint16_t *detail_r)
{
	uint16_t subject, detail;
	char class_ = *s;

	if ((class_ != '2' && class_ != '4' && class_ != '5') || s[1] != '.')
		return NULL;
	s = number(s + 2, &subject);
	if (s == NULL || *s != '.')
		return NULL;
	s = number(s + 1, &detail);
	if (s == NULL || (*s != ' ' && *s != '\0'))
		return NULL;
	*class_r = (uint8_t)(class_ - '0');
	*subject_r = subject;
	*detail_r = detail;
	return *s == ' ' ? s + 1 : s;
}

/* All kept lines as one, the enhanced code of each taken away when it is the reply's own. */
static void
join_text(const struct smtp_reply_parser *p, struct smtp_reply *r)
{
	char joined[4 * sizeof(r->text)];
	const char *s = (const char *)p->lines.data;
	size_t len = 0;

	for (unsigned i = 0; i < p->nkept && len < sizeof(joined) - 1; i++) {
		const char *next = s + strlen(s) + 1, *rest;
		uint16_t subject, detail;
		uint8_t class_;
		size_t n;

		rest = smtp_enhanced_parse(s, &class_, &subject, &detail);
		if (rest != NULL && r->has_enhanced && class_ == r->class_)
			s = rest;
		n = strlen(s);
		if (len != 0 && n != 0)
			joined[len++] = ' ';
		if (n > sizeof(joined) - 1 - len)
			n = sizeof(joined) - 1 - len;
		memcpy(joined + len, s, n);
		len += n;
		s = next;
	}
	str_safe(r->text, sizeof(r->text), joined, len);
}

static void
fill(const struct smtp_reply_parser *p, struct smtp_reply *r)
{
	const char *first = smtp_reply_line(p, 0);
	uint8_t class_;

	memset(r, 0, sizeof(*r));
	r->code = p->code;
	r->class_ = (uint8_t)(p->code / 100);
	if (first != NULL && smtp_enhanced_parse(first, &class_, &r->subject,
	    &r->detail) != NULL && class_ == r->class_)
		r->has_enhanced = true;
	else
		r->subject = r->detail = 0;
	join_text(p, r);
}

/* The first four octets of a line: the code and what separates it. */
static bool
head_ok(struct smtp_reply_parser *p)
{
	uint16_t code;

	if (p->nhead < 3 || p->head[0] < '2' || p->head[0] > '5' ||
	    !is_digit(p->head[1]) || !is_digit(p->head[2]))
		return false;
	code = (uint16_t)((p->head[0] - '0') * 100 +
	    (p->head[1] - '0') * 10 + (p->head[2] - '0'));
	if (p->code != 0 && p->code != code)
		return false;
	p->code = code;
	if (p->nhead == 4 && p->head[3] != ' ' && p->head[3] != '-')
		return false;
	p->last = p->nhead == 3 || p->head[3] == ' ';
	return true;
}

static bool
keeping(const struct smtp_reply_parser *p)
{
	return p->nlines < SMTP_REPLY_LINES_MAX &&
	    p->at < SMTP_REPLY_KEPT_MAX;
}

/* Text of the current line, without its end; a 0 must not end it early. */
static void
keep(struct smtp_reply_parser *p, const uint8_t *s, size_t n)
{
	size_t room = SMTP_REPLY_LINE_MAX - 4 - (p->lines.len - p->at);
	size_t total = SMTP_REPLY_KEPT_MAX - p->lines.len;
	uint8_t *to;

	if (!keeping(p))
		return;
	if (n > room)
		n = room;
	if (n > total)
		n = total;
	if (n == 0)
		return;
	to = buf_room(&p->lines, n);
	for (size_t i = 0; i < n; i++)
		to[i] = s[i] == '\0' ? '?' : s[i];
	p->lines.len += n;
}

/* The LF came.  True: the reply is complete; p->bad: it is malformed. */
static bool
end_line(struct smtp_reply_parser *p)
{
	if (p->nhead < 4 && !head_ok(p)) {
		p->bad = true;
		return false;
	}
	if (keeping(p)) {
		if (p->lines.len > p->at && p->lines.data[p->lines.len - 1] == '\r')
			p->lines.len--;
		buf_u8(&p->lines, 0);
		p->at = p->lines.len;
		p->nkept++;
	}
	p->nlines++;
	p->nhead = 0;
	p->cr = false;
	return p->last;
}

/* Code digits and separator, octet by octet; returns octets consumed. */
static size_t
feed_head(struct smtp_reply_parser *p, const uint8_t *s, size_t n)
{
	size_t i = 0;

	while (i < n && p->nhead < 4 && s[i] != '\n') {
		if (p->cr) {			/* CR, then no LF */
			p->bad = true;
			return i;
		}
		if (s[i] == '\r' && p->nhead == 3) {
			p->cr = true;
			i++;
			continue;
		}
		p->head[p->nhead++] = s[i++];
		if (p->nhead == 4 && !head_ok(p))
			p->bad = true;
		if (p->bad || (p->nhead < 4 && !is_digit(s[i - 1]))) {
			p->bad = true;
			return i;
		}
	}
	return i;
}

/* Up to and with the LF of the current line, as far as it has come. */
static size_t
feed_line(struct smtp_reply_parser *p, const uint8_t *s, size_t n, bool *lf_r)
{
	size_t head = 0, text;
	const uint8_t *lf;

	*lf_r = false;
	if (p->nhead < 4)
		head = feed_head(p, s, n);
	if (head == n || p->bad)
		return head;
	lf = memchr(s + head, '\n', n - head);
	text = lf != NULL ? (size_t)(lf - s) - head : n - head;
	if (p->nhead == 4)
		keep(p, s + head, text);
	*lf_r = lf != NULL;
	return head + text + (lf != NULL);
}

size_t
smtp_reply_feed(struct smtp_reply_parser *p, const uint8_t *data, size_t n,
    struct smtp_reply *r, enum smtp_reply_result *result_r)
{
	size_t at = 0;

	if (p->ended)
		smtp_reply_parser_reset(p);
	*result_r = SMTP_REPLY_MORE;
	while (at < n && !p->bad) {
		const size_t from = at;
		bool lf;

		at += feed_line(p, data + at, n - at, &lf);
		p->total += at - from;
		if (p->total > SMTP_REPLY_OCTETS_MAX)
			p->bad = true;
		else if (lf && end_line(p)) {
			p->ended = true;
			fill(p, r);
			*result_r = SMTP_REPLY_DONE;
			return at;
		}
	}
	if (p->bad)
		*result_r = SMTP_REPLY_MALFORMED;
	return at;
}
