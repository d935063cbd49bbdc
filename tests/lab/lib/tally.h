/*
 * tally.h - counts messages and ticks off the numbers of their "X-Bench: n"
 * headers: what was lost, what came twice.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct tally {
	uint64_t	messages, rcpts, bytes;
	uint64_t	distinct, duplicates;	/* of those with a number */
	uint8_t		*seen;			/* a bit a number */
	size_t		 room;			/* numbers below this fit */
	double		 first_s, last_s;	/* when, monotonic */
};

void tally_message(struct tally *t, const char *head, size_t head_len, uint64_t size, size_t rcpts);
void tally_reset(struct tally *t);
/* "messages=10 rcpts=10 bytes=… distinct=10 duplicates=0 seconds=0.012" */
void tally_text(const struct tally *t, char *buf, size_t size);
/* How many of the numbers 0..n-1 never came, and the first few of them. */
void tally_missing(const struct tally *t, size_t n, char *buf, size_t size);

uint32_t tally_crc32(uint32_t crc, const void *data, size_t n);	/* as zlib's */
