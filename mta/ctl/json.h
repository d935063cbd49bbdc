/*
 * json.h - writes JSON, one object a line, straight into a buffer.
 *
 * Every line begins "v":1, the version of the form: keys are added without a
 * new number, never renamed or given another meaning.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "mta/base/mem.h"

#define JSON_VERSION 1

struct json {
	struct buf	*b;		/* borrowed */
	unsigned	 depth;
	bool		 some[16];	/* something stands before, by depth */
	char		 close[16];
};

void json_begin(struct json *j, struct buf *b);	/* {"v":1 */
void json_end(struct json *j);			/* closes all that is open, ends the line */

/* key is NULL inside an array. */
void json_object(struct json *j, const char *key);
void json_array(struct json *j, const char *key);
void json_close(struct json *j);		/* the innermost of these */

void json_str(struct json *j, const char *key, const char *s);	/* NULL: null */
void json_int(struct json *j, const char *key, int64_t v);
void json_uint(struct json *j, const char *key, uint64_t v);
void json_bool(struct json *j, const char *key, bool v);
void json_null(struct json *j, const char *key);
/* RFC 3339, and KEY_s as seconds since 1970; both null for 0. */
void json_time(struct json *j, const char *key, int64_t wall_ms);

/* The characters of a JSON string, without quotes; what is not UTF-8 becomes U+FFFD. */
void json_escape(struct buf *b, const char *s, size_t n);
