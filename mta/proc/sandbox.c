/*
 * sandbox.c - closes a role process in.  Never goes on half done: each step
 * that fails is a fault, and the caller ends the process.  The order matters:
 * names are looked up before the root is gone, ids are given up last.
 *
 * Read next: sandbox.h, role.c (the only caller).
 */
#include "mta/proc/sandbox.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define FIRST_FOREIGN_FD 6	/* 0 to 5 are ours: role.h */

bool
sandbox_find_user(const char *name, struct sandbox_user *u_r, struct fault *f)
{
	const struct passwd *pw;

	errno = 0;
	pw = getpwnam(name);
	if (pw == NULL) {
		if (errno != 0 && errno != ENOENT)
			fault_sys(f, errno, name, "look up user");
		else
			fault_set(f, "user \"%s\" does not exist: create it "
			    "(useradd --system %s), or set user", name, name);
		return false;
	}
	if (pw->pw_uid == 0) {
		fault_set(f, "user \"%s\" is root, want an unprivileged user",
		    name);
		return false;
	}
	*u_r = (struct sandbox_user){ .uid = pw->pw_uid, .gid = pw->pw_gid };
	return true;
}

static void
die_with_parent(void)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}

void
sandbox_begin(void)
{
	/* The parent alone listens to these; a role is told by its channel. */
	static const int deaf_to[] = {
		SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGUSR1, SIGUSR2, SIGQUIT,
	};
	struct rlimit files;

	die_with_parent();
	(void)close_range(FIRST_FOREIGN_FD, ~0u, 0);
	for (size_t i = 0; i < COUNT_OF(deaf_to); i++)
		(void)signal(deaf_to[i], SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	tzset();	/* reads a file: later there are none */
}

bool
sandbox_as_user(const char *user, bool on, struct fault *f)
{
	struct sandbox_user u = { 0 };

	if (getuid() != 0)
		return true;
	if (on && (!sandbox_find_user(user, &u, f)))
		return false;
	/* Up: the user id first, because only root may set the others. */
	if (!on && seteuid(0) == -1) {
		fault_sys(f, errno, user, "seteuid");
		return false;
	}
	if (setgroups(on ? 1 : 0, &u.gid) == -1 || setegid(u.gid) == -1) {
		fault_sys(f, errno, user, "set groups");
		return false;
	}
	if (on && seteuid(u.uid) == -1) {
		fault_sys(f, errno, user, "seteuid");
		return false;
	}
	return true;
}

static bool
give_up_root(const char *user, const char *root, struct fault *f)
{
	struct sandbox_user u;

	if (!sandbox_find_user(user, &u, f))
		return false;
	if (chroot(root) == -1 || chdir("/") == -1) {
		fault_sys(f, errno, root, "chroot");
		return false;
	}
	if (setgroups(1, &u.gid) == -1 ||
	    setresgid(u.gid, u.gid, u.gid) == -1 ||
	    setresuid(u.uid, u.uid, u.uid) == -1) {
		fault_sys(f, errno, user, "set ids");
		return false;
	}
	if (setuid(0) != -1) {
		fault_set(f, "%s: root came back after it was given up", user);
		return false;
	}
	(void)prctl(PR_SET_DUMPABLE, 0);
	die_with_parent();	/* a change of ids forgets it */
	return true;
}

bool
sandbox_enter(const char *user, const char *root, struct fault *f)
{
	if (getuid() == 0 && !give_up_root(user, root, f))
		return false;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1) {
		fault_sys(f, errno, "process", "no new privileges");
		return false;
	}
	return true;
}
