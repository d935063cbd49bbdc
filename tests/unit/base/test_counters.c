/*
 * test_counters.c - columns of two processes, summed by a third view.
 */
#include <sys/wait.h>
#include <unistd.h>

#include "mta/base/counters.h"
#include "tests/unit/check_main.h"

START_TEST(private_before_a_table)
{
	counter_add(C_rx_sessions_total, 2);
	counter_add(C_rx_sessions_total, 3);
	counter_set(C_queue_messages, 9);
	ck_assert_int_eq(counter_sum(C_rx_sessions_total), 5);
	ck_assert_int_eq(counter_sum(C_queue_messages), 9);
	ck_assert_str_eq(counter_name(C_queue_messages), "queue_messages");
}
END_TEST

/* In a process of its own: counts in column and leaves. */
static void
count_elsewhere(int fd, unsigned column)
{
	const pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (!counters_map(fd, column, NULL))
			_exit(1);
		counter_add(C_rx_sessions_total, column);
		counter_set(C_rx_sessions_open, 10 * column);
		_exit(0);
	}
	ck_assert_int_ne(pid, -1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}

START_TEST(shared_table)
{
	struct fault f;
	int fd = -1;

	ck_assert(counters_create(&fd, &f));
	count_elsewhere(fd, 3);
	count_elsewhere(fd, 4);
	count_elsewhere(fd, 4);
	ck_assert_int_eq(counter_sum(C_rx_sessions_total), 11);
	ck_assert_int_eq(counter_sum(C_rx_sessions_open), 70);
	counters_clear_gauges(4);
	ck_assert_int_eq(counter_sum(C_rx_sessions_total), 11);
	ck_assert_int_eq(counter_sum(C_rx_sessions_open), 30);
	ck_assert(!counters_map(fd, COUNTER_COLUMNS, &f));
	close(fd);
}
END_TEST

static Suite *
counters_suite(void)
{
	Suite *s = suite_create("counters");
	TCase *tc = tcase_create("counters");

	tcase_add_test(tc, private_before_a_table);
	tcase_add_test(tc, shared_table);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(counters_suite)
