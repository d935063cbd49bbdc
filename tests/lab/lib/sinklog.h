/*
 * sinklog.h - what sinksmtp writes down of a transaction that came to its dot:
 * one JSON object a line, and the body in a file of its own.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* All borrowed. */
struct sink_transaction {
	const char	*listen;	/* where it came in */
	unsigned long	 session;
	const char	*helo, *sender, *params;
	char *const	*rcpts;		/* those that were taken */
	size_t		 nrcpts;
	uint64_t	 size;
	uint32_t	 crc;		/* tally_crc32() of the body */
	const char	*file;		/* name below the folder of bodies, or "" */
	bool		 taken;		/* 2xx to the dot */
};

void sink_log(FILE *f, const struct sink_transaction *t);
/* Writes DIR/N.eml; its name goes to name. */
void sink_keep(const char *dir, const void *body, size_t len, char *name, size_t size);
