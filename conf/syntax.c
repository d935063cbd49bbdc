/*
 * syntax.c - reads a file that libconfig refused once more, for a better line
 * and a hint; and a file that it took, for what it takes in silence.
 * Must never make a value of what it reads: the tree is libconfig's alone.
 * Read next: load.c (who calls), report.c.
 */
#include "conf/syntax.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mta/base/str.h"

#define DEPTH_MAX 32

/* A bracket that is open; at depth 0 the file is like a group. */
struct frame {
	char		open;		/* { ( [ */
	unsigned	line;
};

struct scan {
	const char	*text;		/* the whole file, terminated */
	const char	*p;
	unsigned	 line;		/* of p, from 1 */
	struct frame	 frames[DEPTH_MAX];
	unsigned	 depth;
	bool		 after_value, after_comma;
	bool		 after_number;	/* the value was a bare number */
	unsigned	 value_line;	/* where the last value ended */
	unsigned	 found;		/* line of the first mistake, or 0 */
	char		 hint[256];
};

static void scan_fail(struct scan *s, unsigned line, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

static void
scan_fail(struct scan *s, unsigned line, const char *fmt, ...)
{
	va_list args;

	if (s->found != 0)
		return;
	s->found = line;
	va_start(args, fmt);
	vsnprintf(s->hint, sizeof(s->hint), fmt, args);
	va_end(args);
}

static bool
file_read(const char *path, struct buf *b)
{
	FILE *file = fopen(path, "re");
	size_t n;

	if (file == NULL)
		return false;
	do {
		n = fread(buf_room(b, 4096), 1, 4096, file);
		b->len += n;
	} while (n > 0);
	fclose(file);
	buf_cstr(b);
	return true;
}

static void
to_line_end(struct scan *s)
{
	s->p += strcspn(s->p, "\n");
}

static void
skip_comment(struct scan *s)
{
	const char *end = strstr(s->p + 2, "*/");

	if (end == NULL) {
		scan_fail(s, s->line, "this comment is never closed");
		end = s->p + strlen(s->p);
	}
	for (; s->p < end; s->p++)
		s->line += *s->p == '\n';
	if (*s->p != '\0')
		s->p += 2;
}

/* White space, comments, and @include, whose file is read for itself. */
static void
skip(struct scan *s)
{
	for (;;) {
		if (*s->p == '\n')
			s->line++;
		if (*s->p != '\0' && strchr(" \t\r\n\f\v", *s->p) != NULL)
			s->p++;
		else if (*s->p == '#' || strncmp(s->p, "//", 2) == 0 ||
		    strncmp(s->p, "@include", 8) == 0)
			to_line_end(s);
		else if (strncmp(s->p, "/*", 2) == 0)
			skip_comment(s);
		else
			return;
	}
}

/* A quoted text; p stands on the quote.  No value of ours spans lines. */
static void
skip_string(struct scan *s)
{
	for (s->p++; *s->p != '"'; s->p++) {
		if (*s->p == '\n' || *s->p == '\0') {
			scan_fail(
			    s, s->line, "the quote is not closed on this line");
			return;
		}
		if (*s->p == '\\' && s->p[1] != '\0' && s->p[1] != '\n')
			s->p++;
	}
	s->p++;
}

/* The run of characters that was meant as one bare value. */
static size_t
bare_length(const char *p)
{
	size_t n = 0;

	while (p[n] != '\0' &&
	    strchr(" \t\r\n\f\v,;={}()[]\"#", p[n]) == NULL &&
	    strncmp(p + n, "//", 2) != 0 && strncmp(p + n, "/*", 2) != 0)
		n++;
	return n;
}

static size_t
name_length(const char *p)
{
	static const char first[] = "*ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz";

	if (*p == '\0' || strchr(first, *p) == NULL)
		return 0;
	return strspn(p, "*ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	    "0123456789_-");
}

static bool
is_word(const char *p, size_t n, const char *word)
{
	return n == strlen(word) && strncasecmp(p, word, n) == 0;
}

/* Whole, with L or not, hexadecimal, fractions: what libconfig takes. */
static bool
is_number(const char *p, size_t n)
{
	char *end;

	if (strspn(p, "+-.0123456789") == 0)
		return false;
	if (strncasecmp(p, "0x", 2) != 0 && memchr(p, 'x', n) != NULL)
		return false;
	strtod(p, &end);
	while (end < p + n && *end == 'L')
		end++;
	return end == p + n;
}

static void
explain_bare(struct scan *s, const char *p, size_t n)
{
	static const struct { const char *word, *meant; } words[] = {
		{ "yes", "true" }, { "on", "true" },
		{ "no", "false" }, { "off", "false" },
	};
	int len = n > 60 ? 60 : (int)n;

	for (size_t i = 0; i < COUNT_OF(words); i++)
		if (is_word(p, n, words[i].word)) {
			scan_fail(s, s->line, "%s is not known, write %s",
			    words[i].word, words[i].meant);
			return;
		}
	if (n == 0)
		scan_fail(s, s->line, "a value is missing here");
	else if (s->depth > 0 && s->frames[s->depth - 1].open != '{' &&
	    p[n + strspn(p + n, " \t")] == '=')
		scan_fail(s, s->line, "a group in a list needs braces: "
		    "( { %.*s = … } )", len, p);
	else
		scan_fail(s, s->line, "%.*s needs quotes: \"%.*s\"", len, p,
		    len, p);
}

static void
scan_bare(struct scan *s)
{
	size_t n = bare_length(s->p);

	s->after_number = is_number(s->p, n);
	if (!s->after_number && !is_word(s->p, n, "true") &&
	    !is_word(s->p, n, "false"))
		explain_bare(s, s->p, n);
	s->p += n;
}

static void
scan_open(struct scan *s)
{
	if (s->depth > 0 && s->frames[s->depth - 1].open == '[')
		scan_fail(s, s->line, "[ ] holds plain values only, wanted ( ) "
		    "for a list of groups");
	else if (s->depth == DEPTH_MAX)
		scan_fail(s, s->line, "too many brackets are open");
	else
		s->frames[s->depth++] = (struct frame){ *s->p, s->line };
	s->p++;
	s->after_comma = false;
}

static void
scan_value(struct scan *s)
{
	if (*s->p != '\0' && strchr("{([", *s->p) != NULL) {
		scan_open(s);
		return;
	}
	s->after_number = false;
	if (*s->p == '"')
		skip_string(s);
	else
		scan_bare(s);
	s->after_value = true;
	s->after_comma = false;
	s->value_line = s->line;
}

static void
scan_close(struct scan *s)
{
	const struct frame *f = s->depth > 0 ? &s->frames[s->depth - 1] : NULL;
	char c = *s->p;

	if (f == NULL)
		scan_fail(s, s->line, "this %c closes nothing", c);
	else if ((f->open == '{' && c != '}') || (f->open == '(' && c != ')') ||
	    (f->open == '[' && c != ']'))
		scan_fail(s, s->line,
		    "this %c does not close the %c of line %u", c, f->open,
		    f->line);
	else if (s->after_comma)
		scan_fail(s, s->value_line, "there is a comma after the last "
		    "element, remove it");
	else
		s->depth--;
	s->p++;
	s->after_value = true;
	s->after_number = false;
	s->value_line = s->line;
}

/* Where NAME = VALUE was wanted and something else stands. */
static void
explain_no_name(struct scan *s)
{
	const struct frame *f = s->depth > 0 ? &s->frames[s->depth - 1] : NULL;

	if (*s->p == '{' && f != NULL)
		scan_fail(s, s->line, "a group cannot begin here; is the { of "
		    "line %u not closed?", f->line);
	else if (*s->p == '"')
		scan_fail(s, s->line, "the name of a key has no quotes, wanted "
		    "NAME = VALUE;");
	else if (*s->p == ';' || *s->p == ',')
		scan_fail(s, s->line, "this %c is one too many", *s->p);
	else
		scan_fail(s, s->line, "wanted NAME = VALUE; here");
}

static void
scan_member(struct scan *s)
{
	size_t n = name_length(s->p);
	int len = n > 60 ? 60 : (int)n;
	const char *name = s->p;
	unsigned line = s->line;

	if (n == 0) {
		explain_no_name(s);
		return;
	}
	s->p += n;
	skip(s);
	if (*s->p != '=' && *s->p != ':') {
		if (s->after_value && s->value_line == line && s->after_number)
			scan_fail(s, line, "a number and its unit are one "
			    "quoted text, such as \"5m\"");
		else if (s->after_value && s->value_line == line)
			scan_fail(s, line,
			    "a semicolon is missing before %.*s, "
			    "or quotes around the value",
			    len, name);
		else
			scan_fail(
			    s, line, "= is missing after %.*s", len, name);
		return;
	}
	s->p++;
	skip(s);
	s->after_value = false;
	scan_value(s);
}

static void
scan_element(struct scan *s)
{
	if (!s->after_value) {
		scan_value(s);
	} else if (*s->p == ',') {
		s->p++;
		s->after_value = false;
		s->after_comma = true;
	} else if (*s->p == ';') {
		scan_fail(s, s->line, "a semicolon cannot stand between the "
		    "elements of a list, wanted a comma");
	} else if (s->value_line == s->line) {
		scan_fail(
		    s, s->line, "a comma is missing between two elements");
	} else {
		scan_fail(s, s->value_line, "a comma is missing at the end");
	}
}

/* One step; false at the end or at the first mistake. */
static bool
scan_step(struct scan *s)
{
	const struct frame *f = s->depth > 0 ? &s->frames[s->depth - 1] : NULL;

	skip(s);
	if (*s->p == '\0') {
		if (f != NULL)
			scan_fail(
			    s, f->line, "this %c is never closed", f->open);
		return false;
	}
	if (strchr("})]", *s->p) != NULL) {
		scan_close(s);
	} else if (f != NULL && f->open != '{') {
		scan_element(s);
	} else if (s->after_value && (*s->p == ';' || *s->p == ',')) {
		s->p++;
		s->after_value = false;
	} else {
		scan_member(s);
	}
	return s->found == 0;
}

static void
source_line(const char *text, unsigned line, char buf[96])
{
	for (; line > 1 && strchr(text, '\n') != NULL; line--)
		text = strchr(text, '\n') + 1;
	text += strspn(text, " \t");
	str_safe(buf, 96, text, strcspn(text, "\r\n"));
}

static void
report_syntax(struct report *r, const char *path, const char *text,
    unsigned line, const char *hint)
{
	char shown[96];

	source_line(text, line, shown);
	report_file_error(r, path, line, "syntax: \"%s\": %s", shown, hint);
}

/* libconfig's own errors that it finds in well-formed text. */
static const char *
known_error(const struct report *r, const char *text, char buf[256])
{
	if (strstr(text, "duplicate") != NULL)
		return "this key is set twice in the same group";
	if (strstr(text, "mismatched") != NULL)
		return "[ ] holds values of one kind only, wanted quotes "
		    "around each or around none";
	if (strstr(text, "include") == NULL)
		return NULL;
	snprintf(buf, 256,
	    "cannot open this file, wanted a path relative to %s",
	    *r->dir == '\0' ? "the current folder" : r->dir);
	return buf;
}

void
syntax_explain(struct report *r, const config_t *tree)
{
	unsigned line = (unsigned)config_error_line(tree);
	const char *text = config_error_text(tree);
	char *path = report_file(r, config_error_file(tree));
	struct scan s = { .line = 1 };
	struct buf b = { 0 };
	char hint[256];
	const char *known = known_error(r, text, hint);

	if (!file_read(path, &b)) {
		report_file_error(r, path, line, "%s", text);
		goto out;
	}
	s.text = s.p = buf_cstr(&b);
	while (known == NULL && scan_step(&s))
		continue;
	/* what we find after the line where libconfig stopped is another */
	if (known != NULL)
		report_syntax(r, path, s.text, line, known);
	else if (s.found != 0 && s.found <= line)
		report_syntax(r, path, s.text, s.found, s.hint);
	else
		report_syntax(r, path, s.text, line, text);
out:
	buf_free(&b);
	free(path);
}

static void
lint_string(struct scan *s)
{
	unsigned line = s->line;

	skip_string(s);
	if (s->found != 0)
		return;
	skip(s);
	if (*s->p == '"')
		scan_fail(
		    s, line, "a comma is missing between two quoted texts");
}

static void
lint_bare(struct scan *s)
{
	size_t n = bare_length(s->p);
	long long number = 0;
	char *end = NULL;

	if (n > 0 && *s->p >= '0' && *s->p <= '9')
		number = strtoll(s->p, &end, 10);
	if (end == s->p + n && number > INT_MAX)
		scan_fail(s, s->line, "the number is too large as it stands, "
		    "wanted %.*sL", n > 40 ? 40 : (int)n, s->p);
	s->p += n == 0 ? 1 : n;
}

void
syntax_lint(struct report *r, const char *file)
{
	char *path = report_file(r, file);
	struct scan s = { .line = 1 };
	struct buf b = { 0 };

	if (file_read(path, &b)) {
		s.text = s.p = buf_cstr(&b);
		for (skip(&s); *s.p != '\0' && s.found == 0; skip(&s)) {
			if (*s.p == '"')
				lint_string(&s);
			else
				lint_bare(&s);
		}
		if (s.found != 0)
			report_syntax(r, path, s.text, s.found, s.hint);
	}
	buf_free(&b);
	free(path);
}
