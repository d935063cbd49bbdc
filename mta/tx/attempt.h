/*
 * attempt.h - one attempt at a destination: resolve, then connect address
 * after address (RFC 8305: a new one every 250 ms, first to complete wins,
 * never across a preference), until one peer has greeted and taken EHLO.
 *
 *   known address ----> connect ... ready -> session
 *        | failed
 *   nexthop_start ----> group of addresses -> connect … greeting … EHLO -> session
 *                          | all failed: nexthop_next
 *                       END -> status
 */
#pragma once

#include "mta/base/list.h"
#include "mta/dns/nexthop.h"
#include "mta/tx/pool.h"

struct loop_timer;
struct tx;
struct tx_attempt;
struct tx_session;
struct tx_way;

struct tx_attempt_args {
	struct tx			*tx;
	struct tx_way			*way;		/* counted */
	const char			*domain;	/* borrowed until the end */
	bool				 fresh;		/* bypass cached failures */
	const struct nexthop_addr	*known;		/* tried before anything is asked; NULL; copied */
	const uint8_t			*kept;		/* borrowed until the end; or NULL */
	size_t				 kept_len;
};

struct tx_attempt_end {
	struct tx_session		*session;	/* given, ready; NULL: failed */
	const struct status		*status;	/* why, class 4 or 5; borrowed */
	const struct buf		*trace;		/* borrowed; with a session it is the session's */
	const struct nexthop_addr	*addrs;		/* of the last group; borrowed */
	size_t				 naddrs;
	bool				 asked;		/* DNS; false: the known address did */
	int64_t				 began_wall_ms;
};

/*
 * Comes once, from the loop, never from inside tx_attempt_start(); the attempt is
 * over then and frees itself.  After tx_attempt_cancel() it never comes.
 */
typedef void tx_attempt_fn(void *ctx, struct tx_attempt *a, const struct tx_attempt_end *end);

struct tx_attempt {
	struct list		 link;		/* the owner's */
	struct tx		*tx;		/* borrowed */
	struct tx_way		*way;		/* shared */
	struct tx_slot		 slot;		/* the owner puts it here; goes to the session */
	const char		*domain;
	bool			 fresh;
	const uint8_t		*kept;
	size_t			 kept_len;
	struct nexthop		*nexthop;	/* owned; NULL: not asked yet */
	struct buf		 trace;
	struct nexthop_addr	*addrs;		/* owned: the group */
	uint8_t			*tried;		/* owned: enum addr_state of each */
	size_t			 naddrs;
	struct list		 tries;		/* sessions on their way */
	struct tx_session	*talking;	/* the one that connected first */
	struct loop_timer	*stagger;
	struct status		 best;		/* why it failed so far; class_ 0: nothing failed */
	bool			 asked;		/* a lookup was begun */
	int64_t			 began_wall_ms;
	tx_attempt_fn		*fn;
	void			*ctx;
	bool			 retired;
};

struct tx_attempt *tx_attempt_start(const struct tx_attempt_args *args, tx_attempt_fn *fn, void *ctx);
void tx_attempt_cancel(struct tx_attempt **a);	/* *a may be NULL */

/* From its sessions. */
void tx_attempt_connected(struct tx_attempt *a, struct tx_session *s);
void tx_attempt_ready(struct tx_attempt *a, struct tx_session *s);
/* s closes or leaves by itself afterwards.  err: of a failed connect, 0: it got further. */
void tx_attempt_failed(struct tx_attempt *a, struct tx_session *s, const struct status *why, int err);
