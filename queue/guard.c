/*
 * guard.c - opens the spool once by path and refuses what would lose mail: a
 * second relayd, a file system that forgets, foreign hands, a newer format.
 * Never changes a spool that it refuses.
 * Read next: store.c, README.md ("Guards").
 */
#include "queue/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "queue/file.h"

enum { EXIT_NOT_WRITABLE = 73, EXIT_LOCKED = 75, EXIT_REFUSED = 78 };

#define LOCK_TRIES 100		/* of 20 ms */

#define FORMAT_FILE "format"
#define FORMAT_FORM "relayd spool %u\nuuid %32s\n"

/* Makes path and what is missing above it. */
static bool
make_path(const char *path, struct fault *f)
{
	char *p = xstrdup(path);
	bool ok = true;

	for (char *at = p + 1; ok && *at != '\0'; at++) {
		if (*at != '/')
			continue;
		*at = '\0';
		ok = mkdir(p, 0755) == 0 || errno == EEXIST;
		*at = '/';
	}
	ok = ok && (mkdir(p, 0700) == 0 || errno == EEXIST);
	if (!ok)
		fault_sys(f, errno, path, "make the spool");
	free(p);
	return ok;
}

static bool
check_kind(int fd, const struct conf_spool *conf, struct fault *f)
{
	struct stat st;
	struct statfs fs;

	if (fstat(fd, &st) == -1 || fstatfs(fd, &fs) == -1) {
		fault_sys(f, errno, conf->path, "examine");
		return false;
	}
	if (st.st_uid != geteuid()) {
		fault_set(f, "%s: owned by uid %u, wanted uid %u", conf->path, (unsigned)st.st_uid,
		    (unsigned)geteuid());
		return false;
	}
	if ((st.st_mode & 077) != 0) {
		fault_set(f, "%s: mode %04o lets others in, wanted 0700", conf->path,
		    (unsigned)(st.st_mode & 07777));
		return false;
	}
	if (!conf->allow_ephemeral &&
	    (fs.f_type == TMPFS_MAGIC || fs.f_type == OVERLAYFS_SUPER_MAGIC ||
	    fs.f_type == RAMFS_MAGIC)) {
		fault_set(f, "%s: on a file system that forgets (tmpfs or overlayfs); "
		    "use a real disk or volume, or set spool.allow_ephemeral", conf->path);
		return false;
	}
	return true;
}

/*
 * A queue role that was killed in the middle of a sync still holds its lock until
 * the kernel has finished that sync: worth a short wait, not a failed start.
 */
static bool
lock_wait(int fd)
{
	const struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };

	for (unsigned left = LOCK_TRIES; flock(fd, LOCK_EX | LOCK_NB) == -1; left--) {
		if (errno != EWOULDBLOCK || left == 0)
			return false;
		(void)nanosleep(&pause, NULL);
	}
	return true;
}

static bool
take_lock(struct spool_dirs *d, const char *path, int *exit_code, struct fault *f)
{
	d->lock = openat(d->top, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (d->lock == -1) {
		*exit_code = EXIT_NOT_WRITABLE;
		fault_sys(f, errno, path, "create lock");
		return false;
	}
	if (!lock_wait(d->lock)) {
		*exit_code = errno == EWOULDBLOCK ? EXIT_LOCKED : EXIT_NOT_WRITABLE;
		if (errno == EWOULDBLOCK)
			fault_set(f, "%s: locked, another relayd uses this spool", path);
		else
			fault_sys(f, errno, path, "lock");
		return false;
	}
	return true;
}

/* ---- format and uuid ---- */

static void
uuid_text(const uint8_t uuid[16], char text[33])
{
	for (int i = 0; i < 16; i++)
		snprintf(text + 2 * i, 3, "%02x", uuid[i]);
}

static bool
uuid_parse(const char *text, uint8_t uuid[16])
{
	for (int i = 0; i < 16; i++) {
		unsigned v = 0;

		if (sscanf(text + 2 * i, "%2x", &v) != 1)
			return false;
		uuid[i] = (uint8_t)v;
	}
	return true;
}

static int
format_write(const struct spool_dirs *d, uint8_t uuid[16])
{
	char text[33], line[128];
	int fd = -1, err = 0;

	if (getrandom(uuid, 16, 0) != 16)
		return EIO;
	uuid_text(uuid, text);
	snprintf(line, sizeof line, FORMAT_FORM, SPOOL_VERSION, text);
	err = file_unlink(d->top, FORMAT_FILE ".new");
	if (err != 0)
		return err;
	fd = file_create(d->top, FORMAT_FILE ".new");
	if (fd == -1)
		return errno;
	err = file_pwrite(fd, line, strlen(line), 0);
	if (err == 0)
		err = file_sync(fd);
	file_close(&fd);
	if (err == 0)
		err = file_rename(d->top, FORMAT_FILE ".new", d->top, FORMAT_FILE);
	return err != 0 ? err : file_sync_dir(d->top);
}

/* 1 read, 0 there is none, -1 refused. */
static int
format_read(const struct spool_dirs *d, uint8_t uuid[16], const char *path, struct fault *f)
{
	char line[129] = { 0 }, text[33] = { 0 };
	uint64_t size = 0;
	unsigned version = 0;
	int fd = file_open_read(d->top, FORMAT_FILE), err = 0;

	if (fd == -1 && errno == ENOENT)
		return 0;
	err = fd == -1 ? errno : file_size(fd, &size);
	if (err == 0)
		err = file_pread(fd, line, size < 128 ? (size_t)size : 128, 0);
	file_close(&fd);
	if (err != 0) {
		fault_sys(f, err, path, "read format");
		return -1;
	}
	if (sscanf(line, "relayd spool %u", &version) == 1 && version > SPOOL_VERSION) {
		fault_set(f, "%s: spool format %u is newer than %u; nothing was touched", path,
		    version, SPOOL_VERSION);
		return -1;
	}
	if (sscanf(line, FORMAT_FORM, &version, text) != 2 || !uuid_parse(text, uuid)) {
		fault_set(f, "%s/" FORMAT_FILE ": not a spool of relayd", path);
		return -1;
	}
	return 1;
}

struct count { unsigned n; };

static void
count_one(void *ctx, const char *name)
{
	(void)name;
	((struct count *)ctx)->n++;
}

/* ---- the tree ---- */

static bool
open_tree(struct spool_dirs *d, const char *path, struct fault *f)
{
	static const char *const names[] = { "log", "pool", "bodies", "quarantine" };
	int *const fds[] = { &d->log, &d->pool, &d->bodies, &d->quarantine };

	for (size_t i = 0; i < COUNT_OF(names); i++) {
		const int err = file_make_dir(d->top, names[i]);

		if (err == 0)
			*fds[i] = file_open_dir(d->top, names[i]);
		if (err != 0 || *fds[i] == -1) {
			fault_sys(f, err != 0 ? err : errno, path, names[i]);
			return false;
		}
	}
	return true;
}

static bool
open_format(struct spool_dirs *d, uint8_t uuid[16], const char *path, int *exit_code, struct fault *f)
{
	const int have = format_read(d, uuid, path, f);
	struct count segments = { 0 };
	int err = 0;

	if (have == -1) {
		*exit_code = EXIT_REFUSED;
		return false;
	}
	if (!open_tree(d, path, f))
		return false;
	if (have == 1)
		return true;
	/* Segments without the file that names their spool: not ours to overwrite. */
	err = file_list(d->log, count_one, &segments);
	if (err == 0 && segments.n > 0) {
		*exit_code = EXIT_REFUSED;
		fault_set(f, "%s/" FORMAT_FILE ": missing beside a log with segments", path);
		return false;
	}
	if (err == 0)
		err = format_write(d, uuid);
	if (err != 0)
		fault_sys(f, err, path, "write format");
	return err == 0;
}

/* One descriptor a segment: a long queue needs more than the usual 1024. */
static void
raise_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &r);
	}
}

bool
guard_open(struct spool_dirs *d, uint8_t uuid[16], const struct conf_spool *conf, int *exit_code,
    struct fault *f)
{
	*d = (struct spool_dirs){ -1, -1, -1, -1, -1, -1 };
	*exit_code = EXIT_NOT_WRITABLE;
	raise_limit();
	if (!make_path(conf->path, f))
		return false;
	d->top = file_open_dir(AT_FDCWD, conf->path);
	if (d->top == -1) {
		fault_sys(f, errno, conf->path, "open the spool");
		return false;
	}
	if (!check_kind(d->top, conf, f)) {
		*exit_code = EXIT_REFUSED;
		goto fail;
	}
	if (!take_lock(d, conf->path, exit_code, f) ||
	    !open_format(d, uuid, conf->path, exit_code, f))
		goto fail;
	return true;
fail:
	guard_close(d);
	return false;
}

void
guard_close(struct spool_dirs *d)
{
	file_close(&d->log);
	file_close(&d->pool);
	file_close(&d->bodies);
	file_close(&d->quarantine);
	file_close(&d->top);
	file_close(&d->lock);
}
