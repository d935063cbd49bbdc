/*
 * role.h - what a role is, and what every role process is given.
 *
 * relayd execs itself once per role process.  Descriptor 3 is the channel to
 * the parent, 4 the log socket, 5 the shared counters.  The parent sends CONF
 * first, then LISTEN (rx, ctl) and PEER frames; a role calls role_main(),
 * which reads CONF, closes itself in (sandbox.h), and runs the role's start().
 * Later CONF frames are reloads.
 *
 * The story of one restart: a role dies -> its peers see their channel gone
 * -> the parent waits for the exit, backs off, execs it anew with CONF, makes a new
 * socket pair per peer -> both ends get PEER with a new generation.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "mta/base/mem.h"

struct conf;
struct loop;

enum role {
	ROLE_PARENT = 0, ROLE_RX, ROLE_QUEUE, ROLE_TX, ROLE_CTL,
	ROLE_COUNT
};

const char *role_name(enum role role);		/* "parent", "rx", … */
bool role_by_name(const char *name, enum role *role_r);
unsigned role_column(enum role role, unsigned index);	/* of the shared counters */

#define ROLE_PROCESSES_MAX 16			/* of one role */

/* Frames between parent and role; payloads in the order given. */
enum parent_frame {
	PF_HELLO = 1,	/* role->parent: u32 version, u8 role, u8 index */
	PF_CONF,	/* parent->role: conf_encode() for this role */
	PF_CONF_TAKEN,	/* role->parent: u64 generation */
	PF_LISTEN,	/* parent->role + fd: u32 listener number; a bound, listening socket */
	PF_PEER,	/* parent->role + fd: u8 role, u8 index, u32 generation */
	PF_PING,	/* parent->role */
	PF_PONG,	/* role->parent */
	PF_DRAIN,	/* parent->role: finish what is in flight, then exit 0 */
	PF_RELOAD,	/* ctl->parent: empty */
	PF_RELOAD_DONE,	/* parent->ctl: u8 ok, str text (errors, a line each) */
	PF_CHECK,	/* ctl->parent: str path or NULL for the running file */
	PF_CHECK_DONE,	/* parent->ctl: u8 ok, str text */
	PF_ROLES,	/* ctl->parent: empty */
	PF_ROLES_DONE,	/* parent->ctl: u32 n, then per process: str name, u32 pid, u32 restarts, i64 started wall ms */
	PF_FATAL,	/* role->parent: str text; shown by the parent, which ends with u8 exit code */
	PF_READY,	/* role->parent: started (queue: recovered); parent reports ready when all are */
};

/*
 * One role's own code.  All callbacks come from the loop.  conf is shared by
 * count (conf_ref/conf_unref).
 */
struct role_ops {
	/* Before the sandbox closes, with CONF read: open what must be opened by path. */
	bool	(*open)(void *ctx, const struct conf *conf, struct fault *f);	/* may be NULL */
	/* Closed in, unprivileged, loop not yet running. */
	void	(*start)(void *ctx, struct loop *loop, struct conf *conf);
	void	(*reload)(void *ctx, struct conf *conf);		/* may be NULL */
	void	(*listen)(void *ctx, uint32_t number, int fd);		/* may be NULL; fd given */
	void	(*peer)(void *ctx, enum role role, unsigned index, uint32_t generation, int fd);	/* fd given */
	void	(*drain)(void *ctx);	/* finish in bounded time, then role_exit() */
	void	(*frame)(void *ctx, uint16_t type, struct rd *payload);	/* other parent frames; may be NULL */
};

struct role_ctx {
	struct loop	*loop;
	enum role	 role;
	unsigned	 index;		/* 0 … processes of this role - 1 */
};

/* Runs until the role is done; returns the exit code. */
int role_main(enum role role, unsigned index, const struct role_ops *ops, void *ctx);
const struct role_ctx *role_self(void);		/* valid from open() on */
void role_ready(void);				/* sends PF_READY */
void role_exit(void);				/* ends the loop after this turn, exit 0 */
_Noreturn void role_die(int exit_code, const char *fmt, ...) PRINTF_LIKE(2, 3);	/* PF_FATAL, then exits: the whole relayd ends with exit_code */
struct buf *role_parent_begin(uint16_t type);	/* a frame to the parent … */
void role_parent_end(int fd);			/* … and its end */

/* The roles' own tables, one per folder. */
extern const struct role_ops rx_role_ops, queue_role_ops, tx_role_ops, ctl_role_ops;
extern void *const rx_role_ctx, *const queue_role_ctx, *const tx_role_ctx, *const ctl_role_ctx;
