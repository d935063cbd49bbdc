/*
 * mem.c - allocation that cannot fail, growable buffers, and the wire form of
 * records and frames.  Never returns NULL for memory and never reads past the
 * end of what it was given: a reader that runs short turns bad and stays so.
 *
 * Read next: mem.h; queue/record.h and mta/proc/channel.h (the users).
 */
#include "mta/base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NULL_STR UINT32_MAX	/* length that stands for a NULL string */

static _Noreturn void
out_of_memory(void)
{
	static const char text[] = "relayd: out of memory\n";
	ssize_t n = write(STDERR_FILENO, text, sizeof text - 1);

	(void)n;
	abort();
}

void *
xmalloc(size_t size)
{
	void *p = malloc(size == 0 ? 1 : size);

	if (p == NULL)
		out_of_memory();
	return p;
}

void *
xcalloc(size_t n, size_t size)
{
	void *p = calloc(n == 0 ? 1 : n, size == 0 ? 1 : size);

	if (p == NULL)
		out_of_memory();
	return p;
}

void *
xrealloc(void *p, size_t size)
{
	void *q = realloc(p, size == 0 ? 1 : size);

	if (q == NULL)
		out_of_memory();
	return q;
}

char *
xstrdup(const char *s)
{
	return s == NULL ? NULL : xstrndup(s, strlen(s));
}

char *
xstrndup(const char *s, size_t n)
{
	const size_t len = strnlen(s, n);
	char *copy = xmalloc(len + 1);

	memcpy(copy, s, len);
	copy[len] = '\0';
	return copy;
}

char *
xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *s = NULL;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (n == -1)
		out_of_memory();
	return s;
}

void
buf_free(struct buf *b)
{
	free(b->data);
	*b = (struct buf){ 0 };
}

uint8_t *
buf_room(struct buf *b, size_t n)
{
	size_t cap = b->cap < 64 ? 64 : b->cap;

	if (n > SIZE_MAX / 2 - b->len)
		out_of_memory();
	/* An empty buffer still gives a pointer that may be written to. */
	if (b->cap - b->len < n || b->data == NULL) {
		while (cap - b->len < n)
			cap *= 2;
		b->data = xrealloc(b->data, cap);
		b->cap = cap;
	}
	return b->data + b->len;
}

void
buf_add(struct buf *b, const void *p, size_t n)
{
	if (n == 0)
		return;
	memcpy(buf_room(b, n), p, n);
	b->len += n;
}

/* The low n bytes of v, lowest first. */
static void
put_le(struct buf *b, uint64_t v, unsigned n)
{
	uint8_t *p = buf_room(b, n);

	for (unsigned i = 0; i < n; i++)
		p[i] = (uint8_t)(v >> (8 * i));
	b->len += n;
}

void
buf_u8(struct buf *b, uint8_t v)
{
	put_le(b, v, 1);
}

void
buf_u16(struct buf *b, uint16_t v)
{
	put_le(b, v, 2);
}

void
buf_u32(struct buf *b, uint32_t v)
{
	put_le(b, v, 4);
}

void
buf_u64(struct buf *b, uint64_t v)
{
	put_le(b, v, 8);
}

void
buf_i64(struct buf *b, int64_t v)
{
	put_le(b, (uint64_t)v, 8);
}

void
buf_bytes(struct buf *b, const void *p, size_t n)
{
	if (n >= NULL_STR)
		abort();	/* our bug: no field is that long */
	buf_u32(b, (uint32_t)n);
	buf_add(b, p, n);
}

void
buf_str(struct buf *b, const char *s)
{
	if (s == NULL)
		buf_u32(b, NULL_STR);
	else
		buf_bytes(b, s, strlen(s));
}

void
buf_text(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	size_t room = 128;

	for (;;) {
		char *at = (char *)buf_room(b, room);
		va_list ap;
		int n;

		va_start(ap, fmt);
		n = vsnprintf(at, room, fmt, ap);
		va_end(ap);
		if (n < 0)
			return;
		if ((size_t)n < room) {
			b->len += (size_t)n;
			return;
		}
		room = (size_t)n + 1;	/* it terminates */
	}
}

const char *
buf_cstr(struct buf *b)
{
	*buf_room(b, 1) = '\0';
	return (const char *)b->data;
}

void
buf_set_u32(struct buf *b, size_t at, uint32_t v)
{
	if (at > b->len || b->len - at < 4)
		abort();	/* our bug */
	for (unsigned i = 0; i < 4; i++)
		b->data[at + i] = (uint8_t)(v >> (8 * i));
}

const uint8_t *
rd_raw(struct rd *r, size_t n)
{
	const uint8_t *p = r->p;

	if (r->bad || (size_t)(r->end - r->p) < n) {
		r->bad = true;
		return NULL;
	}
	r->p += n;
	return p;
}

static uint64_t
get_le(struct rd *r, unsigned n)
{
	const uint8_t *p = rd_raw(r, n);
	uint64_t v = 0;

	if (p == NULL)
		return 0;
	for (unsigned i = 0; i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

uint8_t
rd_u8(struct rd *r)
{
	return (uint8_t)get_le(r, 1);
}

uint16_t
rd_u16(struct rd *r)
{
	return (uint16_t)get_le(r, 2);
}

uint32_t
rd_u32(struct rd *r)
{
	return (uint32_t)get_le(r, 4);
}

uint64_t
rd_u64(struct rd *r)
{
	return get_le(r, 8);
}

int64_t
rd_i64(struct rd *r)
{
	return (int64_t)get_le(r, 8);
}

const uint8_t *
rd_bytes(struct rd *r, size_t *n_r)
{
	const uint32_t n = rd_u32(r);
	const uint8_t *p = rd_raw(r, n);

	*n_r = p == NULL ? 0 : n;
	return p;
}

char *
rd_str(struct rd *r)
{
	const uint32_t n = rd_u32(r);
	const uint8_t *p;

	if (r->bad || n == NULL_STR)
		return NULL;
	p = rd_raw(r, n);
	if (p == NULL)
		return NULL;
	/* A NUL inside would make the text end before its length says. */
	if (memchr(p, '\0', n) != NULL) {
		r->bad = true;
		return NULL;
	}
	return n == 0 ? xstrdup("") : xstrndup((const char *)p, n);
}

void
rd_copy_str(struct rd *r, char *dst, size_t size)
{
	const uint32_t n = rd_u32(r);
	const uint8_t *p = r->bad || n == NULL_STR ? NULL : rd_raw(r, n);
	size_t len = 0;

	if (p != NULL) {
		len = n < size ? n : size - 1;
		memcpy(dst, p, len);
	}
	dst[len] = '\0';
}

size_t
rd_left(const struct rd *r)
{
	return r->bad ? 0 : (size_t)(r->end - r->p);
}
