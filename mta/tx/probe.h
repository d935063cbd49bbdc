/*
 * probe.h - what ctl asks of this process: resolve and probe a destination as
 * delivery would, and show or flush the DNS cache.
 */
#pragma once

#include <stdint.h>

#include "mta/door/ask.h"

struct tx;

void probe_ask(void *ctx, uint32_t number, const struct ask_request *q);	/* answerer_fn, ctx is the tx */
void probe_all_cancel(struct tx *tx);	/* their numbers go nowhere from now on */
