/*
 * rx.h - what the files of the receiving role share: the role itself and one
 * generation of its configuration.
 *
 * Life of a message here:
 *
 *   listener.c  accepts a connection          session.c   reads, moves, times
 *   commands.c  EHLO, MAIL, RCPT              admit.c     who may, and whereto
 *   data.c      content, checked as it comes  body.c      kept in memory or in
 *                                                         a file (writer.c)
 *   data.c      queue_accept(), and only its QUEUE_DONE becomes a 250
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mta/base/clock.h"
#include "mta/base/list.h"

struct conf;
struct conf_listener;
struct loop;
struct loop_timer;
struct queue;
struct router;
struct rx_writer;

/* Bodies in memory, all sessions; beyond it they go to files. */
#define RX_BODY_BUDGET (64u << 20)

/* One configuration with what was computed from it; shared by count. */
struct rx_conf {
	unsigned	 refs;
	struct conf	*conf;		/* one count of it is ours */
	struct router	*router;	/* owned */
};
struct rx_conf *rx_conf_new(struct conf *conf);
struct rx_conf *rx_conf_ref(struct rx_conf *c);
void rx_conf_unref(struct rx_conf **c);

struct rx {
	struct loop		*loop;		/* borrowed */
	struct queue		*queue;		/* owned */
	struct rx_writer	*writer;	/* owned; NULL until a body needs it */
	struct rx_conf		*conf;		/* the newest */
	struct list		 listeners;
	struct list		 sessions;
	size_t			 body_bytes;	/* in memory */
	size_t			 body_budget;	/* RX_BODY_BUDGET */
	bool			 squeezed;	/* too much on its way to the queue: do not read */
	bool			 draining;
	struct loop_timer	*drain_timer;	/* owned */
	void			(*on_empty)(struct rx *rx);	/* drained, nobody left; or NULL */
	int			 reserve_fd;	/* owned; for when no other is free */
	int			 ctl_fd;	/* owned; nothing is said on it yet */
	int64_t			 date_s;	/* of date, which costs too much per message */
	char			 date[CLOCK_DATE_MAX];
};

/* role.c wraps these for the process, tests call them as they are. */
void rx_init(struct rx *rx, struct loop *loop, struct conf *conf);
void rx_reload(struct rx *rx, struct conf *conf);
void rx_drain(struct rx *rx);		/* 421 to all who wait, the others finish first */
void rx_drain_over(struct rx *rx);	/* time is up: the others too */
void rx_fini(struct rx *rx);
const char *rx_date(struct rx *rx, int64_t now_wall_ms);
