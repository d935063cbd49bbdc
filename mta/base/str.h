/*
 * str.h - text helpers that know nothing of mail.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Copies at most size-1 characters and terminates.  Returns false when cut. */
bool str_copy(char *dst, size_t size, const char *src);

/* ASCII only, whatever the locale. */
bool str_eq_nocase(const char *a, const char *b);
bool str_starts_nocase(const char *s, const char *prefix);
void str_lower(char *s);

/*
 * Makes foreign text safe for one log line or reply: printable ASCII stays,
 * anything else becomes '?', runs of white space one blank.  n bytes of src.
 */
void str_safe(char *dst, size_t size, const char *src, size_t n);

/* "30s", "200ms", "2h", "4m", "1d": with unit, no sign.  Result in ms. */
bool str_duration(const char *s, int64_t *ms_r);

/* "64k", "16M", "2G", "512b": with unit, powers of 1024.  Result in bytes. */
bool str_size(const char *s, uint64_t *bytes_r);

/* Damerau-Levenshtein distance, for "did you mean"; at most 64 characters. */
unsigned str_distance(const char *a, const char *b);
