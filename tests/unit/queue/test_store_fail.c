/*
 * test_store_fail.c - the disk fails under the store: nothing acknowledged is lost,
 * nothing refused comes back, settles in doubt are written again.
 * Never asserts which file a failure hits, only what may be seen afterwards.
 * Read next: queue/commit.c (log_failed), queue/README.md, tests/fake/file.h.
 */
// LINK-FAKE: file
#include <errno.h>

#include "tests/fake/file.h"
#include "tests/unit/check_main.h"
#include "tests/unit/queue/spool_fixture.h"

#define SEG (256u << 10)

static struct spool sp;

static void
setup(void)
{
	spool_init(&sp, SEG);
	spool_open(&sp);
	spool_settle_down(&sp);
	for (unsigned n = 1; n <= 3; n++)
		spool_accept_as(&sp, &(struct message_of){ .n = n, .size = 1000, .nrcpts = 2 });
	spool_answers(&sp);
	ck_assert_uint_eq(sp.done, 3);
}

static void
teardown(void)
{
	spool_remove(&sp);
}

static void
reopen(void)
{
	spool_close(&sp);
	spool_open(&sp);
}

static void
one_failure(struct fake_failure *what, unsigned refused)
{
	const struct store_debt debt = { .id = id_of(3), .ordinal = 0 };
	struct buf v = { 0 };

	store_settle(sp.store, spool_get(&sp, 3), &(struct store_change){ .state = RCPT_OWED }, 1);
	spool_answers(&sp);
	fake_fail(what, 0, 1, EIO);
	spool_accept(&sp, 10, 500);
	spool_accept_as(&sp, &(struct message_of){ .n = 11, .size = 10, .reserve = true,
	    .pays = &debt, .npays = 1 });
	ck_assert(spool_finish(&sp, 1));
	spool_defer(&sp, 2, 0, 4, "in doubt");
	store_note_put(sp.store, NOTE_HOLD, "n", (const uint8_t *)"v", 1);
	spool_answers(&sp);
	ck_assert_uint_eq(sp.refused, refused);
	ck_assert_uint_eq(sp.done, 5 - refused);
	ck_assert_uint_eq(sp.why.class_, 4);
	ck_assert_uint_eq(sp.broken, 0);
	for (int life = 0; life < 3; life++) {
		ck_assert_ptr_null(spool_get(&sp, 1));
		ck_assert_int_eq(spool_get(&sp, 10) == NULL, refused == 2);
		ck_assert_ptr_null(spool_get(&sp, 11));
		ck_assert_uint_eq(spool_get(&sp, 2)->rcpts[0].attempts, 4);
		ck_assert_uint_eq(spool_get(&sp, 3)->rcpts[0].state, RCPT_OWED);
		v.len = 0;
		ck_assert(store_note_get(sp.store, NOTE_HOLD, "n", &v));
		spool_check(&sp, 2, 1000);
		ck_assert_uint_eq(spool_files(&sp, "quarantine"), 0);
		reopen();
	}
	spool_accept(&sp, 11, 500);		/* it comes again */
	spool_answers(&sp);
	ck_assert_uint_eq(sp.done, 6 - refused);
	buf_free(&v);
}

START_TEST(a_failed_sync)
{
	one_failure(&fake_sync, 2);
}
END_TEST

START_TEST(a_failed_write)
{
	one_failure(&fake_write, 1);	/* the mail was not yet written: it is, elsewhere */
}
END_TEST

static bool
is_broken(struct spool *p)
{
	return p->broken == 1;
}

START_TEST(a_second_failure_breaks)
{
	fake_fail(&fake_sync, 0, 1000, EIO);
	spool_accept(&sp, 10, 500);
	ck_assert(spool_until(&sp, is_broken));
	spool_answers(&sp);
	ck_assert_uint_eq(sp.refused, 1);
	spool_accept(&sp, 11, 500);
	spool_finish(&sp, 1);
	spool_answers(&sp);
	ck_assert_uint_eq(sp.refused, 2);
	fake_fail(&fake_sync, 0, 0, 0);
	reopen();
	spool_check(&sp, 1, 1000);		/* delivered again rather than lost */
	spool_check(&sp, 2, 1000);
}
END_TEST

START_TEST(a_full_disk_refuses_mail_only)
{
	unsigned n = 10;

	fake_fail(&fake_create, 0, 1000000, ENOSPC);	/* no new segment can be had */
	while (sp.refused == 0 && n < 2000) {
		spool_accept(&sp, n++, 4000);
		spool_answers(&sp);
	}
	ck_assert_uint_eq(sp.why.subject, 3);
	ck_assert_uint_eq(sp.why.detail, 1);
	ck_assert_uint_eq(sp.store->pool.nready, RESERVE);
	for (unsigned k = 10; k < 10 + sp.done - 3; k++)	/* deliveries go on */
		ck_assert(spool_finish(&sp, k));
	spool_accept_as(&sp, &(struct message_of){ .n = 5000, .size = 10, .reserve = true });
	spool_answers(&sp);
	ck_assert_ptr_nonnull(spool_get(&sp, 5000));
	fake_fail(&fake_create, 0, 0, 0);
	spool_settle_down(&sp);
	spool_accept(&sp, 6000, 10);
	spool_answers(&sp);
	ck_assert_ptr_nonnull(spool_get(&sp, 6000));
	reopen();
	ck_assert_uint_eq(sp.nmessages, 5);
}
END_TEST

static Suite *
fail_suite(void)
{
	Suite *s = suite_create("store_fail");
	TCase *tc = tcase_create("disk");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, a_failed_sync);
	tcase_add_test(tc, a_failed_write);
	tcase_add_test(tc, a_second_failure_breaks);
	tcase_add_test(tc, a_full_disk_refuses_mail_only);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(fail_suite)
