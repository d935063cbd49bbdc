/*
 * test_syntax.c - files that libconfig refuses, to the line and the hint that
 * a person gets.
 * Must never test libconfig itself, only where we point.
 * Read next: conf/syntax.c.
 */
#include "tests/unit/check_main.h"

#include "conf/conf.h"
#include "tests/unit/conf/folder.h"

/* libconfig 1.5 loses a text that it was reading when it finds the mistake. */
const char *__lsan_default_suppressions(void);
const char *
__lsan_default_suppressions(void)
{
	return "leak:libconfig\n";
}

static const struct { const char *text, *errors; } bad[] = {
	/* units and words without quotes */
	{ "alarm = { age = 5m; };", "t.conf:1: syntax: \"alarm = { age = 5m; };\": 5m needs quotes: "
	  "\"5m\"\n" },
	{ "spool = {\n\tsegment = 10MB\n\tpath = \"/x\";\n};", "t.conf:2: syntax: \"segment = 10MB\": "
	  "10MB needs quotes: \"10MB\"\n" },
	{ "a = 5 m;", "t.conf:1: syntax: \"a = 5 m;\": a number and its unit are one quoted text, such "
	  "as \"5m\"\n" },
	{ "log = { trace = yes; };", "t.conf:1: syntax: \"log = { trace = yes; };\": yes is not known, "
	  "write true\n" },
	{ "log = { trace = Off; };", "t.conf:1: syntax: \"log = { trace = Off; };\": off is not known, "
	  "write false\n" },
	{ "hostname = mail.example.com;", "t.conf:1: syntax: \"hostname = mail.example.com;\": "
	  "mail.example.com needs quotes: \"mail.example.com\"\n" },
	{ "own_addresses = [ 192.0.2.1 ];", "t.conf:1: syntax: \"own_addresses = [ 192.0.2.1 ];\": "
	  "192.0.2.1 needs quotes: \"192.0.2.1\"\n" },
	/* commas and semicolons */
	{ "a = [ \"b\", \"c\", ];", "t.conf:1: syntax: \"a = [ \"b\", \"c\", ];\": there is a comma "
	  "after the last element, remove it\n" },
	{ "a = (\n{ b = 1; },\n# nothing\n);", "t.conf:2: syntax: \"{ b = 1; },\": there is a comma "
	  "after the last element, remove it\n" },
	{ "a = (\n{ b = 1; }\n{ b = 2; } );", "t.conf:2: syntax: \"{ b = 1; }\": a comma is missing at "
	  "the end\n" },
	{ "a = ( { b = 1; } { b = 2; } );", "t.conf:1: syntax: \"a = ( { b = 1; } { b = 2; } );\": a "
	  "comma is missing between two elements\n" },
	{ "a = [ 1 2 ];", "t.conf:1: syntax: \"a = [ 1 2 ];\": a comma is missing between two "
	  "elements\n" },
	{ "a = [ \"b\"; \"c\" ];", "t.conf:1: syntax: \"a = [ \"b\"; \"c\" ];\": a semicolon cannot "
	  "stand between the elements of a list, wanted a comma\n" },
	{ "a = \"b\" c;", "t.conf:1: syntax: \"a = \"b\" c;\": a semicolon is missing before c, or "
	  "quotes around the value\n" },
	{ "a = 1;;", "t.conf:1: syntax: \"a = 1;;\": this ; is one too many\n" },
	/* brackets and quotes */
	{ "a = {\nb = 1;\n\n", "t.conf:1: syntax: \"a = {\": this { is never closed\n" },
	{ "a = (\n{ b = 1;\n);", "t.conf:3: syntax: \");\": this ) does not close the { of line 2\n" },
	{ "a = ( { b = 1;\n{ b = 2; } );", "t.conf:2: syntax: \"{ b = 2; } );\": a group cannot begin "
	  "here; is the { of line 1 not closed?\n" },
	{ "a = 1;\n};", "t.conf:2: syntax: \"};\": this } closes nothing\n" },
	{ "a = [ { b = 1; } ];", "t.conf:1: syntax: \"a = [ { b = 1; } ];\": [ ] holds plain values "
	  "only, wanted ( ) for a list of groups\n" },
	{ "a = ( b = 1 );", "t.conf:1: syntax: \"a = ( b = 1 );\": a group in a list needs braces: "
	  "( { b = … } )\n" },
	{ "a = \"b;\nc = \"d\";\n", "t.conf:1: syntax: \"a = \"b;\": the quote is not closed on this "
	  "line\n" },
	{ "/* a = 1;", "t.conf:1: syntax: \"/* a = 1;\": this comment is never closed\n" },
	/* names */
	{ "spool {\n};", "t.conf:1: syntax: \"spool {\": = is missing after spool\n" },
	{ "spool = {\npath \"/x\";\n};", "t.conf:2: syntax: \"path \"/x\";\": = is missing after path\n" },
	{ "\"a\" = 1;", "t.conf:1: syntax: \"\"a\" = 1;\": the name of a key has no quotes, wanted "
	  "NAME = VALUE;\n" },
	{ "a = ;", "t.conf:1: syntax: \"a = ;\": a value is missing here\n" },
	{ "1a = 2;", "t.conf:1: syntax: \"1a = 2;\": wanted NAME = VALUE; here\n" },
	/* what libconfig finds itself */
	{ "a = 1;\nb = 2;\na = 3;", "t.conf:3: syntax: \"a = 3;\": this key is set twice in the same "
	  "group\n" },
	{ "a = [ 1, \"b\" ];", "t.conf:1: syntax: \"a = [ 1, \"b\" ];\": [ ] holds values of one kind "
	  "only, wanted quotes around each or around none\n" },
	{ "@include \"none\"\n", "t.conf:1: syntax: \"@include \"none\"\": cannot open this file, "
	  "wanted a path relative to the current folder\n" },
	/* what libconfig takes, and nobody can have meant */
	{ "a = [ \"x\"\n# y\n\"z\" ];", "t.conf:1: syntax: \"a = [ \"x\"\": a comma is missing between "
	  "two quoted texts\n" },
	{ "a = \"x\ny\";", "t.conf:1: syntax: \"a = \"x\": the quote is not closed on this line\n" },
	{ "spool = { max_messages = 5000000000; };", "t.conf:1: syntax: \"spool = { max_messages = "
	  "5000000000; };\": the number is too large as it stands, wanted 5000000000L\n" },
};

START_TEST(syntax_bad)
{
	char *errors;

	ck_assert_ptr_null(folder_load(bad[_i].text, &errors));
	ck_assert_str_eq(errors, bad[_i].errors);
	free(errors);
}
END_TEST

START_TEST(mistake_in_an_included_file)
{
	char *errors;

	folder_file("more.conf", "\n# here\nalarm = { age = 5m; };\n");
	ck_assert_ptr_null(folder_load("hostname = \"a.example\";\n"
	    "@include \"more.conf\"\nb = 1;", &errors));
	ck_assert_str_eq(errors, "more.conf:3: syntax: \"alarm = { age = 5m; };\": "
	    "5m needs quotes: \"5m\"\n");
	free(errors);
}
END_TEST

/* Every prefix of a good file, and every file with one byte gone: an answer. */
START_TEST(pieces_never_crash)
{
	static const char text[] = FOLDER_HEAD
	    "listeners=({address=\"*:25\";clients=[\"10.0.0.1\"];});/* x */\n"
	    "connectors=({name=\"a\";domains=[\"*\",\"b.example\"];retry={"
	    "notice=\"never\";};});";
	char piece[sizeof(text)];
	char *errors;
	struct conf *c;

	for (size_t i = 0; i < sizeof(text) - 1; i += 2) {
		memcpy(piece, text, sizeof(text));
		if (i % 4 == 0)
			piece[i] = '\0';
		else
			memmove(piece + i, piece + i + 1, sizeof(text) - i - 1);
		c = folder_load(piece, &errors);
		ck_assert(c != NULL || *errors != '\0');
		conf_unref(&c);
		free(errors);
	}
}
END_TEST

static Suite *
suite(void)
{
	Suite *s = suite_create("conf/syntax");
	TCase *tc = tcase_create("syntax");

	tcase_add_checked_fixture(tc, folder_enter, folder_leave);
	tcase_add_loop_test(tc, syntax_bad, 0, COUNT_OF(bad));
	tcase_add_test(tc, mistake_in_an_included_file);
	tcase_add_test(tc, pieces_never_crash);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(suite)
