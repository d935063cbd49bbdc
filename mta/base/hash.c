/*
 * hash.c - open addressing with linear probing over slots of (hash, value).
 * Never copies a key and never moves a value while a caller iterates: a
 * deletion leaves a mark, only an insertion rebuilds the table.
 * Keyed by SipHash-1-3 (Aumasson, Bernstein 2012) under a secret per process.
 * Read next: hash.h.
 */
#include "mta/base/hash.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "mta/base/mem.h"

#define FIRST_SLOTS 16

struct slot {
	uint32_t	 hash;
	void		*value;		/* NULL: never used; &gone: deleted */
};

struct hash {
	hash_key_fn	*key_of;
	struct slot	*slots;		/* nslots, a power of two */
	size_t		 nslots;
	size_t		 count;		/* values */
	size_t		 marks;		/* deleted slots not yet swept */
};

static char gone;			/* its address marks a deleted slot */
static uint64_t secret[2];		/* set once, by the first hash_new() */
static bool have_secret;

static uint64_t
rotl(uint64_t v, unsigned n)
{
	return v << n | v >> (64 - n);
}

static void
sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] = rotl(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] = rotl(v[2], 32);
}

/* Little endian; n is 0 to 8. */
static uint64_t
word_of(const uint8_t *p, size_t n)
{
	uint64_t w = 0;

	for (size_t i = 0; i < n; i++)
		w |= (uint64_t)p[i] << (8 * i);
	return w;
}

static uint32_t
hash_of(const void *key, size_t n)
{
	const uint8_t *p = key;
	uint64_t v[4] = {
		secret[0] ^ 0x736f6d6570736575, secret[1] ^ 0x646f72616e646f6d,
		secret[0] ^ 0x6c7967656e657261, secret[1] ^ 0x7465646279746573,
	};
	size_t left = n;
	uint64_t w;

	for (; left >= 8; left -= 8, p += 8) {
		w = word_of(p, 8);
		v[3] ^= w;
		sip_round(v);
		v[0] ^= w;
	}
	w = (uint64_t)n << 56 | word_of(p, left);
	v[3] ^= w;
	sip_round(v);
	v[0] ^= w;
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	w = v[0] ^ v[1] ^ v[2] ^ v[3];
	return (uint32_t)(w ^ w >> 32);
}

struct hash *
hash_new(hash_key_fn *key_of)
{
	struct hash *h = xcalloc(1, sizeof *h);

	if (!have_secret) {
		if (getrandom(secret, sizeof secret, 0) != sizeof secret)
			abort();	/* no kernel we run on does this */
		have_secret = true;
	}
	h->key_of = key_of;
	h->nslots = FIRST_SLOTS;
	h->slots = xcalloc(h->nslots, sizeof *h->slots);
	return h;
}

void
hash_free(struct hash **h)
{
	if (*h == NULL)
		return;
	free((*h)->slots);
	free(*h);
	*h = NULL;
}

static struct slot *
find(const struct hash *h, const void *key, size_t n)
{
	const uint32_t hash = hash_of(key, n);
	size_t at = hash & (h->nslots - 1);

	for (;; at = (at + 1) & (h->nslots - 1)) {
		struct slot *s = &h->slots[at];
		const void *k;
		size_t kn;

		if (s->value == NULL)
			return NULL;
		if (s->value == &gone || s->hash != hash)
			continue;
		k = h->key_of(s->value, &kn);
		if (kn == n && (n == 0 || memcmp(k, key, n) == 0))
			return s;
	}
}

void *
hash_get(const struct hash *h, const void *key, size_t n)
{
	const struct slot *s = find(h, key, n);

	return s == NULL ? NULL : s->value;
}

static void
place(struct hash *h, uint32_t hash, void *value)
{
	size_t at = hash & (h->nslots - 1);

	while (h->slots[at].value != NULL && h->slots[at].value != &gone)
		at = (at + 1) & (h->nslots - 1);
	if (h->slots[at].value == &gone)
		h->marks--;
	h->slots[at] = (struct slot){ .hash = hash, .value = value };
}

/* Rebuilds without marks, at most half full afterwards. */
static void
rebuild(struct hash *h)
{
	struct slot *old = h->slots;
	const size_t nold = h->nslots;

	h->nslots = FIRST_SLOTS;
	while (h->nslots < (h->count + 1) * 2)
		h->nslots *= 2;
	h->slots = xcalloc(h->nslots, sizeof *h->slots);
	h->marks = 0;
	for (size_t i = 0; i < nold; i++) {
		if (old[i].value != NULL && old[i].value != &gone)
			place(h, old[i].hash, old[i].value);
	}
	free(old);
}

void
hash_put(struct hash *h, void *value)
{
	size_t n;
	const void *key = h->key_of(value, &n);

	if ((h->count + h->marks + 1) * 4 > h->nslots * 3)
		rebuild(h);
	place(h, hash_of(key, n), value);
	h->count++;
}

void *
hash_del(struct hash *h, const void *key, size_t n)
{
	struct slot *s = find(h, key, n);
	void *value;

	if (s == NULL)
		return NULL;
	value = s->value;
	s->value = &gone;
	h->marks++;
	h->count--;
	return value;
}

size_t
hash_count(const struct hash *h)
{
	return h->count;
}

void *
hash_next(const struct hash *h, size_t *at)
{
	while (*at < h->nslots) {
		void *value = h->slots[(*at)++].value;

		if (value != NULL && value != &gone)
			return value;
	}
	return NULL;
}
