/*
 * addr.c - addresses, ports and networks: text to struct and back.
 * Never asks the system: no getaddrinfo, no names, no interface scopes.
 * Read next: conf.h (the structs), value.c (who calls for each key).
 */
#include "conf/addr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static const uint8_t v4_mapped[12] = { [10] = 0xff, [11] = 0xff };

static unsigned
addr_bits(sa_family_t family)
{
	return family == AF_INET ? 32 : 128;
}

static bool
ip_parse(const char *s, sa_family_t *family, uint8_t ip[16])
{
	memset(ip, 0, 16);
	if (inet_pton(AF_INET, s, ip) == 1) {
		*family = AF_INET;
		return true;
	}
	if (inet_pton(AF_INET6, s, ip) == 1) {
		*family = AF_INET6;
		return true;
	}
	return false;
}

/* Decimal digits only, at most max: strtoul would take signs and blanks. */
static bool
number_parse(const char *s, unsigned long max, unsigned long *n_r)
{
	unsigned long n = 0;

	if (*s == '\0')
		return false;
	for (; *s != '\0'; s++) {
		if (*s < '0' || *s > '9')
			return false;
		n = n * 10 + (unsigned long)(*s - '0');
		if (n > max)
			return false;
	}
	*n_r = n;
	return true;
}

bool
conf_port_parse(const char *s, uint16_t *port_r)
{
	unsigned long n;

	if (!number_parse(s, UINT16_MAX, &n) || n == 0)
		return false;
	*port_r = (uint16_t)n;
	return true;
}

/* "[2001:db8::1]" with or without ":port". */
static bool
bracketed_parse(const char *s, struct conf_addr *a)
{
	const char *end = strchr(s, ']');
	char ip[INET6_ADDRSTRLEN];

	if (end == NULL || (size_t)(end - s) > sizeof(ip))
		return false;
	memcpy(ip, s + 1, (size_t)(end - s) - 1);
	ip[end - s - 1] = '\0';
	if (!ip_parse(ip, &a->family, a->ip) || a->family != AF_INET6)
		return false;
	if (end[1] == '\0')
		return true;
	return end[1] == ':' && conf_port_parse(end + 2, &a->port);
}

bool
conf_addr_parse(const char *s, struct conf_addr *a)
{
	const char *colon = strchr(s, ':');
	char ip[INET_ADDRSTRLEN];

	memset(a, 0, sizeof(*a));
	if (*s == '[')
		return bracketed_parse(s, a);
	if (colon == NULL || strchr(colon + 1, ':') != NULL)
		return ip_parse(s, &a->family, a->ip);
	if ((size_t)(colon - s) >= sizeof(ip))
		return false;
	memcpy(ip, s, (size_t)(colon - s));
	ip[colon - s] = '\0';
	return ip_parse(ip, &a->family, a->ip) && a->family == AF_INET &&
	    conf_port_parse(colon + 1, &a->port);
}

bool
conf_addr_read(
    const char *s, const char *wanted, struct conf_addr *a, struct fault *why)
{
	if (conf_addr_parse(s, a))
		return true;
	if (strchr(s, '%') != NULL)
		fault_set(
		    why, "\"%s\" has an interface scope, wanted %s", s, wanted);
	else
		fault_set(
		    why, "\"%s\" is not an address, wanted %s", s, wanted);
	return false;
}

const char *
conf_addr_text(const struct conf_addr *a, char buf[64])
{
	char ip[INET6_ADDRSTRLEN] = "?";
	const char *open = a->family == AF_INET6 ? "[" : "";
	const char *close = a->family == AF_INET6 ? "]" : "";

	inet_ntop(a->family, a->ip, ip, sizeof(ip));
	if (a->port != 0)
		snprintf(buf, 64, "%s%s%s:%u", open, ip, close, a->port);
	else
		snprintf(buf, 64, "%s%s%s", open, ip, close);
	return buf;
}

static void
mask(uint8_t ip[16], unsigned bits)
{
	for (unsigned i = 0; i < 16; i++) {
		if (bits >= (i + 1) * 8)
			continue;
		if (bits <= i * 8)
			ip[i] = 0;
		else
			ip[i] &= (uint8_t)(0xff00u >> (bits - i * 8));
	}
}

/* ::ffff:10.0.0.0/104 says 10.0.0.0/8, and is compared as such. */
static void
unmap(sa_family_t *family, uint8_t ip[16], unsigned *bits)
{
	if (*family != AF_INET6 || *bits < 96 ||
	    memcmp(ip, v4_mapped, sizeof(v4_mapped)) != 0)
		return;
	*family = AF_INET;
	*bits -= 96;
	memmove(ip, ip + 12, 4);
	memset(ip + 4, 0, 12);
}

static bool
cidr_split(const char *s, struct conf_cidr *c, unsigned *bits)
{
	const char *slash = strchr(s, '/');
	char ip[INET6_ADDRSTRLEN];
	unsigned long n;

	if (slash == NULL) {
		if (!ip_parse(s, &c->family, c->ip))
			return false;
		*bits = addr_bits(c->family);
		return true;
	}
	if ((size_t)(slash - s) >= sizeof(ip))
		return false;
	memcpy(ip, s, (size_t)(slash - s));
	ip[slash - s] = '\0';
	if (!ip_parse(ip, &c->family, c->ip) ||
	    !number_parse(slash + 1, addr_bits(c->family), &n))
		return false;
	*bits = (unsigned)n;
	return true;
}

bool
conf_cidr_parse(const char *s, struct conf_cidr *cidr, struct fault *why)
{
	uint8_t as_written[16];
	unsigned bits = 0;
	char buf[64];

	memset(cidr, 0, sizeof(*cidr));
	if (!cidr_split(s, cidr, &bits)) {
		fault_set(why, "\"%s\" is not a network, wanted an address or "
		    "a network such as \"10.0.0.0/8\" or \"2001:db8::/32\"", s);
		return false;
	}
	unmap(&cidr->family, cidr->ip, &bits);
	cidr->bits = (uint8_t)bits;
	memcpy(as_written, cidr->ip, sizeof(as_written));
	mask(cidr->ip, bits);
	if (memcmp(as_written, cidr->ip, sizeof(as_written)) == 0)
		return true;
	fault_set(why, "\"%s\" has bits set beyond its length, wanted \"%s\"",
	    s, conf_cidr_text(cidr, buf));
	return false;
}

const char *
conf_cidr_text(const struct conf_cidr *cidr, char buf[64])
{
	char ip[INET6_ADDRSTRLEN] = "?";

	inet_ntop(cidr->family, cidr->ip, ip, sizeof(ip));
	if (cidr->bits == addr_bits(cidr->family))
		snprintf(buf, 64, "%s", ip);
	else
		snprintf(buf, 64, "%s/%u", ip, cidr->bits);
	return buf;
}

bool
conf_cidr_has(const struct conf_cidr *cidr, const struct conf_addr *a)
{
	sa_family_t family = a->family;
	unsigned bits = addr_bits(family);
	uint8_t ip[16];

	memcpy(ip, a->ip, sizeof(ip));
	unmap(&family, ip, &bits);
	if (family != cidr->family)
		return false;
	mask(ip, cidr->bits);
	return memcmp(ip, cidr->ip, family == AF_INET ? 4 : 16) == 0;
}

bool
conf_addr_same_ip(const struct conf_addr *a, const struct conf_addr *b)
{
	return a->family == b->family &&
	    memcmp(a->ip, b->ip, a->family == AF_INET ? 4 : 16) == 0;
}

bool
conf_addr_any(const struct conf_addr *a)
{
	static const uint8_t zero[16];

	return memcmp(a->ip, zero, a->family == AF_INET ? 4 : 16) == 0;
}

bool
conf_addr_link_local(const struct conf_addr *a)
{
	return a->family == AF_INET6 && a->ip[0] == 0xfe &&
	    (a->ip[1] & 0xc0) == 0x80;
}
