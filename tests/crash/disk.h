/*
 * disk.h - a disk in memory, linked in place of queue/file.c, that keeps every
 * write, sync, rename and unlink, and makes from them what a crash may leave.
 *
 * Rules of this disk: a write is on it for certain once a sync of its file that
 * began later has ended well; until then each of its 512-byte sectors may or
 * may not be.  The name of a file is what one of the operations on it made it,
 * not older than the last that a sync of the directory covers; a rename is
 * one operation.  After a failed sync the writes it was to cover may be lost
 * for ever, whatever later syncs say.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECTOR 512u
#define OP_NEVER UINT32_MAX

/* What of the unsynced operations reached the disk. */
enum disk_loss {
	LOSS_ALL = 0,		/* nothing unsynced did */
	LOSS_NOTHING,		/* everything did: only the process was killed */
	LOSS_PREFIX,		/* those before a point, the write there torn */
	LOSS_WRITES,		/* whole writes, any of them */
	LOSS_SECTORS,		/* any sectors */
	LOSS_NAMES,		/* all content, any names */
	LOSS_CONTENT,		/* all names, any sectors */
	LOSS_COUNT
};
extern const char *const disk_loss_names[LOSS_COUNT];

/* Planted bugs: what the layer, or what stands beside it, does wrong. */
enum plant {
	PLANT_NONE = 0,
	PLANT_NO_FDATASYNC,	/* a file's sync does nothing */
	PLANT_NO_DIRSYNC,	/* a directory's sync does nothing */
	PLANT_WRONG_FILE,	/* the sync goes to another file */
	PLANT_EARLY_ANSWER,	/* a commit is answered before its sync */
	PLANT_STALE_EPOCH,	/* a recycled segment keeps its epoch */
	PLANT_STALE_HEADER,	/* a recycled segment keeps its header */
	PLANT_ONE_ERA,		/* every header says era 1 */
	PLANT_NO_CHECKSUM,	/* checksums are always right */
	PLANT_SYNC_ERROR_LOST,	/* a failed sync says that it was good */
	PLANT_BODY_NOT_SYNCED,	/* a large body is accepted unsynced */
	PLANT_BODY_NAME_NOT_SYNCED,
	PLANT_BODY_GONE_EARLY,	/* unlinked before the settle is durable */
	PLANT_RECOVERY_NOT_SYNCED,	/* recovery leases what it has not synced */
	PLANT_COUNT
};
extern const char *const plant_names[PLANT_COUNT];
extern enum plant plant_now;

struct disk;

struct disk *disk_new(void);
void disk_free(struct disk **d);
/*
 * The disk that file.h works on from now on.  The top is besides a real, empty
 * directory, the one opened by path: guard.c examines it and locks a file in it.
 */
void disk_mount(struct disk *d);

uint32_t disk_ops(const struct disk *d);		/* recorded so far */
void disk_print(const struct disk *d, uint32_t from, uint32_t to);
/* What a crash before operation at may leave; choices by rng. */
struct disk *disk_crash(const struct disk *d, uint32_t at, enum disk_loss loss, uint64_t *rng);
unsigned disk_files(const struct disk *d, const char *dir);	/* named ones in it */
bool disk_export(const struct disk *d, const char *path);	/* as real files, to look at */

/* Trouble while the workload runs.  Dead: nothing reaches the disk any more. */
void disk_set_dead(struct disk *d, bool dead);
void disk_set_full(struct disk *d, bool full);
void disk_fail_sync(struct disk *d, bool fail);		/* the next sync of a file */
void disk_set_recovering(struct disk *d, bool on);	/* for the plant only */

/* A sync that takes time: what is written after its beginning is not covered. */
struct disk_sync {
	uint32_t	file, began;
	bool		failed, skipped;
};
struct disk_sync disk_sync_begin(int fd);
int disk_sync_end(const struct disk_sync *s);

/* splitmix64: the only source of chance here. */
uint64_t chance(uint64_t *rng);
uint32_t chance_below(uint64_t *rng, uint32_t n);
