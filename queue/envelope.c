/*
 * envelope.c - message ids in text and bytes, envelopes in their wire form.
 * Never trusts what it decodes: it comes from a disk or another process.
 * The order of the fields is the format on disk: append, never reorder.
 * Read next: envelope.h; queue.h, where envelopes travel.
 */
#include "queue/envelope.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "mta/base/log.h"

#define RECIPIENTS_MAX 1000000u	/* far above any listener's limit */
#define RECIPIENT_MIN 9u	/* octets of the smallest one encoded */

enum { FLAG_8BIT = 1, FLAG_SMTPUTF8 = 2 };

/* Crockford: no I, L, O, U. */
static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/* One system call for many ids; single-threaded, nothing secret in it. */
static uint8_t pool[1024];
static size_t pool_left;

static const uint8_t *
random_bytes(size_t n)
{
	if (pool_left < n) {
		size_t have = 0;

		while (have < sizeof(pool)) {
			ssize_t got = getrandom(pool + have,
			    sizeof(pool) - have, 0);

			if (got == -1 && errno != EINTR)
				bug("getrandom: %s", strerror(errno));
			if (got > 0)
				have += (size_t)got;
		}
		pool_left = sizeof(pool);
	}
	pool_left -= n;
	return pool + pool_left;
}

void
msgid_mint(struct msgid *id, int64_t now_wall_ms)
{
	uint64_t ms = (uint64_t)now_wall_ms;

	for (int i = 0; i < 6; i++)
		id->b[i] = (uint8_t)(ms >> (40 - 8 * i));
	memcpy(id->b + 6, random_bytes(10), 10);
}

int64_t
msgid_wall_ms(const struct msgid *id)
{
	uint64_t ms = 0;

	for (int i = 0; i < 6; i++)
		ms = ms << 8 | id->b[i];
	return (int64_t)ms;
}

/* 26 digits of 5 bits are 130 bits: the first digit has only three. */
const char *
msgid_text(const struct msgid *id, char buf[MSGID_TEXT_MAX])
{
	uint64_t hi = 0, lo = 0;

	for (int i = 0; i < 8; i++) {
		hi = hi << 8 | id->b[i];
		lo = lo << 8 | id->b[i + 8];
	}
	for (int i = 25; i >= 0; i--) {
		buf[i] = digits[lo & 31];
		lo = lo >> 5 | hi << 59;
		hi >>= 5;
	}
	buf[26] = '\0';
	return buf;
}

static char
upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

bool
msgid_parse(const char *s, struct msgid *id)
{
	uint64_t hi = 0, lo = 0;

	for (int i = 0; i < 26; i++) {
		const char *d;

		if (s[i] == '\0')
			return false;
		d = strchr(digits, upper(s[i]));
		if (d == NULL || (i == 0 && d - digits > 7))
			return false;
		hi = hi << 5 | lo >> 59;
		lo = lo << 5 | (uint64_t)(d - digits);
	}
	if (s[26] != '\0')
		return false;
	for (int i = 0; i < 8; i++) {
		id->b[i] = (uint8_t)(hi >> (56 - 8 * i));
		id->b[i + 8] = (uint8_t)(lo >> (56 - 8 * i));
	}
	return true;
}

bool
msgid_has_tail(const struct msgid *id, const char *tail)
{
	char text[MSGID_TEXT_MAX];
	size_t n = strlen(tail);

	if (n == 0 || n > MSGID_TEXT_MAX - 1)
		return false;
	msgid_text(id, text);
	for (size_t i = 0; i < n; i++)
		if (upper(tail[i]) != text[MSGID_TEXT_MAX - 1 - n + i])
			return false;
	return true;
}

void
envelope_free(struct envelope *e)
{
	for (uint32_t i = 0; i < e->nrecipients; i++) {
		free(e->recipients[i].address);
		free(e->recipients[i].orcpt);
	}
	free(e->recipients);
	free(e->sender);
	free(e->envid);
	free(e->listener);
	free(e->client);
	free(e->helo);
	*e = (struct envelope){ .nrecipients = 0 };
}

void
envelope_encode(const struct envelope *e, struct buf *b)
{
	buf_str(b, e->sender);
	buf_str(b, e->envid);
	buf_str(b, e->listener);
	buf_str(b, e->client);
	buf_str(b, e->helo);
	buf_u8(b, e->ret);
	buf_u8(b, (uint8_t)((e->body_8bit ? FLAG_8BIT : 0) |
	    (e->smtputf8 ? FLAG_SMTPUTF8 : 0)));
	buf_i64(b, e->arrival_wall_ms);
	buf_u32(b, e->nrecipients);
	for (uint32_t i = 0; i < e->nrecipients; i++) {
		buf_str(b, e->recipients[i].address);
		buf_str(b, e->recipients[i].orcpt);
		buf_u8(b, e->recipients[i].notify);
	}
}

bool
envelope_decode(struct envelope *e, struct rd *r)
{
	uint8_t flags;
	uint32_t n;

	*e = (struct envelope){ .nrecipients = 0 };
	e->sender = rd_str(r);
	e->envid = rd_str(r);
	e->listener = rd_str(r);
	e->client = rd_str(r);
	e->helo = rd_str(r);
	e->ret = rd_u8(r);
	flags = rd_u8(r);
	e->body_8bit = (flags & FLAG_8BIT) != 0;
	e->smtputf8 = (flags & FLAG_SMTPUTF8) != 0;
	e->arrival_wall_ms = rd_i64(r);
	n = rd_u32(r);
	if (r->bad || e->sender == NULL || e->ret > 2 || n > RECIPIENTS_MAX ||
	    n > rd_left(r) / RECIPIENT_MIN)
		goto bad;
	e->recipients = xcalloc(n != 0 ? n : 1, sizeof(*e->recipients));
	for (; e->nrecipients < n; e->nrecipients++) {
		struct recipient *to = &e->recipients[e->nrecipients];

		to->address = rd_str(r);
		to->orcpt = rd_str(r);
		to->notify = rd_u8(r);
		if (r->bad || to->address == NULL) {
			e->nrecipients++;
			goto bad;
		}
	}
	return true;
bad:
	envelope_free(e);
	r->bad = true;
	return false;
}

bool
address_domain(const char *address, char buf[DOMAIN_MAX])
{
	const char *at = strrchr(address, '@');
	size_t n;

	buf[0] = '\0';
	if (at == NULL)
		return false;
	n = strlen(++at);
	if (n > 1 && at[n - 1] == '.')
		n--;
	/* A quote here: the @ stood inside a quoted local part. */
	if (n == 0 || n >= DOMAIN_MAX || memchr(at, '"', n) != NULL)
		return false;
	for (size_t i = 0; i < n; i++)
		buf[i] = at[i] >= 'A' && at[i] <= 'Z' ?
		    (char)(at[i] - 'A' + 'a') : at[i];
	buf[n] = '\0';
	return true;
}
