/*
 * hash.h - open-addressing hash table from a byte key to a pointer.
 *
 * Keys are stored by the caller inside the value (the table keeps the pointer
 * and a 32-bit hash only); hashing is keyed by a random secret per process, so
 * that no peer can choose colliding keys.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hash;

/* Gives the key bytes of a stored value. */
typedef const void *hash_key_fn(const void *value, size_t *n_r);

struct hash *hash_new(hash_key_fn *key_of);
void hash_free(struct hash **h);		/* the values are the caller's */
void *hash_get(const struct hash *h, const void *key, size_t n);
void hash_put(struct hash *h, void *value);	/* key must not be present */
void *hash_del(struct hash *h, const void *key, size_t n);	/* the value, or NULL */
size_t hash_count(const struct hash *h);
/* Iteration: *at starts at 0; NULL ends.  Deleting the value just given is allowed. */
void *hash_next(const struct hash *h, size_t *at);
