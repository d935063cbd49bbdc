/*
 * counters.c - counts in shared memory, one column a process.  Never locks
 * and never writes another process's column, but for the parent, which clears
 * the gauges of the dead.
 *
 * Read next: counters.h; mta/proc/parent.c (who makes the table).
 */
#include "mta/base/counters.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

/* Columns start on cache lines of their own: processes count at the same time. */
struct column {
	_Alignas(64) _Atomic int64_t v[COUNTER_COUNT];
};

#define TABLE_SIZE (COUNTER_COLUMNS * sizeof(struct column))

static const struct {
	const char	*name;
	bool		 gauge;
} rows[] = {
#define X(n, g) { #n, g },
	COUNTERS(X)
#undef X
};
_Static_assert(COUNT_OF(rows) == COUNTER_COUNT, "one row per counter");

static struct column private_column;	/* until a table is mapped */
static struct column *table;		/* NULL: none */
static struct column *mine = &private_column;

static bool
map(int fd, struct fault *f)
{
	void *p = mmap(NULL, TABLE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED) {
		fault_sys(f, errno, "counters", "map");
		return false;
	}
	if (table != NULL)
		(void)munmap(table, TABLE_SIZE);
	table = p;
	return true;
}

bool
counters_create(int *fd_r, struct fault *f)
{
	const int fd = memfd_create("relayd-counters", MFD_CLOEXEC);

	if (fd == -1) {
		fault_sys(f, errno, "counters", "memfd_create");
		return false;
	}
	if (ftruncate(fd, TABLE_SIZE) == -1) {
		fault_sys(f, errno, "counters", "ftruncate");
		goto fail;
	}
	if (!map(fd, f))
		goto fail;
	mine = &table[0];
	*fd_r = fd;
	return true;
fail:
	(void)close(fd);
	return false;
}

bool
counters_map(int fd, unsigned column, struct fault *f)
{
	if (column >= COUNTER_COLUMNS) {
		fault_set(f, "counters: column %u, have %d", column, COUNTER_COLUMNS);
		return false;
	}
	if (!map(fd, f))
		return false;
	mine = &table[column];
	return true;
}

void
counters_clear_gauges(unsigned column)
{
	if (table == NULL || column >= COUNTER_COLUMNS)
		return;
	for (unsigned c = 0; c < COUNTER_COUNT; c++) {
		if (rows[c].gauge)
			atomic_store_explicit(&table[column].v[c], 0,
			    memory_order_relaxed);
	}
}

void
counter_add(enum counter c, int64_t n)
{
	(void)atomic_fetch_add_explicit(&mine->v[c], n, memory_order_relaxed);
}

void
counter_set(enum counter c, int64_t v)
{
	atomic_store_explicit(&mine->v[c], v, memory_order_relaxed);
}

int64_t
counter_sum(enum counter c)
{
	int64_t sum = 0;

	if (table == NULL)
		return atomic_load_explicit(&private_column.v[c],
		    memory_order_relaxed);
	for (unsigned i = 0; i < COUNTER_COLUMNS; i++)
		sum += atomic_load_explicit(&table[i].v[c], memory_order_relaxed);
	return sum;
}

const char *
counter_name(enum counter c)
{
	return (unsigned)c < COUNTER_COUNT ? rows[c].name : "unknown";
}
