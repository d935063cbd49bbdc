/*
 * codec.c - the configuration over a channel, driven by the rows of keys.c.
 * Must never trust a length: counts are bounded by what is left to read.
 * Read next: keys.h (types), conf.c (conf_encode, conf_decode).
 */
#include "conf/codec.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "conf/value.h"

static const void *
const_field(const struct conf_key *k, const void *base)
{
	return (const char *)base + k->at;
}

static size_t
count_of(const struct conf_key *k, const void *base)
{
	const void *at = (const char *)base + k->count_at;

	return *(const size_t *)at;
}

static void
addr_encode(const struct conf_addr *a, struct buf *b)
{
	buf_u8(b, a->family == AF_INET ? 4 : a->family == AF_INET6 ? 6 : 0);
	buf_u16(b, a->port);
	buf_add(b, a->ip, sizeof(a->ip));
}

static bool
family_decode(struct rd *r, sa_family_t *family)
{
	uint8_t n = rd_u8(r);

	*family = n == 4 ? AF_INET : n == 6 ? AF_INET6 : AF_UNSPEC;
	return n == 4 || n == 6;
}

static bool
ip_decode(struct rd *r, uint8_t ip[16])
{
	const uint8_t *p = rd_raw(r, 16);

	if (p == NULL)
		return false;
	memcpy(ip, p, 16);
	return true;
}

static bool
addr_decode(struct conf_addr *a, struct rd *r)
{
	bool known = family_decode(r, &a->family);

	a->port = rd_u16(r);
	return ip_decode(r, a->ip) && known;
}

static void
elem_encode(enum conf_type type, const void *elem, struct buf *b)
{
	const struct conf_cidr *cidr = elem;
	const struct conf_smarthost *h = elem;

	switch (type) {
	case CONF_TEXTS:
	case CONF_PATTERNS:
		buf_str(b, *(char *const *)elem);
		break;
	case CONF_SERVERS:
	case CONF_ADDRESSES:
		addr_encode(elem, b);
		break;
	case CONF_CIDRS:
		buf_u8(b, cidr->family == AF_INET ? 4 : 6);
		buf_u8(b, cidr->bits);
		buf_add(b, cidr->ip, sizeof(cidr->ip));
		break;
	default: /* CONF_SMARTHOSTS: its text says it all */
		buf_str(b, h->text);
		break;
	}
}

static bool
smarthost_decode(struct conf_smarthost *h, struct rd *r)
{
	char *text = rd_str(r);
	bool ok = text != NULL && smarthost_parse(text, h, NULL);

	free(text);
	return ok;
}

static bool
elem_decode(enum conf_type type, void *elem, struct rd *r)
{
	struct conf_cidr *cidr = elem;
	bool known;

	switch (type) {
	case CONF_TEXTS:
	case CONF_PATTERNS:
		*(char **)elem = rd_str(r);
		return *(char **)elem != NULL;
	case CONF_SERVERS:
	case CONF_ADDRESSES:
		return addr_decode(elem, r);
	case CONF_CIDRS:
		known = family_decode(r, &cidr->family);
		cidr->bits = rd_u8(r);
		return ip_decode(r, cidr->ip) && known &&
		    cidr->bits <= (cidr->family == AF_INET ? 32 : 128);
	default:
		return smarthost_decode(elem, r);
	}
}

/* Bytes of an element in memory: of a list of structs, texts, numbers. */
static size_t
elem_size(const struct conf_key *k)
{
	if (k->section != NULL)
		return k->section->size;
	if (k->type == CONF_DURATIONS)
		return sizeof(int64_t);
	if (k->type == CONF_INDICES)
		return sizeof(unsigned);
	return conf_elem(k->type)->size;
}

static void
many_encode(const struct conf_key *k, const void *base, struct buf *b)
{
	const char *p = *(char *const *)const_field(k, base);
	size_t n = p == NULL ? 0 : count_of(k, base);

	buf_u32(b, (uint32_t)n);
	for (size_t i = 0; i < n; i++, p += elem_size(k)) {
		if (k->section != NULL)
			section_encode(k->section, p, b);
		else if (k->type == CONF_DURATIONS)
			buf_i64(b, *(const int64_t *)(const void *)p);
		else if (k->type == CONF_INDICES)
			buf_u32(b, *(const unsigned *)(const void *)p);
		else
			elem_encode(k->type, p, b);
	}
}

/* One element; it belongs to the array at once, so that a failure is freed. */
static bool
one_decode(const struct conf_key *k, void *elem, struct rd *r)
{
	if (k->section != NULL)
		return section_decode(k->section, elem, r);
	if (k->type == CONF_DURATIONS)
		*(int64_t *)elem = rd_i64(r);
	else if (k->type == CONF_INDICES)
		*(unsigned *)elem = rd_u32(r);
	else
		return elem_decode(k->type, elem, r);
	return !r->bad;
}

static bool
many_decode(const struct conf_key *k, void *base, struct rd *r)
{
	void **array = (void **)(void *)((char *)base + k->at);
	size_t *count = (size_t *)(void *)((char *)base + k->count_at);
	size_t n = rd_u32(r), got = 0;

	if (r->bad || n > rd_left(r))
		return false;
	if (k->type == CONF_INDICES) {	/* the count is the row before's */
		if (n != 0 && n != *count)
			return false;
		count = &got;
	}
	for (size_t i = 0; i < n; i++)
		if (!one_decode(k, array_add(array, count, elem_size(k)), r))
			return false;
	return true;
}

static void
field_encode(const struct conf_key *k, const void *base, struct buf *b)
{
	const void *at = const_field(k, base);

	switch (k->type) {
	case CONF_BOOL:
		buf_u8(b, *(const bool *)at);
		break;
	case CONF_COUNT:
	case CONF_CHOICE:
		buf_u32(b, *(const unsigned *)at);
		break;
	case CONF_PORT:
		buf_u16(b, *(const uint16_t *)at);
		break;
	case CONF_NUMBER:
	case CONF_SIZE:
		buf_u64(b, *(const uint64_t *)at);
		break;
	case CONF_DURATION:
		buf_i64(b, *(const int64_t *)at);
		break;
	case CONF_TEXT:
	case CONF_NAME:
	case CONF_HOST:
	case CONF_PATH:
		buf_str(b, *(char *const *)at);
		break;
	case CONF_LISTEN:
		buf_u8(b, *((const bool *)base + k->count_at));
		addr_encode(at, b);
		break;
	case CONF_ADDRESS:
		addr_encode(at, b);
		break;
	case CONF_GROUP:
		section_encode(k->section, at, b);
		break;
	default:
		many_encode(k, base, b);
		break;
	}
}

static bool
choice_decode(const struct conf_key *k, unsigned *at, struct rd *r)
{
	unsigned n = rd_u32(r), words = 0;

	while (k->choices[words] != NULL)
		words++;
	*at = n < words ? n : 0;
	return n < words;
}

static bool
field_decode(const struct conf_key *k, void *base, struct rd *r)
{
	void *at = (char *)base + k->at;

	switch (k->type) {
	case CONF_BOOL:
		*(bool *)at = rd_u8(r) != 0;
		return true;
	case CONF_COUNT:
		*(unsigned *)at = rd_u32(r);
		return true;
	case CONF_CHOICE:
		return choice_decode(k, at, r);
	case CONF_PORT:
		*(uint16_t *)at = rd_u16(r);
		return true;
	case CONF_NUMBER:
	case CONF_SIZE:
		*(uint64_t *)at = rd_u64(r);
		return true;
	case CONF_DURATION:
		*(int64_t *)at = rd_i64(r);
		return true;
	case CONF_TEXT:
	case CONF_NAME:
	case CONF_HOST:
	case CONF_PATH:
		*(char **)at = rd_str(r);
		return *(char **)at != NULL || (k->flags & CONF_OPTIONAL);
	case CONF_LISTEN:
		*((bool *)base + k->count_at) = rd_u8(r) != 0;
		return addr_decode(at, r);
	case CONF_ADDRESS:
		return addr_decode(at, r);
	case CONF_GROUP:
		return section_decode(k->section, at, r);
	default:
		return many_decode(k, base, r);
	}
}

void
section_encode(const struct conf_section *s, const void *base, struct buf *b)
{
	for (size_t i = 0; i < s->nkeys; i++)
		field_encode(&s->keys[i], base, b);
}

bool
section_decode(const struct conf_section *s, void *base, struct rd *r)
{
	for (size_t i = 0; i < s->nkeys; i++)
		if (!field_decode(&s->keys[i], base, r) || r->bad)
			return false;
	return true;
}
