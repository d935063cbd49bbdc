/*
 * conf.c - the life of a struct conf: counted, sent, looked up, and copied
 * with other resolution rules for --with.
 * Must never read a file or judge one: that is load.c and check.c.
 * Read next: keys.h (what drives it), codec.c (wire form).
 */
#include "conf/conf.h"

#include <stdlib.h>
#include <string.h>

#include "conf/codec.h"
#include "conf/value.h"

struct conf *
conf_ref(struct conf *c)
{
	c->refs++;
	return c;
}

void
conf_unref(struct conf **c)
{
	struct conf *gone = *c;

	*c = NULL;
	if (gone == NULL || --gone->refs > 0)
		return;
	section_clear(&conf_section_top, gone);
	free(gone);
}

void
conf_encode(const struct conf *c, unsigned role, struct buf *b)
{
	(void)role;
	section_encode(&conf_section_top, c, b);
}

/* What the rows cannot say: indices point into the sets, sets[0] exists. */
static bool
conf_coherent(const struct conf *c)
{
	for (size_t i = 0; i < c->nconnectors; i++) {
		const struct conf_connector *k = &c->connectors[i];

		if (k->resolve.nresolvers == 0 || k->resolve.sets == NULL ||
		    k->retry.nschedule == 0 || k->retry.ndns == 0)
			return false;
		for (size_t j = 0; j < k->resolve.nresolvers; j++)
			if (k->resolve.sets[j] >= c->nsets)
				return false;
	}
	return c->nsets > 0;
}

struct conf *
conf_decode(struct rd *r)
{
	struct conf *c = xcalloc(1, sizeof(*c));

	c->refs = 1;
	if (!section_decode(&conf_section_top, c, r) || !conf_coherent(c))
		conf_unref(&c);
	return c;
}

const struct conf_connector *
conf_connector(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->nconnectors; i++)
		if (strcmp(c->connectors[i].name, name) == 0)
			return &c->connectors[i];
	return NULL;
}

int
conf_set_index(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->nsets; i++)
		if (strcmp(c->sets[i].name, name) == 0)
			return (int)i;
	return -1;
}

void
conf_connector_free(struct conf_connector **k)
{
	if (*k == NULL)
		return;
	section_clear(&conf_section_connector, *k);
	free(*k);
	*k = NULL;
}

/* By way of the wire form: it reaches every field, so the copy is deep. */
static struct conf_connector *
connector_copy(const struct conf_connector *k)
{
	struct conf_connector *copy = xcalloc(1, sizeof(*copy));
	struct buf b = { 0 };
	struct rd r;

	section_encode(&conf_section_connector, k, &b);
	r = rd_of(b.data, b.len);
	if (!section_decode(&conf_section_connector, copy, &r))
		abort();	/* what we wrote ourselves */
	buf_free(&b);
	return copy;
}

static void
with_unknown(const char *key, struct fault *f)
{
	const struct conf_section *s = &conf_section_resolve;
	struct buf names = { 0 };

	for (size_t i = 0; i < s->nkeys; i++)
		if (s->keys[i].flags & CONF_WITH)
			buf_printf(&names, "%s%s", names.len == 0 ? "" : ", ",
			    s->keys[i].name);
	fault_set(f, "%.60s: unknown key, wanted one of %s", key,
	    buf_cstr(&names));
	buf_free(&names);
}

static bool
with_one(struct conf_connector *k, const char *override, struct fault *f)
{
	const char *eq = strchr(override, '=');
	const struct conf_key *row;
	struct fault why;
	char *key;
	bool ok = false;

	if (eq == NULL) {
		fault_set(f, "%.60s: has no value, wanted KEY=VALUE", override);
		return false;
	}
	key = xstrndup(override, (size_t)(eq - override));
	row = conf_key(&conf_section_resolve, key);
	if (row == NULL || !(row->flags & CONF_WITH))
		with_unknown(key, f);
	else if (!value_text(row, &k->resolve, eq + 1, &why))
		fault_set(f, "%s: %s", key, why.text);
	else
		ok = true;
	free(key);
	return ok;
}

static bool
with_sets(const struct conf *c, struct conf_resolve *v, struct fault *f)
{
	free(v->sets);
	v->sets = xcalloc(v->nresolvers, sizeof(*v->sets));
	for (size_t i = 0; i < v->nresolvers; i++) {
		int at = conf_set_index(c, v->resolvers[i]);

		if (at == -1) {
			fault_set(f, "resolvers: \"%.60s\" is not a set, "
			    "wanted one of those under resolvers",
			    v->resolvers[i]);
			return false;
		}
		v->sets[i] = (unsigned)at;
	}
	return true;
}

struct conf_connector *
conf_connector_with(const struct conf *c, const struct conf_connector *k,
    char *const *overrides, size_t n, struct fault *f)
{
	struct conf_connector *copy = connector_copy(k);

	for (size_t i = 0; i < n; i++)
		if (!with_one(copy, overrides[i], f))
			goto fail;
	if (with_sets(c, &copy->resolve, f))
		return copy;
fail:
	conf_connector_free(&copy);
	return NULL;
}
