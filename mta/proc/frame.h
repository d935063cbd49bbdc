/*
 * frame.h - what parent and roles must agree on beside the frames of role.h.
 */
#pragma once

#define PROC_VERSION	1u	/* in PF_HELLO: both come from one binary */

/* The descriptors a role process is born with. */
enum role_fd {
	ROLE_FD_PARENT = 3,
	ROLE_FD_LOG,
	ROLE_FD_COUNTERS,
};
