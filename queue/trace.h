/*
 * trace.h - what one attempt at a destination asked and was answered, in order:
 * DNS questions, sets given up, connects, replies.  Bounded; kept with the
 * destination, printed by explain, quoted in the log and in DSNs.
 *
 * The encoded form is the kept form: entries are appended to a buf and read
 * back one by one.  Past TRACE_MAX bytes only a count of the left-out goes in.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "mta/base/mem.h"
#include "queue/status.h"

#define TRACE_MAX (48u << 10)

enum trace_kind {
	TRACE_QUESTION = 1,	/* a DNS question and its outcome */
	TRACE_ESCALATE,		/* one set gave up, the next is asked */
	TRACE_CONNECT,		/* a connect and its result */
	TRACE_REPLY,		/* greeting, EHLO, or the reply that ended the attempt */
	TRACE_NOTE,		/* a decision in words: host discarded, guard, ourselves … */
	TRACE_LEFT_OUT,		/* n entries did not fit */
};

enum trace_transport { VIA_UDP = 0, VIA_TCP, VIA_HOSTS, VIA_NONE };
enum trace_source { SRC_FRESH = 0, SRC_CACHED, SRC_KEPT };

/* How one question ended: below TRACE_RCODE_KINDS a DNS rcode (RFC 6895 2.3). */
enum trace_outcome {
	OUT_NOERROR = 0, OUT_FORMERR = 1, OUT_SERVFAIL = 2, OUT_NXDOMAIN = 3,
	OUT_NOTIMP = 4, OUT_REFUSED = 5,
	OUT_RCODE_KINDS = 4096,
	OUT_NODATA,		/* NOERROR without the type */
	OUT_TIMEOUT,		/* silence */
	OUT_GARBLED,		/* not to be understood, wrong rdata length */
	OUT_REFERRAL,
	OUT_CNAME_LOOP,
	OUT_TRUNCATED,		/* TC and TCP failed */
	OUT_NETWORK,		/* the server's address could not be reached (ICMP, TCP refused) */
	OUT_NOT_ASKED,		/* policy: ipv6=false, or strict gave up before */
};

#define TRACE_ANSWERS_MAX 24

struct trace_answer {
	uint16_t	pref;		/* MX only */
	char		name[256];	/* MX host; "" for addresses */
	sa_family_t	family;		/* 0 for MX */
	uint8_t		ip[16];
};

struct trace_question {
	char			 set[64];	/* "internal"; "hosts" */
	char			 server[64];	/* "10.0.0.53:53"; "hosts" */
	enum trace_transport	 via;
	enum trace_source	 source;
	char			 name[256];	/* as asked, no trailing dot */
	uint16_t		 qtype;		/* 1 A, 15 MX, 28 AAAA, 5 CNAME */
	uint16_t		 outcome;	/* enum trace_outcome or rcode */
	uint32_t		 ms;
	uint32_t		 ttl_s;
	uint16_t		 nanswers;	/* all that came */
	uint16_t		 kept;		/* of them here */
	struct trace_answer	 answers[TRACE_ANSWERS_MAX];
};

struct trace_connect {
	char		host[256];
	char		peer[64];	/* "192.0.2.1:25" */
	uint32_t	ms;
	int32_t		err;		/* 0: connected; else errno (ETIMEDOUT, ECONNREFUSED, ECANCELED: another was first) */
};

struct trace_entry {
	enum trace_kind	kind;
	int64_t		wall_ms;
	union {
		struct trace_question	question;
		struct trace_connect	connect;
		struct { enum stage stage; char peer[128]; char text[512]; } reply;
		struct { char from[64], to[64], why[256]; } escalate;
		char		note[512];
		uint32_t	left_out;
	} u;
};

/* Each appends one entry to the kept form; wall_ms is filled from the clock when 0. */
void trace_add(struct buf *trace, const struct trace_entry *e);
void trace_note(struct buf *trace, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Reads the next entry; false at the end (or where it makes no sense). */
bool trace_next(struct rd *r, struct trace_entry *e);

const char *trace_outcome_name(uint16_t outcome, char buf[24]);	/* "SERVFAIL", "timeout", "rcode 9" */
const char *trace_qtype_name(uint16_t qtype, char buf[16]);

/* One line for people, without time: "internal 10.0.0.53:53 udp AAAA mx.far.test SERVFAIL 2 ms". */
void trace_line(const struct trace_entry *e, char *buf, size_t size);
