/*
 * ask.h - what ctl asks of a tx process (resolve, probe, DNS cache): frames on
 * the channel between them, and both ends.
 *
 * A destination belongs to one tx; ask_owner() tells which, so that its cache
 * is the one that is asked.  One request, rows, one end, as in inspect.h.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "mta/base/mem.h"
#include "queue/status.h"

struct loop;

enum ask_verb {
	ASK_RESOLVE = 1,	/* the delivery code's own lookup, all groups; one ask_answer */
	ASK_PROBE,		/* resolve, connect, greeting, EHLO, QUIT; one ask_answer */
	ASK_DNS_CACHE,		/* text rows: set TAB name TAB qtype TAB outcome TAB ttl_ms TAB answer */
	ASK_DNS_FLUSH,		/* END: how many entries went */
	ASK_DNS_SERVERS,	/* text rows: set TAB server TAB asked TAB answered TAB timeouts TAB servfail TAB avg_ms TAB cooldown_ms */
};

enum { ASK_NO_ASK = 1 };	/* only kept and cached answers */

struct ask_request {
	enum ask_verb	 verb;
	unsigned	 flags;
	char		*connector;	/* name; RESOLVE, PROBE */
	char		*domain;	/* or name for the DNS verbs; NULL: all */
	char		*with;		/* KEY=VALUE …, blank-separated; NULL */
	uint8_t		*kept;		/* trace whose answers are used first; NULL */
	uint32_t	 kept_len;
};
void ask_request_free(struct ask_request *q);
void ask_request_encode(const struct ask_request *q, struct buf *b);
bool ask_request_decode(struct ask_request *q, struct rd *r);

struct ask_target {
	char		host[256];
	char		peer[64];	/* "192.0.2.1:25" */
	uint16_t	pref;
};

#define ASK_TARGETS 64

struct ask_answer {
	uint8_t		 verdict;	/* 2 deliver, 4 defer, 5 fail */
	struct status	 status;	/* why, when not 2; PROBE: of the probe */
	uint32_t	 ms;
	uint32_t	 ntargets;	/* in the order they would be tried */
	struct ask_target targets[ASK_TARGETS];
	uint8_t		*trace;		/* queue/trace.h; owned */
	uint32_t	 trace_len;
};
void ask_answer_free(struct ask_answer *a);
void ask_answer_encode(const struct ask_answer *a, struct buf *b);
bool ask_answer_decode(struct ask_answer *a, struct rd *r);

unsigned ask_owner(const char *connector, const char *domain, unsigned ntx);

/* ctl's end: one per tx process. */
struct asker;
struct ask;
struct ask_handlers {
	void	(*row)(void *ctx, struct rd *row);
	void	(*end)(void *ctx, bool ok, uint64_t n, const char *text);
};
struct asker *asker_new(struct loop *loop);
void asker_free(struct asker **a);
void asker_attach(struct asker *a, int fd);	/* a new channel; open requests end with ok=false */
struct ask *asker_ask(struct asker *a, const struct ask_request *q, const struct ask_handlers *h, void *ctx);
void asker_cancel(struct asker *a, struct ask **k);

/* tx's end. */
struct answerer;
/* A request came; borrowed until return.  Answer under its number, now or later; a number is good until answerer_end(). */
typedef void answerer_fn(void *ctx, uint32_t number, const struct ask_request *q);
struct answerer *answerer_new(struct loop *loop, answerer_fn *fn, void *ctx);
void answerer_free(struct answerer **a);
void answerer_attach(struct answerer *a, int fd);	/* numbers of the old channel go nowhere, harmlessly */
void answerer_row(struct answerer *a, uint32_t number, const struct buf *row);
void answerer_end(struct answerer *a, uint32_t number, bool ok, uint64_t n, const char *text);
