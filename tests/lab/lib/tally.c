/*
 * tally.c - the account that sinksmtp keeps of what arrived.  Never trusts a
 * header for anything but its number.
 * Read next: ../sinksmtp.c (who counts), ../../bench/smtpgen.c (who numbers).
 */
#include "tests/lab/lib/tally.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NUMBERS_MAX ((size_t)1 << 32)

static double
now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
tick(struct tally *t, size_t n)
{
	if (n >= NUMBERS_MAX)
		return;
	if (n >= t->room) {
		size_t room = t->room ? t->room : 65536;
		uint8_t *seen;

		while (room <= n)
			room *= 2;
		seen = realloc(t->seen, room / 8);
		if (!seen)
			abort();
		memset(seen + t->room / 8, 0, (room - t->room) / 8);
		t->seen = seen;
		t->room = room;
	}
	if (t->seen[n / 8] & (1u << n % 8)) {
		t->duplicates++;
		return;
	}
	t->seen[n / 8] |= (uint8_t)(1u << n % 8);
	t->distinct++;
}

void
tally_message(struct tally *t, const char *head, size_t head_len,
    uint64_t size, size_t rcpts)
{
	static const char mark[] = "\nX-Bench: ";
	const char *at = memmem(head, head_len, mark, sizeof(mark) - 1);
	const char *end = head + head_len;

	t->last_s = now_s();
	if (t->messages == 0)
		t->first_s = t->last_s;
	t->messages++;
	t->rcpts += rcpts;
	t->bytes += size;
	if (at) {
		size_t n = 0;

		for (at += sizeof(mark) - 1; at < end && *at >= '0' &&
		    *at <= '9' && n < NUMBERS_MAX; at++)
			n = n * 10 + (size_t)(*at - '0');
		tick(t, n);
	}
}

void
tally_reset(struct tally *t)
{
	free(t->seen);
	memset(t, 0, sizeof(*t));
}

void
tally_text(const struct tally *t, char *buf, size_t size)
{
	snprintf(buf, size, "messages=%llu rcpts=%llu bytes=%llu distinct=%llu"
	    " duplicates=%llu seconds=%.3f", (unsigned long long)t->messages,
	    (unsigned long long)t->rcpts, (unsigned long long)t->bytes,
	    (unsigned long long)t->distinct,
	    (unsigned long long)t->duplicates, t->last_s - t->first_s);
}

void
tally_missing(const struct tally *t, size_t n, char *buf, size_t size)
{
	size_t missing = 0, used;
	char list[128] = "";

	for (size_t i = 0; i < n; i++) {
		if (i < t->room && t->seen[i / 8] & (1u << i % 8))
			continue;
		used = strlen(list);
		if (missing++ < 8)
			snprintf(list + used, sizeof(list) - used, " %zu", i);
	}
	snprintf(buf, size, "missing=%zu%s", missing, list);
}

uint32_t
tally_crc32(uint32_t crc, const void *data, size_t n)
{
	static uint32_t table[256];
	const uint8_t *p = data;

	if (table[1] == 0) {
		for (uint32_t i = 0; i < 256; i++) {
			uint32_t c = i;

			for (int bit = 0; bit < 8; bit++)
				c = c & 1 ? c >> 1 ^ 0xedb88320u : c >> 1;
			table[i] = c;
		}
	}
	crc = ~crc;
	while (n--)
		crc = table[(crc ^ *p++) & 0xff] ^ crc >> 8;
	return ~crc;
}
