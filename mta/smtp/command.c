/*
 * command.c - splits command lines of SMTP.
 * Never copies, never answers, never knows a session.
 * Read next: command.h; address.c for what follows FROM: and TO:;
 * mta/rx/commands.c for what is allowed when.
 */
#include "mta/smtp/command.h"

#include <string.h>

#include "mta/base/fault.h"

/* after: what must stand between verb and path. */
static const struct verb {
	const char	*name;
	size_t		 len;
	const char	*after;
} verbs[] = {
	[SMTP_UNKNOWN] = { "", 0, NULL },
	[SMTP_EHLO] = { "EHLO", 4, NULL },
	[SMTP_HELO] = { "HELO", 4, NULL },
	[SMTP_MAIL] = { "MAIL", 4, "FROM:" },
	[SMTP_RCPT] = { "RCPT", 4, "TO:" },
	[SMTP_DATA] = { "DATA", 4, NULL },
	[SMTP_RSET] = { "RSET", 4, NULL },
	[SMTP_NOOP] = { "NOOP", 4, NULL },
	[SMTP_VRFY] = { "VRFY", 4, NULL },
	[SMTP_EXPN] = { "EXPN", 4, NULL },
	[SMTP_HELP] = { "HELP", 4, NULL },
	[SMTP_QUIT] = { "QUIT", 4, NULL },
};
_Static_assert(COUNT_OF(verbs) == SMTP_VERB_COUNT, "one row per smtp_verb");

const char *
smtp_verb_name(enum smtp_verb v)
{
	return verbs[v].name;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* strncasecmp() follows the locale, and roles run in "C": but be sure. */
static bool
same_nocase(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char x = a[i], y = b[i];

		if (x >= 'a' && x <= 'z')
			x = (char)(x - 'a' + 'A');
		if (y >= 'a' && y <= 'z')
			y = (char)(y - 'a' + 'A');
		if (x != y)
			return false;
	}
	return true;
}

static enum smtp_verb
verb_find(const char *s, size_t n)
{
	for (unsigned v = SMTP_UNKNOWN + 1; v < SMTP_VERB_COUNT; v++)
		if (n == verbs[v].len && same_nocase(s, verbs[v].name, n))
			return (enum smtp_verb)v;
	return SMTP_UNKNOWN;
}

void
smtp_command_parse(const char *line, size_t n, struct smtp_command *c)
{
	size_t verb_len = 0;
	const char *after;

	*c = (struct smtp_command){ .arg = line };
	if (memchr(line, '\0', n) != NULL || memchr(line, '\r', n) != NULL)
		c->bad_form = true;
	while (n > 0 && is_blank(line[n - 1]))
		n--;
	while (verb_len < n && !is_blank(line[verb_len]))
		verb_len++;
	c->verb = verb_find(line, verb_len);
	c->arg = line + verb_len;
	c->arg_len = n - verb_len;
	while (c->arg_len > 0 && is_blank(*c->arg)) {
		c->arg++;
		c->arg_len--;
	}
	after = verbs[c->verb].after;
	if (after == NULL)
		return;
	if (c->arg_len < strlen(after) ||
	    !same_nocase(c->arg, after, strlen(after))) {
		c->bad_form = true;
		return;
	}
	c->arg += strlen(after);
	c->arg_len -= strlen(after);
}

static bool
is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	    (c >= 'a' && c <= 'z');
}

enum smtp_param_result
smtp_param_next(const char **at, const char *end, struct smtp_param *p)
{
	const char *s = *at;

	while (s < end && is_blank(*s))
		s++;
	*at = s;
	*p = (struct smtp_param){ .key = s };
	if (s == end)
		return SMTP_PARAM_END;
	if (!is_alnum(*s))
		return SMTP_PARAM_BAD;
	while (s < end && (is_alnum(*s) || *s == '-'))
		s++;
	p->key_len = (size_t)(s - p->key);
	if (s < end && *s == '=') {
		p->value = ++s;
		while (s < end && *s > ' ' && *s < 0x7f && *s != '=')
			s++;
		p->value_len = (size_t)(s - p->value);
		if (p->value_len == 0)
			return SMTP_PARAM_BAD;
	}
	*at = s;
	return s == end || is_blank(*s) ? SMTP_PARAM_ONE : SMTP_PARAM_BAD;
}

bool
smtp_param_is(const struct smtp_param *p, const char *key)
{
	return p->key_len == strlen(key) && same_nocase(p->key, key, p->key_len);
}

bool
smtp_param_value_is(const struct smtp_param *p, const char *value)
{
	return p->value != NULL && p->value_len == strlen(value) &&
	    same_nocase(p->value, value, p->value_len);
}

bool
smtp_param_number(const struct smtp_param *p, uint64_t *n_r)
{
	uint64_t n = 0;

	if (p->value == NULL || p->value_len == 0 || p->value_len > 20)
		return false;
	for (size_t i = 0; i < p->value_len; i++) {
		unsigned digit = (unsigned)(p->value[i] - '0');

		if (digit > 9 || n > (UINT64_MAX - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	*n_r = n;
	return true;
}
