/*
 * show.h - how traces, statuses and destinations look, to people and in JSON:
 * shared by all commands so that one fact has one form.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mta/ctl/json.h"
#include "mta/door/ask.h"
#include "mta/door/inspect.h"
#include "queue/trace.h"

struct conf;
struct conf_connector;

/*
 * One entry on one line, with newline.  kept: it stands in the record of an
 * attempt, so its answers are kept ones, whatever they were when it ran.
 */
void show_entry(struct buf *b, const struct trace_entry *e, bool kept, const char *indent);
void show_trace(struct buf *b, const uint8_t *trace, size_t len, bool kept, const char *indent);
void json_trace(struct json *j, const char *key, const uint8_t *trace, size_t len, bool kept);

/* "451 4.4.3 text": reply only when a peer said it.  Returns buf; "" for class 0. */
const char *show_status(const struct status *st, char *buf, size_t size);
/* reason, code, reply, stage, peer, and the text as KEY. */
void json_status(struct json *j, const char *key, const struct status *st);

/* Where mail of the destination goes: its domain, or the smarthosts of the connector. */
const char *show_next_hop(const struct conf *conf, const struct inspect_dest *d, char *buf, size_t size);
/* The members of a destination, all but traces. */
void json_dest(struct json *j, const struct conf *conf, const struct inspect_dest *d, int64_t now_wall_ms);

/* "resolvers=internal ipv6=true order=both …". */
void show_policy(struct buf *b, const struct conf_connector *k);
void json_policy(struct json *j, const char *key, const struct conf_connector *k);
const char *show_order(const struct conf_connector *k);
const char *show_on_failure(const struct conf_connector *k);

const char *show_verdict(uint8_t verdict);	/* "deliver", "defer", "fail" */
void json_answer(struct json *j, const struct ask_answer *a);
