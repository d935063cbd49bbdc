/*
 * loop.h - the event loop of a role: descriptors, timers, signals, and what is
 * done once per turn.  libevent stays behind this header.
 *
 * One turn: wait, run the callbacks of what is ready, run posted tasks, run
 * the turn hooks (where channels and log write what has gathered), reap the
 * retired.  All callbacks run from loop_run(), never from inside another call
 * of this header.  Single-threaded but for loop_wake().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct loop;
struct loop_timer;
struct loop_io;
struct loop_waker;

typedef void loop_fn(void *ctx);
typedef void loop_io_fn(void *ctx, bool readable, bool writable);

struct loop *loop_new(void);
void loop_free(struct loop **loop);
void loop_run(struct loop *loop);		/* until loop_stop() */
void loop_stop(struct loop *loop);		/* the turn is finished, hooks included */
struct event_base *loop_base(struct loop *loop);	/* for smtp/stream, dns/channel, web */

/* One-shot timers. */
struct loop_timer *loop_timer_new(struct loop *loop, loop_fn *fn, void *ctx);
void loop_timer_set(struct loop_timer *t, int64_t ms);	/* from now; replaces what was set */
void loop_timer_clear(struct loop_timer *t);
bool loop_timer_is_set(const struct loop_timer *t);
void loop_timer_free(struct loop_timer **t);		/* *t may be NULL */

/* A descriptor, level-triggered.  fd is borrowed: close it after loop_io_free(). */
struct loop_io *loop_io_new(struct loop *loop, int fd, loop_io_fn *fn, void *ctx);
void loop_io_want(struct loop_io *io, bool read, bool write);	/* starts with neither */
void loop_io_free(struct loop_io **io);

/* Runs fn once, after the callbacks of this turn.  Cannot be cancelled. */
void loop_post(struct loop *loop, loop_fn *fn, void *ctx);

/* Runs fn at the end of every turn, in order of registration, until removed. */
void loop_on_turn(struct loop *loop, loop_fn *fn, void *ctx);
void loop_on_turn_remove(struct loop *loop, loop_fn *fn, void *ctx);

/* Frees obj by reap(obj) when the turn is over: no callback can still hold it. */
void loop_retire(struct loop *loop, void *obj, loop_fn *reap);

void loop_signal(struct loop *loop, int signo, loop_fn *fn, void *ctx);

/* Wakes the loop from another thread; fn runs in the loop, calls coalesce. */
struct loop_waker *loop_waker_new(struct loop *loop, loop_fn *fn, void *ctx);
void loop_wake(struct loop_waker *w);		/* any thread */
void loop_waker_free(struct loop_waker **w);
