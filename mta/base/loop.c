/*
 * loop.c - the event loop over libevent: one turn is one event_base_loop()
 * and what follows it.  Never runs a caller's function from inside a call of
 * loop.h, and never sleeps while posted work waits.
 *
 * Read next: loop.h.
 */
#include "mta/base/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "mta/base/log.h"
#include "mta/base/mem.h"

struct task {
	loop_fn	*fn;			/* NULL: removed */
	void	*ctx;
};

struct tasks {
	struct task	*v;
	size_t		 n, cap;
};

struct loop_signal_watch {
	struct loop_signal_watch *next;
	struct event		 *ev;
	loop_fn			 *fn;
	void			 *ctx;
};

struct loop {
	struct event_base	*base;
	bool			 stop;
	struct tasks		 posted;	/* for after this turn's callbacks */
	struct tasks		 hooks;		/* at the end of every turn */
	struct tasks		 retired;	/* fn reaps ctx */
	struct loop_signal_watch *signals;	/* owned */
};

struct loop_timer {
	struct event	*ev;
	loop_fn		*fn;
	void		*ctx;
};

struct loop_io {
	struct event		*ev;
	struct event_base	*base;
	int			 fd;
	short			 what;		/* EV_READ | EV_WRITE now wanted */
	loop_io_fn		*fn;
	void			*ctx;
};

struct loop_waker {
	struct loop_io	*io;
	int		 fd;
	loop_fn		*fn;
	void		*ctx;
};

static void
tasks_add(struct tasks *t, loop_fn *fn, void *ctx)
{
	if (t->n == t->cap) {
		t->cap = t->cap == 0 ? 16 : t->cap * 2;
		t->v = xrealloc(t->v, t->cap * sizeof *t->v);
	}
	t->v[t->n++] = (struct task){ .fn = fn, .ctx = ctx };
}

struct loop *
loop_new(void)
{
	struct loop *loop = xcalloc(1, sizeof *loop);
	struct event_config *cfg = event_config_new();

	if (cfg == NULL)
		bug("event_config_new failed");
	/*
	 * The coarse clock that libevent would use runs up to 4 ms behind
	 * ours: a timer would fire before its time has come.
	 */
	(void)event_config_set_flag(cfg, EVENT_BASE_FLAG_PRECISE_TIMER);
	(void)event_config_set_flag(cfg, EVENT_BASE_FLAG_NO_CACHE_TIME);
	loop->base = event_base_new_with_config(cfg);
	event_config_free(cfg);
	if (loop->base == NULL)
		bug("event_base_new failed: %s", strerror(errno));
	return loop;
}

static void
reap(struct loop *loop)
{
	/* Reaping one may retire another: the array grows while we walk. */
	for (size_t i = 0; i < loop->retired.n; i++) {
		const struct task t = loop->retired.v[i];

		t.fn(t.ctx);
	}
	loop->retired.n = 0;
}

void
loop_free(struct loop **loop_p)
{
	struct loop *loop = *loop_p;

	if (loop == NULL)
		return;
	*loop_p = NULL;
	reap(loop);
	while (loop->signals != NULL) {
		struct loop_signal_watch *w = loop->signals;

		loop->signals = w->next;
		event_free(w->ev);
		free(w);
	}
	event_base_free(loop->base);
	free(loop->posted.v);
	free(loop->hooks.v);
	free(loop->retired.v);
	free(loop);
}

/* What a posted task posts waits for the next turn, lest it starve events. */
static void
run_posted(struct loop *loop)
{
	struct tasks now = loop->posted;

	if (now.n == 0)
		return;
	loop->posted = (struct tasks){ 0 };
	for (size_t i = 0; i < now.n; i++)
		now.v[i].fn(now.v[i].ctx);
	if (loop->posted.v == NULL) {		/* keep the array for next time */
		now.n = 0;
		loop->posted = now;
	} else {
		free(now.v);
	}
}

static void
run_hooks(struct loop *loop)
{
	size_t kept = 0;

	for (size_t i = 0; i < loop->hooks.n; i++) {
		const struct task t = loop->hooks.v[i];

		if (t.fn != NULL)
			t.fn(t.ctx);
	}
	for (size_t i = 0; i < loop->hooks.n; i++) {
		if (loop->hooks.v[i].fn != NULL)
			loop->hooks.v[kept++] = loop->hooks.v[i];
	}
	loop->hooks.n = kept;
}

void
loop_run(struct loop *loop)
{
	loop->stop = false;
	while (!loop->stop) {
		int how = EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY;

		if (loop->posted.n > 0)
			how = EVLOOP_NONBLOCK | EVLOOP_NO_EXIT_ON_EMPTY;
		if (event_base_loop(loop->base, how) == -1)
			bug("event_base_loop failed: %s", strerror(errno));
		run_posted(loop);
		run_hooks(loop);
		reap(loop);
	}
}

void
loop_stop(struct loop *loop)
{
	loop->stop = true;
}

struct event_base *
loop_base(struct loop *loop)
{
	return loop->base;
}

static void
on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct loop_timer *t = ctx;

	(void)fd;
	(void)what;
	t->fn(t->ctx);
}

struct loop_timer *
loop_timer_new(struct loop *loop, loop_fn *fn, void *ctx)
{
	struct loop_timer *t = xcalloc(1, sizeof *t);

	t->fn = fn;
	t->ctx = ctx;
	t->ev = event_new(loop->base, -1, 0, on_timer, t);
	if (t->ev == NULL)
		bug("event_new failed");
	return t;
}

void
loop_timer_set(struct loop_timer *t, int64_t ms)
{
	struct timeval tv = { 0 };

	if (ms > 0) {
		tv.tv_sec = ms / 1000;
		tv.tv_usec = ms % 1000 * 1000;
	}
	if (event_add(t->ev, &tv) == -1)
		bug("event_add of a timer failed");
}

void
loop_timer_clear(struct loop_timer *t)
{
	(void)event_del(t->ev);
}

bool
loop_timer_is_set(const struct loop_timer *t)
{
	return event_pending(t->ev, EV_TIMEOUT, NULL) != 0;
}

void
loop_timer_free(struct loop_timer **t)
{
	if (*t == NULL)
		return;
	event_free((*t)->ev);
	free(*t);
	*t = NULL;
}

static void
on_io(evutil_socket_t fd, short what, void *ctx)
{
	struct loop_io *io = ctx;

	(void)fd;
	io->fn(io->ctx, (what & EV_READ) != 0, (what & EV_WRITE) != 0);
}

struct loop_io *
loop_io_new(struct loop *loop, int fd, loop_io_fn *fn, void *ctx)
{
	struct loop_io *io = xcalloc(1, sizeof *io);

	io->base = loop->base;
	io->fd = fd;
	io->fn = fn;
	io->ctx = ctx;
	io->ev = event_new(loop->base, fd, EV_PERSIST, on_io, io);
	if (io->ev == NULL)
		bug("event_new failed");
	return io;
}

void
loop_io_want(struct loop_io *io, bool read, bool write)
{
	const short what = (short)((read ? EV_READ : 0) | (write ? EV_WRITE : 0));

	if (what == io->what)
		return;
	if (io->what != 0)
		(void)event_del(io->ev);
	io->what = what;
	if (what == 0)
		return;
	(void)event_assign(io->ev, io->base, io->fd, (short)(what | EV_PERSIST),
	    on_io, io);
	if (event_add(io->ev, NULL) == -1)
		bug("event_add of descriptor %d failed: %s", io->fd,
		    strerror(errno));
}

void
loop_io_free(struct loop_io **io)
{
	if (*io == NULL)
		return;
	event_free((*io)->ev);
	free(*io);
	*io = NULL;
}

void
loop_post(struct loop *loop, loop_fn *fn, void *ctx)
{
	tasks_add(&loop->posted, fn, ctx);
}

void
loop_on_turn(struct loop *loop, loop_fn *fn, void *ctx)
{
	tasks_add(&loop->hooks, fn, ctx);
}

void
loop_on_turn_remove(struct loop *loop, loop_fn *fn, void *ctx)
{
	for (size_t i = 0; i < loop->hooks.n; i++) {
		struct task *t = &loop->hooks.v[i];

		if (t->fn == fn && t->ctx == ctx) {
			t->fn = NULL;		/* swept by run_hooks() */
			return;
		}
	}
}

void
loop_retire(struct loop *loop, void *obj, loop_fn *reap_fn)
{
	tasks_add(&loop->retired, reap_fn, obj);
}

static void
on_signal(evutil_socket_t signo, short what, void *ctx)
{
	struct loop_signal_watch *w = ctx;

	(void)signo;
	(void)what;
	w->fn(w->ctx);
}

void
loop_signal(struct loop *loop, int signo, loop_fn *fn, void *ctx)
{
	struct loop_signal_watch *w = xcalloc(1, sizeof *w);

	w->fn = fn;
	w->ctx = ctx;
	w->ev = evsignal_new(loop->base, signo, on_signal, w);
	if (w->ev == NULL || event_add(w->ev, NULL) == -1)
		bug("cannot watch signal %d", signo);
	w->next = loop->signals;
	loop->signals = w;
}

static void
on_wake(void *ctx, bool readable, bool writable)
{
	struct loop_waker *w = ctx;
	uint64_t calls;
	const ssize_t n = read(w->fd, &calls, sizeof calls);

	(void)readable;
	(void)writable;
	if (n == sizeof calls)
		w->fn(w->ctx);
}

struct loop_waker *
loop_waker_new(struct loop *loop, loop_fn *fn, void *ctx)
{
	struct loop_waker *w = xcalloc(1, sizeof *w);

	w->fn = fn;
	w->ctx = ctx;
	w->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (w->fd == -1)
		bug("eventfd failed: %s", strerror(errno));
	w->io = loop_io_new(loop, w->fd, on_wake, w);
	loop_io_want(w->io, true, false);
	return w;
}

void
loop_wake(struct loop_waker *w)
{
	const uint64_t one = 1;
	const ssize_t n = write(w->fd, &one, sizeof one);

	(void)n;	/* EAGAIN: the count is full, so it is awake already */
}

void
loop_waker_free(struct loop_waker **w)
{
	if (*w == NULL)
		return;
	loop_io_free(&(*w)->io);
	(void)close((*w)->fd);
	free(*w);
	*w = NULL;
}
