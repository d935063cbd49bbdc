/*
 * status.c - names, code and wire form of a status.
 * Never judges: who fills a status decides what it means.
 * Text is made safe here, once: one line of printable ASCII, at most 500
 * characters, whatever a peer or a DNS name put into it.
 * Read next: queue/trace.c (the attempt behind a status), mta/dns/finding.c.
 */
#include "queue/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "mta/base/str.h"

#define TEXT_SHOWN_MAX 500

static const char *const reason_names[REASON_COUNT] = {
#define X(name) [REASON_##name] = #name,
	REASONS(X)
#undef X
};

static const char *const stage_names[STAGE_COUNT] = {
#define X(name) [STAGE_##name] = #name,
	STAGES(X)
#undef X
};

const char *
reason_name(enum reason r)
{
	return (unsigned)r < REASON_COUNT ? reason_names[r] : "unknown";
}

int
reason_parse(const char *name)
{
	for (int i = 0; i < REASON_COUNT; i++)
		if (strcmp(name, reason_names[i]) == 0)
			return i;
	return -1;
}

const char *
stage_name(enum stage s)
{
	return (unsigned)s < STAGE_COUNT ? stage_names[s] : "unknown";
}

bool
reason_is_dns(enum reason r)
{
	return r >= REASON_dns_servfail && r <= REASON_null_mx;
}

const char *
status_code(const struct status *st, char buf[STATUS_CODE_MAX])
{
	snprintf(buf, STATUS_CODE_MAX, "%u.%u.%u", st->class_,
	    st->subject % 1000u, st->detail % 1000u);
	return buf;
}

void
status_set(struct status *st, uint8_t class_, uint16_t subject,
    uint16_t detail, enum stage stage, enum reason reason, const char *fmt, ...)
{
	char raw[2 * STATUS_TEXT_MAX];
	va_list ap;

	*st = (struct status){
		.class_ = class_, .subject = subject, .detail = detail,
		.stage = stage, .reason = reason,
	};
	va_start(ap, fmt);
	vsnprintf(raw, sizeof raw, fmt, ap);
	va_end(ap);
	str_safe(st->text, TEXT_SHOWN_MAX + 1, raw, strlen(raw));
}

void
status_encode(const struct status *st, struct buf *b)
{
	buf_u8(b, st->class_);
	buf_u16(b, st->subject);
	buf_u16(b, st->detail);
	buf_u16(b, st->reply);
	buf_u8(b, (uint8_t)st->stage);
	buf_u8(b, (uint8_t)st->reason);
	buf_u8(b, st->remote);
	buf_str(b, st->text);
	buf_str(b, st->peer);
}

static bool
class_known(uint8_t class_)
{
	return class_ == 0 || class_ == 2 || class_ == 4 || class_ == 5;
}

bool
status_decode(struct status *st, struct rd *r)
{
	unsigned stage, reason, remote;

	memset(st, 0, sizeof *st);
	st->class_ = rd_u8(r);
	st->subject = rd_u16(r);
	st->detail = rd_u16(r);
	st->reply = rd_u16(r);
	stage = rd_u8(r);
	reason = rd_u8(r);
	remote = rd_u8(r);
	rd_copy_str(r, st->text, sizeof st->text);
	rd_copy_str(r, st->peer, sizeof st->peer);
	if (r->bad || !class_known(st->class_) || stage >= STAGE_COUNT ||
	    reason >= REASON_COUNT || remote > 1) {
		memset(st, 0, sizeof *st);
		r->bad = true;
		return false;
	}
	st->stage = (enum stage)stage;
	st->reason = (enum reason)reason;
	st->remote = remote != 0;
	return true;
}
