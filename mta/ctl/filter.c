/*
 * filter.c - bare words and filter options.  Never widens: two words for one
 * field, or a value that cannot match anything, are usage errors, because the
 * filter may be one for removing.
 * Read next: options.c, ../door/inspect.h (struct inspect_filter).
 */
#include "mta/ctl/filter.h"

#include <stdlib.h>
#include <string.h>

#include "mta/base/str.h"

static const char *const states[] = { "active", "ready", "retry", "suspended" };

enum word_kind
filter_word(const char *word)
{
	if (strchr(word, '@') != NULL || strcmp(word, "<>") == 0)
		return WORD_ADDRESS;
	if (strchr(word, '.') != NULL || word[0] == '[')
		return WORD_DOMAIN;
	if (word[0] == '\0' || strlen(word) >= MSGID_TEXT_MAX)
		return WORD_NONSENSE;
	for (const char *s = word; *s != '\0'; s++) {
		if (!((*s >= '0' && *s <= '9') || (*s >= 'a' && *s <= 'z') ||
		    (*s >= 'A' && *s <= 'Z')))
			return WORD_NONSENSE;
	}
	return WORD_ID;
}

char *
filter_domain(const char *s)
{
	char *d = xstrdup(s);
	size_t n = strlen(d);

	str_lower(d);
	if (n > 1 && d[n - 1] == '.')
		d[n - 1] = '\0';
	return d;
}

/* <a@b> is a@b; <> stays. */
static char *
address_of(const char *s)
{
	const size_t n = strlen(s);

	if (n > 2 && s[0] == '<' && s[n - 1] == '>')
		return xstrndup(s + 1, n - 2);
	return xstrdup(s);
}

static bool
take(char **slot, char *value, const char *word, const char *field, struct fault *why)
{
	if (*slot == NULL) {
		*slot = value;
		return true;
	}
	free(value);
	fault_set(why, "%s: only one %s at a time", word, field);
	return false;
}

static bool
take_word(struct inspect_filter *f, const struct options *o, const char *word,
    struct fault *why)
{
	switch (filter_word(word)) {
	case WORD_ADDRESS:
		/* A bare address is the side that no option names. */
		if (strcmp(word, "<>") == 0 || (o->recipient != NULL && o->sender == NULL))
			return take(&f->sender, address_of(word), word, "sender", why);
		return take(&f->recipient, address_of(word), word, "recipient", why);
	case WORD_DOMAIN:
		return take(&f->domain, filter_domain(word), word, "domain", why);
	case WORD_ID:
		return take(&f->id, xstrdup(word), word, "id", why);
	default:
		fault_set(why, "%s: neither an address, a domain nor an id", word);
		return false;
	}
}

static bool
known_state(const char *s)
{
	for (size_t i = 0; i < COUNT_OF(states); i++) {
		if (str_eq_nocase(s, states[i]))
			return true;
	}
	return false;
}

static bool
take_options(struct inspect_filter *f, const struct options *o, struct fault *why)
{
	f->all = o->all;
	f->sender = o->sender == NULL ? NULL : address_of(o->sender);
	f->recipient = o->recipient == NULL ? NULL : address_of(o->recipient);
	f->domain = o->domain == NULL ? NULL : filter_domain(o->domain);
	f->connector = xstrdup(o->connector);
	f->reason = xstrdup(o->reason);
	f->status = xstrdup(o->status);
	if (f->reason != NULL && reason_parse(f->reason) == -1) {
		fault_set(why, "--reason %s: no such reason, see relayctl(8)", f->reason);
		return false;
	}
	if (f->status != NULL && !known_state(f->status)) {
		fault_set(why, "--status %s: wanted active, ready, retry or suspended",
		    f->status);
		return false;
	}
	if (f->status != NULL)
		str_lower(f->status);
	if (o->older_than != NULL &&
	    (!str_duration(o->older_than, &f->older_ms) || f->older_ms == 0)) {
		fault_set(why, "--older-than %s: wanted a duration as 15m, 4h, 2d",
		    o->older_than);
		return false;
	}
	return true;
}

static bool
asks_something(const struct inspect_filter *f)
{
	return f->id != NULL || f->sender != NULL || f->recipient != NULL ||
	    f->domain != NULL || f->connector != NULL || f->reason != NULL ||
	    f->status != NULL || f->older_ms != 0;
}

bool
filter_build(struct inspect_filter *f, const struct options *o, bool none_is_all,
    struct fault *why)
{
	*f = (struct inspect_filter){ 0 };
	if (!take_options(f, o, why))
		return false;
	for (size_t i = 0; i < o->nwords; i++) {
		if (!take_word(f, o, o->words[i], why))
			return false;
	}
	if (f->all && asks_something(f)) {
		fault_set(why, "--all stands alone: with a filter it says two things");
		return false;
	}
	if (!f->all && !asks_something(f)) {
		f->all = none_is_all;
		if (!none_is_all) {
			fault_set(why, "which messages? give words, options or --all");
			return false;
		}
	}
	return true;
}

bool
filter_is_rule(const struct inspect_filter *f)
{
	return (f->domain != NULL || f->connector != NULL) && f->id == NULL &&
	    f->sender == NULL && f->recipient == NULL && f->reason == NULL &&
	    f->status == NULL && f->older_ms == 0;
}
