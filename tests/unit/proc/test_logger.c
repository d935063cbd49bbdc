/*
 * test_logger.c - lines of several processes end in the file, with time and
 * role; the file can be moved away and changed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mta/proc/logger.h"
#include "tests/unit/check_main.h"

static char dir[64], file[96], moved[96];
static struct logger *lg;

static void
setup(void)
{
	struct conf_log conf = { .to = LOG_TO_FILE, .file = file };
	struct fault f;

	strcpy(dir, "/tmp/test_logger.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(file, sizeof file, "%s/log", dir);
	snprintf(moved, sizeof moved, "%s/log.1", dir);
	ck_assert(logger_start(&lg, &conf, &f));
}

static void
teardown(void)
{
	logger_stop(&lg);
	unlink(file);
	unlink(moved);
	rmdir(dir);
}

static int
attach(const char *name)
{
	struct fault f;
	int fd = -1;

	ck_assert(logger_attach(lg, name, &fd, &f));
	ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	ck_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
	return fd;
}

static void
say(int fd, const char *text)
{
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static const char *
content(const char *path)
{
	static char text[65536];
	FILE *f = fopen(path, "r");
	size_t n;

	ck_assert_ptr_nonnull(f);
	n = fread(text, 1, sizeof text - 1, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

START_TEST(lines_with_time_and_role)
{
	const int rx = attach("rx"), tx = attach("tx1");
	const char *text;

	say(rx, "0rx session_op");
	say(tx, "1queue forged_role x=1\n");
	say(rx, "en id=1\n2rx en");
	say(rx, "d\nnot our form\n0rx half a li");
	close(rx);
	close(tx);
	logger_stop(&lg);
	text = content(file);
	ck_assert_ptr_nonnull(strstr(text, "Z rx info session_open id=1\n"));
	ck_assert_ptr_nonnull(strstr(text, "Z tx1 warn forged_role x=1\n"));
	ck_assert_ptr_nonnull(strstr(text, "Z rx fatal end\n"));
	ck_assert_ptr_nonnull(strstr(text, "Z rx warn not our form\n"));
	ck_assert_ptr_nonnull(strstr(text, "Z rx info half a li\n"));
	ck_assert_ptr_null(strstr(text, "queue"));
	ck_assert_int_eq(text[10], 'T');
}
END_TEST

START_TEST(endless_line_is_cut)
{
	const int rx = attach("rx");
	char many[20000];
	const char *text;

	memset(many, 'x', sizeof many);
	many[0] = '0';
	memcpy(many + 1, "rx ", 3);
	many[sizeof many - 1] = '\0';
	say(rx, many);
	say(rx, "\n0rx next\n");
	close(rx);
	logger_stop(&lg);
	text = content(file);
	ck_assert_uint_lt(strlen(text), 8400);
	ck_assert_ptr_nonnull(strstr(text, "Z rx info next\n"));
}
END_TEST

START_TEST(moved_away_and_opened_anew)
{
	const int rx = attach("rx");

	say(rx, "0rx before\n");
	/* Not before the line is there: it belongs to the old file. */
	while (strstr(content(file), "before") == NULL)
		continue;
	ck_assert_int_eq(rename(file, moved), 0);
	logger_reopen(lg);
	while (access(file, F_OK) == -1)
		continue;
	say(rx, "0rx after\n");
	close(rx);
	logger_stop(&lg);
	ck_assert_ptr_nonnull(strstr(content(moved), "rx info before\n"));
	ck_assert_ptr_null(strstr(content(moved), "after"));
	ck_assert_ptr_nonnull(strstr(content(file), "rx info after\n"));
}
END_TEST

START_TEST(file_that_cannot_be)
{
	char absent[] = "/absent/folder/log";
	const struct conf_log conf = { .to = LOG_TO_FILE, .file = absent };
	const int rx = attach("rx");
	struct fault f;

	ck_assert(!logger_change(lg, &conf, &f));
	ck_assert_int_eq(f.err, ENOENT);
	say(rx, "0rx still_here\n");
	close(rx);
	logger_stop(&lg);
	ck_assert_ptr_nonnull(strstr(content(file), "still_here"));
}
END_TEST

static Suite *
logger_suite(void)
{
	Suite *s = suite_create("logger");
	TCase *tc = tcase_create("logger");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, lines_with_time_and_role);
	tcase_add_test(tc, endless_line_is_cut);
	tcase_add_test(tc, moved_away_and_opened_anew);
	tcase_add_test(tc, file_that_cannot_be);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(logger_suite)
