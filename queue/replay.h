/*
 * replay.h - what one record of the log does to the index, at recovery.
 */
#pragma once

#include <stdint.h>

#include "queue/record.h"
#include "queue/store_own.h"

/* meta is whole and its checksum right.  In the order of the log. */
void replay_record(struct store *s, struct segment *seg, uint32_t offset, const struct record_header *h,
    const uint8_t *meta);
