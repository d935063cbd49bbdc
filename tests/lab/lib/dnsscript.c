/*
 * dnsscript.c - the script of faultdns: reads lines into rules, finds the rule
 * of a question.  Never touches sockets or packets.
 * Read next: dnsscript.h (the language), dnsanswer.c (who builds packets).
 */
#include "tests/lab/lib/dnsscript.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tests/lab/lib/endpoint.h"

#define RULES_MAX 4096
#define ZONES_MAX 256

enum via { VIA_ANY = 0, VIA_UDP_ONLY, VIA_TCP_ONLY };

struct rule {
	char		 where[ENDPOINT_TEXT];
	char		 name[DNS_NAME_TEXT];
	unsigned	 type;		/* 0: any */
	enum via	 via;
	bool		 truncate;
	bool		 counted;	/* "times" was given */
	unsigned	 left;
	unsigned	 delay_ms;
	enum dns_act	 act;
	unsigned	 rcode;
	enum dns_garbage garbage;
	uint32_t	 ttl_s;
	char		 rdata[DNS_RDATA_TEXT];
};

struct dns_script {
	struct rule	*rules[RULES_MAX];
	size_t		 nrules;
	struct dns_zone	 zones[ZONES_MAX];
	size_t		 nzones;
};

static const struct { const char *name; unsigned value; } types[] = {
	{ "A", T_A }, { "NS", T_NS }, { "CNAME", T_CNAME }, { "SOA", T_SOA }, { "PTR", T_PTR },
	{ "MX", T_MX }, { "TXT", T_TXT }, { "AAAA", T_AAAA }, { "ANY", T_ANY },
}, rcodes[] = {
	{ "NOERROR", 0 }, { "FORMERR", 1 }, { "SERVFAIL", 2 }, { "NXDOMAIN", 3 }, { "NOTIMP", 4 }, { "REFUSED", 5 },
}, garbages[] = {
	{ "short-rdata", GARBAGE_SHORT_RDATA }, { "wrong-id", GARBAGE_WRONG_ID },
	{ "wrong-question", GARBAGE_WRONG_QUESTION }, { "cut", GARBAGE_CUT }, { "loop", GARBAGE_LOOP },
	{ "cname-loop", GARBAGE_CNAME_LOOP }, { "referral", GARBAGE_REFERRAL }, { "nosoa", GARBAGE_NOSOA },
	{ "noise", GARBAGE_NOISE }, { "noquestion", GARBAGE_NOQUESTION },
};

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

const char *
dns_type_name(unsigned type, char buf[16])
{
	for (size_t i = 0; i < COUNT_OF(types); i++)
		if (types[i].value == type)
			return types[i].name;
	snprintf(buf, 16, "TYPE%u", type);
	return buf;
}

unsigned
dns_type_parse(const char *text)
{
	for (size_t i = 0; i < COUNT_OF(types); i++)
		if (strcasecmp(types[i].name, text) == 0)
			return types[i].value;
	return (unsigned)atoi(strncasecmp(text, "TYPE", 4) == 0 ? text + 4 : text);
}

/* The next word of *p, cut out in place; NULL at the end. */
static char *
word(char **p)
{
	char *w = *p + strspn(*p, " \t");

	if (!*w)
		return NULL;
	*p = w + strcspn(w, " \t");
	if (**p)
		*(*p)++ = '\0';
	return w;
}

static void
set_name(char to[DNS_NAME_TEXT], const char *from)
{
	size_t n;

	snprintf(to, DNS_NAME_TEXT, "%s", from);
	n = strlen(to);
	if (n > 1 && to[n - 1] == '.')
		to[n - 1] = '\0';
}

static bool
refuse(char *why, size_t size, const char *what, const char *word_)
{
	snprintf(why, size, "%s \"%s\"", what, word_ ? word_ : "");
	return false;
}

/* "RDATA... ttl=N": the ttl may stand last. */
static bool
read_rdata(struct rule *r, char *rest, char *why, size_t size)
{
	char *ttl = strstr(rest, "ttl=");

	if (ttl) {
		r->ttl_s = (uint32_t)strtoul(ttl + 4, NULL, 10);
		*ttl = '\0';
	}
	rest += strspn(rest, " \t");
	for (size_t n = strlen(rest); n && isspace((unsigned char)rest[n - 1]);)
		rest[--n] = '\0';
	if (!*rest || strlen(rest) >= sizeof(r->rdata))
		return refuse(why, size, "bad records", rest);
	strcpy(r->rdata, rest);
	return true;
}

static bool
read_rcode(struct rule *r, const char *text)
{
	if (!text)
		return false;
	for (size_t i = 0; i < COUNT_OF(rcodes); i++) {
		if (strcasecmp(rcodes[i].name, text) == 0) {
			r->rcode = rcodes[i].value;
			return true;
		}
	}
	r->rcode = (unsigned)atoi(text);
	return isdigit((unsigned char)text[0]) && r->rcode <= 15;
}

static bool
read_garbage(struct rule *r, const char *text)
{
	for (size_t i = 0; text && i < COUNT_OF(garbages); i++) {
		if (strcmp(garbages[i].name, text) == 0) {
			r->garbage = (enum dns_garbage)garbages[i].value;
			return true;
		}
	}
	return false;
}

/* The word after the prefixes, which are noted in the rule. */
static char *
read_prefixes(struct rule *r, char **p)
{
	for (;;) {
		char *w = word(p), *n;

		if (!w)
			return NULL;
		if (strcmp(w, "udp") == 0) {
			r->via = VIA_UDP_ONLY;
		} else if (strcmp(w, "tcp") == 0) {
			r->via = VIA_TCP_ONLY;
		} else if (strcmp(w, "truncate") == 0) {
			r->truncate = true;
		} else if (strcmp(w, "delay") == 0 && (n = word(p))) {
			r->delay_ms = (unsigned)atoi(n);
		} else if (strcmp(w, "times") == 0 && (n = word(p))) {
			r->counted = true;
			r->left = (unsigned)atoi(n);
		} else {
			return w;
		}
	}
}

static bool
read_action(struct rule *r, char *p, char *why, size_t size)
{
	char *w = read_prefixes(r, &p);

	if (!w) {
		r->act = ACT_NODATA;
		return r->truncate || refuse(why, size, "no action", "");
	}
	if (strcmp(w, "answer") == 0) {
		r->act = ACT_ANSWER;
		return read_rdata(r, p, why, size);
	}
	if (strcmp(w, "cname") == 0) {
		r->act = ACT_CNAME;
		return read_rdata(r, p, why, size);
	}
	if (strcmp(w, "nodata") == 0) {
		r->act = ACT_NODATA;
		return true;
	}
	if (strcmp(w, "drop") == 0) {
		r->act = ACT_DROP;
		return true;
	}
	if (strcmp(w, "rcode") == 0) {
		r->act = ACT_RCODE;
		w = word(&p);
		return read_rcode(r, w) || refuse(why, size, "unknown rcode", w);
	}
	if (strcmp(w, "garbage") == 0) {
		r->act = ACT_GARBAGE;
		w = word(&p);
		return read_garbage(r, w) || refuse(why, size, "unknown garbage", w);
	}
	return refuse(why, size, "unknown action", w);
}

static bool
read_head(struct rule *r, char **p, char *why, size_t size)
{
	char *where = word(p), *name = word(p), *type = word(p);

	if (!type)
		return refuse(why, size, "wanted WHERE NAME TYPE", where);
	snprintf(r->where, sizeof(r->where), "%s", where);
	set_name(r->name, name);
	r->type = strcmp(type, "*") == 0 ? 0 : dns_type_parse(type);
	if (r->type == 0 && strcmp(type, "*") != 0)
		return refuse(why, size, "unknown type", type);
	return true;
}

/* A rule with the same head and transport is replaced, and moves to the end. */
static void
forget(struct dns_script *s, const struct rule *r, bool any_via)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->nrules; i++) {
		struct rule *old = s->rules[i];

		if (strcmp(old->where, r->where) == 0 &&
		    strcasecmp(old->name, r->name) == 0 &&
		    old->type == r->type && (any_via || old->via == r->via))
			free(old);
		else
			s->rules[kept++] = old;
	}
	s->nrules = kept;
}

static bool
read_zone(struct dns_script *s, char *p, char *why, size_t size)
{
	char *name = word(&p), *ns;
	struct dns_zone *z;

	if (!name || s->nzones == ZONES_MAX)
		return refuse(why, size, "bad zone", name);
	z = &s->zones[s->nzones++];
	memset(z, 0, sizeof(*z));
	set_name(z->name, name);
	while (z->nns < DNS_NS_MAX && (ns = word(&p)))
		set_name(z->ns[z->nns++], ns);
	return true;
}

static bool
read_on(struct dns_script *s, char *p, char *why, size_t size)
{
	struct rule *r = calloc(1, sizeof(*r));

	if (!r || s->nrules == RULES_MAX) {
		free(r);
		return refuse(why, size, "too many rules", "");
	}
	r->ttl_s = 60;
	if (!read_head(r, &p, why, size) || !read_action(r, p, why, size)) {
		free(r);
		return false;
	}
	/* A counted rule lies over the one below, which goes on after it. */
	if (!r->counted)
		forget(s, r, false);
	s->rules[s->nrules++] = r;
	return true;
}

bool
dns_script_line(struct dns_script *s, const char *line, char *why, size_t size)
{
	char copy[1024], *p = copy, *verb;
	struct rule head = { .where = "" };

	if (strlen(line) >= sizeof(copy))
		return refuse(why, size, "line too long", "");
	strcpy(copy, line);
	p[strcspn(p, "#\r\n")] = '\0';
	verb = word(&p);
	if (!verb)
		return true;
	if (strcmp(verb, "zone") == 0)
		return read_zone(s, p, why, size);
	if (strcmp(verb, "on") == 0)
		return read_on(s, p, why, size);
	if (strcmp(verb, "off") == 0) {
		if (!read_head(&head, &p, why, size))
			return false;
		forget(s, &head, true);
		return true;
	}
	return refuse(why, size, "unknown verb", verb);
}

struct dns_script *
dns_script_load(const char *path, char *why, size_t size)
{
	struct dns_script *s = calloc(1, sizeof(*s));
	FILE *f = fopen(path, "re");
	char line[1024], what[128] = "";
	unsigned n = 0;
	bool ok = s && f;

	if (!ok)
		snprintf(why, size, "%s: %s", path, strerror(errno));
	while (ok && fgets(line, sizeof(line), f)) {
		n++;
		ok = dns_script_line(s, line, what, sizeof(what));
		if (!ok)
			snprintf(why, size, "%s:%u: %s", path, n, what);
	}
	if (f)
		fclose(f);
	if (!ok)
		dns_script_free(&s);
	return s;
}

void
dns_script_free(struct dns_script **s)
{
	if (!*s)
		return;
	for (size_t i = 0; i < (*s)->nrules; i++)
		free((*s)->rules[i]);
	free(*s);
	*s = NULL;
}

/* Is name the same as, or below, top? */
static bool
is_below(const char *name, const char *top)
{
	size_t n = strlen(name), t = strlen(top);

	if (n == t)
		return strcasecmp(name, top) == 0;
	return n > t && name[n - t - 1] == '.' &&
	    strcasecmp(name + n - t, top) == 0;
}

static bool
name_matches(const char *pattern, const char *name)
{
	if (strcmp(pattern, "*") == 0)
		return true;
	if (strncmp(pattern, "*.", 2) == 0)
		return is_below(name, pattern + 2) &&
		    strcasecmp(name, pattern + 2) != 0;
	return strcasecmp(pattern, name) == 0;
}

static bool
where_matches(const struct rule *r, const char *where)
{
	return strcmp(r->where, "*") == 0 || strcmp(r->where, where) == 0;
}

static void
plan_from(const struct rule *r, bool tcp, struct dns_plan *plan)
{
	plan->drop = r->act == ACT_DROP;
	plan->truncate = r->truncate && !tcp;
	plan->delay_ms = r->delay_ms;
	plan->act = r->act;
	plan->rcode = r->rcode;
	plan->garbage = r->garbage;
	plan->ttl_s = r->ttl_s;
	plan->rdata = r->rdata;
}

const struct dns_zone *
dns_script_zone(const struct dns_script *s, const char *name)
{
	const struct dns_zone *best = NULL;

	for (size_t i = 0; i < s->nzones; i++) {
		const struct dns_zone *z = &s->zones[i];

		if (is_below(name, z->name) &&
		    (!best || strlen(z->name) > strlen(best->name)))
			best = z;
	}
	return best;
}

/* The name has other types, or names below it: it exists. */
static bool
exists(const struct dns_script *s, const char *where, const char *name)
{
	for (size_t i = 0; i < s->nrules; i++) {
		const struct rule *r = s->rules[i];

		if (!where_matches(r, where) || strcmp(r->name, "*") == 0)
			continue;
		if (name_matches(r->name, name))
			return true;
		if (is_below(r->name, name))
			return true;
	}
	return false;
}

static void
plan_default(const struct dns_script *s, const char *where, const char *name,
    struct dns_plan *plan)
{
	const struct dns_zone *z = dns_script_zone(s, name);

	plan->act = ACT_RCODE;
	if (!z)
		plan->rcode = 5;
	else if (strcasecmp(z->name, name) == 0 || exists(s, where, name))
		plan->act = ACT_NODATA;
	else
		plan->rcode = 3;
}

void
dns_script_plan(struct dns_script *s, const char *where, bool tcp,
    const char *name, unsigned type, struct dns_plan *plan)
{
	const enum via other = tcp ? VIA_UDP_ONLY : VIA_TCP_ONLY;

	memset(plan, 0, sizeof(*plan));
	plan->ttl_s = 60;
	for (size_t i = s->nrules; i-- > 0;) {
		struct rule *r = s->rules[i];
		bool cname = r->act == ACT_CNAME;

		if (!where_matches(r, where) || !name_matches(r->name, name) ||
		    r->via == other || (r->counted && r->left == 0))
			continue;
		if (r->type != 0 && r->type != type && !cname)
			continue;
		if (r->counted)
			r->left--;
		plan_from(r, tcp, plan);
		return;
	}
	plan_default(s, where, name, plan);
}

bool
dns_script_peek(const struct dns_script *s, const char *where,
    const char *name, unsigned type, struct dns_plan *plan)
{
	for (size_t i = s->nrules; i-- > 0;) {
		const struct rule *r = s->rules[i];

		if (!where_matches(r, where) || !name_matches(r->name, name))
			continue;
		if ((r->act == ACT_ANSWER && r->type == type) ||
		    r->act == ACT_CNAME) {
			memset(plan, 0, sizeof(*plan));
			plan_from(r, true, plan);
			return true;
		}
	}
	return false;
}
