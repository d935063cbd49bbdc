/*
 * keys.h - every key of the configuration as one row: the single source for
 * reading, defaults, ranges, the wire form, the manual check and "did you mean".
 *
 * A section is a struct; a row is a field of it.  The rows of struct conf
 * contain the rest of the tree (CONF_GROUP, CONF_LIST, CONF_NAMED), so a walk from
 * conf_section_top reaches everything.  A new key is one new field and one row.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>

#include "conf/conf.h"

enum conf_type {
	/* one value; the field's type stands behind */
	CONF_BOOL = 0,	/* bool */
	CONF_COUNT,	/* unsigned */
	CONF_PORT,	/* uint16_t */
	CONF_NUMBER,	/* uint64_t */
	CONF_DURATION,	/* int64_t, ms */
	CONF_SIZE,	/* uint64_t, bytes */
	CONF_CHOICE,	/* an enum, in the order of choices */
	CONF_TEXT,	/* char * */
	CONF_NAME,	/* char *: letters, digits, . _ - */
	CONF_HOST,	/* char *: host name, lower case */
	CONF_PATH,	/* char *: absolute */
	CONF_LISTEN,	/* struct conf_addr, and bool at count_at: "*:25" */
	CONF_ADDRESS,	/* struct conf_addr; wire only */
	/* many values: a pointer, and size_t at count_at */
	CONF_TEXTS,	/* char ** */
	CONF_PATTERNS,	/* char **: domains, lower case */
	CONF_SERVERS,	/* struct conf_addr *, port 53 when none is given */
	CONF_ADDRESSES,	/* struct conf_addr *, no port */
	CONF_CIDRS,	/* struct conf_cidr * */
	CONF_SMARTHOSTS, /* struct conf_smarthost * */
	CONF_DURATIONS,	/* int64_t *, ms; written as one quoted text */
	CONF_INDICES,	/* unsigned *, as many as the row before; wire only */
	/* structs with rows of their own */
	CONF_GROUP,	/* struct in place */
	CONF_LIST,	/* struct *, written ( { … }, { … } ) */
	CONF_NAMED,	/* struct * with char *name first, written { name = { … }; } */
	CONF_TYPE_COUNT
};

enum conf_flags {
	CONF_HIDDEN = 1,	/* on the wire, not in the file */
	CONF_REQUIRED = 2,
	CONF_OPTIONAL = 4,	/* a text that may stay NULL */
	CONF_NEVER = 8,		/* "never" means 0 */
	CONF_WITH = 16,		/* may be given to --with */
};

struct conf_key {
	const char			*name;
	enum conf_type			 type;
	size_t				 at, count_at;
	int64_t				 min, max;	/* value; of many: how many (durations: each) */
	const char			*text;		/* default as written, lists "a, b"; NULL: see shown */
	const char			*doc;		/* one sentence */
	unsigned			 flags;
	const char			*shown;		/* default in words, where text cannot say it */
	const char *const		*choices;	/* NULL ends */
	const struct conf_section	*section;
};

struct conf_section {
	const char		*path;	/* "", "spool", "connectors.resolve" */
	size_t			 size;	/* of the struct */
	const struct conf_key	*keys;
	size_t			 nkeys;
};

extern const struct conf_section conf_section_top, conf_section_connector, conf_section_resolve,
    conf_section_resolvers, conf_section_listener;

/* A row that may stand in a file; NULL: none of that name. */
const struct conf_key *conf_key(const struct conf_section *s, const char *name);

/* The name nearest to a wrong one; NULL: nothing resembles it. */
const char *conf_key_near(const struct conf_section *s, const char *name);

/* Path of another section that has this key; NULL: none has. */
const char *conf_key_elsewhere(const char *name);

/* A line for each key: section ("-": top), key, default, sentence; tabs between. */
void conf_print_keys(FILE *out);
