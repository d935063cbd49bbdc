/*
 * received.h - the trace lines of a message (RFC 5321 4.4): writing ours,
 * counting those that are there.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mta/base/mem.h"

struct conf_addr;

struct rx_received {
	const char		*helo;		/* as the client called itself */
	const struct conf_addr	*client;
	const char		*hostname;	/* ours */
	bool			 esmtp;		/* it said EHLO */
	const char		*id;		/* the message's, in text */
	const char		*recipient;	/* the only one; NULL: several */
	const char		*date;		/* RFC 5322 3.3 */
};
void received_write(struct buf *out, const struct rx_received *r);

/* More than this many: the message goes in circles (RFC 5321 6.3). */
#define RECEIVED_MAX 50

/* Counts Received lines in the header as it comes by in pieces; { 0 } is a new one. */
struct received_count {
	unsigned	n;
	uint8_t		column;		/* octets of "Received:" seen on this line */
	bool		skip;		/* the rest of this line does not matter */
	bool		in_body;
};
void received_count(struct received_count *c, const uint8_t *p, size_t n);
