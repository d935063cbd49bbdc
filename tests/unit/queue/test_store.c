/*
 * test_store.c - the store's calls on a real spool: accept, settle, notes,
 * read, debts, bodies, room, locks, and that all of it survives a restart.
 * Never looks inside but to know when nothing is under way.
 * Read next: queue/store.h, spool_fixture.h.
 */
#include "queue/store.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/check_main.h"
#include "tests/unit/queue/spool_fixture.h"

#define SEG (256u << 10)

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

START_TEST(accept_is_durable_and_readable)
{
	spool_accept(&sp, 1, 3000);
	spool_accept(&sp, 2, 0);
	ck_assert_uint_eq(sp.done, 0);		/* never from inside the call */
	ck_assert_ptr_null(spool_get(&sp, 1));	/* not before it is durable */
	spool_answers(&sp);
	ck_assert_uint_eq(sp.done, 2);
	spool_check(&sp, 1, 3000);
	spool_check(&sp, 2, 0);
	reopen();
	ck_assert_uint_eq(sp.nmessages, 2);
	spool_check(&sp, 1, 3000);
	spool_check(&sp, 2, 0);
}
END_TEST

START_TEST(accept_is_idempotent)
{
	spool_accept(&sp, 1, 100);
	spool_accept(&sp, 1, 100);		/* while the first is under way */
	spool_answers(&sp);
	ck_assert_uint_eq(sp.done, 1);
	ck_assert_uint_eq(sp.have, 1);
	spool_accept(&sp, 1, 100);		/* alive */
	spool_answers(&sp);
	ck_assert_uint_eq(sp.have, 2);
	ck_assert(spool_finish(&sp, 1));
	spool_accept(&sp, 1, 100);		/* settled */
	spool_answers(&sp);
	ck_assert_uint_eq(sp.have, 3);
	spool_accept(&sp, 2, 100);
	spool_answers(&sp);
	reopen();
	spool_accept(&sp, 1, 100);		/* settled, in an earlier life */
	spool_accept(&sp, 2, 100);
	spool_answers(&sp);
	ck_assert_uint_eq(sp.have, 5);
	ck_assert_uint_eq(sp.done, 2);
}
END_TEST

START_TEST(accept_refuses_a_damaged_body)
{
	struct recipient r = { .address = "b@there.test" };
	struct envelope e = { .sender = "", .listener = "", .client = "", .helo = "",
	    .recipients = &r, .nrecipients = 1 };
	const struct store_new n = { .id = id_of(1), .envelope = &e, .body = (const uint8_t *)"x",
	    .size = 1, .body_crc = 1 };

	store_accept(sp.store, &n, spool_accepted, &sp);
	spool_answers(&sp);
	ck_assert_uint_eq(sp.refused, 1);
	ck_assert_uint_eq(sp.why.class_, 4);
}
END_TEST

START_TEST(settles_survive)
{
	struct store_message *m = NULL;

	spool_accept_as(&sp, &(struct message_of){ .n = 1, .size = 10, .nrcpts = 3 });
	spool_answers(&sp);
	m = spool_get(&sp, 1);
	spool_defer(&sp, 1, 1, 7, "later");
	ck_assert(!store_settle(sp.store, m, &(struct store_change){ .ordinal = 0,
	    .state = RCPT_DONE }, 1));
	ck_assert(!store_settle(sp.store, m, &(struct store_change){ .ordinal = 2,
	    .state = RCPT_OWED, .flags = RCPT_HELD }, 1));
	ck_assert_uint_eq(m->nopen, 2);
	spool_answers(&sp);
	reopen();
	m = spool_get(&sp, 1);
	ck_assert_uint_eq(m->nopen, 2);
	ck_assert_uint_eq(m->rcpts[0].state, RCPT_DONE);
	ck_assert_uint_eq(m->rcpts[1].state, RCPT_QUEUED);
	ck_assert_uint_eq(m->rcpts[1].attempts, 7);
	ck_assert_int_eq(m->rcpts[1].next_wall_ms, 5007);
	ck_assert_uint_eq(m->rcpts[1].reason, REASON_smtp_4xx);
	ck_assert_uint_eq(m->rcpts[2].state, RCPT_OWED);
	ck_assert_uint_eq(m->rcpts[2].flags, RCPT_HELD);
	ck_assert(spool_finish(&sp, 1));
	ck_assert_ptr_null(spool_get(&sp, 1));
	reopen();
	ck_assert_uint_eq(sp.nmessages, 0);
}
END_TEST

START_TEST(settles_are_synced_without_an_accept)
{
	spool_accept(&sp, 1, 10);
	spool_answers(&sp);
	spool_finish(&sp, 1);
	/* No accept comes; the store syncs by itself, or this never ends. */
	spool_answers(&sp);
	ck_assert_uint_eq(sp.store->commit.durable_seq, sp.store->commit.next_seq - 1);
}
END_TEST

struct told {
	unsigned	n;
	char		text[8][32];
};

static void
on_history(void *ctx, int64_t wall_ms, uint8_t state, const struct status *st)
{
	struct told *t = ctx;

	ck_assert_int_gt(wall_ms, 0);
	ck_assert_uint_eq(state, RCPT_QUEUED);
	snprintf(t->text[t->n++], sizeof t->text[0], "%.31s", st->text);
}

START_TEST(history_is_latest_first)
{
	struct told t = { 0 };

	spool_accept_as(&sp, &(struct message_of){ .n = 1, .size = 10, .nrcpts = 2 });
	spool_answers(&sp);
	spool_defer(&sp, 1, 1, 1, "one");
	spool_answers(&sp);
	spool_defer(&sp, 1, 0, 1, "other");
	spool_answers(&sp);
	spool_defer(&sp, 1, 1, 2, "two");
	spool_answers(&sp);
	reopen();
	spool_defer(&sp, 1, 1, 3, "three");	/* shown in the same turn */
	store_history(sp.store, spool_get(&sp, 1), 1, 8, on_history, &t);
	ck_assert_uint_eq(t.n, 3);
	ck_assert_str_eq(t.text[0], "three");
	ck_assert_str_eq(t.text[1], "two");
	ck_assert_str_eq(t.text[2], "one");
	t.n = 0;
	store_history(sp.store, spool_get(&sp, 1), 1, 1, on_history, &t);
	ck_assert_uint_eq(t.n, 1);
}
END_TEST

static void
put(const char *key, const char *value)
{
	store_note_put(sp.store, NOTE_DESTINATION, key, (const uint8_t *)value, strlen(value));
}

START_TEST(notes_survive_and_drop)
{
	struct buf v = { 0 };

	put("a", "one");
	put("b", "two");
	put("a", "three");
	ck_assert(store_note_get(sp.store, NOTE_DESTINATION, "a", &v));	/* before it is written */
	ck_assert_str_eq(buf_cstr(&v), "three");
	v.len = 0;
	ck_assert(!store_note_get(sp.store, NOTE_HOLD, "a", &v));	/* the kind counts */
	spool_answers(&sp);
	ck_assert(store_note_get(sp.store, NOTE_DESTINATION, "a", &v));	/* from disk */
	ck_assert_str_eq(buf_cstr(&v), "three");
	store_note_drop(sp.store, NOTE_DESTINATION, "b");
	put("c", "");
	store_note_drop(sp.store, NOTE_DESTINATION, "c");
	put("c", "back");
	reopen();
	ck_assert_uint_eq(sp.nnotes, 2);
	for (unsigned i = 0; i < 2; i++)
		ck_assert_str_eq(sp.notes[i].value,
		    sp.notes[i].key[0] == 'a' ? "three" : "back");
	buf_free(&v);
}
END_TEST

START_TEST(a_debt_is_paid_by_the_accept)
{
	const struct store_debt debts[] = {
		{ .id = id_of(1), .ordinal = 0 },
		{ .id = id_of(1), .ordinal = 1, .delay = true },
	};

	spool_accept_as(&sp, &(struct message_of){ .n = 1, .size = 10, .nrcpts = 2 });
	spool_answers(&sp);
	ck_assert(!store_settle(sp.store, spool_get(&sp, 1), &(struct store_change){ .ordinal = 0,
	    .state = RCPT_OWED }, 1));
	spool_accept_as(&sp, &(struct message_of){ .n = 2, .size = 10, .reserve = true,
	    .pays = debts, .npays = 2 });
	ck_assert_uint_eq(spool_get(&sp, 1)->rcpts[0].state, RCPT_OWED);	/* not yet */
	spool_answers(&sp);
	for (int life = 0; life < 2; life++) {
		const struct store_message *m = spool_get(&sp, 1);

		ck_assert_uint_eq(m->rcpts[0].state, RCPT_DONE);
		ck_assert_uint_eq(m->rcpts[1].state, RCPT_QUEUED);
		ck_assert_uint_eq(m->rcpts[1].flags, RCPT_DELAY_TOLD);
		ck_assert_uint_eq(m->nopen, 1);
		reopen();
	}
}
END_TEST

START_TEST(the_last_debt_finishes_the_message)
{
	const struct store_debt debt = { .id = id_of(1) };

	spool_accept(&sp, 1, 10);
	spool_answers(&sp);
	store_settle(sp.store, spool_get(&sp, 1), &(struct store_change){ .state = RCPT_OWED }, 1);
	spool_accept_as(&sp, &(struct message_of){ .n = 2, .size = 10, .reserve = true,
	    .pays = &debt, .npays = 1 });
	spool_answers(&sp);
	ck_assert_ptr_null(spool_get(&sp, 1));
	reopen();
	ck_assert_ptr_null(spool_get(&sp, 1));
	ck_assert_ptr_nonnull(spool_get(&sp, 2));
}
END_TEST

/* ---- bodies ---- */

static void
body_write(unsigned n, size_t size)
{
	const struct msgid id = id_of(n);
	struct status why;
	uint8_t *body = body_of(n, size);
	const int fd = store_body_create(sp.store, &id, size, &why);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(write(fd, body, size), (ssize_t)size);
	ck_assert_int_eq(fsync(fd), 0);
	close(fd);
	free(body);
}

static bool
no_bodies(struct spool *p)
{
	return spool_files(p, "bodies") == 0;
}

START_TEST(a_large_body_has_a_file)
{
	struct store_read r;
	uint8_t *body = body_of(1, 70000), *got = xmalloc(70000);

	body_write(1, 70000);
	spool_accept_as(&sp, &(struct message_of){ .n = 1, .size = 70000, .body_file = true });
	spool_answers(&sp);
	ck_assert_uint_eq(sp.done, 1);
	body_write(2, 100);			/* never accepted */
	reopen();
	ck_assert_uint_eq(spool_files(&sp, "bodies"), 1);
	ck_assert(spool_read(&sp, 1, &r));
	ck_assert_ptr_null(r.body);
	ck_assert_int_eq(read(r.body_fd, got, 70000), 70000);
	ck_assert_mem_eq(got, body, 70000);
	ck_assert_int_eq(write(r.body_fd, "x", 1), -1);
	store_read_free(&r);
	ck_assert(spool_finish(&sp, 1));
	ck_assert(spool_until(&sp, no_bodies));
	free(body);
	free(got);
}
END_TEST

START_TEST(a_missing_body_is_refused)
{
	const struct msgid id = id_of(3);

	spool_accept_as(&sp, &(struct message_of){ .n = 1, .size = 70000, .body_file = true });
	body_write(2, 100);
	spool_accept_as(&sp, &(struct message_of){ .n = 2, .size = 101, .body_file = true });
	spool_answers(&sp);
	ck_assert_uint_eq(sp.refused, 2);
	body_write(3, 10);
	store_body_drop(sp.store, &id);
	spool_accept(&sp, 4, 10);
	ck_assert(spool_until(&sp, no_bodies));
	reopen();
	ck_assert_uint_eq(sp.nmessages, 1);
}
END_TEST

START_TEST(a_damaged_body_file_is_found)
{
	struct store_read r;
	char cmd[400];

	body_write(1, 7000);
	spool_accept_as(&sp, &(struct message_of){ .n = 1, .size = 7000, .body_file = true });
	spool_answers(&sp);
	snprintf(cmd, sizeof cmd, "for f in '%s'/bodies/*; do printf x | "
	    "dd of=$f bs=1 seek=5000 conv=notrunc status=none; done", sp.dir);
	ck_assert_int_eq(system(cmd), 0);
	ck_assert(!spool_read(&sp, 1, &r));
}
END_TEST

/* ---- room ---- */

static bool
no_room_told(struct spool *p)
{
	return p->room == 0;
}

static bool
room_told(struct spool *p)
{
	return p->room == 1;
}

START_TEST(room_has_hysteresis)
{
	struct conf_spool tight = sp.conf;

	tight.max_messages = 20;
	store_reconf(sp.store, &tight);
	for (unsigned i = 0; i < 25; i++)
		spool_accept(&sp, i, 10);
	spool_answers(&sp);
	ck_assert_uint_eq(sp.done, 20);
	ck_assert_uint_eq(sp.refused, 5);
	ck_assert_uint_eq(sp.why.subject, 3);
	ck_assert_uint_eq(sp.why.detail, 1);
	ck_assert(spool_until(&sp, no_room_told));
	spool_accept_as(&sp, &(struct message_of){ .n = 100, .size = 10, .reserve = true });
	spool_answers(&sp);
	ck_assert_uint_eq(sp.done, 21);		/* a DSN always finds room */
	spool_finish(&sp, 0);
	spool_finish(&sp, 1);
	spool_accept(&sp, 30, 10);		/* 19: not yet below 18 */
	spool_answers(&sp);
	ck_assert_uint_eq(sp.refused, 6);
	spool_finish(&sp, 2);
	spool_finish(&sp, 3);
	ck_assert(spool_until(&sp, room_told));
	spool_accept(&sp, 31, 10);
	spool_answers(&sp);
	ck_assert_uint_eq(sp.done, 22);
}
END_TEST

START_TEST(bounds_on_bytes_and_free_space)
{
	struct conf_spool tight = sp.conf;
	struct status why;
	const struct msgid id = id_of(9);

	tight.max_bytes = 10000;
	store_reconf(sp.store, &tight);
	spool_accept(&sp, 1, 6000);
	spool_answers(&sp);
	spool_accept(&sp, 2, 6000);		/* too large for what is left … */
	spool_accept(&sp, 3, 1000);		/* … which is no reason to refuse this */
	ck_assert_int_eq(store_body_create(sp.store, &id, 6000, &why), -1);
	spool_answers(&sp);
	ck_assert_uint_eq(sp.done, 2);
	ck_assert_uint_eq(sp.refused, 1);
	tight = sp.conf;
	tight.min_free_bytes = UINT64_MAX / 4;
	store_reconf(sp.store, &tight);
	ck_assert(spool_until(&sp, no_room_told));
	spool_accept(&sp, 4, 10);
	spool_answers(&sp);
	ck_assert_uint_eq(sp.refused, 2);
}
END_TEST

/* ---- guards ---- */

START_TEST(a_second_one_is_locked_out)
{
	struct store *other = NULL;
	struct fault f = { 0 };
	int code = 0;

	ck_assert(!store_lock(&other, &sp.conf, &code, &f));
	ck_assert_int_eq(code, 75);
	ck_assert_ptr_null(other);
}
END_TEST

/* Has the lock as a process does that is dying in the middle of a sync. */
static void *
dying_holder(void *arg)
{
	const struct timespec last_breath = { .tv_nsec = 100 * 1000 * 1000 };

	(void)nanosleep(&last_breath, NULL);
	(void)close(*(int *)arg);
	return NULL;
}

START_TEST(the_lock_of_a_dying_one_is_waited_for)
{
	struct fault f = { 0 };
	char path[300];
	pthread_t thread;
	int code = 0, fd;

	spool_close(&sp);
	snprintf(path, sizeof path, "%s/lock", sp.conf.path);
	fd = open(path, O_RDWR);
	ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, dying_holder, &fd), 0);
	ck_assert_msg(store_lock(&sp.store, &sp.conf, &code, &f), "%s", f.text);
	pthread_join(thread, NULL);
	store_close(&sp.store);
	spool_open(&sp);
}
END_TEST

START_TEST(foreign_spools_are_refused)
{
	struct store *other = NULL;
	struct fault f = { 0 };
	char path[300];
	FILE *file = NULL;
	int code = 0;

	spool_close(&sp);
	ck_assert_int_eq(chmod(sp.dir, 0750), 0);
	ck_assert(!store_lock(&other, &sp.conf, &code, &f));
	ck_assert_int_eq(code, 78);
	ck_assert_int_eq(chmod(sp.dir, 0700), 0);
	snprintf(path, sizeof path, "%s/format", sp.dir);
	file = fopen(path, "w");
	fputs("relayd spool 2\nfuture\n", file);
	fclose(file);
	ck_assert(!store_lock(&other, &sp.conf, &code, &f));
	ck_assert_int_eq(code, 78);
	ck_assert_ptr_nonnull(strstr(f.text, "newer"));
	unlink(path);				/* segments without it: not ours */
	ck_assert(!store_lock(&other, &sp.conf, &code, &f));
	ck_assert_int_eq(code, 78);
}
END_TEST

START_TEST(lookups)
{
	char text[MSGID_TEXT_MAX];
	unsigned count = 9;
	size_t at = 0;
	unsigned n = 0;
	struct store_stats st;

	for (unsigned i = 0; i < 50; i++)
		spool_accept(&sp, i, 100);
	spool_answers(&sp);
	msgid_text(&spool_get(&sp, 7)->id, text);
	ck_assert_ptr_eq(store_find_tail(sp.store, text, &count), spool_get(&sp, 7));
	ck_assert_uint_eq(count, 1);
	ck_assert_ptr_null(store_find_tail(sp.store, "no such tail", &count));
	ck_assert_uint_eq(count, 0);
	while (store_each(sp.store, &at) != NULL)
		n++;
	ck_assert_uint_eq(n, 50);
	store_stats(sp.store, &st);
	ck_assert_uint_eq(st.messages, 50);
	ck_assert_uint_eq(st.recipients, 50);
	ck_assert_uint_eq(st.bytes, 5000);
	ck_assert(st.room);
}
END_TEST

static Suite *
store_suite(void)
{
	Suite *s = suite_create("store");
	TCase *tc = tcase_create("calls");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, accept_is_durable_and_readable);
	tcase_add_test(tc, accept_is_idempotent);
	tcase_add_test(tc, accept_refuses_a_damaged_body);
	tcase_add_test(tc, settles_survive);
	tcase_add_test(tc, settles_are_synced_without_an_accept);
	tcase_add_test(tc, history_is_latest_first);
	tcase_add_test(tc, notes_survive_and_drop);
	tcase_add_test(tc, a_debt_is_paid_by_the_accept);
	tcase_add_test(tc, the_last_debt_finishes_the_message);
	tcase_add_test(tc, a_large_body_has_a_file);
	tcase_add_test(tc, a_missing_body_is_refused);
	tcase_add_test(tc, a_damaged_body_file_is_found);
	tcase_add_test(tc, room_has_hysteresis);
	tcase_add_test(tc, bounds_on_bytes_and_free_space);
	tcase_add_test(tc, a_second_one_is_locked_out);
	tcase_add_test(tc, the_lock_of_a_dying_one_is_waited_for);
	tcase_add_test(tc, foreign_spools_are_refused);
	tcase_add_test(tc, lookups);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(store_suite)
