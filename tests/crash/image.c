/*
 * image.c - what a crash leaves of a recorded disk, and looking at it.
 * Never changes the disk it is made from; never lets more be lost than the
 * rules of disk.h allow.
 * Read next: disk.h (the rules), disk.c (who records).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/crash/disk_own.h"

/* ---- the crash ---- */

/* Which operations before at are on the disk for certain. */
static void
find_synced(const struct disk *d, uint32_t at, bool *synced, bool *doubtful)
{
	for (uint32_t i = 0; i < at; i++) {
		const struct op *s = &d->ops[i];

		for (uint32_t j = 0; s->kind != OP_WRITE && s->kind != OP_NAME && j < s->began; j++) {
			const struct op *op = &d->ops[j];

			if (op->kind == OP_WRITE && op->file == s->file && s->kind == OP_SYNC)
				synced[j] |= !doubtful[j];
			else if (op->kind == OP_WRITE && op->file == s->file && s->kind == OP_SYNC_FAILED)
				doubtful[j] |= !synced[j];
			else if (op->kind == OP_NAME && s->kind == OP_SYNC_DIR &&
			    s->file == (op->dir == NO_DIR ? op->dir_before : op->dir))
				synced[j] = true;
		}
	}
}

struct crash {
	const struct disk	*from;
	struct disk		*to;
	enum disk_loss		 loss;
	uint32_t		 at, point;	/* of LOSS_PREFIX */
	uint64_t		*rng;
	bool			*synced;
};

static bool
lucky(struct crash *c)
{
	return (chance(c->rng) >> 40 & 1) != 0;
}

static void
crash_sectors(struct crash *c, const struct op *op, struct buf *b, bool prefix)
{
	const size_t n = (op->n + SECTOR - 1) / SECTOR;
	const size_t keep = prefix ? chance_below(c->rng, (uint32_t)n + 1) : 0;

	for (size_t i = 0; i < n; i++) {
		const size_t off = i * SECTOR, len = op->n - off < SECTOR ? op->n - off : SECTOR;

		if (prefix ? i < keep : lucky(c))
			disk_data_put(b, op->off + off, op->data == NULL ? NULL : op->data + off, len);
	}
}

static void
crash_write(struct crash *c, uint32_t i)
{
	const struct op *op = &c->from->ops[i];
	struct buf *b = &c->to->files[op->file].base;
	bool whole = c->synced[i];

	switch (c->loss) {
	case LOSS_ALL:
		break;
	case LOSS_PREFIX:
		whole |= i < c->point;
		if (!whole && i == c->point)
			crash_sectors(c, op, b, true);
		break;
	case LOSS_WRITES:
		whole |= lucky(c);
		break;
	case LOSS_SECTORS:
	case LOSS_CONTENT:
		if (!whole)
			crash_sectors(c, op, b, lucky(c));
		break;
	default:
		whole = true;
		break;
	}
	if (whole)
		disk_data_put(b, op->off, op->data, op->n);
}

static void
crash_name(struct crash *c, uint32_t i)
{
	const struct op *op = &c->from->ops[i];
	struct inode *f = &c->to->files[op->file];
	bool there = c->synced[i];

	if (c->loss == LOSS_PREFIX)
		there |= i < c->point;
	else if (c->loss == LOSS_WRITES || c->loss == LOSS_SECTORS || c->loss == LOSS_NAMES)
		there |= lucky(c);
	else if (c->loss != LOSS_ALL)
		there = true;
	if (!there)
		return;
	for (uint32_t j = 1; op->dir != NO_DIR && j < c->to->nfiles; j++) {
		struct inode *other = &c->to->files[j];

		if (other->base_dir == op->dir && strcmp(other->base_name, op->name) == 0)
			other->base_dir = NO_DIR;
	}
	f->base_dir = op->dir;
	memcpy(f->base_name, op->name, NAME);
}

/* What is reached from the top is what the next start sees. */
static void
crash_settle(struct disk *d)
{
	for (uint32_t i = 1; i < d->nfiles; i++) {
		struct inode *f = &d->files[i];

		f->dir = f->base_dir;
		memcpy(f->name, f->base_name, NAME);
		if (f->dir == NO_DIR)
			buf_free(&f->base);
		buf_add(&f->data, f->base.data, f->base.len);
	}
}

struct disk *
disk_crash(const struct disk *d, uint32_t at, enum disk_loss loss, uint64_t *rng)
{
	struct crash c = { .from = d, .to = disk_new(), .loss = loss, .at = at, .rng = rng };
	bool *doubtful = xcalloc(at + 1, sizeof *doubtful);
	uint32_t first = 0;

	c.synced = xcalloc(at + 1, sizeof *c.synced);
	find_synced(d, at, c.synced, doubtful);
	while (first < at && (c.synced[first] || d->ops[first].kind == OP_SYNC))
		first++;
	c.point = first + chance_below(rng, at - first + 1);
	for (uint32_t i = 1; i < d->nfiles; i++) {
		const struct inode *f = &d->files[i];
		const uint32_t n = disk_inode_new(c.to, f->is_dir);
		struct inode *to = &c.to->files[n];

		to->base_dir = f->base_dir;
		memcpy(to->base_name, f->base_name, NAME);
		buf_add(&to->base, f->base.data, f->base.len);
	}
	for (uint32_t i = 0; i < at; i++) {
		if (d->ops[i].kind == OP_WRITE)
			crash_write(&c, i);
		else if (d->ops[i].kind == OP_NAME)
			crash_name(&c, i);
	}
	crash_settle(c.to);
	free(c.synced);
	free(doubtful);
	return c.to;
}

/* ---- to look at ---- */

unsigned
disk_files(const struct disk *d, const char *dir)
{
	const uint32_t at = disk_lookup(d, TOP, dir);
	unsigned n = 0;

	for (uint32_t i = 1; at != NO_DIR && i < d->nfiles; i++)
		n += d->files[i].dir == at;
	return n;
}

static const char *
dir_name(const struct disk *d, uint32_t dir)
{
	return dir == NO_DIR ? "-" : dir == TOP ? "" : d->files[dir].name;
}

void
disk_print(const struct disk *d, uint32_t from, uint32_t to)
{
	static const char *const kinds[] = { "write", "sync", "sync-failed", "sync-dir", "name" };

	for (uint32_t i = from; i < to && i < d->nops; i++) {
		const struct op *op = &d->ops[i];

		printf("%6u %-11s file %-3u", i, kinds[op->kind], op->file);
		if (op->kind == OP_WRITE)
			printf(" off %llu n %zu%s", (unsigned long long)op->off, op->n,
			    op->data == NULL ? " zeros" : "");
		else if (op->kind == OP_NAME)
			printf(" %s -> %s/%s", dir_name(d, op->dir_before),
			    dir_name(d, op->dir), op->name);
		else
			printf(" covers < %u", op->began);
		putchar('\n');
	}
}

bool
disk_export(const struct disk *d, const char *path)
{
	char name[600];
	bool ok = mkdir(path, 0700) == 0;

	/* Directories first; they stand before what is in them. */
	for (uint32_t i = 1; i < d->nfiles && ok; i++) {
		const struct inode *f = &d->files[i];
		FILE *out = NULL;

		if (f->dir == NO_DIR)
			continue;
		snprintf(name, sizeof name, "%s/%s/%s", path, dir_name(d, f->dir), f->name);
		if (f->is_dir) {
			ok = mkdir(name, 0700) == 0;
			continue;
		}
		out = fopen(name, "w");
		ok = out != NULL &&
		    (f->data.len == 0 || fwrite(f->data.data, f->data.len, 1, out) == 1);
		if (out != NULL)
			ok = fclose(out) == 0 && ok;
	}
	return ok;
}
