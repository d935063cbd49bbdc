/*
 * room.c - whether new mail may come: bounds on messages, octets and free space,
 * each with hysteresis.
 * Never turns away settles or DSNs, and never asks the file system more than
 * once a second.
 * Read next: accept.c, bodies.c (who asks), commit.c (who calls room_look).
 */
#include <stdio.h>
#include <string.h>

#include "mta/base/clock.h"
#include "mta/base/hash.h"
#include "mta/base/log.h"
#include "mta/base/loop.h"
#include "mta/base/str.h"
#include "queue/file.h"
#include "queue/store_own.h"

#define LOOK_MS 1000
#define BACK_PCT 90u			/* of a bound: room again below this */

static void
look_at_disk(struct store *s)
{
	const int64_t now = clock_mono_ms();

	if (s->room.looked_mono_ms != 0 && now - s->room.looked_mono_ms < LOOK_MS)
		return;
	s->room.looked_mono_ms = now;
	if (file_free_bytes(s->dirs.top, &s->room.free_bytes) != 0)
		s->room.free_bytes = UINT64_MAX;	/* unknown: the write will tell */
}

/* Part of a bound that counts now: all of it, or less once it was passed.  0: no bound. */
static uint64_t
bound(const struct store *s, uint64_t max)
{
	if (max == 0)
		return UINT64_MAX;
	return s->room.room ? max : max / 100 * BACK_PCT + max % 100 * BACK_PCT / 100;
}

/* NULL: there is room. */
static const char *
what_is_full(struct store *s, uint64_t size)
{
	const uint64_t floor = s->conf.min_free_bytes;
	const uint64_t needed = s->room.room ? floor : floor + floor / 10;

	if (hash_count(s->ix.messages) >= bound(s, s->conf.max_messages))
		return "max_messages reached";
	if (s->ix.bytes + s->room.streaming + size > bound(s, s->conf.max_bytes))
		return "max_bytes reached";
	if (s->pool.starved)
		return "the disk is full";
	look_at_disk(s);
	if (s->room.free_bytes < needed)
		return "free space below min_free";
	return NULL;
}

bool
room_for(struct store *s, uint64_t size)
{
	const char *why = what_is_full(s, size);

	if (why == NULL)
		return s->room.room = true;
	/* One message too large for what is left does not close the door to smaller ones. */
	if (what_is_full(s, 0) != NULL && s->room.room) {
		s->room.room = false;
		commit_kick(s);
	}
	(void)str_copy(s->room.why, sizeof s->room.why, why);
	return false;
}

void
room_look(struct store *s)
{
	if (s->commit.broken)
		return;
	(void)room_for(s, 0);
	if (s->room.room)
		s->room.why[0] = '\0';
	else if (!loop_timer_is_set(s->room.again))
		loop_timer_set(s->room.again, LOOK_MS);
	if (s->room.room == s->room.told)
		return;
	s->room.told = s->room.room;
	if (s->room.room)
		log_event("spool_room", "room=yes");
	else
		log_warn("spool_room", "room=no why=\"%s\"", s->room.why);
	if (s->handlers.room != NULL)
		s->handlers.room(s->ctx, s->room.room, s->room.why);
}

static void
on_again(void *ctx)
{
	room_look(ctx);
}

void
room_start(struct store *s)
{
	s->room.room = s->room.told = true;
	s->room.again = loop_timer_new(s->loop, on_again, s);
	commit_kick(s);			/* the first look, from the loop */
}

void
room_stop(struct store *s)
{
	loop_timer_free(&s->room.again);
}
