/*
 * dsn_text.h - the text of a DSN: multipart/report of RFC 3462, its delivery-status
 * part of RFC 3464, the original's headers or whole.  Pure but for reading the headers of a
 * large body from its descriptor.
 */
#pragma once

#include "mta/base/mem.h"
#include "queue/envelope.h"
#include "queue/status.h"

enum dsn_action { DSN_FAILED = 0, DSN_DELAYED };

struct dsn_rcpt {
	uint32_t	ordinal;
	enum dsn_action	action;
	struct status	status;
};

#define DSN_WHOLE_MAX	(1u << 20)	/* larger originals: headers only */

struct dsn_about {
	struct msgid		 id, of;	/* of the DSN; of the message it is about */
	const char		*hostname;
	int64_t			 now_wall_ms, arrival_wall_ms;
	const struct envelope	*envelope;	/* of the message */
	const struct dsn_rcpt	*rcpts;
	uint32_t		 nrcpts;
	const uint8_t		*body;		/* NULL: body_fd */
	size_t			 body_len;
	int			 body_fd;
};

/* Appends the whole message, CRLF line ends. */
void dsn_text(struct buf *b, const struct dsn_about *a);
