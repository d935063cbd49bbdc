/*
 * resolver.h - mta/dns/nexthop.h by script: groups of addresses, then an end.
 * Linked in place of mta/dns.
 */
#pragma once

#include "mta/dns/nexthop.h"

#define FAKE_GROUPS 4
#define FAKE_ADDRS 8

struct fake_group {
	struct nexthop_addr	addrs[FAKE_ADDRS];
	size_t			n;
};

struct fake_resolver {
	struct fake_group	groups[FAKE_GROUPS];
	size_t			ngroups;
	struct status		end;		/* class_ 0 after addresses */
	bool			silent;		/* never answers */
	unsigned		nstarted, nnext, nended, nflushed, nreloaded;
	unsigned		last_flags;
	bool			last_ipv6;	/* the connector's, overrides included */
	unsigned		nworked;
};

extern struct fake_resolver fake_resolver;

void fake_resolver_reset(void);
/* Adds 127.0.0.N:port (or ::1 for n 0) to the last group; next: begins a group first. */
void fake_resolver_add(const char *host, unsigned n, uint16_t port, bool next);
