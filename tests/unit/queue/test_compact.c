/*
 * test_compact.c - segments fill, empty, move on and are recycled; nothing that
 * lives is lost, nothing settled comes back.
 * Never waits for a clock: the loop turns until the store is at rest.
 * Read next: queue/compact.c, queue/pool.c, queue/segment.c.
 */
#include "tests/unit/check_main.h"
#include "tests/unit/queue/spool_fixture.h"

#define SEG (128u << 10)

static struct spool sp;

static void
setup(void)
{
	spool_init(&sp, SEG);
	spool_open(&sp);
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

START_TEST(settled_segments_go)
{
	for (unsigned n = 1; n <= 600; n++) {
		spool_accept(&sp, n, 4000);
		if (n % 20 == 0) {
			spool_answers(&sp);
			for (unsigned k = n - 19; k <= n; k++)
				spool_finish(&sp, k);
		}
	}
	spool_settle_down(&sp);
	ck_assert_uint_eq(sp.done, 600);
	ck_assert_uint_le(sp.store->ix.segments.n, 6);
	ck_assert_uint_le(spool_files(&sp, "pool"), POOL_KEEP);
	reopen();
	ck_assert_uint_eq(sp.nmessages, 0);
	spool_settle_down(&sp);
	ck_assert_uint_le(sp.store->ix.segments.n, 2);
}
END_TEST

struct told {
	unsigned n;
	char	 first[16];
};

static void
on_history(void *ctx, int64_t wall_ms, uint8_t state, const struct status *st)
{
	struct told *t = ctx;

	(void)wall_ms;
	(void)state;
	if (t->n++ == 0)
		snprintf(t->first, sizeof t->first, "%.15s", st->text);
}

static void
check_survivors(unsigned last)
{
	for (unsigned n = 50; n <= last; n += 50) {
		const struct store_message *m = spool_get(&sp, n);
		struct told t = { 0 };

		spool_check(&sp, n, 4000);
		ck_assert_uint_eq(m->rcpts[0].attempts, n == 50 ? 3 : 1);
		store_history(sp.store, m, 0, 9, on_history, &t);
		ck_assert_uint_eq(t.n, n == 50 ? 3 : 1);
		ck_assert_str_eq(t.first, n == 50 ? "third" : "first");
	}
}

START_TEST(survivors_are_carried_forward)
{
	uint32_t where = 0;

	store_note_put(sp.store, NOTE_HOLD, "kept", (const uint8_t *)"value", 5);
	store_note_put(sp.store, NOTE_HOLD, "dropped", (const uint8_t *)"value", 5);
	for (unsigned n = 1; n <= 1000; n++) {
		spool_accept(&sp, n, 4000);
		if (n % 25 != 0)
			continue;
		spool_answers(&sp);
		for (unsigned k = n - 24; k <= n; k++)
			if (k % 50 != 0)
				spool_finish(&sp, k);
		if (n % 50 == 0)
			spool_defer(&sp, n, 0, 1, "first");
		if (n == 50)
			where = spool_get(&sp, 50)->segment;
		if (n == 75)
			spool_defer(&sp, 50, 0, 2, "second");
		if (n == 100) {
			spool_defer(&sp, 50, 0, 3, "third");
			store_note_drop(sp.store, NOTE_HOLD, "dropped");
		}
	}
	spool_settle_down(&sp);
	ck_assert_uint_eq(sp.done, 1000);
	ck_assert_uint_gt(spool_get(&sp, 50)->segment, where);
	ck_assert_uint_le(index_log_bytes(&sp.store->ix),
	    2 * index_live_bytes(&sp.store->ix) + 5 * SEG);
	check_survivors(1000);
	for (int life = 0; life < 2; life++) {
		reopen();
		ck_assert_uint_eq(sp.nmessages, 20);
		ck_assert_uint_eq(sp.nnotes, 1);
		ck_assert_str_eq(sp.notes[0].key, "kept");
		ck_assert_str_eq(sp.notes[0].value, "value");
		ck_assert_uint_eq(spool_files(&sp, "quarantine"), 0);
		spool_settle_down(&sp);
		check_survivors(1000);
	}
	for (unsigned n = 50; n <= 1000; n += 50)
		ck_assert(spool_finish(&sp, n));
	spool_settle_down(&sp);
	reopen();
	ck_assert_uint_eq(sp.nmessages, 0);
}
END_TEST

/*
 * A model beside the store: random accepts, deferrals and finishes, with copies of
 * the directory taken in mid-work, while compaction runs all the time.
 */
#define NIDS 3000u

static struct {
	bool	 accepted, finished;
	uint16_t attempts;
} model[NIDS];

static void
compare(struct spool *p, unsigned last)
{
	for (unsigned n = 1; n <= last; n++) {
		const struct store_message *m = spool_get(p, n);

		if (!model[n].accepted)
			continue;
		if (model[n].finished)
			ck_assert_msg(m == NULL, "message %u came back", n);
		else
			ck_assert_msg(m != NULL, "message %u is lost", n);
		if (m != NULL)
			ck_assert_uint_eq(m->rcpts[0].attempts, model[n].attempts);
	}
}

START_TEST(a_long_random_life)
{
	uint32_t x = 12345u + (uint32_t)_i;
	unsigned last = 0;

	memset(model, 0, sizeof model);
	for (unsigned turn = 0; turn < 250; turn++) {
		for (unsigned k = 0; k < 10; k++) {
			last++;
			spool_accept(&sp, last, last * 31 % 6000);
			model[last].accepted = true;
		}
		spool_answers(&sp);
		for (unsigned k = 0; k < 14; k++) {
			unsigned n = 0;

			x = x * 1664525u + 1013904223u;
			/* Mostly the young ones, so that some grow old. */
			n = x >> 28 == 0 ? 1 + (x >> 4) % last : last - (x >> 4) % (last < 40 ? last : 40);
			if (model[n].finished)
				continue;
			if (x >> 30 != 0) {
				spool_finish(&sp, n);
				model[n].finished = true;
			} else {
				spool_defer(&sp, n, 0, ++model[n].attempts, "no");
			}
		}
		if (turn % 60 == 59) {
			struct spool copy;

			spool_answers(&sp);		/* the settles are durable too */
			spool_snapshot(&sp, &copy);
			spool_open(&copy);
			compare(&copy, last);
			ck_assert_uint_eq(spool_files(&copy, "quarantine"), 0);
			spool_remove(&copy);
		}
		if (turn % 80 == 79) {
			reopen();
			compare(&sp, last);
		}
	}
	spool_settle_down(&sp);
	compare(&sp, last);
	reopen();
	compare(&sp, last);
	ck_assert_uint_le(index_log_bytes(&sp.store->ix),
	    2 * index_live_bytes(&sp.store->ix) + 8 * SEG);
}
END_TEST

static Suite *
compact_suite(void)
{
	Suite *s = suite_create("compact");
	TCase *tc = tcase_create("segments");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, settled_segments_go);
	tcase_add_test(tc, survivors_are_carried_forward);
	tcase_add_loop_test(tc, a_long_random_life, 0, 3);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(compact_suite)
