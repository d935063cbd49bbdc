/*
 * check_main.h - main() of a unit test program: CHECK_MAIN(suite_fn) at the
 * end of the file, suite_fn being "Suite *suite_fn(void)".  Verbosity, forking
 * and the run of one case are Check's own (CK_VERBOSITY, CK_FORK, CK_RUN_CASE).
 */
#pragma once

#include <check.h>
#include <stdlib.h>

#define CHECK_MAIN(suite_fn) \
int \
main(void) \
{ \
	SRunner *runner = srunner_create(suite_fn()); \
	int failed; \
\
	srunner_run_all(runner, CK_ENV); \
	failed = srunner_ntests_failed(runner); \
	srunner_free(runner); \
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE; \
}
