/*
 * reply.h - the replies of an SMTP server (RFC 5321 4.2), read strictly.
 *
 * A reply is one or more lines "NNN-text" and a last one "NNN text" or "NNN",
 * the same three digits on each, the first of them 2 to 5.  Anything else, or
 * more than SMTP_REPLY_OCTETS_MAX, is malformed, and nothing after it can be
 * trusted.  A line may end in LF alone: that is not ambiguous.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mta/base/mem.h"

#define SMTP_REPLY_LINE_MAX 1024	/* kept of one line, code included */
#define SMTP_REPLY_LINES_MAX 64		/* kept of one reply */
#define SMTP_REPLY_KEPT_MAX (16u << 10)	/* kept of it altogether */
#define SMTP_REPLY_OCTETS_MAX (64u << 10)	/* beyond: malformed */

struct smtp_reply {
	uint16_t	code;		/* 200..599 */
	uint8_t		class_;		/* of the enhanced code; else code / 100 */
	uint16_t	subject;	/* 0 when there is none */
	uint16_t	detail;
	bool		has_enhanced;	/* RFC 2034; its class agrees with the code */
	char		text[512];	/* all lines, without codes, as one safe line */
};

enum smtp_reply_result {
	SMTP_REPLY_MORE = 0,	/* not complete: everything was consumed */
	SMTP_REPLY_DONE,	/* complete: what follows it was left */
	SMTP_REPLY_MALFORMED,	/* end the session */
};

struct smtp_reply_parser {
	struct buf	 lines;		/* texts kept, each ended by 0; owned */
	size_t		 total;		/* octets of this reply */
	unsigned	 nlines;	/* lines seen */
	unsigned	 nkept;
	size_t		 at;		/* where the current line starts in lines */
	uint8_t		 head[4];	/* code and separator of the current line */
	uint8_t		 nhead;
	uint16_t	 code;		/* of the first line; 0: none yet */
	bool		 cr;		/* last octet was a CR */
	bool		 last;		/* the current line is the last */
	bool		 ended;		/* DONE was said: the next octet begins anew */
	bool		 bad;
};

/* { 0 } is a new parser. */
void smtp_reply_parser_reset(struct smtp_reply_parser *p);
void smtp_reply_parser_free(struct smtp_reply_parser *p);	/* what hangs on it */

/*
 * Reads at most one reply; returns the octets consumed.  With SMTP_REPLY_DONE
 * *r is filled, else untouched.  After MALFORMED reset before further use.
 */
size_t smtp_reply_feed(struct smtp_reply_parser *p, const uint8_t *data, size_t n,
    struct smtp_reply *r, enum smtp_reply_result *result_r);

/*
 * Line i of the reply just done, without the code ("SIZE 1000"); NULL: no
 * such.  Borrowed until the next feed.
 */
const char *smtp_reply_line(const struct smtp_reply_parser *p, unsigned i);

/* "4.2.1 rest" with a class of 2, 4 or 5: returns where the rest begins, or NULL. */
const char *smtp_enhanced_parse(const char *s, uint8_t *class_r, uint16_t *subject_r,
    uint16_t *detail_r);

static inline bool
smtp_reply_ok(const struct smtp_reply *r)
{
	return r->code / 100 == 2;
}

static inline bool
smtp_reply_go_on(const struct smtp_reply *r)
{
	return r->code / 100 == 3;
}

static inline bool
smtp_reply_temporary(const struct smtp_reply *r)
{
	return r->code / 100 == 4;
}

static inline bool
smtp_reply_permanent(const struct smtp_reply *r)
{
	return r->code / 100 == 5;
}
