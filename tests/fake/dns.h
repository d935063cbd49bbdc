/*
 * dns.h - a name server in a thread, on an ephemeral port of 127.0.0.1 (UDP
 * and TCP), that answers as it was told and counts what it was asked.
 *
 * A rule is "TYPE name" and what to say:
 *
 *   "10 mx.far.test, 20 mx2.far.test"   records of the type
 *   "cname other.test"                  a CNAME and nothing else
 *   "cname other.test 192.0.2.1"        a CNAME and its target's records
 *   "servfail" "refused" "notimp" "formerr" "nxdomain" "rcode 9"
 *   "nodata" "empty" "referral"         NOERROR: with SOA, with nothing, with NS
 *   "silence"
 *   "wrongid WHAT"                      a wrong answer first, then WHAT
 *   "tc WHAT" "garbled WHAT"            by UDP; WHAT by TCP
 *   "noquestion"                        SERVFAIL without question section
 *   "slow MS WHAT"                      by UDP after a while
 *   "ttl S WHAT"                        default 300
 *
 * What no rule names is nxdomain.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fake_dns;

struct fake_dns *fake_dns_start(void);
void fake_dns_stop(struct fake_dns **f);
uint16_t fake_dns_port(const struct fake_dns *f);
void fake_dns_say(struct fake_dns *f, const char *question, const char *what);
unsigned fake_dns_asked(struct fake_dns *f, const char *question);	/* UDP and TCP */
unsigned fake_dns_asked_tcp(struct fake_dns *f, const char *question);
unsigned fake_dns_ports(struct fake_dns *f);	/* different client ports, UDP */
