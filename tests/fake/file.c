/*
 * file.c - queue/file.c with failures on demand.
 * Never fails by itself.
 * Read next: fake/file.h, queue/file.h.
 */
#include "tests/fake/file.h"

/* The real ones under other names; what is not listed stays as it is. */
#define file_sync real_file_sync
#define file_pwrite real_file_pwrite
#define file_create real_file_create
#include "queue/file.c"
#undef file_sync
#undef file_pwrite
#undef file_create

struct fake_failure fake_sync, fake_write, fake_create;

void
fake_fail(struct fake_failure *f, int skip, int n, int err)
{
	f->skip = skip;
	f->err = err;
	f->n = n;
}

static bool
fails(struct fake_failure *f)
{
	if (f->n <= 0)
		return false;
	if (f->skip > 0) {
		f->skip--;
		return false;
	}
	f->n--;
	return true;
}

int file_sync(int fd);
int file_pwrite(int fd, const void *p, size_t n, uint64_t off);
int file_create(int at, const char *name);

int
file_sync(int fd)
{
	return fails(&fake_sync) ? fake_sync.err : real_file_sync(fd);
}

int
file_pwrite(int fd, const void *p, size_t n, uint64_t off)
{
	return fails(&fake_write) ? fake_write.err : real_file_pwrite(fd, p, n, off);
}

int
file_create(int at, const char *name)
{
	if (!fails(&fake_create))
		return real_file_create(at, name);
	errno = fake_create.err;
	return -1;
}
