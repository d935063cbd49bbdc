/*
 * test_sandbox.c - what a closed-in process can still do: nothing that it
 * should not.  The steps that need root say SKIPPED without it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mta/proc/sandbox.h"
#include "tests/unit/check_main.h"

/* Runs fn in a process of its own; 0 or the number that fn found wrong. */
static int
in_process(int (*fn)(void))
{
	const pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(fn());
	ck_assert_int_ne(pid, -1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status), "status %d", status);
	return WEXITSTATUS(status);
}

static bool
not_root(void)
{
	if (geteuid() == 0)
		return false;
	puts("SKIPPED: needs root");
	return true;
}

static int
begin(void)
{
	const int foreign = open("/dev/null", O_RDONLY);
	struct rlimit files;
	int sig = 0;

	if (foreign == -1 || dup2(foreign, 5) != 5 || dup2(foreign, 9) != 9)
		return 1;
	sandbox_begin();
	if (fcntl(9, F_GETFD) != -1 || fcntl(5, F_GETFD) == -1)
		return 2;
	if (prctl(PR_GET_PDEATHSIG, &sig) == -1 || sig != SIGKILL)
		return 3;
	if (getrlimit(RLIMIT_NOFILE, &files) == -1 ||
	    files.rlim_cur != files.rlim_max)
		return 4;
	return raise(SIGTERM) == 0 && raise(SIGPIPE) == 0 ? 0 : 5;
}

START_TEST(begins)
{
	ck_assert_int_eq(in_process(begin), 0);
}
END_TEST

static char empty[] = "/tmp/test_sandbox.XXXXXX";

static int
enter(void)
{
	struct sandbox_user u;
	struct fault f;
	int sig = 0;

	sandbox_begin();
	if (!sandbox_find_user("nobody", &u, &f) ||
	    !sandbox_enter("nobody", empty, &f))
		return 1;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 2;
	if (getuid() != u.uid || geteuid() != u.uid || getegid() != u.gid ||
	    getgroups(0, NULL) != 1)
		return 3;
	if (setuid(0) != -1 || access("/etc/passwd", F_OK) != -1)
		return 4;
	if (chdir("..") == 0 && access("etc", F_OK) == 0)
		return 5;
	if (mkdir("/mine", 0700) != -1)
		return 6;
	if (prctl(PR_GET_DUMPABLE) != 0)
		return 7;
	/* Forgotten when ids change, so it must have been asked for again. */
	if (prctl(PR_GET_PDEATHSIG, &sig) == -1 || sig != SIGKILL)
		return 8;
	return 0;
}

START_TEST(enters)
{
	if (not_root())
		return;
	ck_assert_ptr_nonnull(mkdtemp(empty));
	ck_assert_int_eq(chmod(empty, 0755), 0);
	ck_assert_int_eq(in_process(enter), 0);
	ck_assert_int_eq(rmdir(empty), 0);
}
END_TEST

static int
as_user(void)
{
	struct sandbox_user u;
	struct fault f;

	if (!sandbox_find_user("nobody", &u, &f) ||
	    !sandbox_as_user("nobody", true, &f))
		return 1;
	if (geteuid() != u.uid || getegid() != u.gid)
		return 2;
	if (open("/etc/shadow", O_RDONLY) != -1)
		return 3;
	if (!sandbox_as_user("nobody", false, &f))
		return 4;
	return geteuid() == 0 && getegid() == 0 ? 0 : 5;
}

START_TEST(opens_as_the_user)
{
	if (not_root())
		return;
	ck_assert_int_eq(in_process(as_user), 0);
}
END_TEST

static int
as_nobody_already(void)
{
	struct sandbox_user u;
	struct fault f;

	/* Started by an ordinary user: only the last step is done. */
	if (geteuid() == 0 && (!sandbox_find_user("nobody", &u, &f) ||
	    setgid(u.gid) == -1 || setuid(u.uid) == -1))
		return 1;
	if (!sandbox_as_user("root", true, &f) ||
	    !sandbox_enter("nobody", "/absent", &f))
		return 2;
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 &&
	    access("/etc/passwd", R_OK) == 0 ? 0 : 3;
}

START_TEST(ordinary_user)
{
	ck_assert_int_eq(in_process(as_nobody_already), 0);
}
END_TEST

START_TEST(users)
{
	struct sandbox_user u;
	struct fault f;

	ck_assert(!sandbox_find_user("no-such-user", &u, &f));
	ck_assert_ptr_nonnull(strstr(f.text, "does not exist"));
	ck_assert(!sandbox_find_user("root", &u, &f));
	ck_assert_ptr_nonnull(strstr(f.text, "unprivileged"));
}
END_TEST

static Suite *
sandbox_suite(void)
{
	Suite *s = suite_create("sandbox");
	TCase *tc = tcase_create("sandbox");

	tcase_add_test(tc, begins);
	tcase_add_test(tc, enters);
	tcase_add_test(tc, opens_as_the_user);
	tcase_add_test(tc, ordinary_user);
	tcase_add_test(tc, users);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(sandbox_suite)
