/*
 * test_keys.c - the key table itself: every row is complete and its default
 * is a value that the row takes.
 * Must never repeat a row.
 * Read next: conf/keys.c.
 */
#include "tests/unit/check_main.h"

#include <string.h>

#include "conf/keys.h"
#include "conf/value.h"

static void
row_complete(const struct conf_section *s, const struct conf_key *k)
{
	bool ranged = k->type == CONF_COUNT || k->type == CONF_PORT ||
	    k->type == CONF_NUMBER || k->type == CONF_DURATION ||
	    k->type == CONF_SIZE || k->type == CONF_DURATIONS;
	const char *where = k->name;

	ck_assert_msg(*k->doc != '\0', "%s", where);
	ck_assert_msg(k->doc[strlen(k->doc) - 1] != '.', "%s", where);
	ck_assert_msg(k->at < s->size && k->count_at < s->size, "%s", where);
	ck_assert_msg(k->min <= k->max, "%s", where);
	ck_assert_msg(!ranged || k->max > 0, "%s", where);
	ck_assert_msg((k->type == CONF_CHOICE) == (k->choices != NULL), "%s", where);
	ck_assert_msg((k->type >= CONF_GROUP) == (k->section != NULL), "%s", where);
	/* a key that may be left out has a default that the manual can show */
	ck_assert_msg((k->flags & CONF_REQUIRED) || k->type == CONF_GROUP ||
	    k->shown != NULL || (k->text != NULL && *k->text != '\0'), "%s", where);
}

static void
section_complete(const struct conf_section *s)
{
	for (size_t i = 0; i < s->nkeys; i++) {
		const struct conf_key *k = &s->keys[i];

		if (k->flags & CONF_HIDDEN)
			continue;
		row_complete(s, k);
		ck_assert_ptr_eq(conf_key(s, k->name), k);	/* no doubles */
		if (k->section != NULL)
			section_complete(k->section);
	}
}

START_TEST(rows)
{
	section_complete(&conf_section_top);
}
END_TEST

/* section_defaults() aborts when a row refuses its own default. */
START_TEST(defaults)
{
	static const struct conf_section *const sections[] = {
		&conf_section_top, &conf_section_listener, &conf_section_resolvers,
		&conf_section_connector,
	};

	for (size_t i = 0; i < COUNT_OF(sections); i++) {
		void *base = xcalloc(1, sections[i]->size);

		section_defaults(sections[i], base);
		section_clear(sections[i], base);
		free(base);
	}
}
END_TEST

static const struct { const char *wrong, *near; } near[] = {
	{ "grce", "grace" },
	{ "gracee", "grace" },
	{ "on-failure", "on_failure" },
	{ "resolver", "resolvers" },
	{ "maxmxhosts", "max_mx_hosts" },
	{ "sets", NULL },		/* hidden, and nothing like it */
	{ "x", NULL },
	{ "completely", NULL },
};

START_TEST(did_you_mean)
{
	const char *found = conf_key_near(&conf_section_resolve, near[_i].wrong);

	if (near[_i].near == NULL)
		ck_assert_ptr_null(found);
	else
		ck_assert_str_eq(found, near[_i].near);
}
END_TEST

START_TEST(elsewhere)
{
	ck_assert_str_eq(conf_key_elsewhere("grace"), "connectors.resolve");
	ck_assert_str_eq(conf_key_elsewhere("hostname"), "");
	ck_assert_ptr_null(conf_key_elsewhere("sets"));
	ck_assert_ptr_null(conf_key_elsewhere("nothing"));
}
END_TEST

static const struct { int64_t ms; const char *text; } durations[] = {
	{ 0, "0s" }, { 1, "1ms" }, { 1000, "1s" }, { 1500, "1500ms" }, { 90000, "90s" },
	{ 60000, "1m" }, { 3600000, "1h" }, { 86400000, "1d" }, { 90000000, "25h" },
};

START_TEST(duration_as_text)
{
	char buf[32];

	ck_assert_str_eq(duration_text(durations[_i].ms, buf), durations[_i].text);
}
END_TEST

static Suite *
suite(void)
{
	Suite *s = suite_create("conf/keys");
	TCase *tc = tcase_create("keys");

	tcase_add_test(tc, rows);
	tcase_add_test(tc, defaults);
	tcase_add_loop_test(tc, did_you_mean, 0, COUNT_OF(near));
	tcase_add_test(tc, elsewhere);
	tcase_add_loop_test(tc, duration_as_text, 0, COUNT_OF(durations));
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(suite)
