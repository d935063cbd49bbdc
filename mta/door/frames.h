/*
 * frames.h - the frames on a channel to the queue role, both directions.
 *
 * Payloads in the order given; str and bytes as in mta/base/mem.h, id = the 16
 * bytes of a msgid, status = status_encode().  A frame that does not parse ends
 * the channel: it can only come from a role gone wrong.
 */
#pragma once

#include "mta/base/mem.h"
#include "queue/envelope.h"

enum door_frame {
	/* rx -> queue */
	DF_ACCEPT = 1,		/* id, u64 size, u32 crc, u8 body_file, bytes envelope, then the body to the end */
	DF_GIVE_UP,		/* id: nobody got a 250 for it, take it back if nobody has it yet */
	DF_BODY_OPEN,		/* id, u64 declared size */
	DF_BODY_DROP,		/* id */
	/* queue -> rx */
	DF_ACCEPT_DONE,		/* id, u8 enum queue_result, [status when refused] */
	DF_BODY_FD,		/* id, u8 ok (then the descriptor comes along), [status] */

	/* tx -> queue */
	DF_SERVE = 20,		/* u32 max leases, u64 max bytes */
	DF_SETTLE,		/* u64 lease, id, u32 n, n x (u32 ordinal, u8 outcome, u8 maybe, u8 has, [status]), bytes trace */
	DF_AT_DOT,		/* u64 lease */
	DF_DEST_FAILED,		/* u32 dest, i64 began wall ms, status, bytes trace */
	DF_STOP,		/* no more leases */
	/* queue -> tx */
	DF_LEASE,		/* see door_lease_encode() */

	/* ctl -> queue */
	DF_INSPECT = 40,	/* u32 number, request */
	DF_INSPECT_CANCEL,	/* u32 number */
	DF_INSPECT_PAUSE,	/* u32 number, u8 paused */
	/* queue -> ctl */
	DF_ROW,			/* u32 number, the row to the end */
	DF_END,			/* u32 number, u8 ok, u64 n, str text */
};

static inline void
door_put_id(struct buf *b, const struct msgid *id)
{
	buf_add(b, id->b, sizeof id->b);
}

/* False (and a zero id) when the payload is short. */
bool door_get_id(struct rd *r, struct msgid *id);
