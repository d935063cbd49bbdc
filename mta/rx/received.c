/*
 * received.c - writes our Received line and counts the others.
 * Never lets what the client called itself break out of the line it stands in.
 * Read next: received.h; data.c.
 */
#include "mta/rx/received.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "conf/conf.h"

#define NAME_SHOWN 255		/* of helo */
#define RECIPIENT_SHOWN 256	/* a longer one is left out */

/* RFC 5322 comments and atoms: what could end or open one becomes "?". */
static void
add_name(struct buf *out, const char *s)
{
	size_t n = strnlen(s, NAME_SHOWN);
	uint8_t *to;

	if (n == 0) {
		buf_text(out, "unknown");
		return;
	}
	to = buf_room(out, n);
	for (size_t i = 0; i < n; i++) {
		bool odd = s[i] <= ' ' || s[i] >= 0x7f ||
		    strchr("()<>;,\\\"", s[i]) != NULL;

		to[i] = (uint8_t)(odd ? '?' : s[i]);
	}
	out->len += n;
}

void
received_write(struct buf *out, const struct rx_received *r)
{
	char ip[INET6_ADDRSTRLEN] = "";

	inet_ntop(r->client->family, r->client->ip, ip, sizeof(ip));
	buf_text(out, "Received: from ");
	add_name(out, r->helo);
	buf_text(out, r->client->family == AF_INET6 ? " ([IPv6:" : " ([");
	buf_text(out, ip);
	buf_text(out, "])\r\n\tby ");
	add_name(out, r->hostname);
	buf_text(out, r->esmtp ? " with ESMTP id " : " with SMTP id ");
	buf_text(out, r->id);
	if (r->recipient != NULL && strlen(r->recipient) <= RECIPIENT_SHOWN) {
		buf_text(out, "\r\n\tfor <");
		buf_text(out, r->recipient);
		buf_text(out, ">");
	}
	buf_text(out, ";\r\n\t");
	buf_text(out, r->date);
	buf_text(out, "\r\n");
}

/* One octet at the start of a line. */
static void
count_octet(struct received_count *c, uint8_t o)
{
	static const char name[] = "received:";

	if (o == '\n') {
		c->in_body = c->column == 0;	/* an empty line */
		c->column = 0;
		return;
	}
	if (o == '\r' && c->column == 0)
		return;
	if (o >= 'A' && o <= 'Z')
		o = (uint8_t)(o - 'A' + 'a');
	if (o != (uint8_t)name[c->column])
		c->skip = true;
	else if (name[++c->column] == '\0') {
		c->n++;
		c->skip = true;
	}
}

void
received_count(struct received_count *c, const uint8_t *p, size_t n)
{
	const uint8_t *end = p + n;

	while (p < end && !c->in_body) {
		if (!c->skip) {
			count_octet(c, *p++);
			continue;
		}
		p = memchr(p, '\n', (size_t)(end - p));
		if (p == NULL)
			return;
		p++;
		c->skip = false;
		c->column = 0;
	}
}
