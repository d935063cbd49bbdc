/*
 * listener.h - a listening socket and the sessions that came by it.
 */
#pragma once

#include <stdbool.h>

#include "conf/conf.h"
#include "mta/base/list.h"

struct loop_io;
struct loop_timer;
struct rx;
struct rx_conf;

struct rx_listener {
	struct list		 node;		/* in rx->listeners; alone once closed */
	struct rx		*rx;		/* borrowed */
	struct rx_conf		*conf;		/* counted */
	const struct conf_listener *cl;		/* of conf; NULL: closed */
	unsigned		 sessions;	/* of ours, alive */
	int			 fd;		/* owned; -1: closed */
	struct loop_io		*io;		/* owned */
	struct loop_timer	*again;		/* owned; accept again after trouble */
};

/* fd (given) listens at the address of number in the newest configuration. */
void rx_listener_open(struct rx *rx, uint32_t number, int fd);
/* Takes the newest configuration; closes if its address is no longer in it. */
void rx_listener_reload(struct rx_listener *l);
/* No more connections; freed with its last session. */
void rx_listener_close(struct rx_listener *l);

struct rx_listener *rx_listener_enter(struct rx_listener *l);	/* one session more … */
void rx_listener_leave(struct rx_listener **l);			/* … and one less */
