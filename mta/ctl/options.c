/*
 * options.c - options and words after a verb.  Never guesses: what a verb
 * does not take is a usage error that names the verb.
 * Read next: verbs.c (who takes what), filter.c (what the words mean).
 */
#include "mta/ctl/options.h"

#include <stdlib.h>
#include <string.h>

#include "mta/base/mem.h"

#define FLAG(f) offsetof(struct options, f), false
#define TEXT(f) offsetof(struct options, f), true

static const struct option {
	const char	*name;
	unsigned	 opts;		/* verbs that take one of these; 0: every verb */
	size_t		 at;
	bool		 text;		/* has a value */
} options[] = {
	{ "json",       0,              FLAG(json) },
	{ "help",       0,              FLAG(help) },
	{ "all",        OPT_FILTER,     FLAG(all) },
	{ "sender",     OPT_FILTER,     TEXT(sender) },
	{ "recipient",  OPT_FILTER,     TEXT(recipient) },
	{ "domain",     OPT_FILTER,     TEXT(domain) },
	{ "connector",  OPT_FILTER | OPT_CONNECTOR, TEXT(connector) },
	{ "reason",     OPT_FILTER,     TEXT(reason) },
	{ "status",     OPT_FILTER,     TEXT(status) },
	{ "older-than", OPT_FILTER,     TEXT(older_than) },
	{ "dry-run",    OPT_DRY_RUN,    FLAG(dry_run) },
	{ "with",       OPT_WITH,       TEXT(with) },	/* repeatable, see set_text() */
	{ "compare",    OPT_COMPARE,    TEXT(compare) },
	{ "no-ask",     OPT_EXPLAIN,    FLAG(no_ask) },
	{ "all-sets",   OPT_EXPLAIN,    FLAG(all_sets) },
	{ "bounce",     OPT_REMOVE,     FLAG(bounce) },
	{ "silent",     OPT_REMOVE,     FLAG(silent) },
};

static const struct option *
option_find(const char *name, size_t n)
{
	for (size_t i = 0; i < COUNT_OF(options); i++) {
		if (strlen(options[i].name) == n && memcmp(options[i].name, name, n) == 0)
			return &options[i];
	}
	return NULL;
}

static bool
set_text(struct options *o, const struct option *opt, const char *value, struct fault *why)
{
	const char **slot = (const char **)(void *)((char *)o + opt->at);

	if (*value == '\0') {
		fault_set(why, "--%s: empty value", opt->name);
		return false;
	}
	if (opt->opts == OPT_WITH) {
		/* Overrides travel separated by blanks. */
		if (strchr(value, '=') == NULL || strpbrk(value, " \t\n") != NULL) {
			fault_set(why, "--with %s: wanted KEY=VALUE without blanks", value);
			return false;
		}
		if (o->nwith == OPTIONS_WITH_MAX) {
			fault_set(why, "--with: at most %d", OPTIONS_WITH_MAX);
			return false;
		}
		o->with[o->nwith++] = value;
		return true;
	}
	if (*slot != NULL) {
		fault_set(why, "--%s given twice", opt->name);
		return false;
	}
	*slot = value;
	return true;
}

/* One option; *used_r: whether the next argument was its value. */
static bool
take_option(struct options *o, const struct ctl_verb *v, const char *arg, const char *next,
    bool *used_r, struct fault *why)
{
	const char *eq = strchr(arg, '=');
	const size_t n = eq == NULL ? strlen(arg) : (size_t)(eq - arg);
	const struct option *opt = option_find(arg + 2, n - 2);

	*used_r = false;
	if (opt == NULL || (opt->opts != 0 && (opt->opts & v->opts) == 0)) {
		fault_set(why, "%s has no option %.*s; relayctl help %s tells which it has",
		    v->name, (int)n, arg, v->name);
		return false;
	}
	if (!opt->text) {
		if (eq != NULL) {
			fault_set(why, "--%s takes no value", opt->name);
			return false;
		}
		*(bool *)(void *)((char *)o + opt->at) = true;
		return true;
	}
	if (eq != NULL)
		return set_text(o, opt, eq + 1, why);
	if (next == NULL) {
		fault_set(why, "--%s wants a value", opt->name);
		return false;
	}
	*used_r = true;
	return set_text(o, opt, next, why);
}

static bool
words_fit(const struct options *o, const struct ctl_verb *v, struct fault *why)
{
	if (o->help || (o->nwords >= v->min_words && o->nwords <= v->max_words))
		return true;
	fault_set(why, "usage: relayctl %s%s%s", v->name, *v->usage == '\0' ? "" : " ",
	    v->usage);
	return false;
}

bool
options_parse(struct options *o, const struct ctl_verb *v, char *const *argv,
    size_t argc, struct fault *why)
{
	bool only_words = false, used;

	*o = (struct options){ .words = xcalloc(argc + 1, sizeof *o->words) };
	for (size_t i = 0; i < argc; i++) {
		const char *arg = argv[i];

		if (!only_words && strcmp(arg, "--") == 0) {
			only_words = true;
			continue;
		}
		if (!only_words && strcmp(arg, "-h") == 0)
			arg = "--help";
		if (!only_words && arg[0] == '-' && arg[1] != '-' && arg[1] != '\0') {
			fault_set(why, "no option %s; a word that begins so goes after --", arg);
			return false;
		}
		if (only_words || strncmp(arg, "--", 2) != 0) {
			o->words[o->nwords++] = arg;
			continue;
		}
		if (!take_option(o, v, arg, i + 1 < argc ? argv[i + 1] : NULL, &used, why))
			return false;
		i += used;
	}
	if (o->bounce && o->silent) {
		fault_set(why, "--bounce and --silent exclude each other");
		return false;
	}
	return words_fit(o, v, why);
}

void
options_free(struct options *o)
{
	free(o->words);
	*o = (struct options){ 0 };
}

char *
options_with(const struct options *o, const char *more)
{
	struct buf b = { 0 };

	for (size_t i = 0; i < o->nwith; i++)
		buf_printf(&b, "%s%s", b.len > 0 ? " " : "", o->with[i]);
	if (more != NULL)
		buf_printf(&b, "%s%s", b.len > 0 ? " " : "", more);
	if (b.len == 0)
		return NULL;
	buf_cstr(&b);
	return (char *)b.data;
}
