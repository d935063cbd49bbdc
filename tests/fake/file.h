/*
 * file.h - file operations that fail on demand: link tests/fake/file.c in place of
 * queue/file.c.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

/* The next n calls fail with this errno, after the first skip calls. */
struct fake_failure {
	atomic_int	skip, n, err;
};

extern struct fake_failure fake_sync, fake_write, fake_create;
void fake_fail(struct fake_failure *f, int skip, int n, int err);
