/*
 * way.c - connectors in force, shared by count with their configuration.
 * Never changes a connector: overrides go to a copy that conf/ makes and
 * checks.
 * Read next: dispatch.c (who holds one), conf/conf.h.
 */
#include "mta/tx/way.h"

#include <stdlib.h>
#include <string.h>

#define OVERRIDES_MAX 16

static struct conf_connector *
with_overrides(const struct conf *conf, const struct conf_connector *k,
    const char *with, struct fault *f)
{
	char *words[OVERRIDES_MAX], *text = xstrdup(with), *rest = text, *word;
	struct conf_connector *copy = NULL;
	size_t n = 0;

	while ((word = strsep(&rest, " ")) != NULL) {
		if (*word == '\0')
			continue;
		if (n == OVERRIDES_MAX) {
			fault_set(f, "more than %d overrides", OVERRIDES_MAX);
			goto done;
		}
		words[n++] = word;
	}
	copy = conf_connector_with(conf, k, words, n, f);
done:
	free(text);
	return copy;
}

struct tx_way *
tx_way_new(struct conf *conf, const char *connector, const char *with,
    struct fault *f)
{
	const struct conf_connector *k = conf_connector(conf, connector);
	struct conf_connector *copy = NULL;
	struct tx_way *w;

	if (k == NULL) {
		fault_set(f, "%s: no such connector", connector);
		return NULL;
	}
	if (with != NULL && *with != '\0') {
		copy = with_overrides(conf, k, with, f);
		if (copy == NULL)
			return NULL;
	}
	w = xcalloc(1, sizeof *w);
	w->refs = 1;
	w->conf = conf_ref(conf);
	w->with = copy;
	w->k = copy != NULL ? copy : k;
	return w;
}

struct tx_way *
tx_way_ref(struct tx_way *w)
{
	w->refs++;
	return w;
}

void
tx_way_unref(struct tx_way **wp)
{
	struct tx_way *w = *wp;

	*wp = NULL;
	if (w == NULL || --w->refs > 0)
		return;
	conf_connector_free(&w->with);
	conf_unref(&w->conf);
	free(w);
}
