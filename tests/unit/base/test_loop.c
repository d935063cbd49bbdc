/*
 * test_loop.c - the order of one turn, and what may be done from inside it.
 */
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mta/base/loop.h"
#include "mta/base/str.h"
#include "tests/unit/check_main.h"

static struct loop *loop;
static char story[64];			/* one letter per callback */

static void
note(const char *letter)
{
	ck_assert(strlen(story) + 1 < sizeof story);
	strcat(story, letter);
}

static void
on_stop(void *ctx)
{
	note(ctx);
	loop_stop(loop);
}

static void
on_note(void *ctx)
{
	note(ctx);
}

static void
setup(void)
{
	loop = loop_new();
	story[0] = '\0';
}

static void
teardown(void)
{
	loop_free(&loop);
	ck_assert_ptr_null(loop);
}

static void
on_turn_timer(void *ctx)
{
	(void)ctx;
	note("t");
	loop_retire(loop, "r", on_note);
	loop_post(loop, on_stop, "p");
}

START_TEST(order_of_a_turn)
{
	struct loop_timer *t = loop_timer_new(loop, on_turn_timer, NULL);

	loop_on_turn(loop, on_note, "h");
	loop_timer_set(t, 0);
	ck_assert(loop_timer_is_set(t));
	loop_run(loop);
	ck_assert(!loop_timer_is_set(t));
	/* A turn that found the timer not yet due ends with the hook alone. */
	ck_assert_str_eq(strstr(story, "t"), "tphr");
	loop_timer_free(&t);
}
END_TEST

static void
on_repost(void *ctx)
{
	int *left = ctx;

	note("p");
	if (--*left > 0)
		loop_post(loop, on_repost, left);
	else
		loop_stop(loop);
}

/* Nothing else is there to wake the loop: it must not sleep on posted work. */
START_TEST(posted_from_posted_is_next_turn)
{
	int left = 3;

	loop_on_turn(loop, on_note, "h");
	loop_post(loop, on_repost, &left);
	loop_run(loop);
	ck_assert_str_eq(story, "phphph");
}
END_TEST

static void
on_hook_posting(void *ctx)
{
	(void)ctx;
	note("h");
	loop_on_turn_remove(loop, on_hook_posting, NULL);
	loop_post(loop, on_stop, "p");
}

START_TEST(hook_removes_itself_and_posts)
{
	loop_on_turn(loop, on_hook_posting, NULL);
	loop_on_turn(loop, on_note, "g");
	loop_post(loop, on_note, "a");
	loop_run(loop);
	ck_assert_str_eq(story, "ahgpg");
}
END_TEST

static struct loop_io *reader;
static int pair[2];

static void
on_io(void *ctx, bool readable, bool writable)
{
	char c;

	(void)ctx;
	if (writable) {
		note("w");
		loop_io_want(reader, true, false);
		ck_assert_int_eq(write(pair[1], "x", 1), 1);
	}
	if (readable) {
		ck_assert_int_eq(read(pair[0], &c, 1), 1);
		note("r");
		loop_io_free(&reader);		/* from its own callback */
		loop_stop(loop);
	}
}

START_TEST(descriptors)
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	reader = loop_io_new(loop, pair[0], on_io, NULL);
	loop_io_want(reader, true, true);
	loop_run(loop);
	ck_assert_str_eq(story, "wr");
	close(pair[0]);
	close(pair[1]);
}
END_TEST

static void *
waker_thread(void *waker)
{
	loop_wake(waker);
	loop_wake(waker);
	return NULL;
}

START_TEST(woken_by_a_thread)
{
	struct loop_waker *w = loop_waker_new(loop, on_stop, "w");
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, waker_thread, w), 0);
	loop_run(loop);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_str_eq(story, "w");
	loop_waker_free(&w);
}
END_TEST

START_TEST(signals)
{
	loop_signal(loop, SIGUSR2, on_stop, "s");
	ck_assert_int_eq(raise(SIGUSR2), 0);
	loop_run(loop);
	ck_assert_str_eq(story, "s");
}
END_TEST

START_TEST(cleared_timer_stays_silent)
{
	struct loop_timer *a = loop_timer_new(loop, on_note, "a");
	struct loop_timer *b = loop_timer_new(loop, on_stop, "b");

	loop_timer_set(a, 1);
	loop_timer_set(b, 5);
	loop_timer_clear(a);
	ck_assert(!loop_timer_is_set(a));
	loop_run(loop);
	ck_assert_str_eq(story, "b");
	loop_timer_free(&a);
	loop_timer_free(&b);
	loop_timer_free(&b);
}
END_TEST

static void
on_reap_more(void *ctx)
{
	note(ctx);
	loop_retire(loop, "2", on_note);
}

START_TEST(reaping_may_retire)
{
	loop_retire(loop, "1", on_reap_more);
	loop_post(loop, on_stop, "p");
	loop_run(loop);
	ck_assert_str_eq(story, "p12");
}
END_TEST

static Suite *
loop_suite(void)
{
	Suite *s = suite_create("loop");
	TCase *tc = tcase_create("loop");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, order_of_a_turn);
	tcase_add_test(tc, posted_from_posted_is_next_turn);
	tcase_add_test(tc, hook_removes_itself_and_posts);
	tcase_add_test(tc, descriptors);
	tcase_add_test(tc, woken_by_a_thread);
	tcase_add_test(tc, signals);
	tcase_add_test(tc, cleared_timer_stays_silent);
	tcase_add_test(tc, reaping_may_retire);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(loop_suite)
