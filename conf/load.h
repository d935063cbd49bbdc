/*
 * load.h - parts of conf_load() that files of this folder share.
 */
#pragma once

#include "conf/conf.h"
#include "conf/report.h"

/* check.c: everything that looks at more than one value.  Fills resolve.sets. */
void conf_check(struct report *r, const config_setting_t *root, struct conf *c);

/* hosts.c: keeps the lines that name a smarthost.  A missing file is an empty one. */
void hosts_load(struct conf *c);
/* The full name that the hosts file has for a short one.  Given; NULL: none. */
char *hosts_full_name(const char *path, const char *name);

/* resolvconf.c: the nameserver lines, in order; 127.0.0.1 when there are none. */
void resolvconf_load(const char *path, struct conf_resolvers *set, struct report *r);
