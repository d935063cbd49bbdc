/*
 * world.h - the machine around the store, without threads and without waiting:
 * the loop, the helpers and the sync thread of one store, in an order that
 * the seed decides, on a clock that jumps to the next timer.
 *
 * Linked in place of mta/base/loop.c, queue/helper.c, queue/sync.c and getrandom(2).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct loop;

void world_seed(uint64_t seed);
/* One turn of the loop: perhaps a job, perhaps the end of a sync, timers, hooks. */
void world_turn(struct loop *loop);
/* Nothing to do but to wait for a timer of more than a moment. */
bool world_idle(const struct loop *loop);
