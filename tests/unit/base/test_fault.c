/*
 * test_fault.c - one line, always terminated, the reason never cut off.
 */
#include <errno.h>
#include <string.h>

#include "mta/base/fault.h"
#include "tests/unit/check_main.h"

START_TEST(set_and_sys)
{
	struct fault f;

	memset(&f, 'x', sizeof f);
	fault_set(&f, "%s: want %d", "relayd.conf:3\n", 5);
	ck_assert_str_eq(f.text, "relayd.conf:3 : want 5");
	ck_assert_int_eq(f.err, 0);
	fault_sys(&f, ENOENT, "/spool/1", "open segment");
	ck_assert_str_eq(f.text,
	    "/spool/1: open segment: No such file or directory");
	ck_assert_int_eq(f.err, ENOENT);
	fault_set(NULL, "kept nowhere");
	fault_sys(NULL, ENOENT, "a", "b");
}
END_TEST

START_TEST(long_thing)
{
	char thing[4000];
	struct fault f;

	memset(thing, 'p', sizeof thing);
	thing[sizeof thing - 1] = '\0';
	fault_sys(&f, EACCES, thing, "open");
	ck_assert_ptr_nonnull(strstr(f.text, ": open: Permission denied"));
	fault_set(&f, "%s", thing);
	ck_assert_uint_eq(strlen(f.text), sizeof f.text - 1);
}
END_TEST

static Suite *
fault_suite(void)
{
	Suite *s = suite_create("fault");
	TCase *tc = tcase_create("fault");

	tcase_add_test(tc, set_and_sys);
	tcase_add_test(tc, long_thing);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(fault_suite)
