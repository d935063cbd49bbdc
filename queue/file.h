/*
 * file.h - every operation of the store on a file system, and nothing else:
 * the one seam at which a crash simulator is linked in place of file.c.
 *
 * Names are relative to a directory descriptor, so that they work in an empty
 * root.  int results are 0 or an errno value.  All may be called from any
 * thread; all but the ones named nowait may block.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "mta/base/fault.h"

/* A directory, for use as the first argument below; -1 with errno. */
int file_open_dir(int at, const char *name);
MUST_CHECK int file_make_dir(int at, const char *name);	/* 0700; there already: fine */

/* Descriptors, close-on-exec; -1 with errno. */
int file_open_read(int at, const char *name);
int file_open_write(int at, const char *name);		/* read and write, must exist */
int file_create(int at, const char *name);		/* read and write, must not exist, 0600 */
void file_close(int *fd);				/* -1: nothing */

/* The whole or an error; a short read is EIO. */
MUST_CHECK int file_pread(int fd, void *p, size_t n, uint64_t off);
MUST_CHECK int file_pwrite(int fd, const void *p, size_t n, uint64_t off);
/* EAGAIN when it would have to wait for the disk, or when that cannot be known. */
MUST_CHECK int file_preadv_nowait(int fd, const struct iovec *iov, int n, uint64_t off);
/* Really written zeros (not only allocated), so that later writes change no metadata. */
MUST_CHECK int file_zero_fill(int fd, uint64_t n);

MUST_CHECK int file_sync(int fd);			/* fdatasync */
MUST_CHECK int file_sync_dir(int dirfd);
MUST_CHECK int file_rename(int at, const char *from, int to_at, const char *to);
MUST_CHECK int file_unlink(int at, const char *name);	/* not there: fine */
MUST_CHECK int file_size(int fd, uint64_t *size_r);
MUST_CHECK int file_size_at(int at, const char *name, uint64_t *size_r);	/* regular files only */
MUST_CHECK int file_free_bytes(int dirfd, uint64_t *free_r);

/* Each regular name of a directory but dot files, in no order. */
MUST_CHECK int file_list(int dirfd, void (*fn)(void *ctx, const char *name), void *ctx);
