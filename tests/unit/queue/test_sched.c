/*
 * test_sched.c - who is served next: fairness, deferral, holds, windows, waking,
 * rerouting, and that counts stay right through all of it.
 */
#include "queue/sched.h"

#include <stdio.h>
#include <stdlib.h>

#include "conf/conf.h"
#include "queue/store.h"
#include "tests/unit/check_main.h"

static struct conf_connector connector = { .name = (char *)"c", .concurrency = 20 };
static struct sched *s;
static struct store_message msgs[4096];

static void
setup(void)
{
	s = sched_new(2);
	for (size_t i = 0; i < COUNT_OF(msgs); i++) {
		msgs[i] = (struct store_message){ .arrival_wall_ms = 1000 + (int64_t)i, .nrcpts = 1 };
		msgs[i].id.b[15] = (uint8_t)i;
	}
}

static void
teardown(void)
{
	sched_free(&s);
	for (size_t m = 0; m < COUNT_OF(msgs); m++) {
		for (struct sched_item *i = msgs[m].user, *next; i != NULL; i = next) {
			next = i->next;
			free(i);
		}
	}
}

static void
del(struct sched_item *i)
{
	i->m->user = i->next;
	sched_del(s, i);
}

static struct sched_domain *
domain(const char *name)
{
	struct sched_domain *d = sched_domain(s, name);
	char key[300];

	snprintf(key, sizeof key, "c/%s", name);
	if (d->dest == NULL)
		d->dest = sched_dest(s, key, &connector, "c", name, 0);
	return d;
}

static struct sched_item *
add(unsigned m, const char *name)
{
	struct sched_item *i = sched_add(s, &msgs[m], domain(name), 1);

	i->next = msgs[m].user;
	msgs[m].user = i;
	sched_ready(s, i);
	return i;
}

START_TEST(a_deep_destination_delays_another_by_one_round)
{
	struct sched_item *lone, *i;
	unsigned rounds = 0;

	for (unsigned m = 0; m < 2000; m++)
		add(m, "deep.test");
	lone = add(2000, "lone.test");
	do {
		i = sched_next(s, 0);
		ck_assert_ptr_nonnull(i);
		rounds++;
	} while (i != lone);
	ck_assert_uint_le(rounds, 2);
}
END_TEST

START_TEST(order_within_a_destination_is_arrival)
{
	for (unsigned m = 0; m < 10; m++)
		add(m, "a.test");
	for (unsigned m = 0; m < 10; m++)
		ck_assert_ptr_eq(sched_next(s, 0)->m, &msgs[m]);
	ck_assert_ptr_null(sched_next(s, 0));
	ck_assert_ptr_null(sched_next(s, 1));
}
END_TEST

START_TEST(deferred_then_one_probe_then_the_window_grows)
{
	struct sched_dest *d;
	struct sched_item *i;

	for (unsigned m = 0; m < 100; m++)
		add(m, "a.test");
	d = domain("a.test")->dest;
	sched_defer(s, d, 5000);
	ck_assert_ptr_null(sched_next(s, 0));
	ck_assert_int_eq(sched_tick(s, 4999), 5000);
	ck_assert_ptr_null(sched_next(s, 0));
	sched_tick(s, 5000);
	i = sched_next(s, 0);
	ck_assert_ptr_nonnull(i);
	ck_assert_ptr_null(sched_next(s, 0));		/* one probe */
	sched_proven(s, d, true);
	sched_return(s, i);
	del(i);
	ck_assert_ptr_nonnull(sched_next(s, 0));
	ck_assert_ptr_nonnull(sched_next(s, 0));
	ck_assert_ptr_null(sched_next(s, 0));		/* two */
}
END_TEST

START_TEST(later_items_come_by_their_time)
{
	struct sched_item *a = add(0, "a.test"), *b = add(1, "a.test");

	ck_assert_ptr_eq(sched_next(s, 0), a);
	ck_assert_ptr_eq(sched_next(s, 0), b);
	sched_return(s, a);
	sched_later(s, a, 9000);
	sched_return(s, b);
	sched_later(s, b, 7000);
	ck_assert_int_eq(sched_tick(s, 6999), 7000);
	ck_assert_ptr_null(sched_next(s, 0));
	ck_assert_int_eq(sched_tick(s, 7000), 9000);
	ck_assert_ptr_eq(sched_next(s, 0), b);
	ck_assert_int_eq(sched_tick(s, 9000), INT64_MAX);
	ck_assert_ptr_eq(sched_next(s, 0), a);
}
END_TEST

START_TEST(held_items_and_holding_destinations_wait)
{
	struct sched_item *a = add(0, "a.test"), *b = add(1, "b.test");

	sched_hold(s, a);
	sched_set_holding(s, b->dest, true);
	ck_assert_ptr_null(sched_next(s, 0));
	sched_set_holding(s, b->dest, false);
	ck_assert_ptr_eq(sched_next(s, 0), b);
	sched_ready(s, a);
	ck_assert_ptr_eq(sched_next(s, 0), a);
}
END_TEST

START_TEST(wake_makes_everything_due_and_fresh)
{
	struct sched_item *a = add(0, "a.test"), *b = add(1, "a.test");

	sched_later(s, a, 1 << 30);
	sched_defer(s, a->dest, 1 << 30);
	sched_wake(s, a->dest);
	ck_assert_ptr_eq(sched_next(s, 0), b);
	ck_assert(b->fresh && a->fresh);
}
END_TEST

START_TEST(unproven_destinations_hold_a_bounded_share)
{
	struct sched_item *living;
	char name[32];
	unsigned n = 0;

	sched_unproven_max(s, 10);
	for (unsigned m = 0; m < 100; m++) {
		snprintf(name, sizeof name, "dead%u.test", m);
		add(m, name);
	}
	living = add(200, "living.test");
	sched_proven(s, living->dest, true);
	for (struct sched_item *i; (i = sched_next(s, 0)) != NULL; n++)
		if (i == living)
			living = NULL;
	ck_assert_ptr_null(living);
	ck_assert_uint_eq(n, 11);
}
END_TEST

START_TEST(reroute_moves_what_waits_and_what_is_out)
{
	struct sched_item *ready = add(0, "a.test"), *later = add(1, "a.test");
	struct sched_item *held = add(2, "a.test"), *out = add(3, "a.test");
	struct sched_dest *from = ready->dest;
	struct sched_dest *to = sched_dest(s, "d/a.test", &connector, "d", "a.test", 1);

	sched_hold(s, ready);
	sched_hold(s, later);
	sched_hold(s, held);
	ck_assert_ptr_eq(sched_next(s, 0), out);
	sched_ready(s, ready);
	sched_later(s, later, 7000);
	sched_reroute(s, ready->domain, to);
	ck_assert_uint_eq(to->nitems, 3);
	ck_assert_uint_eq(from->nitems, 1);
	ck_assert_ptr_null(sched_next(s, 0));
	ck_assert_ptr_eq(sched_next(s, 1), ready);
	sched_return(s, out);
	sched_ready(s, out);
	ck_assert_uint_eq(to->nitems, 4);
	ck_assert_uint_eq(to->nrcpts, 4);
	ck_assert(sched_dest_idle(from));
	ck_assert_ptr_eq(sched_next(s, 1), out);
}
END_TEST

START_TEST(siblings_share_a_lease)
{
	struct sched_domain *a = domain("a.test"), *b = sched_domain(s, "b.test");
	struct sched_item *x, *y;

	b->dest = a->dest;		/* a smarthost takes both */
	x = add(0, "a.test");
	y = add(0, "b.test");
	ck_assert_ptr_eq(sched_next(s, 0), x);
	ck_assert_ptr_eq(sched_sibling(s, msgs[0].user), y);
	ck_assert_ptr_null(sched_sibling(s, msgs[0].user));
	ck_assert_uint_eq(a->dest->leased, 2);
}
END_TEST

START_TEST(oldest_follows_what_leaves)
{
	struct sched_item *a = add(0, "a.test"), *b = add(7, "a.test");

	ck_assert_int_eq(sched_oldest(a->dest), 1000);
	del(a);
	ck_assert_int_eq(sched_oldest(b->dest), 1007);
}
END_TEST

static Suite *
suite(void)
{
	Suite *su = suite_create("sched");
	TCase *tc = tcase_create("sched");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_deep_destination_delays_another_by_one_round);
	tcase_add_test(tc, order_within_a_destination_is_arrival);
	tcase_add_test(tc, deferred_then_one_probe_then_the_window_grows);
	tcase_add_test(tc, later_items_come_by_their_time);
	tcase_add_test(tc, held_items_and_holding_destinations_wait);
	tcase_add_test(tc, wake_makes_everything_due_and_fresh);
	tcase_add_test(tc, unproven_destinations_hold_a_bounded_share);
	tcase_add_test(tc, reroute_moves_what_waits_and_what_is_out);
	tcase_add_test(tc, siblings_share_a_lease);
	tcase_add_test(tc, oldest_follows_what_leaves);
	suite_add_tcase(su, tc);
	return su;
}

CHECK_MAIN(suite)
