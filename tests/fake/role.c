/*
 * role.c - the few calls of mta/proc/role.h that a role's own code makes, for
 * tests that run it without a parent.
 * Never ends the process.  Read next: tests/unit/tx/bed.h.
 */
#include "mta/proc/role.h"

void
role_ready(void)
{
}

void
role_exit(void)
{
}
