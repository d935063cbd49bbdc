/*
 * elem.c - the elements of list keys: names, domain patterns, addresses,
 * networks, smarthosts.  One parser each.
 * Must never look at more than the one text: relations are check.c.
 * Read next: value.c (who calls), check.c.
 */
#include <stdlib.h>
#include <string.h>

#include "conf/addr.h"
#include "conf/value.h"
#include "mta/base/str.h"

#define LETTERS_DIGITS \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

static bool
ascii(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s >= 0x80)
			return false;
	return true;
}

/* Underscores are not in RFC 1123 but in the world's MX records. */
bool
host_valid(const char *s)
{
	const char *last = strrchr(s, '.');
	size_t len;

	if (strlen(s) > 253)
		return false;
	last = last == NULL ? s : last + 1;
	if (last[strspn(last, "0123456789")] == '\0')
		return false;		/* half an address, or empty */
	for (;; s += len + 1) {
		len = strspn(s, LETTERS_DIGITS "-_");
		if (len == 0 || len > 63 || s[0] == '-' || s[len - 1] == '-')
			return false;
		if (s[len] != '.')
			return s[len] == '\0';
	}
}

static void
text_drop(void *elem)
{
	free(*(char **)elem);
}

static bool
text_parse(void *elem, const char *text, struct fault *why)
{
	if (*text == '\0') {
		fault_set(why, "\"\" is empty, wanted a name");
		return false;
	}
	*(char **)elem = xstrdup(text);
	return true;
}

/* What people write who know other systems. */
static bool
pattern_refuse(const char *text, struct fault *why)
{
	static const char wanted[] =
	    "\"example.com\", \"*.example.com\" or \"*\"";
	const char *at = strchr(text, '@');

	if (!ascii(text))
		fault_set(why,
		    "\"%.100s\" is not ASCII, wanted its form in DNS, "
		    "beginning with \"xn--\"",
		    text);
	else if (text[0] == '.' && host_valid(text + 1))
		fault_set(why, "\"%s\" begins with a dot, wanted \"*%s\"", text,
		    text);
	else if (at != NULL && host_valid(at + 1))
		fault_set(why,
		    "\"%.100s\" is an address, wanted the domain \"%s\"", text,
		    at + 1);
	else if (text[0] == '*' && text[1] != '.' && host_valid(text + 1))
		fault_set(why,
		    "\"%s\" has no dot after the star, wanted \"*.%s\"", text,
		    text + 1);
	else
		fault_set(
		    why, "\"%.100s\" is not a domain, wanted %s", text, wanted);
	return false;
}

static bool
pattern_parse(void *elem, const char *text, struct fault *why)
{
	char *copy = xstrdup(text);
	size_t len = strlen(copy);
	const char *name;

	if (len > 1 && copy[len - 1] == '.')
		copy[--len] = '\0';	/* "example.com." is the same domain */
	name = strncmp(copy, "*.", 2) == 0 ? copy + 2 : copy;
	if (strcmp(copy, "*") != 0 && !host_valid(name)) {
		free(copy);
		return pattern_refuse(text, why);
	}
	str_lower(copy);
	*(char **)elem = copy;
	return true;
}

static bool
server_parse(void *elem, const char *text, struct fault *why)
{
	static const char wanted[] =
	    "an address such as \"192.0.2.53\" or \"[2001:db8::53]:5353\"";
	struct conf_addr *a = elem;

	if (!conf_addr_read(text, wanted, a, why))
		return false;
	if (conf_addr_link_local(a) || conf_addr_any(a)) {
		fault_set(why, "\"%s\" is %s, wanted a global address", text,
		    conf_addr_any(a) ? "no host's address" : "link-local");
		return false;
	}
	if (a->port == 0)
		a->port = 53;
	return true;
}

static bool
address_parse(void *elem, const char *text, struct fault *why)
{
	static const char wanted[] =
	    "an address such as \"192.0.2.1\" or \"2001:db8::1\"";
	struct conf_addr *a = elem;

	if (!conf_addr_read(text, wanted, a, why))
		return false;
	if (a->port == 0)
		return true;
	fault_set(why, "\"%s\" has a port, wanted the address alone", text);
	return false;
}

static bool
cidr_parse(void *elem, const char *text, struct fault *why)
{
	return conf_cidr_parse(text, elem, why);
}

/* Splits "[x]:587", "x:587", "x": the middle to host (given), the port. */
static bool
smarthost_split(const char *text, char **host, bool *bracketed, uint16_t *port)
{
	size_t len;
	const char *rest;

	*bracketed = text[0] == '[';
	text += *bracketed;
	len = strcspn(text, *bracketed ? "]" : ":");
	rest = text + len;
	if (*bracketed && *rest++ != ']')
		return false;
	if (*rest != '\0' && !(*rest == ':' && conf_port_parse(rest + 1, port)))
		return false;
	*host = xstrndup(text, len);
	return true;
}

static bool
smarthost_refuse(const char *text, struct fault *why)
{
	static const char wanted[] =
	    "\"mail.example.com\", \"[mail.example.com]:587\" or \"192.0.2.1\"";
	struct conf_addr a;

	if (!ascii(text))
		fault_set(why,
		    "\"%.100s\" is not ASCII, wanted its form in DNS, "
		    "beginning with \"xn--\"",
		    text);
	else if (conf_addr_parse(text, &a))	/* is :25 a port or the end? */
		fault_set(
		    why, "\"%s\" has no brackets, wanted \"[%s]\"", text, text);
	else
		fault_set(
		    why, "\"%.100s\" is not a host, wanted %s", text, wanted);
	return false;
}

bool
smarthost_parse(const char *text, struct conf_smarthost *h, struct fault *why)
{
	uint16_t port = 0;
	bool bracketed;
	char *host = NULL;

	memset(h, 0, sizeof(*h));
	if (!smarthost_split(text, &host, &bracketed, &port))
		return smarthost_refuse(text, why);
	if (conf_addr_parse(host, &h->address) && h->address.port == 0) {
		free(host);
		host = NULL;
	} else if (host_valid(host)) {
		memset(&h->address, 0, sizeof(h->address));
		str_lower(host);
	} else {
		free(host);
		return smarthost_refuse(text, why);
	}
	h->address.port = port;
	h->mx = host != NULL && !bracketed;
	h->host = host;
	h->text = xstrdup(text);
	return true;
}

static bool
smarthost_elem(void *elem, const char *text, struct fault *why)
{
	return smarthost_parse(text, elem, why);
}

static void
smarthost_drop(void *elem)
{
	struct conf_smarthost *h = elem;

	free(h->text);
	free(h->host);
}

const struct conf_elem *
conf_elem(enum conf_type type)
{
	static const struct conf_elem elems[CONF_TYPE_COUNT] = {
		[CONF_TEXTS] = { sizeof(char *), text_parse, text_drop },
		[CONF_PATTERNS] = { sizeof(char *), pattern_parse, text_drop },
		[CONF_SERVERS] = { sizeof(struct conf_addr), server_parse, NULL },
		[CONF_ADDRESSES] = { sizeof(struct conf_addr), address_parse, NULL },
		[CONF_CIDRS] = { sizeof(struct conf_cidr), cidr_parse, NULL },
		[CONF_SMARTHOSTS] = { sizeof(struct conf_smarthost), smarthost_elem,
		    smarthost_drop },
	};

	return elems[type].size != 0 ? &elems[type] : NULL;
}
