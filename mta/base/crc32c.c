/*
 * crc32c.c - CRC-32C, by the processor's instruction where it has one, else
 * eight table look-ups for eight bytes.  Never keeps state between calls;
 * may be called from any thread.
 * Sources: RFC 3720 B.4 (polynomial, vectors).
 * Read next: crc32c.h.
 */
#include "mta/base/crc32c.h"

#include <pthread.h>
#include <string.h>

#define POLY 0x82f63b78u	/* 0x1edc6f41, bits reversed */

static uint32_t table[8][256];	/* written once, under table_once */
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

/* table[k][b]: what byte b does to the sum when k zero bytes follow it. */
static void
table_fill(void)
{
	for (uint32_t b = 0; b < 256; b++) {
		uint32_t c = b;

		for (int bit = 0; bit < 8; bit++)
			c = c >> 1 ^ (c & 1 ? POLY : 0);
		table[0][b] = c;
	}
	for (uint32_t b = 0; b < 256; b++) {
		for (int k = 1; k < 8; k++) {
			const uint32_t c = table[k - 1][b];

			table[k][b] = c >> 8 ^ table[0][c & 0xff];
		}
	}
}

static uint32_t
by_table(uint32_t crc, const uint8_t *p, size_t n)
{
	(void)pthread_once(&table_once, table_fill);
	for (; n >= 8; n -= 8, p += 8) {
		crc ^= (uint32_t)p[0] | (uint32_t)p[1] << 8 |
		    (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
		crc = table[7][crc & 0xff] ^ table[6][crc >> 8 & 0xff] ^
		    table[5][crc >> 16 & 0xff] ^ table[4][crc >> 24] ^
		    table[3][p[4]] ^ table[2][p[5]] ^ table[1][p[6]] ^
		    table[0][p[7]];
	}
	for (; n > 0; n--, p++)
		crc = crc >> 8 ^ table[0][(crc ^ *p) & 0xff];
	return crc;
}

#if defined(__x86_64__)

__attribute__((target("sse4.2"))) static uint32_t
by_instruction(uint32_t crc, const uint8_t *p, size_t n)
{
	uint64_t c = crc;

	for (; n >= 8; n -= 8, p += 8) {
		uint64_t w;

		memcpy(&w, p, sizeof w);
		c = __builtin_ia32_crc32di(c, w);
	}
	for (; n > 0; n--, p++)
		c = __builtin_ia32_crc32qi((uint32_t)c, *p);
	return (uint32_t)c;
}

uint32_t
crc32c(uint32_t crc, const void *p, size_t n)
{
	return ~(__builtin_cpu_supports("sse4.2") ?
	    by_instruction(~crc, p, n) : by_table(~crc, p, n));
}

#else

uint32_t
crc32c(uint32_t crc, const void *p, size_t n)
{
	return ~by_table(~crc, p, n);
}

#endif

/* For the unit test, which holds both ways against each other. */
uint32_t crc32c_by_table(uint32_t crc, const void *p, size_t n);

uint32_t
crc32c_by_table(uint32_t crc, const void *p, size_t n)
{
	return ~by_table(~crc, p, n);
}
