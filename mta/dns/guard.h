/*
 * guard.h - which addresses mail must not be sent to by MX: ourselves (a loop)
 * and the ranges that a stranger's DNS has no business to name (RESOLUTION 4).
 */
#pragma once

#include <stdbool.h>

#include "conf/conf.h"

/* Our own name: the global or a listener's hostname.  Trailing dot ignored. */
bool guard_own_name(const struct conf *conf, const char *host);

/*
 * Does a connection to addr (port filled in) end at one of our listeners?
 * own_addresses count too when nat is set.  A listener on "*" owns every
 * address of this machine: is_local tells (guard_address_is_local).
 */
typedef bool guard_local_fn(const struct conf_addr *addr);
bool guard_ourselves(const struct conf *conf, const struct conf_addr *addr,
    bool nat, guard_local_fn *is_local);
bool guard_address_is_local(const struct conf_addr *addr);

/* The range that keeps addr out ("loopback"), or NULL when it may be used. */
const char *guard_range(const struct conf_connector *k,
    const struct conf_addr *addr);
