/*
 * peer.h - an SMTP server by script, on the loop of the test: what it says at
 * each step, and how it misbehaves.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mta/base/mem.h"

struct loop;

/*
 * What is said at a step.  NULL is the good answer.  Marks: a first '!' closes
 * without a word, a last '!' closes after the text, "~" alone is silence.
 */
struct peer_script {
	const char	*greeting, *ehlo, *helo, *mail, *data, *dot, *rset;
	const char	*rcpt;		/* NULL: by the address: no… 550, later… 451, many… 452 */
	unsigned	 from_message;	/* mail to dot only from this transaction on (0: always) */
};

struct peer {
	struct loop		*loop;
	int			 fd;		/* listening */
	uint16_t		 port;
	struct loop_io		*io;
	const struct peer_script *scripts;	/* by number of the connection, the last one for the rest */
	size_t			 nscripts;
	unsigned		 connections, open, most_open, messages, resets, quits;
	struct buf		 said;		/* every command line */
	struct buf		 body;		/* of the last message, as on the wire */
	struct list		*conns;
};

struct peer *peer_new(struct loop *loop, const char *ip, const struct peer_script *scripts, size_t n);
void peer_free(struct peer **p);
/* How often text stands in what was said. */
unsigned peer_heard(struct peer *p, const char *text);
