/*
 * value.h - one field of the configuration: from text or literal, to default,
 * to nothing.  base is the struct that the row's offsets are for.
 *
 * A fault here says "what, wanted what"; place and path are the caller's.
 */
#pragma once

#include "conf/keys.h"

/* How one element of a CONF_TEXTS … CONF_SMARTHOSTS row is kept. */
struct conf_elem {
	size_t	 size;
	bool	(*parse)(void *elem, const char *text, struct fault *why);
	void	(*drop)(void *elem);		/* NULL: owns nothing */
};

const struct conf_elem *conf_elem(enum conf_type type);	/* NULL: not such a type */

/* Any type with a textual form.  Many values: "a, b" (durations: "1m 2m"). */
MUST_CHECK bool value_text(const struct conf_key *k, void *base, const char *text,
    struct fault *why);
MUST_CHECK bool value_number(const struct conf_key *k, void *base, int64_t n, struct fault *why);
MUST_CHECK bool value_add(const struct conf_key *k, void *base, const char *text,
    struct fault *why);				/* one more element */

/* What a key takes, for "wanted …". */
const char *value_wanted(const struct conf_key *k, char buf[192]);

void value_clear(const struct conf_key *k, void *base);	/* frees, zeroes */
void section_defaults(const struct conf_section *s, void *base);	/* base is zeroed before */
void section_clear(const struct conf_section *s, void *base);

/* Appends a zeroed element to an array; the element, valid until the next call. */
void *array_add(void **array, size_t *n, size_t size);

/* A DNS name without trailing dot; why may be NULL. */
bool host_valid(const char *s);
bool smarthost_parse(const char *text, struct conf_smarthost *h, struct fault *why);

/* ms in the largest unit that fits: "90s", "2d". */
const char *duration_text(int64_t ms, char buf[32]);
