/*
 * disk_own.h - what the two files of the disk share: disk.c records, image.c
 * makes what a crash leaves.
 */
#pragma once

#include "mta/base/mem.h"
#include "tests/crash/disk.h"

#define NO_DIR UINT32_MAX
#define TOP 0u
#define NAME 40u

enum op_kind { OP_WRITE = 0, OP_SYNC, OP_SYNC_FAILED, OP_SYNC_DIR, OP_NAME };

struct op {
	enum op_kind	kind;
	uint32_t	file;
	uint32_t	began;		/* syncs: the operations before it are covered */
	uint64_t	off;
	size_t		n;
	uint8_t		*data;		/* WRITE, owned; NULL: zeros */
	uint32_t	dir;		/* NAME: where it is from now on; NO_DIR: nowhere */
	uint32_t	dir_before;
	char		name[NAME];
};

/* A file or directory as the running system sees it. */
struct inode {
	bool		is_dir;
	uint32_t	dir;		/* NO_DIR: unlinked */
	char		name[NAME];
	struct buf	data;
	struct buf	base;		/* on disk before the first operation */
	uint32_t	base_dir;
	char		base_name[NAME];
};

struct disk {
	struct inode	*files;		/* 0: the top */
	uint32_t	 nfiles, files_cap;
	struct op	*ops;
	uint32_t	 nops, ops_cap;
	uint32_t	*fds;		/* file of descriptor FD_BASE + i, plus one; 0: closed */
	uint32_t	 nfds;
	bool		 dead, full, fail_sync, recovering;
};

uint32_t disk_inode_new(struct disk *d, bool is_dir);
uint32_t disk_lookup(const struct disk *d, uint32_t dir, const char *name);	/* NO_DIR: none */
void disk_data_put(struct buf *b, uint64_t off, const uint8_t *p, size_t n);	/* NULL: zeros */
