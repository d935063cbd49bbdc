/*
 * bed.h - what the tests of delivering share: a configuration, a tx on a loop,
 * scripted peers, the fake door and resolver, and a bounded wait.
 */
#pragma once

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "mta/base/loop.h"
#include "mta/tx/dispatch.h"
#include "mta/tx/tx.h"
#include "tests/fake/peer.h"
#include "tests/fake/queue_tx.h"
#include "tests/fake/resolver.h"

#define BED_GUARD_MS 10000	/* a test that is not done by then has failed */

struct bed {
	struct loop		*loop;
	struct conf		 conf;
	struct conf_connector	 connectors[2];
	struct tx		*tx;
	struct loop_timer	*guard;
	bool			(*done)(void *ctx);
	void			*done_ctx;
	bool			 late;
};

static inline void
bed_connector(struct conf_connector *k, const char *name)
{
	*k = (struct conf_connector){
		.name = (char *)name,
		.enabled = true,
		.port = 25,
		.helo = (char *)"relay.test",
		.pipelining = true,
		.concurrency = 20,
		.connections = 200,
		.messages = 1000,
		.recipients = 100,
		.connect_timeout_ms = 5000,
		.command_timeout_ms = 5000,
		.data_timeout_ms = 5000,
		.dot_timeout_ms = 5000,
		.idle_ms = 100,
		.resolve = { .ipv6 = true, .family_on_5xx = true },
	};
}

static inline void
bed_open(struct bed *b)
{
	memset(b, 0, sizeof *b);
	fake_queue_reset();
	fake_resolver_reset();
	b->loop = loop_new();
	bed_connector(&b->connectors[0], "internet");
	bed_connector(&b->connectors[1], "other");
	b->conf = (struct conf){
		.refs = 1000, .generation = 1, .hostname = (char *)"relay.test",
		.connectors = b->connectors, .nconnectors = 2,
	};
	b->tx = tx_new(b->loop, &b->conf);
	tx_serve(b->tx);
}

static inline void
bed_turn(void *ctx)
{
	struct bed *b = ctx;

	if (b->done(b->done_ctx))
		loop_stop(b->loop);
}

static inline void
bed_late(void *ctx)
{
	struct bed *b = ctx;

	b->late = true;
	loop_stop(b->loop);
}

/* Runs the loop until done() says so; the test fails when it never does. */
static inline void
bed_run(struct bed *b, bool (*done)(void *ctx), void *ctx)
{
	b->done = done;
	b->done_ctx = ctx;
	b->late = false;
	if (done(ctx))		/* no turn may follow that could tell */
		return;
	b->guard = loop_timer_new(b->loop, bed_late, b);
	loop_timer_set(b->guard, BED_GUARD_MS);
	loop_on_turn(b->loop, bed_turn, b);
	loop_run(b->loop);
	loop_on_turn_remove(b->loop, bed_turn, b);
	loop_timer_free(&b->guard);
	ck_assert_msg(!b->late, "not done after %d ms", BED_GUARD_MS);
}

static inline bool
bed_all_settled(void *ctx)
{
	(void)ctx;
	return fake_queue.nended == fake_queue.nleased;
}

static inline bool
bed_quiet(void *ctx)
{
	struct bed *b = ctx;

	return bed_all_settled(NULL) && b->tx->pool.used == 0 &&
	    list_empty(&b->tx->leaving) && !b->tx->run_posted;
}

static inline void
bed_settle_all(struct bed *b)
{
	bed_run(b, bed_all_settled, NULL);
}

/* All connections gone too: nothing may be left to free. */
static inline void
bed_close(struct bed *b, struct peer **p)
{
	bed_run(b, bed_quiet, b);
	tx_free(&b->tx);
	if (p != NULL)
		peer_free(p);
	loop_free(&b->loop);
}
