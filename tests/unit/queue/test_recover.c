/*
 * test_recover.c - what is found after a crash, a torn tail or damage.
 * Never trusts a clean close: spools are copied or killed in mid-work.
 * Read next: queue/README.md, queue/recover.c.
 */
#include <signal.h>
#include <sys/wait.h>

#include "tests/unit/check_main.h"
#include "tests/unit/queue/spool_fixture.h"

#define SEG (256u << 10)

static struct spool sp;

static void
setup(void)
{
	spool_init(&sp, SEG);
}

static void
teardown(void)
{
	spool_remove(&sp);
}

static void
segment_path(uint32_t number, char path[300])
{
	snprintf(path, 300, "%s/log/%010u", sp.dir, number);
}

/* Overwrites a stretch of a segment; old bytes to was when not NULL. */
static void
scribble(uint32_t number, uint32_t off, const void *bytes, size_t n, void *was)
{
	char path[300];
	int fd = -1;

	segment_path(number, path);
	fd = open(path, O_RDWR);
	ck_assert_int_ne(fd, -1);
	if (was != NULL)
		ck_assert_int_eq(pread(fd, was, n, off), (ssize_t)n);
	ck_assert_int_eq(pwrite(fd, bytes, n, off), (ssize_t)n);
	close(fd);
}

/* Where a text stands in a segment. */
static uint32_t
find_text(uint32_t number, const char *text)
{
	static uint8_t all[SEG];
	char path[300];
	const uint8_t *at = NULL;
	int fd = -1;

	segment_path(number, path);
	fd = open(path, O_RDONLY);
	ck_assert_int_eq(read(fd, all, SEG), SEG);
	close(fd);
	at = memmem(all, SEG, text, strlen(text));
	ck_assert_ptr_nonnull(at);
	return (uint32_t)(at - all);
}

static void
accept_alone(unsigned n, size_t size)
{
	spool_accept(&sp, n, size);
	spool_answers(&sp);
}

/* ---- torn tails ---- */

/*
 * Message 1 is old; the commit of message 2 is the last.  Bytes of it are lost
 * from every 512 boundary on: 1 stays, 2 goes, and stays away even when its
 * bytes come back later.
 */
START_TEST(a_torn_tail_does_not_count)
{
	static const uint8_t zeros[16384];
	uint8_t was[16384];
	const uint32_t cut = (uint32_t)_i * 512;
	uint32_t number = 0, from = 0, end = 0;

	spool_open(&sp);
	accept_alone(1, 3000);
	number = sp.store->commit.active->number;
	from = sp.store->commit.active->end;
	accept_alone(2, 9000);
	end = sp.store->commit.active->end;
	spool_close(&sp);
	ck_assert_uint_eq(end - from, 12288);
	scribble(number, from + cut, zeros, end - from - cut, was);
	spool_open(&sp);
	ck_assert_uint_eq(sp.nmessages, 1);
	spool_check(&sp, 1, 3000);
	ck_assert_uint_eq(spool_files(&sp, "quarantine"), 0);
	accept_alone(3, 100);
	spool_close(&sp);
	scribble(number, from + cut, was, end - from - cut, NULL);
	spool_open(&sp);
	ck_assert_ptr_null(spool_get(&sp, 2));
	spool_check(&sp, 3, 100);
	accept_alone(2, 500);			/* the client's next attempt */
	ck_assert_uint_eq(sp.refused + sp.have, 0);
	spool_check(&sp, 2, 500);
}
END_TEST

START_TEST(a_flipped_byte_in_the_tail)
{
	uint32_t number = 0, from = 0;
	uint8_t byte = 0x5a, was = 0;

	spool_open(&sp);
	accept_alone(1, 300);
	number = sp.store->commit.active->number;
	from = sp.store->commit.active->end;
	accept_alone(2, 9000);
	spool_close(&sp);
	scribble(number, from + (uint32_t)_i * 500 + 3, &byte, 1, &was);
	spool_open(&sp);
	ck_assert_uint_eq(sp.nmessages, was == byte ? 2 : 1);
	spool_check(&sp, 1, 300);
}
END_TEST

/*
 * The era that told of the torn tail may be settled and gone: its first segment
 * must stay as long as the tail does.
 */
START_TEST(a_torn_tail_stays_out_for_ever)
{
	static const uint8_t zeros[BLOCK];
	uint8_t was[BLOCK];
	uint32_t number = 0, from = 0;

	spool_open(&sp);
	accept_alone(1, 3000);
	number = sp.store->commit.active->number;
	from = sp.store->commit.active->end;
	accept_alone(2, 3000);
	spool_close(&sp);
	scribble(number, from, zeros, sizeof zeros, was);
	for (int life = 0; life < 4; life++) {
		spool_open(&sp);
		for (unsigned n = 100; n < 140; n++)
			accept_alone(n + 1000u * (unsigned)life, 4000);
		for (unsigned n = 100; n < 140; n++)
			spool_finish(&sp, n + 1000u * (unsigned)life);
		spool_settle_down(&sp);
		spool_close(&sp);
		if (life == 0)
			scribble(number, from, was, sizeof zeros, NULL);
	}
	spool_open(&sp);
	ck_assert_uint_eq(sp.nmessages, 1);
	spool_check(&sp, 1, 3000);
	ck_assert_uint_eq(spool_files(&sp, "quarantine"), 0);
	spool_finish(&sp, 1);
	spool_settle_down(&sp);			/* now all of it may go */
	ck_assert_uint_le(sp.store->ix.segments.n, 2);
}
END_TEST

/* ---- damage ---- */

START_TEST(damage_is_quarantined_and_salvaged)
{
	uint32_t number = 0;
	uint8_t byte = 0x77;

	spool_open(&sp);
	accept_alone(1, 300);
	number = sp.store->commit.active->number;
	for (unsigned n = 10; n < 15; n++)	/* one commit */
		spool_accept(&sp, n, 1000);
	spool_answers(&sp);
	accept_alone(20, 300);
	accept_alone(21, 300);			/* its mark covers the commits before */
	spool_close(&sp);
	/* Into the envelope of one of the five: its record is lost, the others are not. */
	scribble(number, find_text(number, "r12.0@there.test"), &byte, 1, NULL);
	for (int life = 0; life < 3; life++) {
		spool_open(&sp);
		ck_assert_uint_eq(sp.nmessages, 7);
		spool_check(&sp, 1, 300);
		spool_check(&sp, 10, 1000);
		spool_check(&sp, 14, 1000);
		ck_assert_ptr_null(spool_get(&sp, 12));
		spool_check(&sp, 20, 300);
		spool_check(&sp, 21, 300);
		ck_assert_uint_eq(spool_files(&sp, "quarantine"), 1);
		spool_close(&sp);
	}
}
END_TEST

START_TEST(a_lost_commit_does_not_hide_what_follows)
{
	static const uint8_t zeros[BLOCK];
	uint32_t number = 0, from = 0;

	spool_open(&sp);
	accept_alone(1, 300);
	number = sp.store->commit.active->number;
	from = _i == 0 ? BLOCK : sp.store->commit.active->end;	/* also the very first */
	accept_alone(2, 300);
	accept_alone(3, 300);
	accept_alone(4, 300);
	spool_close(&sp);
	scribble(number, from, zeros, sizeof zeros, NULL);
	spool_open(&sp);
	ck_assert_uint_eq(sp.nmessages, 3);
	ck_assert_ptr_null(spool_get(&sp, _i == 0 ? 1 : 2));
	spool_check(&sp, 3, 300);
	spool_check(&sp, 4, 300);
	ck_assert_uint_eq(spool_files(&sp, "quarantine"), 1);
}
END_TEST

START_TEST(a_damaged_body_is_not_delivered)
{
	struct store_read r;
	struct fault f = { 0 };
	uint32_t number = 0;
	uint8_t byte = 0;

	spool_open(&sp);
	accept_alone(1, 3000);
	accept_alone(2, 10);
	accept_alone(3, 10);
	number = sp.store->commit.active->number;
	spool_close(&sp);
	scribble(number, BLOCK + 2000, &byte, 1, NULL);
	spool_open(&sp);
	ck_assert_uint_eq(sp.nmessages, 3);	/* its envelope is salvaged */
	ck_assert_int_ne(store_read_now(sp.store, spool_get(&sp, 1), STORE_READ_BODY, &r, &f), 1);
	ck_assert(!spool_read(&sp, 1, &r));
	ck_assert_int_eq(store_read_now(sp.store, spool_get(&sp, 1), 0, &r, &f), 1);
	store_read_free(&r);
}
END_TEST

START_TEST(a_file_without_header_is_set_aside)
{
	static const uint8_t zeros[BLOCK];
	uint32_t number = 0;

	spool_open(&sp);
	accept_alone(1, 300);
	number = sp.store->commit.active->number;
	spool_close(&sp);
	spool_open(&sp);
	accept_alone(2, 300);
	spool_close(&sp);
	scribble(number, 0, zeros, sizeof zeros, NULL);
	spool_open(&sp);
	ck_assert_uint_eq(sp.nmessages, 1);
	spool_check(&sp, 2, 300);
	ck_assert_uint_eq(spool_files(&sp, "quarantine"), 1);
}
END_TEST

/* ---- any moment ---- */

/* A picture of all that recovery tells, for comparison. */
static void
picture(struct spool *p, struct buf *out)
{
	size_t at = 0;
	struct store_message *m = NULL;
	uint32_t sum = 0;

	while ((m = store_each(p->store, &at)) != NULL) {
		uint32_t crc = crc32c(0, m->id.b, sizeof m->id.b);

		crc = crc32c(crc, &m->segment, sizeof m->segment);
		crc = crc32c(crc, &m->offset, sizeof m->offset);
		crc = crc32c(crc, m->rcpts, m->nrcpts * sizeof *m->rcpts);
		sum += crc;			/* in no order */
	}
	buf_printf(out, "%u %u %08x", p->nmessages, p->nnotes, sum);
}

static void
step(struct spool *p, unsigned n)
{
	spool_accept_as(p, &(struct message_of){ .n = n, .size = n * 37 % 5000, .nrcpts = 1 + n % 3 });
	if (n % 3 == 0)
		spool_answers(p);
	if (n >= 5 && n % 5 == 0 && spool_get(p, n - 5) != NULL)
		spool_finish(p, n - 5);
	else if (n >= 4 && n % 2 == 0 && spool_get(p, n - 4) != NULL)
		spool_defer(p, n - 4, 0, (uint16_t)n, "not now");
	if (n % 7 == 0)
		store_note_put(p->store, NOTE_HOLD, n % 2 ? "x" : "y", (const uint8_t *)"v", 1);
}

START_TEST(a_copy_of_any_moment_recovers)
{
	spool_open(&sp);
	for (unsigned n = 1; n <= 120; n++) {
		struct spool copy;
		struct buf one = { 0 }, two = { 0 };
		unsigned done = 0;

		step(&sp, n);
		if (n % 17 != 0)
			continue;
		done = sp.done;
		spool_snapshot(&sp, &copy);
		spool_open(&copy);
		picture(&copy, &one);
		/* All that was acknowledged is there: as a message or as a settled id. */
		for (unsigned k = 1; k <= n; k++)
			spool_accept(&copy, k, 10);
		spool_answers(&copy);
		ck_assert_uint_ge(copy.have, done);
		spool_close(&copy);
		spool_remove(&copy);
		spool_snapshot(&sp, &copy);
		spool_open(&copy);
		spool_close(&copy);
		spool_open(&copy);		/* recovery of the recovered */
		picture(&copy, &two);
		ck_assert_str_eq(buf_cstr(&one), buf_cstr(&two));
		ck_assert_uint_eq(spool_files(&copy, "quarantine"), 0);
		spool_remove(&copy);
		buf_free(&one);
		buf_free(&two);
	}
}
END_TEST

/* ---- killed ---- */

static void
child(int to)
{
	unsigned told = 0;

	ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
	spool_open(&sp);
	for (unsigned n = 1;; n++) {
		step(&sp, n);
		if (n % 3 != 0)
			continue;
		for (; told < n; told++) {	/* all up to n are answered done */
			const unsigned ack = told + 1;

			if (write(to, &ack, sizeof ack) != sizeof ack)
				_exit(1);
		}
	}
}

START_TEST(killed_without_losing_an_acknowledged_message)
{
	int ends[2], status = 0;
	unsigned ack = 0, last = 0;
	pid_t pid = 0;

	ck_assert_int_eq(pipe(ends), 0);
	pid = fork();
	ck_assert_int_ne(pid, -1);
	if (pid == 0) {
		close(ends[0]);
		child(ends[1]);
	}
	close(ends[1]);
	while (last < 150u + 40u * (unsigned)_i && read(ends[0], &ack, sizeof ack) == sizeof ack)
		last = ack;
	kill(pid, SIGKILL);
	while (read(ends[0], &ack, sizeof ack) == sizeof ack)
		last = ack;
	close(ends[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
	spool_open(&sp);
	for (unsigned n = 1; n <= last; n++)
		spool_accept(&sp, n, 10);
	spool_answers(&sp);
	ck_assert_uint_eq(sp.have, last);
	ck_assert_uint_eq(spool_files(&sp, "quarantine"), 0);
	for (unsigned n = 1; n <= last; n++) {
		if (spool_get(&sp, n) != NULL)
			spool_check(&sp, n, n * 37 % 5000);
	}
}
END_TEST

static Suite *
recover_suite(void)
{
	Suite *s = suite_create("recover");
	TCase *tc = tcase_create("after a crash");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, a_torn_tail_does_not_count, 0, 18);
	tcase_add_test(tc, a_torn_tail_stays_out_for_ever);
	tcase_add_loop_test(tc, a_flipped_byte_in_the_tail, 0, 18);
	tcase_add_test(tc, damage_is_quarantined_and_salvaged);
	tcase_add_loop_test(tc, a_lost_commit_does_not_hide_what_follows, 0, 2);
	tcase_add_test(tc, a_damaged_body_is_not_delivered);
	tcase_add_test(tc, a_file_without_header_is_set_aside);
	tcase_add_test(tc, a_copy_of_any_moment_recovers);
	tcase_add_loop_test(tc, killed_without_losing_an_acknowledged_message, 0, 3);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(recover_suite)
