/*
 * keys.c - the rows.  Names, defaults, ranges and sentences stand here and
 * nowhere else in C; the sample and the manual page are checked against them.
 * Must never parse or keep a value: that is value.c.
 * Read next: value.c (text to field), load.c (file to rows), codec.c (wire).
 */
#include "conf/keys.h"

#include <string.h>

#include "mta/base/str.h"

#define AT(s, f)	offsetof(struct s, f), 0
#define MANY(s, f, n)	offsetof(struct s, f), offsetof(struct s, n)
#define SECTION(p, s, k) { .path = p, .size = sizeof(struct s), .keys = k, .nkeys = COUNT_OF(k) }

#define SECOND	INT64_C(1000)
#define MINUTE	(60 * SECOND)
#define HOUR	(60 * MINUTE)
#define DAY	(24 * HOUR)
#define KILO	INT64_C(1024)
#define MEGA	(1024 * KILO)
#define GIGA	(1024 * MEGA)

static const char *const protocol_words[] = { "any", "udp", "tcp", NULL };
static const char *const order_words[] = { "both", "a-first", "aaaa-first", NULL };
static const char *const on_failure_words[] = { "tolerate", "strict", NULL };
static const char *const prefer_words[] = { "ipv6", "ipv4", NULL };
static const char *const nxdomain_words[] = { "fail", "escalate", "defer", NULL };
static const char *const log_to_words[] = { "stderr", "syslog", "file", NULL };

static const struct conf_key listener_keys[] = {
	{ "name", CONF_NAME, AT(conf_listener, name), 1, 63, NULL,
	  .doc = "name in logs and counters", .shown = "the address as written" },
	{ "address", CONF_LISTEN, MANY(conf_listener, address, any), 0, 0, NULL,
	  .doc = "address and port to listen on; \"*\" is every address, IPv4 and IPv6; port 25 when none",
	  .flags = CONF_REQUIRED },
	{ "clients", CONF_CIDRS, MANY(conf_listener, clients, nclients), 1, 4096, "127.0.0.0/8, ::1",
	  .doc = "addresses and networks that may send through us" },
	{ "hostname", CONF_HOST, AT(conf_listener, hostname), 1, 253, NULL,
	  .doc = "our name in greeting and Received", .shown = "the global hostname" },
	{ "size", CONF_SIZE, AT(conf_listener, size_bytes), KILO, 2 * GIGA, "50M",
	  .doc = "largest message taken" },
	{ "recipients", CONF_COUNT, AT(conf_listener, recipients), 1, 100000, "1000",
	  .doc = "recipients taken in one transaction" },
	{ "sessions", CONF_COUNT, AT(conf_listener, sessions), 1, 100000, "1000",
	  .doc = "sessions at once" },
	{ "idle", CONF_DURATION, AT(conf_listener, idle_ms), 10, HOUR, "5m",
	  .doc = "how long to wait for the client's next command" },
};
const struct conf_section conf_section_listener =
    SECTION("listeners", conf_listener, listener_keys);

static const struct conf_key resolvers_keys[] = {
	{ "name", CONF_NAME, AT(conf_resolvers, name), 1, 63, NULL, "", .flags = CONF_HIDDEN },
	{ "servers", CONF_SERVERS, MANY(conf_resolvers, servers, nservers), 1, 16, NULL,
	  .doc = "addresses of DNS servers, asked in this order; port 53 when none",
	  .flags = CONF_REQUIRED },
	{ "timeout", CONF_DURATION, AT(conf_resolvers, timeout_ms), 10, MINUTE, "2s",
	  .doc = "how long one server may take for one try" },
	{ "tries", CONF_COUNT, AT(conf_resolvers, tries), 1, 10, "2",
	  .doc = "how often each server is asked" },
	{ "hedge", CONF_DURATION, AT(conf_resolvers, hedge_ms), 1, MINUTE, "500ms",
	  .doc = "after this silence the next server is asked too" },
	{ "protocol", CONF_CHOICE, AT(conf_resolvers, protocol), 0, 0, "any",
	  .doc = "any is UDP, and TCP when the answer was cut; udp and tcp use only that",
	  .choices = protocol_words },
	{ "cooldown", CONF_DURATION, AT(conf_resolvers, cooldown_ms), 0, HOUR, "30s",
	  .doc = "a server that answers nothing is left alone this long" },
};
const struct conf_section conf_section_resolvers =
    SECTION("resolvers", conf_resolvers, resolvers_keys);

static const struct conf_key resolve_keys[] = {
	{ "resolvers", CONF_TEXTS, MANY(conf_resolve, resolvers, nresolvers), 1, 16, "system",
	  .doc = "sets of DNS servers; the next one is asked when the one before gave no sure answer",
	  .flags = CONF_WITH },
	{ "sets", CONF_INDICES, MANY(conf_resolve, sets, nresolvers), 0, 16, NULL, "",
	  .flags = CONF_HIDDEN },
	{ "ipv6", CONF_BOOL, AT(conf_resolve, ipv6), 0, 0, "true",
	  .doc = "false: AAAA is never asked and no IPv6 address is used", .flags = CONF_WITH },
	{ "order", CONF_CHOICE, AT(conf_resolve, order), 0, 0, "both",
	  .doc = "whether A and AAAA are asked at once, or one first and the other only when needed",
	  .choices = order_words, .flags = CONF_WITH },
	{ "grace", CONF_DURATION, AT(conf_resolve, grace_ms), 0, 30 * SECOND, "200ms",
	  .doc = "with order both: how long one family waits for the other once it has an address",
	  .flags = CONF_WITH },
	{ "on_failure", CONF_CHOICE, AT(conf_resolve, on_failure), 0, 0, "tolerate",
	  .doc = "strict: a family that fails discards the host, as Exchange 2010 does",
	  .choices = on_failure_words, .flags = CONF_WITH },
	{ "prefer", CONF_CHOICE, AT(conf_resolve, prefer), 0, 0, "ipv6",
	  .doc = "the family that is connected to first", .choices = prefer_words, .flags = CONF_WITH },
	{ "nxdomain", CONF_CHOICE, AT(conf_resolve, nxdomain), 0, 0, "fail",
	  .doc = "what proven absence does: fail, ask the next set, or defer",
	  .choices = nxdomain_words, .flags = CONF_WITH },
	{ "lookup_deadline", CONF_DURATION, AT(conf_resolve, lookup_deadline_ms), 10, 10 * MINUTE, "20s",
	  .doc = "the whole lookup, MX and addresses, may wait this long for DNS" },
	{ "max_mx_hosts", CONF_COUNT, AT(conf_resolve, max_mx_hosts), 1, 100, "20",
	  .doc = "MX hosts looked at; when more are listed, a failure is only a deferral" },
	{ "hosts_file", CONF_BOOL, AT(conf_resolve, hosts_file), 0, 0, "true",
	  .doc = "look smarthost names up in the hosts file first" },
	{ "family_on_5xx", CONF_BOOL, AT(conf_resolve, family_on_5xx), 0, 0, "true",
	  .doc = "a 5xx greeting on IPv6 is tried again on IPv4, and the other way round" },
};
const struct conf_section conf_section_resolve =
    SECTION("connectors.resolve", conf_resolve, resolve_keys);

static const struct conf_key retry_keys[] = {
	{ "schedule", CONF_DURATIONS, MANY(conf_retry, schedule_ms, nschedule), 1, 30 * DAY,
	  "1m 2m 5m 10m 15m 30m", .doc = "waits between attempts; the last one repeats" },
	{ "dns", CONF_DURATIONS, MANY(conf_retry, dns_ms, ndns), 1, 30 * DAY,
	  "15s 30s 1m 2m 5m 10m 15m",
	  .doc = "the same when DNS was the reason; the last one repeats" },
	{ "expire", CONF_DURATION, AT(conf_retry, expire_ms), 10, 60 * DAY, "2d",
	  .doc = "mail older than this is returned to its sender" },
	{ "notice", CONF_DURATION, AT(conf_retry, notice_ms), 1, 60 * DAY, "4h",
	  .doc = "after this the sender is told of the delay; \"never\" for no notice",
	  .flags = CONF_NEVER },
};
static const struct conf_section retry_section =
    SECTION("connectors.retry", conf_retry, retry_keys);

static const struct conf_key connector_keys[] = {
	{ "name", CONF_NAME, AT(conf_connector, name), 1, 63, NULL,
	  .doc = "name in logs, counters and commands", .flags = CONF_REQUIRED },
	{ "enabled", CONF_BOOL, AT(conf_connector, enabled), 0, 0, "true",
	  .doc = "false: its mail is taken and held" },
	{ "domains", CONF_PATTERNS, MANY(conf_connector, domains, ndomains), 1, 100000, NULL,
	  .doc = "recipient domains: \"example.com\", \"*.example.com\" for all below it, \"*\" for the rest",
	  .flags = CONF_REQUIRED },
	{ "smarthosts", CONF_SMARTHOSTS, MANY(conf_connector, smarthosts, nsmarthosts), 0, 64, "",
	  .doc = "send here, not to the MX: \"name\" is asked for an MX first, \"[name]\" is not",
	  .shown = "none, MX routing" },
	{ "port", CONF_PORT, AT(conf_connector, port), 1, 65535, "25",
	  .doc = "port to connect to, where a smarthost names none" },
	{ "helo", CONF_HOST, AT(conf_connector, helo), 1, 253, NULL,
	  .doc = "our name in EHLO", .shown = "the global hostname" },
	{ "force_helo", CONF_BOOL, AT(conf_connector, force_helo), 0, 0, "false",
	  .doc = "HELO instead of EHLO, for servers that cannot bear extensions" },
	{ "pipelining", CONF_BOOL, AT(conf_connector, pipelining), 0, 0, "true",
	  .doc = "send commands without waiting where the server offers it" },
	{ "concurrency", CONF_COUNT, AT(conf_connector, concurrency), 1, 10000, "20",
	  .doc = "connections at once to one destination" },
	{ "connections", CONF_COUNT, AT(conf_connector, connections), 1, 100000, "200",
	  .doc = "connections at once of the connector in all" },
	{ "messages", CONF_COUNT, AT(conf_connector, messages), 1, 1000000, "1000",
	  .doc = "messages sent over one connection" },
	{ "recipients", CONF_COUNT, AT(conf_connector, recipients), 1, 100000, "100",
	  .doc = "recipients in one transaction" },
	{ "connect_timeout", CONF_DURATION, AT(conf_connector, connect_timeout_ms), 10, 10 * MINUTE, "30s",
	  .doc = "how long one address may take to accept the connection" },
	{ "command_timeout", CONF_DURATION, AT(conf_connector, command_timeout_ms), 10, HOUR, "5m",
	  .doc = "how long to wait for the greeting and for replies to EHLO, MAIL and RCPT" },
	{ "data_timeout", CONF_DURATION, AT(conf_connector, data_timeout_ms), 10, HOUR, "3m",
	  .doc = "how long to wait for the reply to DATA, and for each block to leave" },
	{ "dot_timeout", CONF_DURATION, AT(conf_connector, dot_timeout_ms), 10, HOUR, "10m",
	  .doc = "how long to wait for the reply to the final dot; a short one makes duplicates" },
	{ "idle", CONF_DURATION, AT(conf_connector, idle_ms), 0, 5 * MINUTE, "5s",
	  .doc = "how long an idle connection is kept for the next message" },
	{ "allow_addresses", CONF_CIDRS, MANY(conf_connector, allow_addresses, nallow_addresses),
	  0, 256, "",
	  .doc = "private and local networks that an MX may point to here", .shown = "none" },
	{ "soft_bounce", CONF_BOOL, AT(conf_connector, soft_bounce), 0, 0, "false",
	  .doc = "failures become deferrals, for migrations" },
	{ "resolve", CONF_GROUP, AT(conf_connector, resolve), 0, 0, NULL,
	  .doc = "how the connector asks DNS", .section = &conf_section_resolve },
	{ "retry", CONF_GROUP, AT(conf_connector, retry), 0, 0, NULL,
	  .doc = "when the connector tries again", .section = &retry_section },
};
const struct conf_section conf_section_connector =
    SECTION("connectors", conf_connector, connector_keys);

static const struct conf_key spool_keys[] = {
	{ "path", CONF_PATH, AT(conf_spool, path), 1, 1024, "/var/spool/relayd",
	  .doc = "folder of the queue" },
	{ "allow_ephemeral", CONF_BOOL, AT(conf_spool, allow_ephemeral), 0, 0, "false",
	  .doc = "true: run on a file system that does not survive a restart, such as tmpfs" },
	{ "segment", CONF_SIZE, AT(conf_spool, segment_bytes), 64 * KILO, GIGA, "16M",
	  .doc = "size of one file of the log" },
	{ "max_messages", CONF_NUMBER, AT(conf_spool, max_messages), 1, 1000000000, "1000000",
	  .doc = "no more mail is taken with this many messages queued" },
	{ "max_bytes", CONF_SIZE, AT(conf_spool, max_bytes), MEGA, 1024 * 1024 * GIGA, "20G",
	  .doc = "no more mail is taken with this much queued" },
	{ "min_free", CONF_SIZE, AT(conf_spool, min_free_bytes), 0, 1024 * 1024 * GIGA, "256M",
	  .doc = "no more mail is taken with less free space on the disk" },
	{ "large_body", CONF_SIZE, AT(conf_spool, large_bytes), KILO, GIGA, "256k",
	  .doc = "bodies above this go to a file of their own" },
};
static const struct conf_section spool_section = SECTION("spool", conf_spool, spool_keys);

static const struct conf_key log_keys[] = {
	{ "to", CONF_CHOICE, AT(conf_log, to), 0, 0, "stderr",
	  .doc = "where the log goes; under systemd, stderr is the journal", .choices = log_to_words },
	{ "file", CONF_PATH, AT(conf_log, file), 1, 1024, NULL,
	  .doc = "the file, when to is \"file\"", .flags = CONF_OPTIONAL, .shown = "none" },
	{ "trace", CONF_BOOL, AT(conf_log, trace), 0, 0, "false",
	  .doc = "log every step, for finding faults" },
};
static const struct conf_section log_section = SECTION("log", conf_log, log_keys);

static const struct conf_key control_keys[] = {
	{ "path", CONF_PATH, AT(conf_control, path), 1, 107, "/run/relayd/control",
	  .doc = "the socket that relayctl talks to" },
	{ "look", CONF_TEXTS, MANY(conf_control, look, nlook), 0, 64, "",
	  .doc = "users and \"@groups\" that may look at queue and state", .shown = "root only" },
	{ "read", CONF_TEXTS, MANY(conf_control, read, nread), 0, 64, "",
	  .doc = "those that may also read messages", .shown = "root only" },
	{ "act", CONF_TEXTS, MANY(conf_control, act, nact), 0, 64, "",
	  .doc = "those that may also change the queue", .shown = "root only" },
};
static const struct conf_section control_section = SECTION("control", conf_control, control_keys);

static const struct conf_key alarm_keys[] = {
	{ "age", CONF_DURATION, AT(conf_alarm, age_ms), 1, 30 * DAY, "15m",
	  .doc = "a destination whose oldest message is older raises an alarm" },
};
static const struct conf_section alarm_section = SECTION("alarm", conf_alarm, alarm_keys);

static const struct conf_key processes_keys[] = {
	{ "rx", CONF_COUNT, AT(conf, rx_processes), 1, 16, "1", .doc = "processes that receive" },
	{ "tx", CONF_COUNT, AT(conf, tx_processes), 1, 16, "1", .doc = "processes that deliver" },
};
static const struct conf_section processes_section = SECTION("processes", conf, processes_keys);

static const struct conf_key host_keys[] = {
	{ "name", CONF_TEXT, AT(conf_host, name), 1, 253, NULL, "", .flags = CONF_HIDDEN },
	{ "address", CONF_ADDRESS, AT(conf_host, address), 0, 0, NULL, "", .flags = CONF_HIDDEN },
};
static const struct conf_section host_section = SECTION("", conf_host, host_keys);

static const struct conf_key top_keys[] = {
	{ "generation", CONF_NUMBER, AT(conf, generation), 0, 0, NULL, "", .flags = CONF_HIDDEN },
	{ "file", CONF_TEXT, AT(conf, file), 0, 0, NULL, "", .flags = CONF_HIDDEN },
	{ "hostname", CONF_HOST, AT(conf, hostname), 1, 253, NULL,
	  .doc = "full name of this machine, for greeting, EHLO and notices",
	  .shown = "the name of this machine" },
	{ "user", CONF_TEXT, AT(conf, user), 1, 32, "relayd",
	  .doc = "user that the processes run as when relayd is started by root" },
	{ "root", CONF_PATH, AT(conf, root), 1, 1024, "/var/empty",
	  .doc = "empty folder that the processes are shut into when relayd is started by root" },
	{ "resolv_conf", CONF_PATH, AT(conf, resolv_conf), 1, 1024, "/etc/resolv.conf",
	  .doc = "file whose nameserver lines make the set \"system\"" },
	{ "hosts", CONF_PATH, AT(conf, hosts_file), 1, 1024, "/etc/hosts",
	  .doc = "the hosts file; used for smarthosts only" },
	{ "own_addresses", CONF_ADDRESSES, MANY(conf, own_addresses, nown_addresses), 0, 256, "",
	  .doc = "addresses that lead to us, such as that of a NAT router; never delivered to",
	  .shown = "none" },
	{ "soft_bounce", CONF_BOOL, AT(conf, soft_bounce), 0, 0, "false",
	  .doc = "failures become deferrals in every connector, for migrations" },
	{ "processes", CONF_GROUP, 0, 0, 0, 0, NULL,
	  .doc = "how many processes of a kind", .section = &processes_section },
	{ "spool", CONF_GROUP, AT(conf, spool), 0, 0, NULL,
	  .doc = "the queue on disk", .section = &spool_section },
	{ "log", CONF_GROUP, AT(conf, log), 0, 0, NULL,
	  .doc = "the log", .section = &log_section },
	{ "control", CONF_GROUP, AT(conf, control), 0, 0, NULL,
	  .doc = "the socket for relayctl, and who may use it", .section = &control_section },
	{ "alarm", CONF_GROUP, AT(conf, alarm), 0, 0, NULL,
	  .doc = "when to raise an alarm", .section = &alarm_section },
	{ "listeners", CONF_LIST, MANY(conf, listeners, nlisteners), 1, 64, NULL,
	  .doc = "where mail comes in", .flags = CONF_REQUIRED, .section = &conf_section_listener },
	{ "resolvers", CONF_NAMED, MANY(conf, sets, nsets), 0, 64, NULL,
	  .doc = "sets of DNS servers by name", .shown = "\"system\" from resolv_conf",
	  .section = &conf_section_resolvers },
	{ "connectors", CONF_LIST, MANY(conf, connectors, nconnectors), 0, 1024, NULL,
	  .doc = "ways out", .shown = "\"internet\" for \"*\"", .section = &conf_section_connector },
	{ "lines of hosts", CONF_LIST, MANY(conf, hosts, nhosts), 0, 65536, NULL, "",
	  .flags = CONF_HIDDEN, .section = &host_section },
};
const struct conf_section conf_section_top = SECTION("", conf, top_keys);

const struct conf_key *
conf_key(const struct conf_section *s, const char *name)
{
	for (size_t i = 0; i < s->nkeys; i++)
		if (!(s->keys[i].flags & CONF_HIDDEN) &&
		    strcmp(s->keys[i].name, name) == 0)
			return &s->keys[i];
	return NULL;
}

const char *
conf_key_near(const struct conf_section *s, const char *name)
{
	const char *best = NULL;
	unsigned least = (unsigned)(strlen(name) + 1) / 3;

	for (size_t i = 0; i < s->nkeys; i++) {
		unsigned far;

		if (s->keys[i].flags & CONF_HIDDEN)
			continue;
		far = str_distance(name, s->keys[i].name);
		if (far > least || (far == least && best != NULL))
			continue;
		least = far;
		best = s->keys[i].name;
	}
	return best;
}

static const char *
key_in(const struct conf_section *s, const char *name)
{
	if (conf_key(s, name) != NULL)
		return s->path;
	for (size_t i = 0; i < s->nkeys; i++) {
		const char *path = NULL;

		if (s->keys[i].section != NULL &&
		    !(s->keys[i].flags & CONF_HIDDEN))
			path = key_in(s->keys[i].section, name);
		if (path != NULL)
			return path;
	}
	return NULL;
}

const char *
conf_key_elsewhere(const char *name)
{
	return key_in(&conf_section_top, name);
}

/* As it would be written: numbers bare, texts quoted, several in brackets. */
static void
print_text(FILE *out, const struct conf_key *k)
{
	const char *comma = strstr(k->text, ", ");
	bool bare = k->type == CONF_BOOL || k->type == CONF_COUNT ||
	    k->type == CONF_PORT || k->type == CONF_NUMBER;

	if (bare)
		fputs(k->text, out);
	else if (comma == NULL)
		fprintf(out, "\"%s\"", k->text);
	else
		fprintf(out, "[ \"%.*s\", \"%s\" ]", (int)(comma - k->text),
		    k->text, comma + 2);
}

static void
print_default(FILE *out, const struct conf_key *k)
{
	if (k->flags & CONF_REQUIRED)
		fputs("required", out);
	else if (k->shown != NULL)
		fputs(k->shown, out);
	else if (k->text != NULL)
		print_text(out, k);
	else
		fputc('-', out);
}

static void
print_section(FILE *out, const struct conf_section *s)
{
	for (size_t i = 0; i < s->nkeys; i++) {
		const struct conf_key *k = &s->keys[i];

		if (k->flags & CONF_HIDDEN)
			continue;
		fprintf(out, "%s\t%s\t", *s->path == '\0' ? "-" : s->path, k->name);
		print_default(out, k);
		fprintf(out, "\t%s\n", k->doc);
		if (k->section != NULL)
			print_section(out, k->section);
	}
}

void
conf_print_keys(FILE *out)
{
	print_section(out, &conf_section_top);
}
