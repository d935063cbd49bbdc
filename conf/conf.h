/*
 * conf.h - the configuration as plain structs: what conf/load.c fills from a
 * file, conf/check.c has judged, and the roles read.  Never changed while in
 * use: a reload makes a new one.  Units are in the names, defaults in the
 * comments and, as the only place that counts, in the key table (conf/keys.c).
 *
 * Everything is owned by the struct conf it hangs on.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mta/base/mem.h"

/* An address without or with port; family AF_INET or AF_INET6. */
struct conf_addr {
	sa_family_t	family;
	uint16_t	port;		/* host order; 0: none given */
	uint8_t		ip[16];		/* network order, 4 or 16 bytes used */
};

struct conf_cidr {
	sa_family_t	family;
	uint8_t		bits;
	uint8_t		ip[16];
};

struct conf_listener {
	char			*name;		/* default: its address as written */
	struct conf_addr	 address;	/* ip all zero: any ("*:25" = dual-stack) */
	bool			 any;		/* "*": one IPv6 socket that takes IPv4 too, IPv4 where there is no IPv6 */
	struct conf_cidr	*clients;	size_t nclients;	/* default: loopback */
	char			*hostname;	/* default: the global one */
	uint64_t		 size_bytes;	/* largest message, default 50M */
	unsigned		 recipients;	/* per message, default 1000 */
	unsigned		 sessions;	/* at once, default 1000 */
	int64_t			 idle_ms;	/* wait for a command, default 5m */
};

enum conf_protocol { PROTOCOL_ANY = 0, PROTOCOL_UDP, PROTOCOL_TCP };

/* A named set of DNS servers.  sets[0] is always "system" (resolv.conf). */
struct conf_resolvers {
	char			*name;
	struct conf_addr	*servers;	size_t nservers;	/* port default 53 */
	int64_t			 timeout_ms;	/* one server, one try; 2s */
	unsigned		 tries;		/* per server; 2 */
	int64_t			 hedge_ms;	/* silence before the next server is asked too; 500ms */
	enum conf_protocol	 protocol;
	int64_t			 cooldown_ms;	/* a dead server is left alone; 30s */
};

enum conf_order { ORDER_BOTH = 0, ORDER_A_FIRST, ORDER_AAAA_FIRST };
enum conf_on_failure { ON_FAILURE_TOLERATE = 0, ON_FAILURE_STRICT };
enum conf_prefer { PREFER_IPV6 = 0, PREFER_IPV4 };
enum conf_nxdomain { NXDOMAIN_FAIL = 0, NXDOMAIN_ESCALATE, NXDOMAIN_DEFER };

/* How a connector asks DNS: RESOLUTION 3 to 5. */
struct conf_resolve {
	char			**resolvers;	size_t nresolvers;	/* names of sets, escalation order; default "system" */
	unsigned		 *sets;		/* the same as indices into conf.sets, nresolvers of them */
	bool			 ipv6;		/* true */
	enum conf_order		 order;		/* both */
	int64_t			 grace_ms;	/* 200ms */
	enum conf_on_failure	 on_failure;	/* tolerate */
	enum conf_prefer	 prefer;	/* ipv6 */
	enum conf_nxdomain	 nxdomain;	/* fail */
	int64_t			 lookup_deadline_ms;	/* 20s */
	unsigned		 max_mx_hosts;	/* 20 */
	bool			 hosts_file;	/* true; smarthosts only */
	bool			 family_on_5xx;	/* true */
};

/* "name", "[name]", "192.0.2.1", "[2001:db8::1]", each with optional :port. */
struct conf_smarthost {
	char			*text;		/* as written */
	char			*host;		/* name without brackets; NULL: literal */
	bool			 mx;		/* look up MX first ("name") */
	struct conf_addr	 address;	/* literal; port also for names (0: connector's) */
};

struct conf_retry {
	int64_t	*schedule_ms;	size_t nschedule;	/* 1m 2m 5m 10m 15m 30m, last repeats */
	int64_t	*dns_ms;	size_t ndns;		/* 15s 30s 1m 2m 5m 10m 15m */
	int64_t	 expire_ms;	/* 2d */
	int64_t	 notice_ms;	/* delay notice, 4h; 0: none ("never") */
};

struct conf_connector {
	char			*name;
	bool			 enabled;	/* true; false: its mail is held in the queue */
	char			**domains;	size_t ndomains;	/* "*", "example.com", "*.example.com", "example.com" most specific wins */
	struct conf_smarthost	*smarthosts;	size_t nsmarthosts;	/* none: MX routing */
	uint16_t		 port;		/* 25 */
	char			*helo;		/* name in EHLO; default: the global hostname */
	bool			 force_helo;	/* false */
	bool			 pipelining;	/* true */
	unsigned		 concurrency;	/* connections a destination, 20 */
	unsigned		 connections;	/* of the connector in all, 200 */
	unsigned		 messages;	/* per connection, 1000 */
	unsigned		 recipients;	/* per transaction, 100 */
	int64_t			 connect_timeout_ms;	/* 30s */
	int64_t			 command_timeout_ms;	/* greeting, EHLO, MAIL, RCPT; 5m (RFC 5321 4.5.3.2) */
	int64_t			 data_timeout_ms;	/* DATA and each block; 3m */
	int64_t			 dot_timeout_ms;	/* 10m */
	int64_t			 idle_ms;	/* an idle connection is kept, 5s */
	struct conf_cidr	*allow_addresses; size_t nallow_addresses;	/* exempt from the guard */
	struct conf_resolve	 resolve;
	struct conf_retry	 retry;
	bool			 soft_bounce;	/* failures become deferrals; false */
};

struct conf_spool {
	char		*path;			/* /var/spool/relayd */
	bool		 allow_ephemeral;	/* false */
	uint64_t	 segment_bytes;		/* 16M */
	uint64_t	 max_messages;		/* 1000000 ("room") */
	uint64_t	 max_bytes;		/* 20G */
	uint64_t	 min_free_bytes;	/* 256M */
	uint64_t	 large_bytes;		/* bodies above go to a file of their own; 256k */
};

enum conf_log_to { LOG_TO_STDERR = 0, LOG_TO_SYSLOG, LOG_TO_FILE };

struct conf_log {
	enum conf_log_to  to;	/* stderr */
	char		 *file;
	bool		  trace;
};

struct conf_control {
	char	*path;		/* /run/relayd/control */
	char	**look, **read, **act;	/* user names, or "@group"; root and relayd's own user may always */
	size_t	nlook, nread, nact;
};

struct conf_alarm {
	int64_t	age_ms;		/* 15m */
};

/* One line of the hosts file. */
struct conf_host {
	char			*name;		/* lower case */
	struct conf_addr	 address;
};

struct conf {
	unsigned		 refs;
	uint64_t		 generation;	/* 1, and one more with each reload */
	char			*file;
	char			*hostname;	/* FQDN of this machine */
	char			*user;		/* roles run as, when started by root; "relayd" */
	char			*root;		/* empty root of the roles; "/var/empty" made if missing, root only */
	unsigned		 rx_processes, tx_processes;	/* 1, 1; at most 16 each */
	bool			 soft_bounce;	/* also set in every connector then */
	char			*resolv_conf;	/* read for set "system"; /etc/resolv.conf */
	char			*hosts_file;	/* read for smarthosts; /etc/hosts */
	struct conf_addr	*own_addresses;	size_t nown_addresses;	/* NAT: we are reached there too */
	struct conf_spool	 spool;
	struct conf_log		 log;
	struct conf_control	 control;
	struct conf_alarm	 alarm;
	struct conf_listener	*listeners;	size_t nlisteners;
	struct conf_resolvers	*sets;		size_t nsets;
	struct conf_connector	*connectors;	size_t nconnectors;
	struct conf_host	*hosts;		size_t nhosts;	/* lines of the hosts file that name a smarthost; in file order */
};

/*
 * Reads and checks a file.  NULL when anything is wrong: errors then holds
 * one line each, "file:line: path: what, wanted what".  Also reads resolv.conf and
 * hosts.  Warnings (unreachable connector, …) go to errors too, with a conf
 * returned.
 */
struct conf *conf_load(const char *path, struct buf *errors);

struct conf *conf_ref(struct conf *c);
void conf_unref(struct conf **c);

/*
 * What a role needs, for its channel; a role gets no secret that it does not use.
 * role is an enum role (mta/proc/role.h, a later part).  There are no secrets
 * yet, so that every role still gets everything.
 */
void conf_encode(const struct conf *c, unsigned role, struct buf *b);
struct conf *conf_decode(struct rd *r);		/* NULL: nonsense */

const struct conf_connector *conf_connector(const struct conf *c, const char *name);
int conf_set_index(const struct conf *c, const char *name);	/* -1: none */

bool conf_cidr_has(const struct conf_cidr *cidr, const struct conf_addr *a);	/* v4-mapped counts as v4 */
const char *conf_addr_text(const struct conf_addr *a, char buf[64]);	/* "[2001:db8::1]:53", port only when not 0 */
bool conf_addr_parse(const char *s, struct conf_addr *a);	/* the same form; bare IPv6 without port too */

/*
 * A copy of the connector with KEY=VALUE overrides of its resolve group
 * (--with): resolvers, ipv6, order, grace, on_failure, prefer, nxdomain.
 * NULL with a fault when a key or value is wrong.  Free with conf_connector_free().
 */
struct conf_connector *conf_connector_with(const struct conf *c, const struct conf_connector *k,
    char *const *overrides, size_t n, struct fault *f);
void conf_connector_free(struct conf_connector **k);
