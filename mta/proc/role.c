/*
 * role.c - the frame in which every role runs: reads what the parent sends on
 * descriptor 3, closes the process in, and hands on to the role's own table.
 * Never knows what a role does.  One role per process, hence the static state.
 *
 * Read next: role.h (the story of a restart), parent.c (the other end).
 */
#include "mta/proc/role.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <unistd.h>

#include "conf/conf.h"
#include "mta/base/counters.h"
#include "mta/base/log.h"
#include "mta/base/loop.h"
#include "mta/proc/channel.h"
#include "mta/proc/frame.h"
#include "mta/proc/sandbox.h"

static struct {
	struct role_ctx		 self;
	const struct role_ops	*ops;
	void			*ctx;
	struct channel		*parent;	/* owned */
	struct conf		*conf;		/* shared; NULL before the first CONF */
	bool			 started;
} state;

static const struct role_row {
	const char	*name;
	unsigned	 column;	/* of its process 0 */
} role_rows[] = {
	[ROLE_PARENT]	= { "parent", 0 },
	[ROLE_RX]	= { "rx", 16 },
	[ROLE_QUEUE]	= { "queue", 1 },
	[ROLE_TX]	= { "tx", 16 + ROLE_PROCESSES_MAX },
	[ROLE_CTL]	= { "ctl", 2 },
};
_Static_assert(COUNT_OF(role_rows) == ROLE_COUNT, "one row per role");
_Static_assert(16 + 2 * ROLE_PROCESSES_MAX <= COUNTER_COLUMNS, "columns");

const char *
role_name(enum role role)
{
	return (unsigned)role < ROLE_COUNT ? role_rows[role].name : "unknown";
}

bool
role_by_name(const char *name, enum role *role_r)
{
	for (int r = ROLE_PARENT; r < ROLE_COUNT; r++) {
		if (strcmp(role_rows[r].name, name) == 0) {
			*role_r = (enum role)r;
			return true;
		}
	}
	return false;
}

unsigned
role_column(enum role role, unsigned index)
{
	return role_rows[role].column + index;
}

const struct role_ctx *
role_self(void)
{
	return &state.self;
}

struct buf *
role_parent_begin(uint16_t type)
{
	return channel_begin(state.parent, type);
}

void
role_parent_end(int fd)
{
	channel_end(state.parent, fd);
}

static void
tell_parent(uint16_t type)
{
	(void)role_parent_begin(type);
	role_parent_end(-1);
}

void
role_ready(void)
{
	tell_parent(PF_READY);
}

void
role_exit(void)
{
	loop_stop(state.self.loop);
}

void
role_die(int exit_code, const char *fmt, ...)
{
	char text[1024];
	struct buf *b;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	b = role_parent_begin(PF_FATAL);
	buf_str(b, text);
	buf_u8(b, (uint8_t)exit_code);
	role_parent_end(-1);
	channel_flush(state.parent, 1000);
	log_flush();
	_exit(exit_code);
}

static void
take_conf(struct rd *payload)
{
	struct conf *conf = conf_decode(payload);

	if (conf == NULL)
		role_die(EX_SOFTWARE, "the configuration came garbled");
	conf_unref(&state.conf);
	state.conf = conf;
	log_set_trace(conf->log.trace);
}

static void
answer_conf(void)
{
	buf_u64(role_parent_begin(PF_CONF_TAKEN), state.conf->generation);
	role_parent_end(-1);
}

static void
on_conf(struct rd *payload)
{
	take_conf(payload);
	if (!state.started) {
		/* start() wants the loop at rest: what follows waits. */
		channel_pause(state.parent, true);
		loop_stop(state.self.loop);
		return;
	}
	if (state.ops->reload != NULL)
		state.ops->reload(state.ctx, state.conf);
	answer_conf();
}

static void
on_listen(struct rd *payload, int fd)
{
	const uint32_t number = rd_u32(payload);

	if (payload->bad || fd == -1)
		bug("listener without a number or a socket");
	if (state.ops->listen != NULL)
		state.ops->listen(state.ctx, number, fd);
	else
		(void)close(fd);
}

static void
on_peer(struct rd *payload, int fd)
{
	const uint8_t role = rd_u8(payload);
	const uint8_t index = rd_u8(payload);
	const uint32_t generation = rd_u32(payload);

	if (payload->bad || fd == -1 || role >= ROLE_COUNT)
		bug("peer without a role or a socket");
	log_trace("peer", "role=%s index=%u generation=%u",
	    role_name((enum role)role), index, generation);
	if (state.ops->peer != NULL)
		state.ops->peer(state.ctx, (enum role)role, index, generation, fd);
	else
		(void)close(fd);
}

static void
on_frame(void *ctx, uint16_t type, struct rd *payload, int fd)
{
	(void)ctx;
	switch (type) {
	case PF_CONF:
		on_conf(payload);
		break;
	case PF_LISTEN:
		on_listen(payload, fd);
		return;		/* fd is given on */
	case PF_PEER:
		on_peer(payload, fd);
		return;
	case PF_PING:
		tell_parent(PF_PONG);
		break;
	case PF_DRAIN:
		if (state.ops->drain != NULL)
			state.ops->drain(state.ctx);
		else
			role_exit();
		break;
	default:
		if (state.ops->frame != NULL)
			state.ops->frame(state.ctx, type, payload);
		break;
	}
	if (fd != -1)
		(void)close(fd);
}

/* Without a parent nobody would restart or stop us: the spool makes it safe. */
static void
on_parent_gone(void *ctx)
{
	(void)ctx;
	log_fatal("parent_gone", "%s", "");
	_exit(EX_UNAVAILABLE);
}

static void
say_hello(void)
{
	struct buf *b = role_parent_begin(PF_HELLO);

	buf_u32(b, PROC_VERSION);
	buf_u8(b, (uint8_t)state.self.role);
	buf_u8(b, (uint8_t)state.self.index);
	role_parent_end(-1);
}

/* With CONF read: opens what the role must open by path, then shuts the door. */
static void
close_in(void)
{
	const struct conf *conf = state.conf;
	struct fault f = { 0 };

	if (!sandbox_as_user(conf->user, true, &f))
		role_die(EX_OSERR, "%s", f.text);
	if (state.ops->open != NULL && !state.ops->open(state.ctx, conf, &f))
		role_die(EX_CANTCREAT, "%s", f.text);
	if (!sandbox_as_user(conf->user, false, &f) ||
	    !sandbox_enter(conf->user, conf->root, &f))
		role_die(EX_OSERR, "%s", f.text);
}

static void
set_names(enum role role, unsigned index, char *name, size_t size)
{
	char title[16];		/* as long as the kernel keeps */

	/* One process of a kind is the rule: then no number. */
	if (index == 0)
		(void)snprintf(name, size, "%s", role_name(role));
	else
		(void)snprintf(name, size, "%s%u", role_name(role), index);
	(void)snprintf(title, sizeof title, "relayd-%.8s", name);
	(void)prctl(PR_SET_NAME, title);
}

int
role_main(enum role role, unsigned index, const struct role_ops *ops, void *ctx)
{
	struct loop *loop;
	struct fault f = { 0 };
	char name[32];

	sandbox_begin();
	set_names(role, index, name, sizeof name);
	loop = loop_new();
	state.self = (struct role_ctx){ .loop = loop, .role = role, .index = index };
	state.ops = ops;
	state.ctx = ctx;
	log_open(loop, ROLE_FD_LOG, name);
	state.parent = channel_new(loop, ROLE_FD_PARENT, on_frame,
	    on_parent_gone, NULL);
	if (!counters_map(ROLE_FD_COUNTERS, role_column(role, index), &f))
		role_die(EX_OSERR, "%s", f.text);
	say_hello();
	loop_run(loop);			/* until CONF is read */

	close_in();
	state.started = true;
	answer_conf();
	ops->start(ctx, loop, state.conf);
	channel_pause(state.parent, false);
	loop_run(loop);			/* until role_exit() */

	channel_flush(state.parent, 500);
	log_flush();
	return EX_OK;
}
