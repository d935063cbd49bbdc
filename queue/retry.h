/*
 * retry.h - when to try again.  Pure: policy, counts and times in, a time out.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "queue/status.h"

struct conf_retry;

/*
 * The wait after the failures-th failed attempt in a row (1 is the first), by
 * the schedule of the reason's class; the last step repeats.  random (any value)
 * shortens it by up to a tenth: jitter never lengthens.
 */
int64_t retry_wait_ms(const struct conf_retry *p, enum reason reason, unsigned failures, uint32_t random);

/* The longest step of both schedules: no persisted next time may lie further ahead. */
int64_t retry_longest_ms(const struct conf_retry *p);

/*
 * Only the failure of an attempt begun after the deadline expires a recipient:
 * a week switched off must not bounce what was never tried.
 */
bool retry_expired(const struct conf_retry *p, int64_t arrival_wall_ms, int64_t began_wall_ms);

/* Is it time to tell the sender of the delay (RFC 3464 "delayed")? */
bool retry_notice_due(const struct conf_retry *p, int64_t arrival_wall_ms, int64_t now_wall_ms);
