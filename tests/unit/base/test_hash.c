/*
 * test_hash.c - the table against an array that knows the truth.
 */
#include <stdio.h>
#include <string.h>

#include "mta/base/hash.h"
#include "mta/base/mem.h"
#include "tests/unit/check_main.h"

struct item {
	char	name[16];
	bool	in;
	int	seen;
};

#define N 2000

static struct item items[N];

static const void *
item_key(const void *value, size_t *n_r)
{
	const struct item *it = value;

	*n_r = strlen(it->name);
	return it->name;
}

static void
make_items(void)
{
	for (int i = 0; i < N; i++) {
		items[i] = (struct item){ 0 };
		(void)snprintf(items[i].name, sizeof items[i].name, "k%d", i);
	}
}

static void
check_against_items(const struct hash *h)
{
	size_t count = 0;

	for (int i = 0; i < N; i++) {
		const void *got = hash_get(h, items[i].name, strlen(items[i].name));

		ck_assert_ptr_eq(got, items[i].in ? &items[i] : NULL);
		count += items[i].in;
	}
	ck_assert_uint_eq(hash_count(h), count);
}

START_TEST(put_get_del)
{
	struct hash *h = hash_new(item_key);
	unsigned x = 12345;

	make_items();
	for (int round = 0; round < 20000; round++) {
		struct item *it;

		x = x * 1103515245 + 12345;
		it = &items[(x >> 8) % N];
		if (it->in)
			ck_assert_ptr_eq(hash_del(h, it->name, strlen(it->name)), it);
		else
			hash_put(h, it);
		it->in = !it->in;
	}
	check_against_items(h);
	ck_assert_ptr_null(hash_del(h, "absent", 6));
	ck_assert_ptr_null(hash_get(h, "", 0));
	hash_free(&h);
	ck_assert_ptr_null(h);
}
END_TEST

START_TEST(delete_while_walking)
{
	struct hash *h = hash_new(item_key);
	size_t at = 0;
	struct item *it;

	make_items();
	for (int i = 0; i < N; i++) {
		hash_put(h, &items[i]);
		items[i].in = true;
	}
	while ((it = hash_next(h, &at)) != NULL) {
		it->seen++;
		if (it->name[strlen(it->name) - 1] % 2 == 0) {
			ck_assert_ptr_eq(hash_del(h, it->name, strlen(it->name)), it);
			it->in = false;
		}
	}
	for (int i = 0; i < N; i++)
		ck_assert_int_eq(items[i].seen, 1);
	check_against_items(h);
	hash_free(&h);
}
END_TEST

static Suite *
hash_suite(void)
{
	Suite *s = suite_create("hash");
	TCase *tc = tcase_create("hash");

	tcase_add_test(tc, put_get_del);
	tcase_add_test(tc, delete_while_walking);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(hash_suite)
