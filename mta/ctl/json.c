/*
 * json.c - the JSON writer.  Never emits anything but valid UTF-8 on one
 * line, whatever bytes a peer or an envelope brought; reads nothing.
 * Source: RFC 8259.
 * Read next: render.h (the same facts for people).
 */
#include "mta/ctl/json.h"

#include <stdio.h>
#include <string.h>

#include "mta/base/clock.h"
#include "mta/base/fault.h"
#include "mta/base/log.h"
#include "mta/ctl/render.h"

static void
escape_one(struct buf *b, uint8_t c)
{
	switch (c) {
	case '"':
		buf_text(b, "\\\"");
		break;
	case '\\':
		buf_text(b, "\\\\");
		break;
	case '\n':
		buf_text(b, "\\n");
		break;
	case '\r':
		buf_text(b, "\\r");
		break;
	case '\t':
		buf_text(b, "\\t");
		break;
	default:
		if (c < 0x20 || c == 0x7f)
			buf_printf(b, "\\u%04x", c);
		else
			buf_u8(b, c);
	}
}

void
json_escape(struct buf *b, const char *s, size_t n)
{
	for (size_t i = 0; i < n;) {
		const size_t len = utf8_length(s + i, n - i);

		if (len == 0) {
			buf_text(b, "\\ufffd");
			i++;
		} else if (len == 1) {
			escape_one(b, (uint8_t)s[i++]);
		} else {
			buf_add(b, s + i, len);
			i += len;
		}
	}
}

static void
quoted(struct json *j, const char *s)
{
	buf_u8(j->b, '"');
	json_escape(j->b, s, strlen(s));
	buf_u8(j->b, '"');
}

/* The comma and the key, whatever value follows. */
static void
key_of(struct json *j, const char *key)
{
	if (j->some[j->depth])
		buf_u8(j->b, ',');
	j->some[j->depth] = true;
	if (key != NULL) {
		quoted(j, key);
		buf_u8(j->b, ':');
	}
}

static void
nest(struct json *j, char open, char close)
{
	buf_u8(j->b, (uint8_t)open);
	if (++j->depth >= COUNT_OF(j->some))
		bug("json nested too deep");
	j->some[j->depth] = false;
	j->close[j->depth] = close;
}

void
json_begin(struct json *j, struct buf *b)
{
	*j = (struct json){ .b = b };
	nest(j, '{', '}');
	json_uint(j, "v", JSON_VERSION);
}

void
json_close(struct json *j)
{
	buf_u8(j->b, (uint8_t)j->close[j->depth]);
	j->depth--;
}

void
json_end(struct json *j)
{
	while (j->depth > 0)
		json_close(j);
	buf_u8(j->b, '\n');
}

void
json_object(struct json *j, const char *key)
{
	key_of(j, key);
	nest(j, '{', '}');
}

void
json_array(struct json *j, const char *key)
{
	key_of(j, key);
	nest(j, '[', ']');
}

void
json_str(struct json *j, const char *key, const char *s)
{
	key_of(j, key);
	if (s == NULL)
		buf_text(j->b, "null");
	else
		quoted(j, s);
}

void
json_int(struct json *j, const char *key, int64_t v)
{
	key_of(j, key);
	buf_printf(j->b, "%lld", (long long)v);
}

void
json_uint(struct json *j, const char *key, uint64_t v)
{
	key_of(j, key);
	buf_printf(j->b, "%llu", (unsigned long long)v);
}

void
json_bool(struct json *j, const char *key, bool v)
{
	key_of(j, key);
	buf_text(j->b, v ? "true" : "false");
}

void
json_null(struct json *j, const char *key)
{
	json_str(j, key, NULL);
}

void
json_time(struct json *j, const char *key, int64_t wall_ms)
{
	char text[CLOCK_TEXT_MAX], key_s[64];

	snprintf(key_s, sizeof key_s, "%s_s", key);
	if (wall_ms == 0) {
		json_null(j, key);
		json_null(j, key_s);
		return;
	}
	json_str(j, key, clock_rfc3339(wall_ms, text));
	json_int(j, key_s, wall_ms / 1000);
}
