/*
 * codec.h - any section's struct in wire form, by its rows.  Both ends are the
 * same binary (channels say hello with a version), so rows carry no names.
 */
#pragma once

#include "conf/keys.h"

void section_encode(const struct conf_section *s, const void *base, struct buf *b);

/* base is zeroed before.  false: nonsense; what was read is left to section_clear(). */
MUST_CHECK bool section_decode(const struct conf_section *s, void *base, struct rd *r);
