/*
 * channel.h - carries DNS packets to one server over one transport and back.
 * c-ares stays behind this header.
 *
 * A channel holds a carrier (one c-ares channel, one socket) for at most 64
 * questions, then takes a new one, so that source ports change.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"

struct loop;
struct dns_channel;
struct dns_packet_ask;

enum channel_end {
	CHANNEL_ANSWER = 0,	/* a packet that answers this question came */
	CHANNEL_SILENCE,	/* nothing within the time */
	CHANNEL_BROKEN,		/* no socket, ICMP error, TCP refused or closed */
};

/*
 * Comes exactly once, always from the loop, never from inside dns_channel_ask().
 * p is borrowed until return, NULL unless ANSWER.  The ask is gone when it
 * returns; any function may be called from inside but dns_channel_free() of the
 * same channel.  After dns_channel_abandon() it never comes.
 */
typedef void dns_channel_fn(void *ctx, enum channel_end end, const uint8_t *p,
    size_t n);

struct dns_channel *dns_channel_new(struct loop *loop,
    const struct conf_addr *server, bool tcp);
void dns_channel_free(struct dns_channel **ch);	/* asks still out: silently */

/* The query is copied.  Ends after timeout_ms at the latest. */
struct dns_packet_ask *dns_channel_ask(struct dns_channel *ch,
    const uint8_t *query, size_t n, int64_t timeout_ms, dns_channel_fn *fn, void *ctx);
void dns_channel_abandon(struct dns_packet_ask **a);	/* *a may be NULL */
