/*
 * sinkscript.c - the script of sinksmtp: reads its lines, finds the rule that
 * meets a stage of a session.  Never touches sockets.
 * Read next: sinkscript.h (the language), ../sinksmtp.c (who obeys it).
 */
#include "tests/lab/lib/sinkscript.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const stages[AT_COUNT] = {
	"connect", "ehlo", "helo", "mail", "rcpt", "data", "dot", "rset", "quit",
};

static const struct { const char *name; enum sink_act act; } plain_acts[] = {
	{ "close", SINK_CLOSE }, { "reset", SINK_RESET }, { "silence", SINK_SILENCE }, { "garbage", SINK_GARBAGE },
};

static bool
refuse(char *why, size_t size, const char *what, const char *word)
{
	snprintf(why, size, "%s \"%s\"", what, word ? word : "");
	return false;
}

static char *
next_word(char **p)
{
	char *w = *p + strspn(*p, " \t");

	if (!*w)
		return NULL;
	*p = w + strcspn(w, " \t");
	if (**p)
		*(*p)++ = '\0';
	return w;
}

static bool
find_stage(const char *name, enum sink_stage *stage)
{
	for (size_t i = 0; name && i < AT_COUNT; i++) {
		if (strcmp(stages[i], name) == 0) {
			*stage = (enum sink_stage)i;
			return true;
		}
	}
	return false;
}

static bool
read_condition(struct sink_rule *r, const char *w)
{
	const struct { const char *key; char *to; size_t size; } keys[] = {
		{ "domain=", r->domain, sizeof(r->domain) },
		{ "rcpt=", r->rcpt, sizeof(r->rcpt) },
		{ "sender=", r->sender, sizeof(r->sender) },
		{ "listen=", r->listen, sizeof(r->listen) },
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		size_t n = strlen(keys[i].key);

		if (strncmp(w, keys[i].key, n) == 0) {
			snprintf(keys[i].to, keys[i].size, "%s", w + n);
			return true;
		}
	}
	return false;
}

/* "TEXT" with \n for a line end; *p goes behind the closing quote. */
static bool
read_quoted(char **p, char *to, size_t size)
{
	char *in = *p + strspn(*p, " \t");
	size_t n = 0;

	if (*in++ != '"')
		return false;
	while (*in && *in != '"' && n + 3 < size) {
		if (in[0] == '\\' && in[1] == 'n') {
			to[n++] = '\r';
			to[n++] = '\n';
			in += 2;
		} else {
			to[n++] = *in++;
		}
	}
	to[n] = '\0';
	*p = in + (*in == '"');
	return *in == '"';
}

static bool
read_act(struct sink_rule *r, const char *w, char **p, char *why, size_t size)
{
	if (strcmp(w, "reply") == 0) {
		r->act = SINK_REPLY;
		return read_quoted(p, r->reply, sizeof(r->reply)) ||
		    refuse(why, size, "wanted a quoted reply", *p);
	}
	if (strcmp(w, "delay") == 0) {
		char *ms = next_word(p);

		r->act = SINK_DELAY;
		r->delay_ms = ms ? (unsigned)atoi(ms) : 0;
		return true;
	}
	for (size_t i = 0; i < sizeof(plain_acts) / sizeof(plain_acts[0]); i++) {
		if (strcmp(plain_acts[i].name, w) == 0) {
			r->act = plain_acts[i].act;
			return true;
		}
	}
	return refuse(why, size, "unknown action", w);
}

static bool
read_at(struct sink_script *s, char *p, char *why, size_t size)
{
	struct sink_rule r = { .act = SINK_USUAL };
	char *w = next_word(&p);

	if (!find_stage(w, &r.stage))
		return refuse(why, size, "unknown stage", w);
	for (w = next_word(&p); w && read_condition(&r, w);)
		w = next_word(&p);
	if (!w || !read_act(&r, w, &p, why, size))
		return w ? false : refuse(why, size, "no action", "");
	w = next_word(&p);
	if (w && strcmp(w, "once") == 0) {
		r.counted = true;
		r.left = 1;
	} else if (w && strncmp(w, "times=", 6) == 0) {
		r.counted = true;
		r.left = (unsigned)atoi(w + 6);
	} else if (w) {
		return refuse(why, size, "unknown word", w);
	}
	if (s->nrules == SINK_RULES_MAX)
		return refuse(why, size, "too many rules", "");
	s->rules[s->nrules++] = r;
	return true;
}

static bool
forget(struct sink_script *s, const char *name, char *why, size_t size)
{
	enum sink_stage stage;
	size_t kept = 0;

	if (!find_stage(name, &stage))
		return refuse(why, size, "unknown stage", name);
	for (size_t i = 0; i < s->nrules; i++)
		if (s->rules[i].stage != stage)
			s->rules[kept++] = s->rules[i];
	s->nrules = kept;
	return true;
}

bool
sink_script_line(struct sink_script *s, const char *line, char *why,
    size_t size)
{
	char copy[1024], *p = copy, *verb;

	if (strlen(line) >= sizeof(copy))
		return refuse(why, size, "line too long", "");
	strcpy(copy, line);
	copy[strcspn(copy, "\r\n")] = '\0';
	verb = next_word(&p);
	if (!verb || verb[0] == '#')
		return true;
	if (strcmp(verb, "at") == 0)
		return read_at(s, p, why, size);
	if (strcmp(verb, "off") == 0)
		return forget(s, next_word(&p), why, size);
	return refuse(why, size, "unknown verb", verb);
}

bool
sink_script_load(struct sink_script *s, const char *path, char *why,
    size_t size)
{
	FILE *f = fopen(path, "re");
	char line[1024];
	bool ok = f != NULL;

	if (!f)
		snprintf(why, size, "%s: %s", path, strerror(errno));
	while (ok && fgets(line, sizeof(line), f))
		ok = sink_script_line(s, line, why, size);
	if (f)
		fclose(f);
	return ok;
}

static bool
in_domain(const char *address, const char *domain)
{
	const char *at = strrchr(address, '@');

	return at && strcasecmp(at + 1, domain) == 0;
}

static bool
rcpt_matches(const struct sink_rule *r, const char *rcpt)
{
	return (!r->domain[0] || in_domain(rcpt, r->domain)) &&
	    (!r->rcpt[0] || strcasecmp(rcpt, r->rcpt) == 0);
}

static bool
rule_matches(const struct sink_rule *r, const struct sink_facts *f)
{
	if (r->listen[0] && strcmp(r->listen, f->listen) != 0)
		return false;
	if (r->sender[0] && (!f->sender || strcasecmp(r->sender, f->sender) != 0))
		return false;
	if (!r->domain[0] && !r->rcpt[0])
		return true;
	if (f->rcpt)
		return rcpt_matches(r, f->rcpt);
	for (size_t i = 0; i < f->nrcpts; i++)
		if (rcpt_matches(r, f->rcpts[i]))
			return true;
	return false;
}

const struct sink_rule *
sink_script_find(struct sink_script *s, enum sink_stage stage,
    const struct sink_facts *facts)
{
	for (size_t i = s->nrules; i-- > 0;) {
		struct sink_rule *r = &s->rules[i];

		if (r->stage != stage || (r->counted && r->left == 0) ||
		    !rule_matches(r, facts))
			continue;
		if (r->counted)
			r->left--;
		return r;
	}
	return NULL;
}

const char *
sink_cut_path(char *arg, char **rest)
{
	char *open = strchr(arg, '<'), *end = open ? strchr(open, '>') : NULL;

	if (!end)
		return NULL;
	*end = '\0';
	*rest = end + 1 + strspn(end + 1, " ");
	return open + 1;
}
