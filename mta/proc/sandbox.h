/*
 * sandbox.h - how a role process closes itself in.
 *
 *   sandbox_begin()     at once: no descriptors but 0 to 5, dies with the
 *                       parent, ignores the terminal's signals
 *   sandbox_as_user()   as root: files are opened as the user, on its behalf
 *   sandbox_enter()     for good: empty root, the user's ids, no new
 *                       privileges.  Not started by root: only the last.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "mta/base/fault.h"

struct sandbox_user {
	uid_t	uid;
	gid_t	gid;
};

/* The user's ids; false when there is no such user, or it is root itself. */
MUST_CHECK bool sandbox_find_user(const char *name, struct sandbox_user *u_r, struct fault *f);

void sandbox_begin(void);
/* The effective ids become the user's (on) or root's again; not root: nothing. */
MUST_CHECK bool sandbox_as_user(const char *user, bool on, struct fault *f);
/* root is the directory to be locked into; it must exist. */
MUST_CHECK bool sandbox_enter(const char *user, const char *root, struct fault *f);
