/*
 * wire.h - what goes over the control socket between relayctl and ctl.
 *
 * One request a connection, from relayctl, little endian:
 *
 *   off len  field
 *     0   4  length of what follows, at most WIRE_REQUEST_MAX
 *     4   1  version, WIRE_VERSION
 *     5   1  enum wire_flag
 *     6   2  columns of the terminal, 0: output is no terminal
 *     8   -  str working directory (for file names), u32 argc, argc times str
 *
 * Then frames from ctl until it closes:
 *
 *     0   4  length of what follows, at most WIRE_FRAME_MAX
 *     4   1  'o' text for stdout, 'e' for stderr, 'x' one byte: exit code, last
 *     5   -  the bytes
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "mta/base/mem.h"

#define WIRE_VERSION 1
#define WIRE_REQUEST_MAX (64u << 10)
#define WIRE_FRAME_MAX (1u << 20)
#define WIRE_ARGS_MAX 256

enum wire_flag { WIRE_JSON = 1, WIRE_TTY = 2, WIRE_COLOUR = 4 };

enum ctl_exit {
	EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_NO_DAEMON = 3,
	EXIT_DEFER = 10, EXIT_FAIL = 11,	/* resolve */
	EXIT_WARNING = 1, EXIT_CRITICAL = 2,	/* health, as Nagios has it */
};

struct wire_request {
	uint8_t	  flags;
	uint16_t  columns;
	char	 *cwd;		/* owned */
	char	**argv;		/* owned, as are its strings */
	uint32_t  argc;
};

void wire_request_free(struct wire_request *q);		/* what hangs on it */
void wire_request_encode(const struct wire_request *q, struct buf *b);	/* with its length */

/* What stands after the length.  false: nonsense; why for the other end. */
bool wire_request_decode(struct wire_request *q, const void *p, size_t n, struct fault *why);

void wire_frame(struct buf *b, char type, const void *p, size_t n);	/* cuts into frames */
