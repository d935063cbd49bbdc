/*
 * value.c - text and literals to fields, after the rows of keys.c.
 * Must never know where a value came from: no files, lines or libconfig.
 * Read next: elem.c (what the elements of lists are), load.c (who calls).
 */
#include "conf/value.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/addr.h"
#include "mta/base/str.h"

/* Room for the longest text that a message quotes. */
#define QUOTE_MAX 64

static void *
field(const struct conf_key *k, void *base)
{
	return (char *)base + k->at;
}

static size_t *
field_count(const struct conf_key *k, void *base)
{
	return (size_t *)(void *)((char *)base + k->count_at);
}

static const char *
quoted(const char *text, char buf[QUOTE_MAX])
{
	str_safe(buf, QUOTE_MAX, text, strlen(text));
	return buf;
}

const char *
duration_text(int64_t ms, char buf[32])
{
	static const struct { int64_t ms; const char *unit; } units[] = {
		{ 86400000, "d" }, { 3600000, "h" }, { 60000, "m" },
		{ 1000, "s" }, { 1, "ms" },
	};
	size_t i = 0;

	while (ms % units[i].ms != 0 || (ms == 0 && units[i].ms != 1000))
		i++;
	snprintf(buf, 32, "%" PRId64 "%s", ms / units[i].ms, units[i].unit);
	return buf;
}

static const char *
size_text(int64_t bytes, char buf[32])
{
	static const char units[] = "GMkb";
	int64_t unit = INT64_C(1) << 30;
	size_t i = 0;

	while (bytes % unit != 0 || (bytes == 0 && unit != 1)) {
		unit >>= 10;
		i++;
	}
	snprintf(buf, 32, "%" PRId64 "%c", bytes / unit, units[i]);
	return buf;
}

static const char *
choice_wanted(const struct conf_key *k, char buf[192])
{
	size_t len = 0;

	for (size_t i = 0; k->choices[i] != NULL; i++) {
		const char *between = i == 0 ? "" :
		    k->choices[i + 1] == NULL ? " or " : ", ";

		len += (size_t)snprintf(buf + len, 192 - len, "%s\"%s\"",
		    between, k->choices[i]);
	}
	return buf;
}

static const char *
range_wanted(const struct conf_key *k, char buf[192])
{
	char lo[32], hi[32];

	if (k->type == CONF_DURATION || k->type == CONF_DURATIONS)
		snprintf(buf, 192, "\"%s\" to \"%s\"",
		    duration_text(k->min, lo), duration_text(k->max, hi));
	else if (k->type == CONF_SIZE)
		snprintf(buf, 192, "\"%s\" to \"%s\"",
		    size_text(k->min, lo), size_text(k->max, hi));
	else
		snprintf(buf, 192, "a number from %" PRId64 " to %" PRId64,
		    k->min, k->max);
	return buf;
}

const char *
value_wanted(const struct conf_key *k, char buf[192])
{
	static const char *const words[CONF_TYPE_COUNT] = {
		[CONF_BOOL] = "true or false",
		[CONF_TEXT] = "a quoted text",
		[CONF_NAME] = "a quoted name",
		[CONF_HOST] = "a host name such as \"mail.example.com\"",
		[CONF_PATH] = "an absolute path such as \"/var/spool/relayd\"",
		[CONF_LISTEN] = "an address and port such as \"*:25\"",
		[CONF_TEXTS] = "quoted names",
		[CONF_PATTERNS] = "\"example.com\", \"*.example.com\" or \"*\"",
		[CONF_SERVERS] = "an address such as \"192.0.2.53\" or \"[2001:db8::53]:5353\"",
		[CONF_ADDRESSES] = "an address such as \"192.0.2.1\" or \"2001:db8::1\"",
		[CONF_CIDRS] = "an address or a network such as \"10.0.0.0/8\" or \"2001:db8::/32\"",
		[CONF_SMARTHOSTS] = "\"mail.example.com\", \"[mail.example.com]:587\" or \"192.0.2.1\"",
		[CONF_DURATIONS] = "durations in one quoted text such as \"1m 2m 5m\"",
		[CONF_GROUP] = "a group { … }",
		[CONF_LIST] = "a list of groups ( { … }, { … } )",
		[CONF_NAMED] = "groups by name { NAME = { … }; }",
	};

	if (words[k->type] != NULL)
		snprintf(buf, 192, "%s", words[k->type]);
	else if (k->type == CONF_CHOICE)
		choice_wanted(k, buf);
	else if (k->type == CONF_DURATION || k->type == CONF_SIZE)
		snprintf(buf, 192, "a quoted %s such as \"%s\"%s",
		    k->type == CONF_SIZE ? "size" : "duration", k->text,
		    k->flags & CONF_NEVER ? ", or \"never\"" : "");
	else
		range_wanted(k, buf);
	return buf;
}

static bool
in_range(
    const struct conf_key *k, int64_t n, const char *shown, struct fault *why)
{
	char wanted[192];

	if (n >= k->min && n <= k->max)
		return true;
	fault_set(why, "%s is too %s, wanted %s", shown, n < k->min ?
	    "small" : "large", range_wanted(k, wanted));
	return false;
}

bool
value_number(const struct conf_key *k, void *base, int64_t n, struct fault *why)
{
	char shown[32], wanted[192];
	void *at = field(k, base);

	snprintf(shown, sizeof(shown), "%" PRId64, n);
	switch (k->type) {
	case CONF_COUNT:
	case CONF_PORT:
	case CONF_NUMBER:
		break;
	case CONF_DURATION:
	case CONF_DURATIONS:
	case CONF_SIZE:
		fault_set(why, "%s has no unit, wanted %s", shown,
		    value_wanted(k, wanted));
		return false;
	default:
		fault_set(why, "%s is a number, wanted %s", shown,
		    value_wanted(k, wanted));
		return false;
	}
	if (!in_range(k, n, shown, why))
		return false;
	if (k->type == CONF_COUNT)
		*(unsigned *)at = (unsigned)n;
	else if (k->type == CONF_PORT)
		*(uint16_t *)at = (uint16_t)n;
	else
		*(uint64_t *)at = (uint64_t)n;
	return true;
}

static bool
refuse(const struct conf_key *k, const char *text, const char *what,
    struct fault *why)
{
	char wanted[192], buf[QUOTE_MAX];

	fault_set(why, "\"%s\" %s, wanted %s", quoted(text, buf), what,
	    value_wanted(k, wanted));
	return false;
}

static bool
bool_text(
    const struct conf_key *k, void *base, const char *text, struct fault *why)
{
	bool yes = strcmp(text, "true") == 0;

	if (!yes && strcmp(text, "false") != 0)
		return refuse(k, text, "is text", why);
	*(bool *)field(k, base) = yes;
	return true;
}

static bool
number_text(
    const struct conf_key *k, void *base, const char *text, struct fault *why)
{
	char *end;
	long long n = strtoll(text, &end, 10);

	if (*text == '\0' || *end != '\0')
		return refuse(k, text, "is not a number", why);
	return value_number(k, base, n, why);
}

/* "20" is the likeliest mistake, and gets the same words as a bare 20. */
static bool
no_unit(const char *text)
{
	return *text != '\0' && text[strspn(text, "0123456789")] == '\0';
}

static bool
duration_value(
    const struct conf_key *k, const char *text, int64_t *ms, struct fault *why)
{
	char buf[QUOTE_MAX], shown[QUOTE_MAX + 2];

	if (!str_duration(text, ms))
		return refuse(k, text, no_unit(text) ? "has no unit" :
		    "is not a duration", why);
	snprintf(shown, sizeof(shown), "\"%s\"", quoted(text, buf));
	return in_range(k, *ms, shown, why);
}

static bool
duration_one(
    const struct conf_key *k, void *base, const char *text, struct fault *why)
{
	int64_t ms = 0;

	if (!((k->flags & CONF_NEVER) && strcmp(text, "never") == 0) &&
	    !duration_value(k, text, &ms, why))
		return false;
	*(int64_t *)field(k, base) = ms;
	return true;
}

static bool
durations(
    const struct conf_key *k, void *base, const char *text, struct fault *why)
{
	static const char blanks[] = " \t,";
	void **array = field(k, base);
	int64_t *list = NULL;
	size_t n = 0;

	for (text += strspn(text, blanks); *text != '\0';
	    text += strspn(text, blanks)) {
		char *one = xstrndup(text, strcspn(text, blanks));
		int64_t ms;
		bool ok = duration_value(k, one, &ms, why);

		free(one);
		if (!ok)
			goto fail;
		*(int64_t *)array_add((void **)&list, &n, sizeof(*list)) = ms;
		text += strcspn(text, blanks);
	}
	if (n == 0) {
		refuse(k, "", "is empty", why);
		goto fail;
	}
	value_clear(k, base);
	*array = list;
	*field_count(k, base) = n;
	return true;
fail:
	free(list);
	return false;
}

static bool
size_one(
    const struct conf_key *k, void *base, const char *text, struct fault *why)
{
	char buf[QUOTE_MAX], shown[QUOTE_MAX + 2];
	uint64_t bytes;

	if (!str_size(text, &bytes))
		return refuse(k, text, no_unit(text) ? "has no unit" :
		    "is not a size", why);
	snprintf(shown, sizeof(shown), "\"%s\"", quoted(text, buf));
	if (!in_range(
		k, bytes > INT64_MAX ? INT64_MAX : (int64_t)bytes, shown, why))
		return false;
	*(uint64_t *)field(k, base) = bytes;
	return true;
}

static bool
choice_one(
    const struct conf_key *k, void *base, const char *text, struct fault *why)
{
	for (unsigned i = 0; k->choices[i] != NULL; i++) {
		if (strcmp(text, k->choices[i]) == 0) {
			*(unsigned *)field(k, base) = i;
			return true;
		}
	}
	return refuse(k, text, "is not known", why);
}

static bool
name_valid(const char *s)
{
	return s[strspn(s,
		   "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		   "0123456789._-")] == '\0';
}

static bool
text_one(
    const struct conf_key *k, void *base, const char *text, struct fault *why)
{
	char **at = field(k, base);
	size_t len = strlen(text);

	if (len == 0)
		return refuse(k, text, "is empty", why);
	if (len > (size_t)k->max) {
		fault_set(why, "%zu characters are too many, wanted at most %"
		    PRId64, len, k->max);
		return false;
	}
	if (k->type == CONF_PATH && text[0] != '/')
		return refuse(k, text, "does not begin with /", why);
	if (k->type == CONF_HOST && !host_valid(text))
		return refuse(k, text, "is not a host name", why);
	if (k->type == CONF_NAME && !name_valid(text)) {
		fault_set(why, "\"%s\" has other characters, wanted a name of "
		    "letters, digits, \".\", \"_\" and \"-\"", text);
		return false;
	}
	free(*at);
	*at = xstrdup(text);
	if (k->type == CONF_HOST)
		str_lower(*at);
	return true;
}

static bool
listen_one(
    const struct conf_key *k, void *base, const char *text, struct fault *why)
{
	struct conf_addr *a = field(k, base);
	bool *any = (bool *)((char *)base + k->count_at);
	char wanted[192];

	*any = text[0] == '*';
	if (!*any) {
		if (!conf_addr_read(text, value_wanted(k, wanted), a, why))
			return false;
	} else {
		*a = (struct conf_addr){ .family = AF_INET6 };
		if (text[1] != '\0' &&
		    !(text[1] == ':' && conf_port_parse(text + 2, &a->port)))
			return refuse(k, text, "is not an address", why);
	}
	if (a->port == 0)
		a->port = 25;
	return true;
}

void *
array_add(void **array, size_t *n, size_t size)
{
	char *grown = xrealloc(*array, (*n + 1) * size);

	*array = grown;
	memset(grown + *n * size, 0, size);
	return grown + (*n)++ * size;
}

bool
value_add(
    const struct conf_key *k, void *base, const char *text, struct fault *why)
{
	const struct conf_elem *e = conf_elem(k->type);
	void **array = field(k, base);
	size_t *n = field_count(k, base);
	void *elem;

	if (*n >= (size_t)k->max) {
		fault_set(why, "too many, wanted at most %" PRId64, k->max);
		return false;
	}
	elem = array_add(array, n, e->size);
	if (e->parse(elem, text, why))
		return true;
	(*n)--;
	return false;
}

static bool
many(const struct conf_key *k, void *base, const char *text, struct fault *why)
{
	static const char blanks[] = " ,";

	value_clear(k, base);
	for (text += strspn(text, blanks); *text != '\0';
	    text += strspn(text, blanks)) {
		char *one = xstrndup(text, strcspn(text, blanks));
		bool ok = value_add(k, base, one, why);

		free(one);
		if (!ok)
			return false;
		text += strcspn(text, blanks);
	}
	if (*field_count(k, base) >= (size_t)k->min)
		return true;
	return refuse(k, "", "is empty", why);
}

bool
value_text(
    const struct conf_key *k, void *base, const char *text, struct fault *why)
{
	switch (k->type) {
	case CONF_BOOL:
		return bool_text(k, base, text, why);
	case CONF_COUNT:
	case CONF_PORT:
	case CONF_NUMBER:
		return number_text(k, base, text, why);
	case CONF_DURATION:
		return duration_one(k, base, text, why);
	case CONF_DURATIONS:
		return durations(k, base, text, why);
	case CONF_SIZE:
		return size_one(k, base, text, why);
	case CONF_CHOICE:
		return choice_one(k, base, text, why);
	case CONF_TEXT:
	case CONF_NAME:
	case CONF_HOST:
	case CONF_PATH:
		return text_one(k, base, text, why);
	case CONF_LISTEN:
		return listen_one(k, base, text, why);
	default:
		if (conf_elem(k->type) != NULL)
			return many(k, base, text, why);
		return refuse(k, text, "is text", why);
	}
}

static void
clear_structs(const struct conf_key *k, void *base)
{
	void **array = field(k, base);
	size_t *n = field_count(k, base);

	for (size_t i = 0; i < *n; i++)
		section_clear(
		    k->section, (char *)*array + i * k->section->size);
	free(*array);
	*array = NULL;
	*n = 0;
}

static void
clear_elems(const struct conf_key *k, void *base)
{
	const struct conf_elem *e = conf_elem(k->type);
	void **array = field(k, base);
	size_t *n = field_count(k, base);

	for (size_t i = 0; e->drop != NULL && i < *n; i++)
		e->drop((char *)*array + i * e->size);
	free(*array);
	*array = NULL;
	*n = 0;
}

void
value_clear(const struct conf_key *k, void *base)
{
	char **at = field(k, base);

	switch (k->type) {
	case CONF_TEXT:
	case CONF_NAME:
	case CONF_HOST:
	case CONF_PATH:
	case CONF_INDICES:		/* counted by the row before */
		free(*at);
		*at = NULL;
		break;
	case CONF_DURATIONS:
		free(*at);
		*at = NULL;
		*field_count(k, base) = 0;
		break;
	case CONF_GROUP:
		section_clear(k->section, at);
		break;
	case CONF_LIST:
	case CONF_NAMED:
		clear_structs(k, base);
		break;
	default:
		if (conf_elem(k->type) != NULL)
			clear_elems(k, base);
		break;
	}
}

void
section_defaults(const struct conf_section *s, void *base)
{
	struct fault why;

	for (size_t i = 0; i < s->nkeys; i++) {
		const struct conf_key *k = &s->keys[i];

		if (k->type == CONF_GROUP)
			section_defaults(k->section, field(k, base));
		else if (k->text != NULL && *k->text != '\0' &&
		    !value_text(k, base, k->text, &why))
			abort();	/* a row with a wrong default */
	}
}

void
section_clear(const struct conf_section *s, void *base)
{
	for (size_t i = 0; i < s->nkeys; i++)
		value_clear(&s->keys[i], base);
}
