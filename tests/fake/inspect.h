/*
 * inspect.h - the queue role, the tx roles and the parent as ctl sees them,
 * played by a test: it sets functions that answer, ctl's real code asks.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "mta/base/mem.h"
#include "mta/door/ask.h"
#include "mta/door/inspect.h"

struct inspect;
struct ask;

/* Called from the loop for every question; answers by the functions below, now or later. */
struct fake_answers {
	void	(*inspect)(struct inspect *i, const struct inspect_request *q);
	void	(*ask)(struct ask *k, unsigned tx, const struct ask_request *q);
	/* A frame to the parent; out receives the payload of its answer; false: none. */
	bool	(*parent)(uint16_t type, struct rd *payload, struct buf *out);
};
void fake_answers_set(const struct fake_answers *a, struct loop *loop);

void fake_inspect_row(struct inspect *i, const struct buf *row);
void fake_inspect_end(struct inspect *i, bool ok, uint64_t n, const char *text);
bool fake_inspect_paused(const struct inspect *i);
void fake_ask_row(struct ask *k, const struct buf *row);
void fake_ask_end(struct ask *k, bool ok, uint64_t n, const char *text);

extern unsigned fake_cancelled;		/* questions given up by ctl */
extern bool fake_role_exited;
