/*
 * file.c - the file operations of the store, on a real file system.
 * Never decides anything: what an error means is the caller's business; never
 * uses a path that is not relative to a descriptor.
 * Read next: file.h, segment.c (the main user).
 */
#include "queue/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "mta/base/mem.h"

#define ZERO_STEP (1u << 20)

int
file_open_dir(int at, const char *name)
{
	return openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int
file_make_dir(int at, const char *name)
{
	if (mkdirat(at, name, 0700) == -1 && errno != EEXIST)
		return errno;
	return 0;
}

int
file_open_read(int at, const char *name)
{
	return openat(at, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

int
file_open_write(int at, const char *name)
{
	return openat(at, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
}

int
file_create(int at, const char *name)
{
	return openat(at, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

void
file_close(int *fd)
{
	if (*fd != -1)
		close(*fd);
	*fd = -1;
}

int
file_pread(int fd, void *p, size_t n, uint64_t off)
{
	uint8_t *to = p;

	while (n > 0) {
		const ssize_t got = pread(fd, to, n, (off_t)off);

		if (got == -1 && errno == EINTR)
			continue;
		if (got == -1)
			return errno;
		if (got == 0)
			return EIO;
		to += got;
		off += (uint64_t)got;
		n -= (size_t)got;
	}
	return 0;
}

int
file_pwrite(int fd, const void *p, size_t n, uint64_t off)
{
	const uint8_t *from = p;

	while (n > 0) {
		const ssize_t put = pwrite(fd, from, n, (off_t)off);

		if (put == -1 && errno == EINTR)
			continue;
		if (put == -1)
			return errno;
		if (put == 0)
			return EIO;
		from += put;
		off += (uint64_t)put;
		n -= (size_t)put;
	}
	return 0;
}

int
file_preadv_nowait(int fd, const struct iovec *iov, int n, uint64_t off)
{
	size_t want = 0;
	ssize_t got = 0;

	for (int i = 0; i < n; i++)
		want += iov[i].iov_len;
	got = preadv2(fd, iov, n, (off_t)off, RWF_NOWAIT);
	if (got == -1 && errno != EOPNOTSUPP && errno != EINTR && errno != ENOSYS)
		return errno;
	/* Short: a part is in memory; or the file system cannot tell. */
	return got == -1 || (size_t)got < want ? EAGAIN : 0;
}

int
file_zero_fill(int fd, uint64_t n)
{
	uint8_t *zeros = xcalloc(1, ZERO_STEP);
	uint64_t off = 0;
	int err = 0;

	while (err == 0 && off < n) {
		const size_t step = n - off < ZERO_STEP ? (size_t)(n - off) : ZERO_STEP;

		err = file_pwrite(fd, zeros, step, off);
		off += step;
	}
	free(zeros);
	return err;
}

int
file_sync(int fd)
{
	return fdatasync(fd) == -1 ? errno : 0;
}

int
file_sync_dir(int dirfd)
{
	return fsync(dirfd) == -1 ? errno : 0;
}

int
file_rename(int at, const char *from, int to_at, const char *to)
{
	return renameat(at, from, to_at, to) == -1 ? errno : 0;
}

int
file_unlink(int at, const char *name)
{
	return unlinkat(at, name, 0) == -1 && errno != ENOENT ? errno : 0;
}

int
file_size(int fd, uint64_t *size_r)
{
	struct stat st;

	*size_r = 0;
	if (fstat(fd, &st) == -1)
		return errno;
	*size_r = (uint64_t)st.st_size;
	return 0;
}

int
file_size_at(int at, const char *name, uint64_t *size_r)
{
	struct stat st;

	*size_r = 0;
	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return errno;
	if (!S_ISREG(st.st_mode))
		return EINVAL;
	*size_r = (uint64_t)st.st_size;
	return 0;
}

int
file_free_bytes(int dirfd, uint64_t *free_r)
{
	struct statvfs vfs;

	*free_r = 0;
	if (fstatvfs(dirfd, &vfs) == -1)
		return errno;
	*free_r = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	return 0;
}

int
file_list(int dirfd, void (*fn)(void *ctx, const char *name), void *ctx)
{
	/* A descriptor of its own: closedir() closes it, and reading starts anew. */
	const int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd == -1 ? NULL : fdopendir(fd);
	int err = 0;

	if (dir == NULL) {
		err = errno;
		if (fd != -1)
			close(fd);
		return err;
	}
	for (;;) {
		const struct dirent *entry = NULL;

		errno = 0;
		entry = readdir(dir);
		if (entry == NULL)
			break;
		if (entry->d_name[0] != '.')
			fn(ctx, entry->d_name);
	}
	err = errno;
	closedir(dir);
	return err;
}
