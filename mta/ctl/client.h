/*
 * client.h - one connection of relayctl: its request, its output, and what it
 * waits for.
 *
 * A command's function starts one or more questions and returns; their
 * callbacks write to client_out() and the last one calls client_end(), after
 * which no callback of the command runs.  When relayctl goes away first, everything under way is cancelled
 * and job_free(job) is called: commands keep what they need in job.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "mta/base/list.h"
#include "mta/base/mem.h"
#include "mta/ctl/ctl.h"
#include "mta/ctl/options.h"
#include "mta/ctl/wire.h"
#include "mta/door/ask.h"
#include "mta/door/inspect.h"

/* Above: the queue role is asked to wait with rows, until half is written. */
#define CLIENT_OUT_MAX (256u << 10)

struct client;
struct table;

typedef void client_row_fn(struct client *c, struct rd *row);
typedef void client_end_fn(struct client *c, bool ok, uint64_t n, const char *text);

struct client {
	struct list		 node;		/* in ctl->clients */
	struct ctl		*ctl;		/* borrowed */
	struct conf		*conf;		/* shared: of the time the command began */
	unsigned		 rights;	/* enum ctl_right bits */
	uid_t			 uid;		/* who, for the log */

	struct wire_request	 request;
	const struct ctl_verb	*verb;
	struct options		 opt;
	bool			 json, colour;
	unsigned		 columns;	/* 0: no terminal */
	void			*job;		/* the command's own */
	void			(*job_free)(void *job);

	/* client.c only */
	int			 fd;
	struct loop_io		*io;
	struct loop_timer	*timer;
	void			(*on_time)(struct client *c);
	struct buf		 in, text, out;	/* text: not yet in frames; out: frames */
	size_t			 written;	/* of out */
	struct inspect		*inspect;
	client_row_fn		*inspect_row;
	client_end_fn		*inspect_end;
	bool			 paused;
	struct list		 asks;
	bool			 running, ended, retired;
};

/* fd is given. */
struct client *client_new(struct ctl *ctl, int fd, unsigned rights, uid_t uid);
void client_close(struct client *c);	/* now, whatever is under way; safe in any loop callback */

struct buf *client_out(struct client *c);	/* stdout */
void client_pushed(struct client *c);		/* after a row: frames what gathered, may pause the rows */
void client_error(struct client *c, const char *fmt, ...) PRINTF_LIKE(2, 3);	/* a line on stderr */
void client_end(struct client *c, int exit_code);

/* One at a time. */
void client_inspect(struct client *c, const struct inspect_request *q, client_row_fn *row, client_end_fn *end);

/* Any number at once, to the tx process tx. */
struct client_ask_fns {
	void	(*row)(struct client *c, void *ctx, struct rd *row);
	void	(*end)(struct client *c, void *ctx, bool ok, uint64_t n, const char *text);
};
void client_ask(struct client *c, unsigned tx, const struct ask_request *q, const struct client_ask_fns *fns, void *ctx);

/* fn once after ms; replaces the last; NULL: none. */
void client_after(struct client *c, int64_t ms, void (*fn)(struct client *c));
