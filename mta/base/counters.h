/*
 * counters.h - counts that all roles see: one table in shared memory that the
 * parent makes (memfd) and hands to each role, one column a process.
 *
 * A process writes only its own column, without locks; readers add the columns.
 * The parent clears a dead process's gauges, never its totals.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "mta/base/fault.h"

/* X(name, gauge): gauge 1 = goes up and down, cleared when its process dies. */
#define COUNTERS(X) \
	X(rx_sessions_total, 0)		X(rx_sessions_open, 1) \
	X(rx_messages_total, 0)		X(rx_recipients_total, 0) \
	X(rx_bytes_total, 0)		X(rx_refused_total, 0) \
	X(queue_accepted_total, 0)	X(queue_commits_total, 0) \
	X(queue_syncs_total, 0)		X(queue_sync_us_total, 0) \
	X(queue_messages, 1)		X(queue_recipients, 1) \
	X(queue_bytes, 1)		X(queue_dsn_total, 0) \
	X(tx_connects_total, 0)		X(tx_connects_failed_total, 0) \
	X(tx_sessions_open, 1)		X(tx_delivered_total, 0) \
	X(tx_deferred_total, 0)		X(tx_failed_total, 0) \
	X(tx_bytes_total, 0)		X(dns_questions_total, 0) \
	X(dns_cache_hits_total, 0)	X(dns_ignored_packets_total, 0) \
	X(dns_escalations_total, 0)	X(log_dropped_total, 0)

enum counter {
#define X(name, gauge) C_##name,
	COUNTERS(X)
#undef X
	COUNTER_COUNT
};

#define COUNTER_COLUMNS 64

/* The parent: makes the table, returns its descriptor (inherited by the roles). */
MUST_CHECK bool counters_create(int *fd_r, struct fault *f);
/* A role: maps it and takes column for its own writes. */
MUST_CHECK bool counters_map(int fd, unsigned column, struct fault *f);
void counters_clear_gauges(unsigned column);	/* the parent */

/* Before counters_map() these write to a private column: tests need no table. */
void counter_add(enum counter c, int64_t n);
void counter_set(enum counter c, int64_t v);
int64_t counter_sum(enum counter c);		/* over all columns */
const char *counter_name(enum counter c);
