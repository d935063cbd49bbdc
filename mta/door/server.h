/*
 * server.h - the answering end of the door, in the queue role: one door_peer
 * per process of rx, tx and ctl.  Frames become calls of door_ops; what the
 * queue role answers becomes frames.  Decides nothing.
 */
#pragma once

#include "mta/door/inspect.h"
#include "queue/queue.h"

struct loop;
struct door_peer;

/* What qm must do.  Everything passed is borrowed until return. */
struct door_ops {
	void	(*accept)(void *ctx, struct door_peer *p, const struct queue_message *m);
	void	(*give_up)(void *ctx, const struct msgid *id);
	void	(*body_open)(void *ctx, struct door_peer *p, const struct msgid *id, uint64_t declared);
	void	(*body_drop)(void *ctx, struct door_peer *p, const struct msgid *id);

	void	(*serve)(void *ctx, struct door_peer *p, uint32_t max_leases, uint64_t max_bytes);
	/* status pointers of s are valid until return */
	void	(*settle)(void *ctx, struct door_peer *p, uint64_t lease, const struct msgid *id,
		    const struct queue_settle *s, size_t n, const uint8_t *trace, size_t trace_len);
	void	(*at_dot)(void *ctx, struct door_peer *p, uint64_t lease);
	void	(*dest_failed)(void *ctx, struct door_peer *p, uint32_t dest, const struct status *st,
		    int64_t began_wall_ms, const uint8_t *trace, size_t trace_len);

	void	(*inspect)(void *ctx, struct door_peer *p, uint32_t number, const struct inspect_request *req);
	void	(*inspect_cancel)(void *ctx, struct door_peer *p, uint32_t number);
	void	(*inspect_pause)(void *ctx, struct door_peer *p, uint32_t number, bool paused);

	/* The process behind p is gone; p is freed after this call. */
	void	(*gone)(void *ctx, struct door_peer *p);
};

/* fd given.  user: the caller's, per peer. */
struct door_peer *door_peer_new(struct loop *loop, int fd, const struct door_ops *ops, void *ctx, void *user);
void *door_peer_user(const struct door_peer *p);
void door_peer_free(struct door_peer **p);	/* without gone() */
void door_peer_flush(struct door_peer *p, int ms);

void door_accept_done(struct door_peer *p, const struct msgid *id, enum queue_result result, const struct status *st);
void door_body_fd(struct door_peer *p, const struct msgid *id, int fd, const struct status *st);	/* fd given */

/* A lease on its way out; everything borrowed until return, body_fd given. */
struct door_lease {
	uint64_t		 lease;
	uint32_t		 dest;
	const char		*connector, *domain, *with;
	uint64_t		 conf_generation;
	struct msgid		 id;
	uint32_t		 attempts;
	bool			 fresh;
	uint64_t		 size;
	const struct envelope	*envelope;	/* the leased recipients only */
	const uint32_t		*ordinals;
	const uint8_t		*body;		/* or NULL: body_fd */
	int			 body_fd;
};
void door_lease_encode(const struct door_lease *l, struct buf *b);
void door_lease(struct door_peer *p, const struct door_lease *l);

/* Rows: append to the returned buffer, then end. */
struct buf *door_row_begin(struct door_peer *p, uint32_t number);
void door_row_end(struct door_peer *p);
void door_end(struct door_peer *p, uint32_t number, bool ok, uint64_t n, const char *text);
size_t door_pending(const struct door_peer *p);
