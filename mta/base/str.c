/*
 * str.c - text helpers that know nothing of mail.  Never looks at the locale:
 * what a peer wrote must mean the same on every machine.
 *
 *
 * Read next: str.h.
 */
#include "mta/base/str.h"

#include <string.h>

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool
str_copy(char *dst, size_t size, const char *src)
{
	size_t n = 0;

	if (size == 0)
		return false;
	while (n < size - 1 && src[n] != '\0') {
		dst[n] = src[n];
		n++;
	}
	dst[n] = '\0';
	return src[n] == '\0';
}

bool
str_eq_nocase(const char *a, const char *b)
{
	while (*a != '\0' && lower(*a) == lower(*b)) {
		a++;
		b++;
	}
	return *a == '\0' && *b == '\0';
}

bool
str_starts_nocase(const char *s, const char *prefix)
{
	while (*prefix != '\0' && lower(*s) == lower(*prefix)) {
		s++;
		prefix++;
	}
	return *prefix == '\0';
}

void
str_lower(char *s)
{
	for (; *s != '\0'; s++)
		*s = lower(*s);
}

static bool
is_white(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

void
str_safe(char *dst, size_t size, const char *src, size_t n)
{
	size_t out = 0;

	if (size == 0)
		return;
	for (size_t i = 0; i < n && out < size - 1; i++) {
		const char c = src[i];

		if (is_white(c)) {
			if (out == 0 || dst[out - 1] != ' ' || !is_white(src[i - 1]))
				dst[out++] = ' ';
		} else {
			dst[out++] = c > ' ' && c <= '~' ? c : '?';
		}
	}
	dst[out] = '\0';
}

/* Digits, then the unit's place in *unit_r.  No sign, no blanks. */
static bool
number_of(const char *s, uint64_t *v_r, const char **unit_r)
{
	uint64_t v = 0;

	if (*s < '0' || *s > '9')
		return false;
	for (; *s >= '0' && *s <= '9'; s++) {
		if (v > (UINT64_MAX - 9) / 10)
			return false;
		v = v * 10 + (uint64_t)(*s - '0');
	}
	*v_r = v;
	*unit_r = s;
	return true;
}

struct unit {
	const char	*name;
	uint64_t	 factor;
};

static bool
scaled(const char *s, const struct unit *units, size_t n, uint64_t max,
    uint64_t *v_r)
{
	uint64_t v;
	const char *unit;

	if (!number_of(s, &v, &unit))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (strcmp(unit, units[i].name) != 0)
			continue;
		if (v > max / units[i].factor)
			return false;
		*v_r = v * units[i].factor;
		return true;
	}
	return false;
}

#define UNITS(a) (a), sizeof(a) / sizeof(a)[0]

bool
str_duration(const char *s, int64_t *ms_r)
{
	static const struct unit units[] = {
		{ "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 },
		{ "d", 86400000 }, { "w", 604800000 },
	};
	uint64_t v;

	if (!scaled(s, UNITS(units), INT64_MAX, &v))
		return false;
	*ms_r = (int64_t)v;
	return true;
}

bool
str_size(const char *s, uint64_t *bytes_r)
{
	static const struct unit units[] = {
		{ "b", 1 }, { "B", 1 },
		{ "k", 1u << 10 }, { "K", 1u << 10 },
		{ "m", 1u << 20 }, { "M", 1u << 20 },
		{ "g", 1u << 30 }, { "G", 1u << 30 },
		{ "t", 1ull << 40 }, { "T", 1ull << 40 },
	};

	return scaled(s, UNITS(units), UINT64_MAX, bytes_r);
}

static unsigned
least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Three rows of the usual table: a swap of neighbours looks two rows back. */
unsigned
str_distance(const char *a, const char *b)
{
	enum { MAX = 64 };
	const size_t na = strnlen(a, MAX);
	const size_t nb = strnlen(b, MAX);
	unsigned rows[3][MAX + 1];
	unsigned *before = rows[0], *last = rows[1], *row = rows[2];

	for (size_t j = 0; j <= nb; j++)
		last[j] = before[j] = (unsigned)j;
	for (size_t i = 1; i <= na; i++) {
		unsigned *spare = before;

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= nb; j++) {
			row[j] = last[j - 1] + (a[i - 1] != b[j - 1]);
			row[j] = least(row[j], least(last[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1])
				row[j] = least(row[j], before[j - 2] + 1);
		}
		before = last;
		last = row;
		row = spare;
	}
	return last[nb];
}
