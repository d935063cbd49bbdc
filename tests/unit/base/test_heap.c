/*
 * test_heap.c - elements come out in order, wherever they were moved or taken.
 */
#include "mta/base/heap.h"
#include "tests/unit/check_main.h"

#define N 500

static struct heap_node nodes[N];

static void
fill(struct heap *h)
{
	unsigned x = 99;

	for (int i = 0; i < N; i++) {
		x = x * 1103515245 + 12345;
		nodes[i].at = HEAP_NONE;
		heap_put(h, &nodes[i], (x >> 8) % 1000);
	}
}

/* Takes all that is left; returns how many, having checked the order. */
static int
empty(struct heap *h)
{
	int64_t last = INT64_MIN;
	struct heap_node *top;
	int n = 0;

	while ((top = heap_top(h)) != NULL) {
		ck_assert_int_ge(top->key, last);
		last = top->key;
		heap_del(h, top);
		ck_assert_uint_eq(top->at, HEAP_NONE);
		n++;
	}
	return n;
}

START_TEST(in_order)
{
	struct heap h = { 0 };

	fill(&h);
	ck_assert_int_eq(empty(&h), N);
	heap_clear(&h);
}
END_TEST

START_TEST(moved_and_taken)
{
	struct heap h = { 0 };

	fill(&h);
	for (int i = 0; i < N; i += 3)
		heap_put(&h, &nodes[i], 1000 - nodes[i].key);
	for (int i = 1; i < N; i += 5)
		heap_del(&h, &nodes[i]);
	heap_del(&h, &nodes[1]);		/* absent: nothing */
	ck_assert_int_eq(empty(&h), N - N / 5);
	heap_clear(&h);
}
END_TEST

START_TEST(cleared)
{
	struct heap h = { 0 };

	fill(&h);
	heap_clear(&h);
	ck_assert_ptr_null(heap_top(&h));
	ck_assert_uint_eq(nodes[7].at, HEAP_NONE);
	heap_put(&h, &nodes[7], 1);
	ck_assert_ptr_eq(heap_top(&h), &nodes[7]);
	heap_clear(&h);
}
END_TEST

static Suite *
heap_suite(void)
{
	Suite *s = suite_create("heap");
	TCase *tc = tcase_create("heap");

	tcase_add_test(tc, in_order);
	tcase_add_test(tc, moved_and_taken);
	tcase_add_test(tc, cleared);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(heap_suite)
