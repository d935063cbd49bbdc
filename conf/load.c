/*
 * load.c - a configuration file to struct conf: libconfig's tree, row by row.
 * Must never ask the network: our own name comes from the kernel and the hosts
 * file.  Collects errors; never stops at the first.
 * Read next: keys.c (the rows), syntax.c (when the tree is none), check.c.
 */
#include "conf/load.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf/addr.h"
#include "conf/syntax.h"
#include "conf/value.h"
#include "mta/base/str.h"

static void load_group(struct report *r, const config_setting_t *g,
    const struct conf_section *s, void *base);

static void
wrong_kind(
    struct report *r, const config_setting_t *v, const struct conf_key *k)
{
	char wanted[192], text[64];
	const char *quotes;

	value_wanted(k, wanted);
	switch (config_setting_type(v)) {
	case CONFIG_TYPE_STRING:
		str_safe(text, sizeof(text), config_setting_get_string(v),
		    strlen(config_setting_get_string(v)));
		quotes = k->type == CONF_BOOL || k->type == CONF_COUNT ||
		    k->type == CONF_PORT || k->type == CONF_NUMBER ?
		    " without quotes" : "";
		report_error(r, v, NULL, "\"%s\" is text, wanted %s%s", text,
		    wanted, quotes);
		break;
	case CONFIG_TYPE_BOOL:
		report_error(r, v, NULL, "%s is no text, wanted %s",
		    config_setting_get_bool(v) ? "true" : "false", wanted);
		break;
	case CONFIG_TYPE_FLOAT:
		report_error(r, v, NULL, "%g is a fraction, wanted %s",
		    config_setting_get_float(v), wanted);
		break;
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		report_error(r, v, NULL, "%lld is a number, wanted %s",
		    config_setting_get_int64(v), wanted);
		break;
	default:
		report_error(r, v, NULL, "is a %s, wanted %s",
		    config_setting_is_group(v) ? "group" : "list", wanted);
		break;
	}
}

static void
load_one(struct report *r, const config_setting_t *v, const struct conf_key *k,
    void *base)
{
	int type = config_setting_type(v);
	struct fault why;
	bool ok = true;

	if (type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64)
		ok = value_number(k, base, config_setting_get_int64(v), &why);
	else if (type == CONFIG_TYPE_BOOL && k->type == CONF_BOOL)
		ok = value_text(k, base,
		    config_setting_get_bool(v) ? "true" : "false", &why);
	else if (type == CONFIG_TYPE_STRING && k->type != CONF_BOOL &&
	    k->type != CONF_COUNT && k->type != CONF_PORT &&
	    k->type != CONF_NUMBER)
		ok = value_text(k, base, config_setting_get_string(v), &why);
	else
		wrong_kind(r, v, k);
	if (!ok)
		report_error(r, v, NULL, "%s", why.text);
}

static void
load_elem(struct report *r, const config_setting_t *v, const struct conf_key *k,
    void *base)
{
	struct fault why;

	if (config_setting_type(v) != CONFIG_TYPE_STRING)
		wrong_kind(r, v, k);
	else if (!value_add(k, base, config_setting_get_string(v), &why))
		report_error(r, v, NULL, "%s", why.text);
}

/* A scalar is a list of one. */
static void
load_many(struct report *r, const config_setting_t *v, const struct conf_key *k,
    void *base)
{
	int n = config_setting_length(v);
	char wanted[192];

	value_clear(k, base);
	if (config_setting_is_group(v)) {
		wrong_kind(r, v, k);
		return;
	}
	if (config_setting_is_scalar(v)) {
		load_elem(r, v, k, base);
		return;
	}
	for (int i = 0; i < n; i++)
		load_elem(r, config_setting_get_elem(v, (unsigned)i), k, base);
	if (n < k->min)
		report_error(r, v, NULL, "is empty, wanted %s",
		    value_wanted(k, wanted));
}

static void *
struct_add(const struct conf_key *k, void *base)
{
	void *s = array_add((void **)(void *)((char *)base + k->at),
	    (size_t *)(void *)((char *)base + k->count_at), k->section->size);

	section_defaults(k->section, s);
	return s;
}

/* ( { … }, { … } ), or { … } for a list of one. */
static void
load_list(struct report *r, const config_setting_t *v, const struct conf_key *k,
    void *base)
{
	int n = config_setting_length(v);
	char wanted[192];

	if (config_setting_is_group(v)) {
		load_group(r, v, k->section, struct_add(k, base));
		return;
	}
	if (!config_setting_is_list(v)) {
		wrong_kind(r, v, k);
		return;
	}
	if (n < k->min || n > k->max) {
		report_error(r, v, NULL, "has %d groups, wanted %d to %d", n,
		    (int)k->min, (int)k->max);
		return;
	}
	for (int i = 0; i < n; i++) {
		const config_setting_t *g = config_setting_get_elem(
		    v, (unsigned)i);

		if (config_setting_is_group(g))
			load_group(r, g, k->section, struct_add(k, base));
		else
			report_error(r, g, NULL, "is not a group, wanted %s",
			    value_wanted(k, wanted));
	}
}

/* { NAME = { … }; … }: the name becomes the first row. */
static void
load_named(struct report *r, const config_setting_t *v,
    const struct conf_key *k, void *base)
{
	struct fault why;

	if (!config_setting_is_group(v)) {
		wrong_kind(r, v, k);
		return;
	}
	for (int i = 0; i < config_setting_length(v); i++) {
		const config_setting_t *g = config_setting_get_elem(
		    v, (unsigned)i);
		void *s;

		if (!config_setting_is_group(g)) {
			report_error(r, g, NULL, "is not a group, wanted "
			    "NAME = { … }");
			continue;
		}
		s = struct_add(k, base);
		if (!value_text(&k->section->keys[0], s,
		    config_setting_name(g), &why)) {
			report_error(r, g, NULL, "%s", why.text);
			*(char **)s = xstrdup(config_setting_name(g));
		}
		load_group(r, g, k->section, s);
	}
}

static void
load_key(struct report *r, const config_setting_t *v, const struct conf_key *k,
    void *base)
{
	switch (k->type) {
	case CONF_GROUP:
		if (config_setting_is_group(v))
			load_group(r, v, k->section, (char *)base + k->at);
		else
			wrong_kind(r, v, k);
		break;
	case CONF_LIST:
		load_list(r, v, k, base);
		break;
	case CONF_NAMED:
		load_named(r, v, k, base);
		break;
	default:
		if (conf_elem(k->type) != NULL)
			load_many(r, v, k, base);
		else
			load_one(r, v, k, base);
		break;
	}
}

static void
unknown_key(struct report *r, const config_setting_t *v,
    const struct conf_section *s)
{
	const char *name = config_setting_name(v);
	const char *near = conf_key_near(s, name);
	const char *home = conf_key_elsewhere(name);
	struct buf names = { 0 };

	if (home != NULL) {
		report_error(r, v, NULL, "unknown key here, wanted %s%s",
		    *home == '\0' ? "at the top of the file" : "inside ", home);
		return;
	}
	if (near != NULL) {
		report_error(
		    r, v, NULL, "unknown key, did you mean \"%s\"?", near);
		return;
	}
	for (size_t i = 0; i < s->nkeys; i++)
		if (!(s->keys[i].flags & CONF_HIDDEN))
			buf_printf(&names, "%s%s", names.len == 0 ? "" : ", ",
			    s->keys[i].name);
	report_error(r, v, NULL, "unknown key, wanted one of %s",
	    buf_cstr(&names));
	buf_free(&names);
}

static void
load_group(struct report *r, const config_setting_t *g,
    const struct conf_section *s, void *base)
{
	char wanted[192];

	for (int i = 0; i < config_setting_length(g); i++) {
		const config_setting_t *v = config_setting_get_elem(
		    g, (unsigned)i);
		const struct conf_key *k = conf_key(s, config_setting_name(v));

		if (k != NULL)
			load_key(r, v, k, base);
		else
			unknown_key(r, v, s);
	}
	for (size_t i = 0; i < s->nkeys; i++)
		if ((s->keys[i].flags & CONF_REQUIRED) &&
		    config_setting_get_member(g, s->keys[i].name) == NULL)
			report_error(r, g, s->keys[i].name,
			    "is missing, wanted %s",
			    value_wanted(&s->keys[i], wanted));
}

/* The kernel's name; where it is short, the hosts file may know the full one. */
static char *
machine_name(const char *hosts)
{
	char name[HOST_NAME_MAX + 1] = "localhost";
	char *full = NULL;

	gethostname(name, sizeof(name));
	name[sizeof(name) - 1] = '\0';
	if (strchr(name, '.') == NULL)
		full = hosts_full_name(hosts, name);
	if (full == NULL)
		full = xstrdup(host_valid(name) ? name : "localhost");
	str_lower(full);
	return full;
}

/* sets[0] is "system", from the file or from resolv.conf. */
static void
system_set(struct report *r, struct conf *c)
{
	struct conf_resolvers set = { 0 };
	int at = conf_set_index(c, "system");

	if (at == -1) {
		section_defaults(&conf_section_resolvers, &set);
		set.name = xstrdup("system");
		resolvconf_load(c->resolv_conf, &set, r);
		array_add((void **)&c->sets, &c->nsets, sizeof(set));
		at = (int)c->nsets - 1;
	} else {
		set = c->sets[at];
	}
	memmove(c->sets + 1, c->sets, (size_t)at * sizeof(set));
	c->sets[0] = set;
}

static void
default_connector(struct conf *c)
{
	struct conf_connector *k = array_add((void **)&c->connectors,
	    &c->nconnectors, sizeof(*k));

	section_defaults(&conf_section_connector, k);
	k->name = xstrdup("internet");
	k->domains = xcalloc(1, sizeof(*k->domains));
	k->domains[0] = xstrdup("*");
	k->ndomains = 1;
}

/* Defaults that are not a text in a row. */
static void
fill(struct report *r, const config_setting_t *root, struct conf *c)
{
	char buf[64];

	if (c->hostname == NULL)
		c->hostname = machine_name(c->hosts_file);
	system_set(r, c);
	if (config_setting_get_member(root, "connectors") == NULL)
		default_connector(c);
	for (size_t i = 0; i < c->nlisteners; i++) {
		struct conf_listener *l = &c->listeners[i];

		if (l->name == NULL && l->any)
			l->name = xasprintf("*:%u", l->address.port);
		else if (l->name == NULL)
			l->name = xstrdup(conf_addr_text(&l->address, buf));
		if (l->hostname == NULL)
			l->hostname = xstrdup(c->hostname);
	}
	for (size_t i = 0; i < c->nconnectors; i++) {
		struct conf_connector *k = &c->connectors[i];

		if (k->helo == NULL)
			k->helo = xstrdup(c->hostname);
		k->soft_bounce = k->soft_bounce || c->soft_bounce;
	}
	hosts_load(c);
}

/* libconfig's own message for a file it cannot read says nothing. */
static bool
readable(struct report *r, const char *path)
{
	FILE *file = fopen(path, "re");
	int err = errno;

	if (file != NULL) {
		errno = 0;
		getc(file);
		err = ferror(file) ? errno : 0;		/* a folder: EISDIR */
		fclose(file);
	}
	if (file != NULL && err == 0)
		return true;
	report_file_error(r, path, 0, "cannot be read: %s", strerror(err));
	return false;
}

static struct conf *
load_tree(struct report *r, const config_setting_t *root)
{
	struct conf *c = xcalloc(1, sizeof(*c));

	c->refs = 1;
	c->generation = 1;
	c->file = xstrdup(r->path);
	section_defaults(&conf_section_top, c);
	load_group(r, root, &conf_section_top, c);
	fill(r, root, c);
	conf_check(r, root, c);
	return c;
}

struct conf *
conf_load(const char *path, struct buf *errors)
{
	struct conf *c = NULL;
	struct report r;
	config_t tree;

	report_begin(&r, path, errors);
	config_init(&tree);
	config_set_include_dir(&tree, *r.dir == '\0' ? "." : r.dir);
	if (!readable(&r, path))
		goto out;
	if (!config_read_file(&tree, path)) {
		syntax_explain(&r, &tree);
		goto out;
	}
	for (unsigned i = 0; i < tree.num_filenames; i++)
		syntax_lint(&r, tree.filenames[i]);
	if (r.errors > 0)
		goto out; /* what libconfig made of it would only confuse */
	c = load_tree(&r, config_root_setting(&tree));
	if (r.errors > 0)
		conf_unref(&c);
out:
	config_destroy(&tree);
	report_end(&r);
	return c;
}
