/*
 * ctl.h - the ctl role: the control socket, and the ends of the channels that
 * its commands use.
 *
 * The story of one command: relayctl connects -> server.c accepts, asks the
 * kernel who it is -> client.c reads the request -> commands.c finds the row
 * and checks the right -> its function (look.c, act.c, lookup.c, explain.c)
 * asks queue, tx or parent, renders rows as they come, ends with an exit code
 * -> client.c writes what is left and closes.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "mta/base/list.h"
#include "mta/ctl/rights.h"

struct asker;
struct client;
struct conf;
struct loop;
struct loop_io;
struct loop_timer;
struct queue;
struct rd;
struct router;

#define CTL_CLIENTS_MAX 32
#define CTL_TX_MAX 16

struct ctl {
	struct loop		*loop;		/* borrowed */
	struct conf		*conf;		/* shared */
	struct router		*router;	/* owned; of this conf */
	struct queue		*queue;		/* owned */
	struct asker		*askers[CTL_TX_MAX];	/* owned */
	struct rights		 rights;
	int			 listen_fd;	/* -1: none yet */
	struct loop_io		*listen_io;
	struct list		 clients;
	unsigned		 nclients;
	struct list		 waiters;	/* for the parent's answers, in order */
	struct loop_timer	*drain_timer;
	bool			 draining;
};

unsigned ctl_ntx(const struct ctl *ctl);	/* tx processes, at least 1 */

/* The parent answered a question of c with payload. */
typedef void ctl_parent_fn(struct client *c, struct rd *payload);

/*
 * Asks the parent: type is PF_RELOAD, PF_CHECK or PF_ROLES, arg goes with
 * PF_CHECK (may be NULL).  The parent answers questions of a type in order.
 */
void ctl_ask_parent(struct ctl *ctl, uint16_t type, const char *arg, struct client *c, ctl_parent_fn *done);
void ctl_forget_client(struct ctl *ctl, struct client *c);	/* no answer will reach it */

/* A client left: accept again, or end when draining. */
void ctl_client_gone(struct ctl *ctl);
