/*
 * work.h - a workload over the store's calls, by seed: the disk it leaves with
 * all that was done to it, and the book of what it was told.
 */
#pragma once

#include <stdint.h>

struct book;
struct conf_spool;
struct disk;

/* *book_r is allocated.  steps: how long it is. */
struct disk *work_run(const struct conf_spool *conf, uint64_t seed, uint32_t steps, struct book **book_r);
