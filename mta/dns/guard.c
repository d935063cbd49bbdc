/*
 * guard.c - the addresses that an MX may not lead to.
 * Never asks DNS; ranges the operator allowed are never held against anyone,
 * and addresses the operator named himself do not come here at all.
 * Ranges: RFC 1122, 1918, 3927, 4193, 4291, 6598.  All others are ordinary.
 * Read next: nexthop_host.c.
 */
#include "mta/dns/guard.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mta/base/str.h"

static const struct {
	struct conf_cidr	 range;
	const char		*name;
} ranges[] = {
	{ { AF_INET,  8, { 127 } },				"loopback" },
	{ { AF_INET,  8, { 0 } },				"unspecified" },
	{ { AF_INET,  8, { 10 } },				"private" },
	{ { AF_INET, 12, { 172, 16 } },				"private" },
	{ { AF_INET, 16, { 192, 168 } },			"private" },
	{ { AF_INET, 10, { 100, 64 } },				"shared (RFC 6598)" },
	{ { AF_INET, 16, { 169, 254 } },			"link-local" },
	{ { AF_INET,  4, { 224 } },				"multicast" },
	{ { AF_INET6, 128, { [15] = 1 } },			"loopback" },
	{ { AF_INET6, 128, { 0 } },				"unspecified" },
	{ { AF_INET6, 96, { [10] = 0xff, [11] = 0xff } },	"v4-mapped" },
	{ { AF_INET6,  7, { 0xfc } },				"unique local" },
	{ { AF_INET6, 10, { 0xfe, 0x80 } },			"link-local" },
	{ { AF_INET6,  8, { 0xff } },				"multicast" },
};

/* Octet for octet: here a v4-mapped address is what it is. */
static bool
within(const struct conf_cidr *c, const struct conf_addr *a)
{
	const unsigned whole = c->bits / 8, rest = c->bits % 8;

	if (c->family != a->family || memcmp(c->ip, a->ip, whole) != 0)
		return false;
	return rest == 0 ||
	    ((c->ip[whole] ^ a->ip[whole]) & (0xff00 >> rest) & 0xff) == 0;
}

const char *
guard_range(const struct conf_connector *k, const struct conf_addr *addr)
{
	for (size_t i = 0; i < k->nallow_addresses; i++)
		if (conf_cidr_has(&k->allow_addresses[i], addr))
			return NULL;
	for (size_t i = 0; i < COUNT_OF(ranges); i++)
		if (within(&ranges[i].range, addr))
			return ranges[i].name;
	return NULL;
}

static bool
same_name(const char *a, const char *b)
{
	char x[256], y[256];
	size_t n;

	if (a == NULL || !str_copy(x, sizeof x, a) || !str_copy(y, sizeof y, b))
		return false;
	for (n = strlen(x); n > 0 && x[n - 1] == '.'; n--)
		x[n - 1] = '\0';
	for (n = strlen(y); n > 0 && y[n - 1] == '.'; n--)
		y[n - 1] = '\0';
	return x[0] != '\0' && str_eq_nocase(x, y);
}

bool
guard_own_name(const struct conf *conf, const char *host)
{
	if (same_name(conf->hostname, host))
		return true;
	for (size_t i = 0; i < conf->nlisteners; i++)
		if (same_name(conf->listeners[i].hostname, host))
			return true;
	return false;
}

/* ::ffff:192.0.2.1 reaches what 192.0.2.1 reaches. */
static struct conf_addr
unmapped(const struct conf_addr *a)
{
	static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };
	struct conf_addr v4 = { .family = AF_INET, .port = a->port };

	if (a->family != AF_INET6 || memcmp(a->ip, prefix, sizeof prefix) != 0)
		return *a;
	memcpy(v4.ip, a->ip + 12, 4);
	return v4;
}

static bool
same_ip(const struct conf_addr *a, const struct conf_addr *b)
{
	return a->family == b->family &&
	    memcmp(a->ip, b->ip, a->family == AF_INET ? 4 : 16) == 0;
}

static bool
ip_is_any(const struct conf_addr *a)
{
	static const uint8_t zero[16];

	return memcmp(a->ip, zero, a->family == AF_INET ? 4 : 16) == 0;
}

bool
guard_ourselves(const struct conf *conf, const struct conf_addr *addr, bool nat,
    guard_local_fn *is_local)
{
	const struct conf_addr a = unmapped(addr);

	for (size_t i = 0; nat && i < conf->nown_addresses; i++) {
		const struct conf_addr *own = &conf->own_addresses[i];

		if (same_ip(own, &a) && (own->port == 0 || own->port == a.port))
			return true;
	}
	for (size_t i = 0; i < conf->nlisteners; i++) {
		const struct conf_listener *l = &conf->listeners[i];

		if (l->address.port != a.port)
			continue;
		if (l->any || (ip_is_any(&l->address) &&
		    l->address.family == a.family)) {
			if (is_local(&a))
				return true;
		} else if (same_ip(&l->address, &a)) {
			return true;
		}
	}
	return false;
}

/*
 * The kernel answers without sending anything: the source it would use to
 * reach an address of this machine is that very address.
 */
bool
guard_address_is_local(const struct conf_addr *addr)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(9) };
	struct sockaddr_in6 in6 = {
		.sin6_family = AF_INET6, .sin6_port = htons(9),
	};
	const bool v4 = addr->family == AF_INET;
	struct sockaddr_storage own;
	socklen_t len = v4 ? sizeof in : sizeof in6;
	bool local = false;
	int fd;

	if (ip_is_any(addr) || (v4 && addr->ip[0] == 127))
		return true;
	memcpy(&in.sin_addr, addr->ip, 4);
	memcpy(&in6.sin6_addr, addr->ip, 16);
	fd = socket(addr->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return false;
	if (connect(fd, v4 ? (void *)&in : (void *)&in6, len) == 0 &&
	    getsockname(fd, (void *)&own, &len) == 0) {
		const void *src = v4 ?
		    (void *)&((struct sockaddr_in *)(void *)&own)->sin_addr :
		    (void *)&((struct sockaddr_in6 *)(void *)&own)->sin6_addr;

		local = memcmp(src, addr->ip, v4 ? 4 : 16) == 0;
	}
	close(fd);
	return local;
}
