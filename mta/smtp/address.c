/*
 * address.c - reads paths of MAIL and RCPT by the grammar of RFC 5321 4.1.2.
 * Never copies, never looks anything up, never reads past the n it was given.
 * Looser than the RFC in two things that live mail needs: any length up to
 * SMTP_PATH_MAX, and "_" in domains.
 * Read next: address.h; queue/envelope.c for the domain of an address.
 */
#include "mta/smtp/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define DOMAIN_LEN_MAX 255	/* RFC 5321 4.5.3.1.2 */
#define LABEL_LEN_MAX 63	/* RFC 1035 2.3.4 */

static bool
is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	    (c >= 'a' && c <= 'z');
}

/* RFC 5322 3.2.3 */
static bool
is_atext(char c)
{
	return is_alnum(c) || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

bool
smtp_domain_ok(const char *s, size_t n)
{
	size_t label = 0;

	if (n == 0 || n > DOMAIN_LEN_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s[i] == '.') {
			if (label == 0 || s[i - 1] == '-')
				return false;
			label = 0;
			continue;
		}
		if (!is_alnum(s[i]) && s[i] != '_' && !(s[i] == '-' && label != 0))
			return false;
		if (++label > LABEL_LEN_MAX)
			return false;
	}
	return label != 0 && s[n - 1] != '-';
}

bool
smtp_literal_ok(const char *s, size_t n)
{
	static const char tag[] = "IPv6:";
	char text[INET6_ADDRSTRLEN];
	uint8_t ip[16];
	int family = AF_INET;

	if (n < 2 || s[0] != '[' || s[n - 1] != ']')
		return false;
	s++;
	n -= 2;
	if (n > sizeof(tag) - 1 && strncasecmp(s, tag, sizeof(tag) - 1) == 0) {
		family = AF_INET6;
		s += sizeof(tag) - 1;
		n -= sizeof(tag) - 1;
	}
	if (n == 0 || n >= sizeof(text) || memchr(s, '\0', n) != NULL)
		return false;
	memcpy(text, s, n);
	text[n] = '\0';
	return inet_pton(family, text, ip) == 1;
}

/* The readers below return where the thing ends, or NULL. */

static const char *
quoted_string(const char *s, const char *end)
{
	for (s++; s < end; s++) {
		if (*s == '"')
			return s + 1;
		if (*s == '\\' && ++s == end)
			return NULL;
		if (*s < ' ' || *s > '~')
			return NULL;
	}
	return NULL;
}

static const char *
dot_string(const char *s, const char *end)
{
	for (;;) {
		const char *atom = s;

		while (s < end && is_atext(*s))
			s++;
		if (s == atom)
			return NULL;
		if (s == end || *s != '.')
			return s;
		s++;
	}
}

static const char *
domain(const char *s, const char *end)
{
	const char *at = s;

	if (s < end && *s == '[') {
		const char *close = memchr(s, ']', (size_t)(end - s));

		if (close == NULL || !smtp_literal_ok(s, (size_t)(close + 1 - s)))
			return NULL;
		return close + 1;
	}
	while (at < end && (is_alnum(*at) || *at == '.' || *at == '-' || *at == '_'))
		at++;
	return smtp_domain_ok(s, (size_t)(at - s)) ? at : NULL;
}

/* "@a,@b:", which must be accepted and should be ignored. */
static const char *
source_route(const char *s, const char *end)
{
	for (;;) {
		if (s == end || *s != '@')
			return NULL;
		s = domain(s + 1, end);
		if (s == NULL || s == end)
			return NULL;
		if (*s == ':')
			return s + 1;
		if (*s++ != ',')
			return NULL;
	}
}

static const char *
mailbox(const char *s, const char *end, struct smtp_path *path)
{
	const char *at;

	if (s == end)
		return NULL;
	at = *s == '"' ? quoted_string(s, end) : dot_string(s, end);
	if (at == NULL)
		return NULL;
	path->address = s;
	path->local_len = (size_t)(at - s);
	path->len = path->local_len;
	if (at < end && *at == '>')
		return path->len == 10 &&
		    strncasecmp(s, "postmaster", 10) == 0 ? at : NULL;
	if (at == end || *at != '@')
		return NULL;
	at = domain(at + 1, end);
	if (at != NULL)
		path->len = (size_t)(at - s);
	return at;
}

/* Why a text is no path: 8-bit octets get an answer of their own. */
static enum smtp_path_result
not_a_path(const char *s, const char *end)
{
	for (; s < end && *s != '>'; s++)
		if ((unsigned char)*s >= 0x80)
			return SMTP_PATH_NON_ASCII;
	return SMTP_PATH_SYNTAX;
}

enum smtp_path_result
smtp_path_parse(const char *s, size_t n, struct smtp_path *path, size_t *used_r)
{
	const char *begin = s, *end = s + n, *at;

	*path = (struct smtp_path){ .address = s };
	*used_r = 0;
	if (n > SMTP_PATH_MAX)
		return SMTP_PATH_LONG;
	while (s < end && (*s == ' ' || *s == '\t'))
		s++;
	if (s == end || *s++ != '<')
		return not_a_path(begin, end);
	at = s;
	if (at < end && *at == '@')
		at = source_route(at, end);
	else if (at < end && *at == '>') {
		path->address = at;
		*used_r = (size_t)(at + 1 - begin);
		return SMTP_PATH_OK;
	}
	if (at != NULL)
		at = mailbox(at, end, path);
	if (at == NULL || at == end || *at != '>')
		return not_a_path(begin, end);
	*used_r = (size_t)(at + 1 - begin);
	return SMTP_PATH_OK;
}
