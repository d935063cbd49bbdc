/*
 * parent_state.h - what the files parent*.c share, and nobody else.
 *
 * Walks of the parent:   starting up* draining killing
 *
 * starting -> up when every process has said PF_READY once.  From any state
 * to draining (signal), from any to killing (PF_FATAL, drain took too long).
 * Processes are restarted in starting and up only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "conf/conf.h"
#include "mta/base/fault.h"
#include "mta/proc/role.h"
#include "mta/proc/sandbox.h"

#define PING_MS			5000
#define PINGS_UNANSWERED_MAX	6	/* 30 s */

struct channel;
struct logger;
struct loop;
struct loop_timer;
struct parent;

/* One process of a role: the row stays, what runs in it comes and goes. */
struct proc {
	struct parent		*parent;
	enum role		 role;
	unsigned		 index;
	char			 name[16];	/* "rx", "tx1": as in the log */
	pid_t			 pid;		/* 0: none runs */
	struct channel		*channel;	/* owned; NULL once it is gone */
	struct loop_timer	*restart;	/* owned; set while backing off */
	int64_t			 started_wall_ms, started_mono_ms;
	int64_t			 backoff_ms;	/* for the next early death */
	uint32_t		 restarts;
	unsigned		 unanswered;	/* pings since it last said anything */
	uint64_t		 conf_taken;	/* generation it confirmed */
	bool			 ready;
};

struct listen_socket {
	struct conf_listener	 at;	/* address, port and any; its pointers are not ours */
	int			 fd;	/* owned */
};

enum parent_step { PARENT_STARTING = 0, PARENT_UP, PARENT_DRAINING, PARENT_KILLING };

/* Tells whether a file is still the one that was read; all zero: there is none. */
struct file_stamp {
	int64_t	mtime_ns;
	int64_t	size;
	uint64_t inode;
};

struct parent {
	const char		*conf_path;	/* borrowed from main() */
	struct conf		*conf;		/* shared */
	struct loop		*loop;
	struct logger		*logger;	/* owned */
	int			 log_fd;	/* the parent's own end */
	int			 counters_fd;
	struct listen_socket	*sockets;	/* one per conf->listeners, same order */
	size_t			 nsockets;
	int			 control_fd;
	bool			 root;		/* started by root */
	struct sandbox_user	 user;		/* of the roles, when root */

	struct proc		*procs;		/* in the order of starting */
	size_t			 nprocs;
	uint32_t		 generation;	/* of socket pairs between peers */
	struct loop_timer	*ping;

	enum parent_step	 step;
	int			 exit_code;
	size_t			 drain_stage;
	int64_t			 drain_from_mono_ms;
	struct loop_timer	*drain;

	bool			 reload_waits;	/* for CONF_TAKEN of every process */
	bool			 reload_asked;	/* by ctl, which wants an answer */
	struct loop_timer	*reload;
	struct buf		 reload_text;	/* warnings, for the answer */
	struct file_stamp	 conf_stamp;	/* of the files that are in force */
	struct file_stamp	 read_along[2];	/* resolv.conf, hosts */
};

/* ---- parent_spawn.c: processes come and go ---- */

void procs_make(struct parent *p);		/* rows for the roles of the configuration */
void procs_free(struct parent *p);
MUST_CHECK bool proc_spawn(struct proc *pr, struct fault *f);
struct proc *proc_find(struct parent *p, enum role role, unsigned index);
bool procs_any_alive(const struct parent *p, enum role role);	/* ROLE_PARENT: of any role */
void proc_reap_all(struct parent *p);		/* waits for those that ended */
void proc_send(struct proc *pr, uint16_t type);	/* a frame without payload; gone: nothing */
void proc_send_conf(struct proc *pr);		/* CONF; to rx also every listener */

/* ---- parent_conf.c: reload and check ---- */

void parent_reload(struct parent *p, bool asked_by_ctl);
/* Once before the first watch, after the first configuration was loaded. */
void parent_stamp_files(struct parent *p);
/* Now and then: resolv.conf or hosts changed -> the configuration is read anew. */
void parent_watch_files(struct parent *p);
void parent_check(struct parent *p, struct rd *payload);
void parent_conf_taken(struct parent *p);	/* a process confirmed, or died */
void on_reload_late(void *parent);

/* ---- parent_drain.c: the end ---- */

void parent_drain(struct parent *p);
void parent_kill(struct parent *p, int exit_code);
void parent_one_exited(struct parent *p);	/* in draining and killing */
void on_drain_late(void *parent);

/* ---- parent.c ---- */

void parent_frame(struct proc *pr, uint16_t type, struct rd *payload, int fd);
void parent_log_lines(const char *event, const struct buf *lines);	/* one log line each */
