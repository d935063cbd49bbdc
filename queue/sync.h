/*
 * sync.h - the one thread that syncs the log and does nothing else.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct loop;
struct syncer;

#define SYNC_FILES_MAX 8

/* From the loop, once for each start.  err: 0 or the first errno. */
typedef void sync_done_fn(void *ctx, int err, int64_t us);

struct syncer *syncer_new(struct loop *loop, sync_done_fn *done, void *ctx);
/* One at a time; the descriptors are borrowed until done. */
void syncer_start(struct syncer *y, const int *fds, size_t n);
/* Waits for the one under way; done does not come any more.  Its result, 0 when idle. */
int syncer_free(struct syncer **y);
