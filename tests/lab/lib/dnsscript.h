/*
 * dnsscript.h - what faultdns is told to answer.  A script is lines:
 *
 *   zone NAME [NS...]                 we are authoritative: SOA and NS there
 *   on WHERE NAME TYPE ACTION         what one question is answered
 *   off WHERE NAME TYPE               forget the rule written just like that
 *
 * WHERE is ADDR:PORT or *; NAME a name, *.NAME (anything below) or *; TYPE a
 * type, its number or *.  The last rule that matches wins, so that a line
 * added later changes the answer.  ACTION is any of these prefixes
 *
 *   delay MS      answer later        times N      only the first N questions
 *   udp | tcp     only over this      truncate     TC over UDP; TCP goes on
 *
 * and then one of
 *
 *   answer RDATA[, RDATA...] [ttl=N]  records of the type asked
 *   cname TARGET [ttl=N]              and the target's records if known here
 *   nodata                            NOERROR, SOA
 *   rcode NAME|NUMBER                 SERVFAIL, REFUSED, NXDOMAIN (with SOA) ...
 *   drop                              silence
 *   garbage KIND                      see enum dns_garbage
 *
 * A name without a rule: NODATA where other types or deeper names have rules,
 * NXDOMAIN inside a zone, REFUSED elsewhere.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define DNS_NAME_TEXT	256
#define DNS_RDATA_TEXT	512
#define DNS_NS_MAX	4

enum dns_type { T_A = 1, T_NS = 2, T_CNAME = 5, T_SOA = 6, T_PTR = 12, T_MX = 15, T_TXT = 16, T_AAAA = 28, T_OPT = 41, T_ANY = 255 };

enum dns_garbage {
	GARBAGE_NONE = 0,
	GARBAGE_SHORT_RDATA,	/* an address of three octets, an MX of one */
	GARBAGE_WRONG_ID,
	GARBAGE_WRONG_QUESTION,
	GARBAGE_CUT,		/* ends in the middle of the answer section */
	GARBAGE_LOOP,		/* a compression pointer to itself */
	GARBAGE_CNAME_LOOP,	/* a -> b -> a */
	GARBAGE_REFERRAL,	/* NS below, no SOA, not authoritative */
	GARBAGE_NOSOA,		/* NOERROR, nothing at all */
	GARBAGE_NOISE,		/* octets that are no DNS message */
	GARBAGE_NOQUESTION,	/* SERVFAIL without a question section */
};

enum dns_act { ACT_ANSWER = 0, ACT_CNAME, ACT_NODATA, ACT_RCODE, ACT_DROP, ACT_GARBAGE };

/* What is to be done with one question. */
struct dns_plan {
	bool		 drop;
	bool		 truncate;	/* empty with TC */
	unsigned	 delay_ms;
	enum dns_act	 act;
	unsigned	 rcode;
	enum dns_garbage garbage;
	uint32_t	 ttl_s;
	const char	*rdata;		/* "10 mx.far.test, 20 ..." or the CNAME target; of the script */
};

struct dns_zone {
	char	name[DNS_NAME_TEXT];
	char	ns[DNS_NS_MAX][DNS_NAME_TEXT];
	size_t	nns;
};

struct dns_script;

struct dns_script *dns_script_load(const char *path, char *why, size_t size);
bool dns_script_line(struct dns_script *s, const char *line, char *why, size_t size);
void dns_script_free(struct dns_script **s);

/* Always fills the plan; counts the question against "times". */
void dns_script_plan(struct dns_script *s, const char *where, bool tcp, const char *name, unsigned type, struct dns_plan *plan);
/* Records for a name without counting and without faults: additional data, CNAME targets. */
bool dns_script_peek(const struct dns_script *s, const char *where, const char *name, unsigned type, struct dns_plan *plan);
const struct dns_zone *dns_script_zone(const struct dns_script *s, const char *name);	/* NULL: outside */

const char *dns_type_name(unsigned type, char buf[16]);
unsigned dns_type_parse(const char *text);	/* 0: unknown */
