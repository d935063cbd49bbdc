/*
 * wire.c - the two forms that cross the control socket, for both its ends.
 * Never reads or writes a descriptor itself, never trusts a count.
 * Read next: client.c (ctl's end), ../relayctl.c (the other).
 */
#include "mta/ctl/wire.h"

#include <stdlib.h>
#include <string.h>

void
wire_request_free(struct wire_request *q)
{
	free(q->cwd);
	for (uint32_t i = 0; i < q->argc; i++)
		free(q->argv[i]);
	free(q->argv);
	*q = (struct wire_request){ 0 };
}

void
wire_request_encode(const struct wire_request *q, struct buf *b)
{
	const size_t at = b->len;

	buf_u32(b, 0);
	buf_u8(b, WIRE_VERSION);
	buf_u8(b, q->flags);
	buf_u16(b, q->columns);
	buf_str(b, q->cwd);
	buf_u32(b, q->argc);
	for (uint32_t i = 0; i < q->argc; i++)
		buf_str(b, q->argv[i]);
	buf_set_u32(b, at, (uint32_t)(b->len - at - 4));
}

static bool
args_decode(struct wire_request *q, struct rd *r)
{
	const uint32_t n = rd_u32(r);

	if (r->bad || n > WIRE_ARGS_MAX)
		return false;
	q->argv = xcalloc(n + 1, sizeof *q->argv);
	for (uint32_t i = 0; i < n; i++) {
		q->argv[i] = rd_str(r);
		q->argc++;
		if (q->argv[i] == NULL)
			return false;
	}
	return !r->bad && rd_left(r) == 0;
}

bool
wire_request_decode(struct wire_request *q, const void *p, size_t n, struct fault *why)
{
	struct rd r = rd_of(p, n);
	const uint8_t version = rd_u8(&r);

	*q = (struct wire_request){ 0 };
	if (version != WIRE_VERSION) {
		fault_set(why, "relayctl speaks version %u, relayd %u: install "
		    "both from one release", version, WIRE_VERSION);
		return false;
	}
	q->flags = rd_u8(&r);
	q->columns = rd_u16(&r);
	q->cwd = rd_str(&r);
	if (args_decode(q, &r))
		return true;
	wire_request_free(q);
	fault_set(why, "request not understood");
	return false;
}

void
wire_frame(struct buf *b, char type, const void *p, size_t n)
{
	const uint8_t *at = p;

	while (n > 0) {
		const size_t piece = n < WIRE_FRAME_MAX - 1 ? n : WIRE_FRAME_MAX - 1;

		buf_u32(b, (uint32_t)(piece + 1));
		buf_u8(b, (uint8_t)type);
		buf_add(b, at, piece);
		at += piece;
		n -= piece;
	}
}
