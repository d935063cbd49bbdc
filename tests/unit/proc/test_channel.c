/*
 * test_channel.c - frames over a real socket pair: whole and torn, small and
 * huge, with descriptors, under pause, and from an end that talks nonsense.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mta/base/log.h"
#include "mta/base/loop.h"
#include "mta/proc/channel.h"
#include "tests/unit/check_main.h"

/* What one end has seen. */
struct end {
	struct channel	*ch;
	unsigned	 frames, gone, drains;
	uint16_t	 types[64];
	size_t		 sizes[64];
	int		 fds[64];
	uint64_t	 sum;		/* of all payload bytes */
	unsigned	 stop_at;	/* frames; 0: at the end */
	bool		 free_at_first, pause_at_first;
};

static struct loop *loop;
static struct end a, b;
static int raw;				/* the other end of b, when it is by hand */

static void
on_frame(void *ctx, uint16_t type, struct rd *payload, int fd)
{
	struct end *e = ctx;
	const size_t n = rd_left(payload);
	const uint8_t *p = rd_raw(payload, n);

	ck_assert_uint_eq(e->gone, 0);
	ck_assert_uint_lt(e->frames, 64);
	e->types[e->frames] = type;
	e->sizes[e->frames] = n;
	e->fds[e->frames] = fd;
	for (size_t i = 0; i < n; i += 997)
		e->sum += p[i];
	e->frames++;
	if (e->free_at_first) {
		channel_free(&e->ch);
		e->sum += p[n - 1];	/* still lent to us */
		loop_stop(loop);
		return;
	}
	if (e->pause_at_first && e->frames == 1)
		channel_pause(e->ch, true);
	if (e->frames == e->stop_at)
		loop_stop(loop);
}

static void
on_gone(void *ctx)
{
	struct end *e = ctx;

	e->gone++;
	loop_stop(loop);
}

static void
on_drain(void *ctx)
{
	struct end *e = ctx;

	e->drains++;
}

static void
setup(void)
{
	int pair[2];

	loop = loop_new();
	log_open(NULL, open("/dev/null", O_WRONLY), "test");
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	a = b = (struct end){ 0 };
	a.ch = channel_new(loop, pair[0], on_frame, on_gone, &a);
	b.ch = channel_new(loop, pair[1], on_frame, on_gone, &b);
}

/* b alone; the test writes the other end byte by byte. */
static void
setup_raw(void)
{
	int pair[2];

	loop = loop_new();
	log_open(NULL, open("/dev/null", O_WRONLY), "test");
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	raw = pair[0];
	a = b = (struct end){ 0 };
	b.ch = channel_new(loop, pair[1], on_frame, on_gone, &b);
}

static void
teardown(void)
{
	channel_free(&a.ch);
	channel_free(&b.ch);
	loop_free(&loop);
}

static void
send_one(struct end *e, uint16_t type, size_t n, int fd)
{
	struct buf *out = channel_begin(e->ch, type);

	memset(buf_room(out, n), type, n);
	out->len += n;
	channel_end(e->ch, fd);
}

START_TEST(both_ways_in_order)
{
	a.stop_at = 0;
	b.stop_at = 3;
	send_one(&a, 1, 0, -1);
	send_one(&a, 2, 5, -1);
	send_one(&a, 0xfffe, 100000, -1);
	send_one(&b, 9, 1, -1);
	ck_assert_uint_gt(channel_pending(a.ch), 100000);
	loop_run(loop);
	ck_assert_uint_eq(b.types[0], 1);
	ck_assert_uint_eq(b.sizes[0], 0);
	ck_assert_uint_eq(b.sizes[1], 5);
	ck_assert_uint_eq(b.types[2], 0xfffe);
	ck_assert_uint_eq(b.sizes[2], 100000);
	ck_assert_uint_eq(a.frames, 1);
	ck_assert_uint_eq(channel_pending(a.ch), 0);
}
END_TEST

START_TEST(huge_frame)
{
	const size_t n = CHANNEL_FRAME_MAX;
	uint64_t sum = 0;

	channel_on_drain(a.ch, 1000, on_drain, &a);
	send_one(&a, 3, n, -1);
	send_one(&a, 4, 1, -1);
	for (size_t i = 0; i < n; i += 997)
		sum += 3;
	b.stop_at = 2;
	loop_run(loop);
	ck_assert_uint_eq(b.sizes[0], n);
	ck_assert_uint_eq(b.sum, sum + 4);
	ck_assert_uint_eq(a.drains, 1);
}
END_TEST

/* Small and large frames, with and without: each gets its own descriptor. */
START_TEST(descriptors_stay_with_their_frames)
{
	struct stat sent[40], came;

	for (uint16_t i = 0; i < 40; i++) {
		int fd = -1;

		if (i % 3 != 0) {
			int pipes[2];

			ck_assert_int_eq(pipe(pipes), 0);
			close(pipes[1]);
			fd = pipes[0];
			ck_assert_int_eq(fstat(fd, &sent[i]), 0);
		}
		send_one(&a, i, i % 7 == 0 ? 300000 : 10, fd);
	}
	b.stop_at = 40;
	loop_run(loop);
	for (int i = 0; i < 40; i++) {
		ck_assert_uint_eq(b.types[i], i);
		ck_assert_int_eq(b.fds[i] != -1, i % 3 != 0);
		if (b.fds[i] == -1)
			continue;
		ck_assert_int_eq(fstat(b.fds[i], &came), 0);
		ck_assert_uint_eq(came.st_ino, sent[i].st_ino);
		ck_assert(fcntl(b.fds[i], F_GETFD) & FD_CLOEXEC);
		close(b.fds[i]);
	}
}
END_TEST

START_TEST(gone_after_the_last_frame)
{
	send_one(&a, 5, 10, -1);
	send_one(&a, 6, 10, -1);
	channel_flush(a.ch, 1000);
	ck_assert_uint_eq(channel_pending(a.ch), 0);
	channel_free(&a.ch);
	ck_assert_ptr_null(a.ch);
	loop_run(loop);
	ck_assert_uint_eq(b.frames, 2);
	ck_assert_uint_eq(b.gone, 1);
	/* What is said to the dead is lost, and a descriptor with it. */
	send_one(&b, 7, 10, open("/dev/null", O_RDONLY));
	channel_flush(b.ch, 100);
	ck_assert_uint_eq(channel_pending(b.ch), 0);
}
END_TEST

START_TEST(freed_in_its_own_callback)
{
	b.free_at_first = true;
	send_one(&a, 1, 10, -1);
	send_one(&a, 2, 10, -1);
	loop_run(loop);
	ck_assert_uint_eq(b.frames, 1);
	ck_assert_ptr_null(b.ch);
}
END_TEST

static void
on_unpause(void *ctx)
{
	ck_assert_uint_eq(b.frames, 1);
	channel_pause(ctx, false);
}

START_TEST(pause_keeps_frames_and_the_end)
{
	struct loop_timer *t = loop_timer_new(loop, on_unpause, b.ch);

	b.pause_at_first = true;
	for (uint16_t i = 0; i < 5; i++)
		send_one(&a, i, 10, -1);
	channel_flush(a.ch, 1000);
	channel_free(&a.ch);
	loop_timer_set(t, 20);
	loop_run(loop);		/* until gone */
	ck_assert_uint_eq(b.frames, 5);
	ck_assert_uint_eq(b.gone, 1);
	loop_timer_free(&t);
}
END_TEST

static void
raw_write(const void *p, size_t n)
{
	ck_assert_int_eq(write(raw, p, n), (ssize_t)n);
}

static const uint8_t *torn;
static size_t torn_at, torn_len;

static void
on_torn(void *ctx)
{
	if (torn_at < torn_len) {
		raw_write(torn + torn_at++, 1);
		loop_post(loop, on_torn, ctx);
	}
}

START_TEST(torn_into_single_bytes)
{
	static const uint8_t bytes[] = {
		3, 0, 0, 0, 7, 1, 0, 0, 'a', 'b', 'c',
		0, 0, 0, 0, 8, 0, 0, 0,
	};

	torn = bytes;
	torn_at = 0;
	torn_len = sizeof bytes;
	b.stop_at = 2;
	loop_post(loop, on_torn, NULL);
	loop_run(loop);
	ck_assert_uint_eq(b.types[0], 0x107);
	ck_assert_uint_eq(b.sizes[0], 3);
	ck_assert_uint_eq(b.types[1], 8);
	close(raw);
}
END_TEST

START_TEST(half_frame_then_end)
{
	static const uint8_t bytes[] = {
		0, 0, 0, 0, 1, 0, 0, 0,	9, 0, 0, 0, 2, 0, 0, 0, 'x',
	};

	raw_write(bytes, sizeof bytes);
	close(raw);
	loop_run(loop);
	ck_assert_uint_eq(b.frames, 1);
	ck_assert_uint_eq(b.gone, 1);
}
END_TEST

static const uint8_t nonsense[][8] = {
	{ 1, 0, 0, 4, 1, 0, 0, 0 },	/* one byte more than allowed */
	{ 255, 255, 255, 255, 1, 0, 0, 0 },
	{ 0, 0, 0, 0, 1, 0, 2, 0 },	/* two descriptors */
	{ 0, 0, 0, 0, 1, 0, 1, 0 },	/* one, but none came */
	{ 0, 0, 0, 0, 1, 0, 0, 1 },	/* not zero */
};

START_TEST(nonsense_ends_it)
{
	static const uint8_t good[8] = { 0, 0, 0, 0, 1, 0, 0, 0 };

	raw_write(good, sizeof good);
	raw_write(nonsense[_i], sizeof nonsense[_i]);
	raw_write(good, sizeof good);
	loop_run(loop);
	ck_assert_uint_eq(b.frames, 1);
	ck_assert_uint_eq(b.gone, 1);
	close(raw);
}
END_TEST

static Suite *
channel_suite(void)
{
	Suite *s = suite_create("channel");
	TCase *tc = tcase_create("pair");
	TCase *hand = tcase_create("by_hand");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, both_ways_in_order);
	tcase_add_test(tc, huge_frame);
	tcase_add_test(tc, descriptors_stay_with_their_frames);
	tcase_add_test(tc, gone_after_the_last_frame);
	tcase_add_test(tc, freed_in_its_own_callback);
	tcase_add_test(tc, pause_keeps_frames_and_the_end);
	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(hand, setup_raw, teardown);
	tcase_add_test(hand, torn_into_single_bytes);
	tcase_add_test(hand, half_frame_then_end);
	tcase_add_loop_test(hand, nonsense_ends_it, 0, COUNT_OF(nonsense));
	suite_add_tcase(s, hand);
	return s;
}

CHECK_MAIN(channel_suite)
