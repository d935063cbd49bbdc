/*
 * way.h - a connector in force: the struct conf_connector that destinations,
 * attempts and sessions share, with the configuration it hangs on.  What runs
 * keeps the way it started with; a reload only changes what starts later.
 */
#pragma once

#include "conf/conf.h"

struct tx_way {
	unsigned			 refs;
	struct conf			*conf;	/* shared */
	const struct conf_connector	*k;	/* in conf, or with */
	struct conf_connector		*with;	/* owned: the copy with overrides; or NULL */
};

/* with: "KEY=VALUE …", blank-separated, or NULL.  NULL with a fault: no such connector, wrong override. */
struct tx_way *tx_way_new(struct conf *conf, const char *connector, const char *with, struct fault *f);
struct tx_way *tx_way_ref(struct tx_way *w);
void tx_way_unref(struct tx_way **w);		/* *w may be NULL */
