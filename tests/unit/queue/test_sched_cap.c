/*
 * test_sched_cap.c - after a step back of the wall clock nothing waits for a time
 * that will not come.  Must never depend on the real clock.
 * Read next: queue/sched.h, test_sched.c.
 */
#include <stdint.h>

#include <check.h>

#include "conf/conf.h"
#include "queue/sched.h"
#include "queue/store.h"
#include "tests/unit/check_main.h"

#define ITEMS 5

static struct store_message msgs[ITEMS];
static struct conf_connector conf = { .name = "c", .concurrency = 5 };

/* Items that are due at 1000, 3000, 5000 …; capped at 4000. */
START_TEST(later_items_keep_their_order_and_come_in_time)
{
	struct sched *s = sched_new(1);
	struct sched_domain *dom = sched_domain(s, "a.test");
	struct sched_dest *d = sched_dest(s, "c/a.test", &conf, "c", "a.test", 0);
	struct sched_item *items[ITEMS];

	dom->dest = d;
	for (int i = 0; i < ITEMS; i++) {
		msgs[i].arrival_wall_ms = i;
		items[i] = sched_add(s, &msgs[i], dom, 1);
		sched_later(s, items[i], 1000 + 2000 * (ITEMS - 1 - i));
	}
	sched_cap(s, d, 4000);
	ck_assert_int_eq(sched_tick(s, 0), 1000);
	ck_assert_int_eq(sched_tick(s, 1000), 3000);
	ck_assert_int_eq(sched_tick(s, 3000), 4000);
	ck_assert_int_eq(sched_tick(s, 4000), INT64_MAX);
	for (int i = 0; i < ITEMS; i++)
		ck_assert_int_eq(items[i]->place, PLACE_READY);
	for (int i = 0; i < ITEMS; i++)
		sched_del(s, items[i]);
	sched_free(&s);
}
END_TEST

START_TEST(a_deferral_ends_in_time)
{
	struct sched *s = sched_new(1);
	struct sched_dest *d = sched_dest(s, "c/a.test", &conf, "c", "a.test", 0);

	sched_defer(s, d, 1000000);
	sched_cap(s, d, 4000);
	ck_assert_int_eq(sched_tick(s, 3999), 4000);
	ck_assert(d->deferred);
	(void)sched_tick(s, 4000);
	ck_assert(!d->deferred);
	sched_defer(s, d, 5000);
	sched_cap(s, d, 9000);
	ck_assert_int_eq(d->next_wall_ms, 5000);
	sched_free(&s);
}
END_TEST

static Suite *
suite(void)
{
	Suite *su = suite_create("sched_cap");
	TCase *tc = tcase_create("sched_cap");

	tcase_add_test(tc, later_items_keep_their_order_and_come_in_time);
	tcase_add_test(tc, a_deferral_ends_in_time);
	suite_add_tcase(su, tc);
	return su;
}

CHECK_MAIN(suite)
