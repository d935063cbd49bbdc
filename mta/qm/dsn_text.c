/*
 * dsn_text.c - writes a DSN.  Foreign text (replies) is made safe before it gets
 * here (struct status); addresses are put in as they were given, cut at CR and
 * LF.  Read next: dsn.c (who owes and who pays).
 */
#include "mta/qm/dsn_text.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mta/base/clock.h"

#define HEADERS_MAX (64u << 10)

static void
line(struct buf *b, const char *name, const char *value)
{
	buf_printf(b, "%s: ", name);
	for (const char *s = value; *s != '\0' && *s != '\r' && *s != '\n'; s++)
		buf_u8(b, (uint8_t)*s);
	buf_text(b, "\r\n");
}

static bool
all_delayed(const struct dsn_about *a)
{
	for (uint32_t k = 0; k < a->nrcpts; k++)
		if (a->rcpts[k].action != DSN_DELAYED)
			return false;
	return true;
}

static void
head(struct buf *b, const struct dsn_about *a, const char *boundary)
{
	char date[CLOCK_DATE_MAX], id[MSGID_TEXT_MAX];

	clock_rfc5322(a->now_wall_ms, date);
	msgid_text(&a->id, id);
	buf_printf(b, "Received: by %s (relayd) id %s;\r\n\t%s\r\n", a->hostname, id, date);
	buf_printf(b, "Date: %s\r\nMessage-ID: <%s@%s>\r\n", date, id, a->hostname);
	buf_printf(b, "From: Mail Delivery System <MAILER-DAEMON@%s>\r\n", a->hostname);
	line(b, "To", a->envelope->sender);
	line(b, "Subject", all_delayed(a) ? "Delayed mail (still being tried)" : "Undelivered mail returned to sender");
	buf_text(b, "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n");
	buf_printf(b, "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"%s\"\r\n\r\n", boundary);
}

static void
for_people(struct buf *b, const struct dsn_about *a)
{
	char code[STATUS_CODE_MAX], date[CLOCK_DATE_MAX];

	buf_printf(b, "This is the mail relay at %s.\r\n\r\n", a->hostname);
	if (all_delayed(a))
		buf_text(b, "Your message has not been delivered yet.  relayd goes on trying;\r\n"
		    "you need not send it again.\r\n\r\n");
	else
		buf_text(b, "Your message could not be delivered to the recipients below.\r\n\r\n");
	for (uint32_t k = 0; k < a->nrcpts; k++) {
		const struct dsn_rcpt *r = &a->rcpts[k];

		buf_printf(b, "<%s> %s\r\n", a->envelope->recipients[r->ordinal].address,
		    r->action == DSN_DELAYED ? "(delayed)" : "(failed)");
		buf_printf(b, "    %s %s\r\n\r\n", status_code(&r->status, code), r->status.text);
	}
	buf_printf(b, "It was received on %s.\r\n", clock_rfc5322(a->arrival_wall_ms, date));
}

static void
for_machines(struct buf *b, const struct dsn_about *a)
{
	char code[STATUS_CODE_MAX], date[CLOCK_DATE_MAX];

	buf_printf(b, "Reporting-MTA: dns; %s\r\n", a->hostname);
	if (a->envelope->envid != NULL)
		line(b, "Original-Envelope-Id", a->envelope->envid);
	line(b, "Arrival-Date", clock_rfc5322(a->arrival_wall_ms, date));
	for (uint32_t k = 0; k < a->nrcpts; k++) {
		const struct dsn_rcpt *r = &a->rcpts[k];
		const struct recipient *to = &a->envelope->recipients[r->ordinal];

		buf_text(b, "\r\n");
		if (to->orcpt != NULL)
			line(b, "Original-Recipient", to->orcpt);
		buf_printf(b, "Final-Recipient: rfc822; %s\r\n", to->address);
		line(b, "Action", r->action == DSN_DELAYED ? "delayed" : "failed");
		line(b, "Status", status_code(&r->status, code));
		if (r->status.peer[0] != '\0')
			buf_printf(b, "Remote-MTA: dns; %s\r\n", r->status.peer);
		buf_printf(b, "Diagnostic-Code: %s; %s\r\n", r->status.remote ? "smtp" : "x-relayd", r->status.text);
	}
}

/* Where the header section of the original ends, the empty line not counted. */
static size_t
headers_len(const uint8_t *p, size_t n)
{
	const uint8_t *end = memmem(p, n, "\r\n\r\n", 4);

	return end != NULL ? (size_t)(end - p) + 2 : n;
}

static void
original(struct buf *b, const struct dsn_about *a)
{
	const bool whole = a->body != NULL && a->body_len <= DSN_WHOLE_MAX && a->envelope->ret != 2 && !all_delayed(a);
	uint8_t *read_in;
	ssize_t n;

	buf_text(b, whole ? "Content-Type: message/rfc822\r\n\r\n" : "Content-Type: text/rfc822-headers\r\n\r\n");
	if (a->body != NULL) {
		buf_add(b, a->body, whole ? a->body_len : headers_len(a->body, a->body_len));
	} else if (a->body_fd != -1) {
		read_in = buf_room(b, HEADERS_MAX);
		n = pread(a->body_fd, read_in, HEADERS_MAX, 0);
		if (n > 0)
			b->len += headers_len(read_in, (size_t)n);
	}
}

void
dsn_text(struct buf *b, const struct dsn_about *a)
{
	char boundary[MSGID_TEXT_MAX + 16], id[MSGID_TEXT_MAX];

	snprintf(boundary, sizeof boundary, "relayd-%s", msgid_text(&a->id, id));
	head(b, a, boundary);
	buf_printf(b, "--%s\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n", boundary);
	for_people(b, a);
	buf_printf(b, "\r\n--%s\r\nContent-Type: message/delivery-status\r\n\r\n", boundary);
	for_machines(b, a);
	buf_printf(b, "\r\n--%s\r\n", boundary);
	original(b, a);
	buf_printf(b, "\r\n--%s--\r\n", boundary);
}
