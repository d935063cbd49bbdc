/*
 * test_filter.c - words and options to filters, and what is refused.
 * Must never accept what would act on more than was meant.
 * Read next: mta/ctl/filter.c, mta/ctl/options.c.
 */
#include "tests/unit/check_main.h"

#include <stdio.h>
#include <string.h>

#include "mta/ctl/filter.h"

#define ARGS_MAX 8

static const struct { const char *word; enum word_kind kind; } words[] = {
	{ "a@b.example", WORD_ADDRESS }, { "<>", WORD_ADDRESS }, { "a@b", WORD_ADDRESS },
	{ "far.test", WORD_DOMAIN }, { "[192.0.2.1]", WORD_DOMAIN },
	{ "[2001:db8::1]", WORD_DOMAIN }, { "7K2M9", WORD_ID }, { "a", WORD_ID },
	{ "", WORD_NONSENSE }, { "far test", WORD_NONSENSE }, { "a/b", WORD_NONSENSE },
	{ "0123456789012345678901234567890", WORD_NONSENSE },
};

START_TEST(words_are_told_apart)
{
	ck_assert_int_eq(filter_word(words[_i].word), words[_i].kind);
}
END_TEST

/* "field=value …" of a filter, for comparing. */
static char *
text_of(const struct inspect_filter *f)
{
	struct buf b = { 0 };
	char *s;

	if (f->all)
		buf_text(&b, "all ");
#define SAY(x) \
	if (f->x != NULL) \
		buf_printf(&b, #x "=%s ", f->x);
	SAY(id) SAY(sender) SAY(recipient) SAY(domain) SAY(connector) SAY(reason) SAY(status)
#undef SAY
	if (f->older_ms != 0)
		buf_printf(&b, "older=%lld ", (long long)f->older_ms);
	s = xstrdup(buf_cstr(&b));
	buf_free(&b);
	return s;
}

/* want NULL: refused, why then holds this text. */
static const struct { const char *args[ARGS_MAX]; bool all; const char *want, *why; } filters[] = {
	{ { "Far.Test." }, false, "domain=far.test ", NULL },
	{ { "b@far.test" }, false, "recipient=b@far.test ", NULL },
	{ { "<b@far.test>" }, false, "recipient=b@far.test ", NULL },
	{ { "<>" }, false, "sender=<> ", NULL },
	{ { "--sender", "a@b.c", "x@y.z" }, false, "sender=a@b.c recipient=x@y.z ", NULL },
	{ { "--sender=<>" }, false, "sender=<> ", NULL },
	{ { "7K2M9", "--connector", "internet" }, false, "id=7K2M9 connector=internet ", NULL },
	{ { "--reason", "dns_servfail", "--status", "Retry", "--older-than", "4h" }, false,
	  "reason=dns_servfail status=retry older=14400000 ", NULL },
	{ { "--all" }, false, "all ", NULL },
	{ { NULL }, true, "all ", NULL },
	{ { "--", "far.test" }, false, "domain=far.test ", NULL },
	{ { "--", "-x@far.test" }, false, "recipient=-x@far.test ", NULL },
	{ { "-all" }, false, NULL, "no option -all" },
	{ { NULL }, false, NULL, "which messages?" },
	{ { "--all", "far.test" }, false, NULL, "--all stands alone" },
	{ { "far.test", "near.test" }, false, NULL, "only one domain" },
	{ { "--domain", "far.test", "near.test" }, false, NULL, "only one domain" },
	{ { "--reason", "dns_sevfail" }, false, NULL, "no such reason" },
	{ { "--status", "waiting" }, false, NULL, "wanted active" },
	{ { "--older-than", "4" }, false, NULL, "wanted a duration" },
	{ { "--older-than" }, false, NULL, "wants a value" },
	{ { "--recipient=" }, false, NULL, "empty value" },
	{ { "--all=yes" }, false, NULL, "takes no value" },
	{ { "--sender", "a@b.c", "--sender", "d@e.f" }, false, NULL, "given twice" },
	{ { "--silent", "far.test" }, false, NULL, "has no option --silent" },
	{ { "--frobnicate" }, false, NULL, "has no option --frobnicate" },
	{ { "--with", "ipv6", "far.test" }, false, NULL, "wanted KEY=VALUE" },
	{ { "--with", "ipv6=false order=both", "far.test" }, false, NULL, "without blanks" },
};

static size_t
count(const char *const *args)
{
	size_t n = 0;

	while (n < ARGS_MAX && args[n] != NULL)
		n++;
	return n;
}

START_TEST(filters_say_what_was_meant)
{
	const char *const *args = filters[_i].args;
	struct inspect_filter f = { 0 };
	struct options o;
	struct fault why = { 0 };
	const bool ok = options_parse(&o, &ctl_verbs[VERB_RETRY], (char *const *)(uintptr_t)args,
	    count(args), &why) && filter_build(&f, &o, filters[_i].all, &why);

	ck_assert_msg(ok == (filters[_i].want != NULL), "%s", why.text);
	if (ok) {
		char *text = text_of(&f);

		ck_assert_str_eq(text, filters[_i].want);
		free(text);
	} else {
		ck_assert_msg(strstr(why.text, filters[_i].why) != NULL, "%s", why.text);
	}
	inspect_filter_free(&f);
	options_free(&o);
}
END_TEST

static const struct { enum ctl_verb_id verb; const char *args[ARGS_MAX]; bool ok; } options[] = {
	{ VERB_REMOVE, { "--silent", "--dry-run", "far.test" }, true },
	{ VERB_REMOVE, { "--silent", "--bounce", "far.test" }, false },
	{ VERB_SHOW, { NULL }, false },
	{ VERB_SHOW, { "--help" }, true },
	{ VERB_SHOW, { "a", "b" }, false },
	{ VERB_RESOLVE, { "far.test", "--compare", "a,b", "--json" }, true },
	{ VERB_RESOLVE, { "far.test", "--dry-run" }, false },
	{ VERB_EXPLAIN, { "far.test", "--no-ask", "--all-sets" }, true },
	{ VERB_STATUS, { "far.test" }, false },
	{ VERB_QUEUE, { "--domain", "far.test" }, true },
};

START_TEST(verbs_take_their_options_only)
{
	const char *const *args = options[_i].args;
	struct options o;
	struct fault why;
	const bool ok = options_parse(&o, &ctl_verbs[options[_i].verb],
	    (char *const *)(uintptr_t)args, count(args), &why);

	ck_assert_int_eq(ok, options[_i].ok);
	options_free(&o);
}
END_TEST

START_TEST(overrides_are_joined)
{
	const char *const args[] = { "--with", "ipv6=false", "--with=order=a-first", "far.test" };
	struct options o;
	struct fault why;
	char *with;

	ck_assert(options_parse(&o, &ctl_verbs[VERB_RETRY], (char *const *)(uintptr_t)args, 4,
	    &why));
	with = options_with(&o, "resolvers=external");
	ck_assert_str_eq(with, "ipv6=false order=a-first resolvers=external");
	free(with);
	options_free(&o);
}
END_TEST

START_TEST(holds_of_destinations_are_rules)
{
	struct inspect_filter f = { .domain = (char[]){ "far.test" } };

	ck_assert(filter_is_rule(&f));
	f.older_ms = 1;
	ck_assert(!filter_is_rule(&f));
	f = (struct inspect_filter){ .all = true };
	ck_assert(!filter_is_rule(&f));
}
END_TEST

START_TEST(every_verb_has_help)
{
	const struct ctl_verb *v = &ctl_verbs[_i];
	struct buf b = { 0 };

	ck_assert_ptr_nonnull(v->name);
	ck_assert_ptr_eq(ctl_verb_find(v->name), v);
	ck_assert(ctl_help(&b, v->name));
	ck_assert_ptr_nonnull(strstr(buf_cstr(&b), v->help));
	b.len = 0;
	ck_assert(ctl_help(&b, NULL));
	ck_assert_ptr_nonnull(strstr(buf_cstr(&b), v->help));
	buf_free(&b);
}
END_TEST

START_TEST(near_verbs_are_found)
{
	ck_assert_str_eq(ctl_verb_near("explian"), "explain");
	ck_assert_ptr_null(ctl_verb_near("frobnicate"));
}
END_TEST

static Suite *
suite(void)
{
	Suite *s = suite_create("ctl/filter");
	TCase *tc = tcase_create("filter");

	tcase_add_loop_test(tc, words_are_told_apart, 0, COUNT_OF(words));
	tcase_add_loop_test(tc, filters_say_what_was_meant, 0, COUNT_OF(filters));
	tcase_add_loop_test(tc, verbs_take_their_options_only, 0, COUNT_OF(options));
	tcase_add_test(tc, overrides_are_joined);
	tcase_add_test(tc, holds_of_destinations_are_rules);
	tcase_add_loop_test(tc, every_verb_has_help, 0, VERB_COUNT);
	tcase_add_test(tc, near_verbs_are_found);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(suite)
