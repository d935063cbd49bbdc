/*
 * disk.c - the recording disk: files and names in memory.
 * Never reads a clock and never draws chance but from the generator it is
 * given: the same seed makes the same image.  One thread.
 * Read next: disk.h (the rules), queue/file.h (the seam it stands in for), image.c.
 */
#include "tests/crash/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mta/base/mem.h"
#include "queue/file.h"
#include "queue/record.h"
#include "tests/crash/disk_own.h"

#define FD_BASE 100000
enum plant plant_now;

const char *const disk_loss_names[LOSS_COUNT] = {
	"all", "nothing", "prefix", "writes", "sectors", "names", "content",
};
const char *const plant_names[PLANT_COUNT] = {
	"none", "no-fdatasync", "no-dirsync", "wrong-file", "early-answer", "stale-epoch",
	"stale-header", "one-era", "no-checksum", "sync-error-lost", "body-not-synced",
	"body-name-not-synced", "body-gone-early", "recovery-not-synced",
};

static struct disk *mounted;		/* the seam has no context argument */
static int top_fd = -1;			/* a real directory: guard.c examines and locks it */

uint64_t
chance(uint64_t *rng)
{
	uint64_t z = *rng += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

uint32_t
chance_below(uint64_t *rng, uint32_t n)
{
	return n == 0 ? 0 : (uint32_t)(chance(rng) >> 32) % n;
}

/* ---- files ---- */

uint32_t
disk_inode_new(struct disk *d, bool is_dir)
{
	if (d->nfiles == d->files_cap) {
		d->files_cap = d->files_cap == 0 ? 32 : d->files_cap * 2;
		d->files = xrealloc(d->files, d->files_cap * sizeof *d->files);
	}
	d->files[d->nfiles] = (struct inode){ .is_dir = is_dir, .dir = NO_DIR,
	    .base_dir = NO_DIR };
	return d->nfiles++;
}

struct disk *
disk_new(void)
{
	struct disk *d = xcalloc(1, sizeof *d);

	(void)disk_inode_new(d, true);
	return d;
}

void
disk_free(struct disk **dp)
{
	struct disk *d = *dp;

	*dp = NULL;
	if (d == NULL)
		return;
	for (uint32_t i = 0; i < d->nfiles; i++) {
		buf_free(&d->files[i].data);
		buf_free(&d->files[i].base);
	}
	for (uint32_t i = 0; i < d->nops; i++)
		free(d->ops[i].data);
	free(d->files);
	free(d->ops);
	free(d->fds);
	free(d);
}

void
disk_mount(struct disk *d)
{
	mounted = d;
}

uint32_t
disk_ops(const struct disk *d)
{
	return d->nops;
}

void
disk_set_dead(struct disk *d, bool dead)
{
	d->dead = dead;
}

void
disk_set_full(struct disk *d, bool full)
{
	d->full = full;
}

void
disk_fail_sync(struct disk *d, bool fail)
{
	d->fail_sync = fail;
}

void
disk_set_recovering(struct disk *d, bool on)
{
	d->recovering = on;
}

static struct op *
op_new(struct disk *d, enum op_kind kind, uint32_t file)
{
	if (d->nops == d->ops_cap) {
		d->ops_cap = d->ops_cap == 0 ? 64 : d->ops_cap * 2;
		d->ops = xrealloc(d->ops, d->ops_cap * sizeof *d->ops);
	}
	d->ops[d->nops] = (struct op){ .kind = kind, .file = file, .began = d->nops,
	    .dir = NO_DIR, .dir_before = NO_DIR };
	return &d->ops[d->nops++];
}

void
disk_data_put(struct buf *b, uint64_t off, const uint8_t *p, size_t n)
{
	if (b->len < off + n) {
		const size_t more = (size_t)(off + n) - b->len;

		memset(buf_room(b, more), 0, more);
		b->len += more;
	}
	if (p == NULL)
		memset(b->data + off, 0, n);
	else
		memcpy(b->data + off, p, n);
}

static void
write_record(struct disk *d, uint32_t file, const void *p, size_t n, uint64_t off)
{
	struct op *op = op_new(d, OP_WRITE, file);

	op->off = off;
	op->n = n;
	if (p != NULL) {
		op->data = xmalloc(n);
		memcpy(op->data, p, n);
	}
	disk_data_put(&d->files[file].data, off, p, n);
}

static void
name_record(struct disk *d, uint32_t file, uint32_t dir, const char *name)
{
	struct op *op = op_new(d, OP_NAME, file);
	struct inode *f = &d->files[file];

	op->dir_before = f->dir;
	op->dir = f->dir = dir;
	if (dir != NO_DIR) {
		snprintf(op->name, NAME, "%s", name);
		snprintf(f->name, NAME, "%s", name);
	}
}

uint32_t
disk_lookup(const struct disk *d, uint32_t dir, const char *name)
{
	for (uint32_t i = 1; i < d->nfiles; i++)
		if (d->files[i].dir == dir && strcmp(d->files[i].name, name) == 0)
			return i;
	return NO_DIR;
}

static int
fd_new(struct disk *d, uint32_t file)
{
	d->fds = xrealloc(d->fds, (d->nfds + 1) * sizeof *d->fds);
	d->fds[d->nfds] = file + 1;
	return FD_BASE + (int)d->nfds++;
}

static uint32_t
file_of(int fd)
{
	if (fd == top_fd)
		return TOP;
	if (fd < FD_BASE || (uint32_t)(fd - FD_BASE) >= mounted->nfds ||
	    mounted->fds[fd - FD_BASE] == 0) {
		fprintf(stderr, "crash: a descriptor that is not open: %d\n", fd);
		abort();
	}
	return mounted->fds[fd - FD_BASE] - 1;
}

/* ---- the seam ---- */

int
file_open_dir(int at, const char *name)
{
	uint32_t dir = NO_DIR;

	if (at == AT_FDCWD)
		return top_fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = disk_lookup(mounted, file_of(at), name);
	if (dir != NO_DIR)
		return fd_new(mounted, dir);
	errno = ENOENT;
	return -1;
}

int
file_make_dir(int at, const char *name)
{
	const uint32_t top = file_of(at);

	if (mounted->dead)
		return EIO;
	if (disk_lookup(mounted, top, name) == NO_DIR)
		name_record(mounted, disk_inode_new(mounted, true), top, name);
	return 0;
}

int
file_open_read(int at, const char *name)
{
	const uint32_t file = disk_lookup(mounted, file_of(at), name);

	if (file != NO_DIR)
		return fd_new(mounted, file);
	errno = ENOENT;
	return -1;
}

int
file_open_write(int at, const char *name)
{
	return file_open_read(at, name);
}

int
file_create(int at, const char *name)
{
	const uint32_t dir = file_of(at);
	uint32_t file = 0;

	errno = mounted->dead ? EIO : mounted->full ? ENOSPC :
	    disk_lookup(mounted, dir, name) != NO_DIR ? EEXIST : 0;
	if (errno != 0)
		return -1;
	file = disk_inode_new(mounted, false);
	name_record(mounted, file, dir, name);
	return fd_new(mounted, file);
}

void
file_close(int *fd)
{
	if (*fd >= FD_BASE) {
		(void)file_of(*fd);
		mounted->fds[*fd - FD_BASE] = 0;
	} else if (*fd != -1) {
		if (*fd == top_fd)
			top_fd = -1;
		close(*fd);		/* the top, the lock */
	}
	*fd = -1;
}

int
file_pread(int fd, void *p, size_t n, uint64_t off)
{
	const struct inode *f = &mounted->files[file_of(fd)];

	if (off + n > f->data.len)
		return EIO;
	memcpy(p, f->data.data + off, n);
	return 0;
}

int
file_preadv_nowait(int fd, const struct iovec *iov, int n, uint64_t off)
{
	int err = 0;

	for (int i = 0; i < n && err == 0; i++) {
		err = file_pread(fd, iov[i].iov_base, iov[i].iov_len, off);
		off += iov[i].iov_len;
	}
	return err;
}

/* A recycled segment that keeps what makes it another one. */
static void
plant_header(const struct inode *f, uint8_t block[BLOCK])
{
	struct segment_header now, before = { 0 };
	const bool old = f->data.len >= BLOCK && segment_header_decode(&before, f->data.data) == 1;

	if (segment_header_decode(&now, block) != 1)
		return;
	if (plant_now == PLANT_STALE_HEADER && old)
		now = before;
	else if (plant_now == PLANT_STALE_EPOCH && old)
		now.epoch = before.epoch;
	else if (plant_now == PLANT_ONE_ERA)
		now.era = 1;
	segment_header_encode(&now, block);
}

int
file_pwrite(int fd, const void *p, size_t n, uint64_t off)
{
	const uint32_t file = file_of(fd);
	const struct inode *f = &mounted->files[file];
	uint8_t block[BLOCK];

	if (mounted->dead)
		return EIO;
	if (mounted->full && off + n > f->data.len)
		return ENOSPC;
	if (off == 0 && n == BLOCK) {
		memcpy(block, p, BLOCK);
		plant_header(f, block);
		p = block;
	}
	write_record(mounted, file, p, n, off);
	return 0;
}

int
file_zero_fill(int fd, uint64_t n)
{
	if (mounted->dead || mounted->full)
		return mounted->dead ? EIO : ENOSPC;
	write_record(mounted, file_of(fd), NULL, (size_t)n, 0);
	return 0;
}

/* ---- syncs ---- */

static uint32_t
another_file(uint32_t file)
{
	for (uint32_t i = 1; i < mounted->nfiles; i++)
		if (i != file && !mounted->files[i].is_dir && mounted->files[i].dir != NO_DIR)
			return i;
	return file;
}

struct disk_sync
disk_sync_begin(int fd)
{
	struct disk_sync s = { .file = file_of(fd), .began = mounted->nops };

	s.failed = mounted->fail_sync && mounted->nops > 0;
	if (s.failed)
		mounted->fail_sync = false;
	if (mounted->files[s.file].dir == TOP)
		return s;		/* the plants are about mail, not about the format file */
	/* What recovery reads is in log/; what it makes is still in pool/. */
	s.skipped = plant_now == PLANT_NO_FDATASYNC ||
	    (plant_now == PLANT_RECOVERY_NOT_SYNCED && mounted->recovering &&
	    mounted->files[s.file].dir == disk_lookup(mounted, TOP, "log"));
	if (plant_now == PLANT_WRONG_FILE)
		s.file = another_file(s.file);
	return s;
}

int
disk_sync_end(const struct disk_sync *s)
{
	struct op *op = NULL;

	if (mounted->dead)
		return EIO;
	if (s->skipped && !s->failed)
		return 0;
	op = op_new(mounted, s->failed ? OP_SYNC_FAILED : OP_SYNC, s->file);
	op->began = s->began;
	return s->failed && plant_now != PLANT_SYNC_ERROR_LOST ? EIO : 0;
}

int
file_sync(int fd)
{
	const struct disk_sync s = disk_sync_begin(fd);

	return disk_sync_end(&s);
}

int
file_sync_dir(int dirfd)
{
	const uint32_t dir = file_of(dirfd);

	if (mounted->dead)
		return EIO;
	if ((plant_now == PLANT_NO_DIRSYNC && dir != TOP) || (plant_now == PLANT_BODY_NAME_NOT_SYNCED &&
	    strcmp(mounted->files[dir].name, "bodies") == 0))
		return 0;
	(void)op_new(mounted, OP_SYNC_DIR, dir);
	return 0;
}

/* ---- names ---- */

int
file_rename(int at, const char *from, int to_at, const char *to)
{
	const uint32_t file = disk_lookup(mounted, file_of(at), from);
	const uint32_t over = disk_lookup(mounted, file_of(to_at), to);

	if (mounted->dead)
		return EIO;
	if (file == NO_DIR)
		return ENOENT;
	if (over != NO_DIR && over != file)
		name_record(mounted, over, NO_DIR, "");
	name_record(mounted, file, file_of(to_at), to);
	return 0;
}

int
file_unlink(int at, const char *name)
{
	const uint32_t file = disk_lookup(mounted, file_of(at), name);

	if (mounted->dead)
		return EIO;
	if (file != NO_DIR)
		name_record(mounted, file, NO_DIR, "");
	return 0;
}

int
file_size(int fd, uint64_t *size_r)
{
	*size_r = mounted->files[file_of(fd)].data.len;
	return 0;
}

int
file_size_at(int at, const char *name, uint64_t *size_r)
{
	const uint32_t file = disk_lookup(mounted, file_of(at), name);

	*size_r = 0;
	if (file == NO_DIR)
		return ENOENT;
	*size_r = mounted->files[file].data.len;
	return 0;
}

int
file_free_bytes(int dirfd, uint64_t *free_r)
{
	(void)dirfd;
	*free_r = mounted->full ? 0 : 1u << 30;
	return 0;
}

int
file_list(int dirfd, void (*fn)(void *ctx, const char *name), void *ctx)
{
	const uint32_t dir = file_of(dirfd);
	char name[NAME];

	/* By index and with a copy: fn renames and unlinks. */
	for (uint32_t i = 1; i < mounted->nfiles; i++) {
		if (mounted->files[i].dir != dir || mounted->files[i].is_dir ||
		    mounted->files[i].name[0] == '.')
			continue;
		memcpy(name, mounted->files[i].name, NAME);
		fn(ctx, name);
	}
	return 0;
}
