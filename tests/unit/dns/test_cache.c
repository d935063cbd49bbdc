/*
 * test_cache.c - answers remembered for their TTL, bounded, flushed by name.
 */
#include "mta/dns/cache.h"

#include <string.h>

#include "mta/base/str.h"
#include "tests/unit/check_main.h"

static struct dns_cache *cache;

static void
set_up(void)
{
	cache = cache_new(4);
}

static void
tear_down(void)
{
	cache_free(&cache);
}

static void
put(const char *name, uint16_t qtype, uint16_t outcome, uint32_t ttl, const char *host)
{
	struct trace_answer rr = { .pref = 10 };
	struct dns_answer a = { .outcome = outcome, .ttl_s = ttl };

	if (host != NULL) {
		str_copy(rr.name, sizeof rr.name, host);
		a.rr = &rr;
		a.n = a.total = 1;
	}
	cache_put(cache, name, qtype, &a, "127.0.0.1:53", VIA_TCP, 1000);
}

START_TEST(kept_until_the_ttl)
{
	const struct dns_cached *e;

	put("Far.test", 15, 0, 5, "mx.far.test");
	e = cache_get(cache, "far.TEST", 15, 5999);
	ck_assert_ptr_nonnull(e);
	ck_assert_str_eq(e->answer.rr[0].name, "mx.far.test");
	ck_assert_str_eq(e->server, "127.0.0.1:53");
	ck_assert_int_eq(e->via, VIA_TCP);
	ck_assert_ptr_null(cache_get(cache, "far.test", 1, 1000));
	ck_assert_ptr_null(cache_get(cache, "far.test", 15, 6000));
	ck_assert_uint_eq(cache_count(cache), 0);
}
END_TEST

START_TEST(ttl_0_is_not_kept_and_forgets)
{
	put("far.test", 1, 0, 5, NULL);
	put("far.test", 1, 0, 0, NULL);
	ck_assert_uint_eq(cache_count(cache), 0);
}
END_TEST

START_TEST(least_used_goes_first)
{
	char name[] = "a.test";

	for (; name[0] < 'e'; name[0]++)
		put(name, 1, 0, 60, NULL);
	ck_assert_ptr_nonnull(cache_get(cache, "a.test", 1, 1000));
	put("e.test", 1, 0, 60, NULL);
	ck_assert_uint_eq(cache_count(cache), 4);
	ck_assert_ptr_nonnull(cache_get(cache, "a.test", 1, 1000));
	ck_assert_ptr_null(cache_get(cache, "b.test", 1, 1000));
}
END_TEST

START_TEST(flush_takes_what_belongs_to_the_name)
{
	put("far.test", 15, 0, 60, "mx.elsewhere.example");
	put("mx.elsewhere.example", 1, 0, 60, NULL);
	put("sub.far.test", 1, 0, 60, NULL);
	put("notfar.test", 1, 0, 60, NULL);
	ck_assert_uint_eq(cache_flush(cache, "FAR.test"), 3);
	ck_assert_ptr_nonnull(cache_get(cache, "notfar.test", 1, 1000));
	ck_assert_uint_eq(cache_flush(cache, NULL), 1);
}
END_TEST

START_TEST(reload_keeps_the_usable)
{
	put("a.test", 1, OUT_SERVFAIL, 5, NULL);
	put("b.test", 1, OUT_NODATA, 60, NULL);
	put("c.test", 1, OUT_NOERROR, 60, NULL);
	ck_assert_uint_eq(cache_drop_unusable(cache), 2);
	ck_assert_ptr_nonnull(cache_get(cache, "c.test", 1, 1000));
}
END_TEST

static Suite *
suite(void)
{
	Suite *s = suite_create("cache");
	TCase *tc = tcase_create("all");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, kept_until_the_ttl);
	tcase_add_test(tc, ttl_0_is_not_kept_and_forgets);
	tcase_add_test(tc, least_used_goes_first);
	tcase_add_test(tc, flush_takes_what_belongs_to_the_name);
	tcase_add_test(tc, reload_keeps_the_usable);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(suite)
