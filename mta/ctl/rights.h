/*
 * rights.h - who may do what on the control socket, by the peer's credentials.
 *
 * Names are looked up while the user and group files can still be read, that
 * is before the role closes itself in; a name that appears only with a reload
 * is known after the next start of the role (numbers, "1000" and "@1000", at once).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "mta/ctl/verbs.h"

struct conf_control;

struct peer_ids {		/* of one connection */
	uid_t	 uid;
	gid_t	*gids;		/* all of them, owned */
	size_t	 ngids;
};

struct rights_entry {
	char		*name;		/* as configured; owned */
	unsigned	 right;		/* 0: only remembered */
	bool		 group, known;
	uint32_t	 number;	/* uid or gid */
};

struct rights {
	uid_t			 own;		/* relayd's own user: may all, as root may */
	struct rights_entry	*entries;	/* owned */
	size_t			 n;
};

/* The number of a name; false: unknown. */
typedef bool rights_lookup_fn(const char *name, bool group, uint32_t *number_r);
bool rights_lookup(const char *name, bool group, uint32_t *number_r);	/* user and group files */

/*
 * Takes what conf grants; lookup NULL: only what is remembered from before
 * and numbers.  Appends names that remain unknown to unknown, a line each.
 */
void rights_take(struct rights *r, const struct conf_control *conf, uid_t own,
    rights_lookup_fn *lookup, struct buf *unknown);
void rights_free(struct rights *r);

/* Any right carries RIGHT_LOOK: to act on what one may not see helps nobody. */
unsigned rights_of(const struct rights *r, const struct peer_ids *ids);

/* From SO_PEERCRED and SO_PEERGROUPS. */
MUST_CHECK bool peer_ids_read(struct peer_ids *ids, int fd, struct fault *f);
void peer_ids_free(struct peer_ids *ids);
