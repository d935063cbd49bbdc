/*
 * addr.h - address text that the configuration knows beyond conf.h: networks,
 * and what is wrong with a text that is no address.
 */
#pragma once

#include <stdbool.h>

#include "conf/conf.h"

/*
 * "10.0.0.0/8", "fd00::/8", a bare address is a network of one.  On failure
 * why says "what, wanted what"; host bits are refused, naming the network
 * that was probably meant.
 */
MUST_CHECK bool conf_cidr_parse(const char *s, struct conf_cidr *cidr, struct fault *why);
const char *conf_cidr_text(const struct conf_cidr *cidr, char buf[64]);

/* conf_addr_parse() that says why not, naming the form that was wanted. */
MUST_CHECK bool conf_addr_read(const char *s, const char *wanted, struct conf_addr *a,
    struct fault *why);

/* A decimal port, 1 to 65535, nothing after it. */
bool conf_port_parse(const char *s, uint16_t *port_r);

bool conf_addr_same_ip(const struct conf_addr *a, const struct conf_addr *b);
bool conf_addr_any(const struct conf_addr *a);		/* 0.0.0.0 or :: */
bool conf_addr_link_local(const struct conf_addr *a);	/* fe80::/10 */
