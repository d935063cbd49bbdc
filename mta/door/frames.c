/*
 * frames.c - what the forms of frames.h share.  Read next: client.c, server.c.
 */
#include "mta/door/frames.h"

#include <string.h>

bool
door_get_id(struct rd *r, struct msgid *id)
{
	const uint8_t *p = rd_raw(r, sizeof id->b);

	memset(id, 0, sizeof *id);
	if (p == NULL)
		return false;
	memcpy(id->b, p, sizeof id->b);
	return true;
}
