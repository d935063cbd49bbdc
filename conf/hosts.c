/*
 * hosts.c - the hosts file, for smarthosts and for our own full name.
 * Must never be used for recipient domains or MX hosts.
 * Read next: load.c (who calls), mta/dns (who answers from the lines kept).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/addr.h"
#include "conf/load.h"
#include "conf/value.h"
#include "mta/base/str.h"

static const char blanks[] = " \t\r\n\v\f";

/* Calls fn for each "address names…" line; names is changed by fn at will. */
static void
hosts_each(const char *path,
    void (*fn)(void *ctx, const char *address, char *names), void *ctx)
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t cap = 0;

	if (file == NULL)
		return;
	while (getline(&line, &cap, file) != -1) {
		char *address = line + strspn(line, blanks);
		char *end;

		line[strcspn(line, "#")] = '\0';
		end = address + strcspn(address, blanks);
		if (*end == '\0')
			continue;
		*end = '\0';
		fn(ctx, address, end + 1);
	}
	free(line);
	fclose(file);
}

static bool
smarthost_named(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->nconnectors; i++) {
		const struct conf_connector *k = &c->connectors[i];

		if (!k->resolve.hosts_file)
			continue;
		for (size_t j = 0; j < k->nsmarthosts; j++)
			if (k->smarthosts[j].host != NULL &&
			    strcmp(k->smarthosts[j].host, name) == 0)
				return true;
	}
	return false;
}

static void
hosts_keep(void *ctx, const char *address, char *names)
{
	struct conf *c = ctx;
	struct conf_addr a;
	char *next = NULL;

	if (!conf_addr_parse(address, &a) || a.port != 0)
		return;			/* also the scoped ones */
	for (char *name = strtok_r(names, blanks, &next); name != NULL;
	    name = strtok_r(NULL, blanks, &next)) {
		struct conf_host *host;

		str_lower(name);
		if (!smarthost_named(c, name))
			continue;
		host = array_add((void **)&c->hosts, &c->nhosts, sizeof(*host));
		host->name = xstrdup(name);
		host->address = a;
	}
}

void
hosts_load(struct conf *c)
{
	hosts_each(c->hosts_file, hosts_keep, c);
}

struct full_name {
	const char	*name;
	char		*found;		/* given by hosts_full_name() */
};

static void
full_name_match(void *ctx, const char *address, char *names)
{
	struct full_name *full = ctx;
	const char *dotted = NULL;
	bool named = false;
	char *next = NULL;

	(void)address;
	if (full->found != NULL)
		return;
	for (char *name = strtok_r(names, blanks, &next); name != NULL;
	    name = strtok_r(NULL, blanks, &next)) {
		if (str_eq_nocase(name, full->name))
			named = true;
		else if (dotted == NULL && strchr(name, '.') != NULL &&
		    str_starts_nocase(name, full->name) &&
		    name[strlen(full->name)] == '.')
			dotted = name;
	}
	if (named && dotted != NULL && host_valid(dotted))
		full->found = xstrdup(dotted);
}

char *
hosts_full_name(const char *path, const char *name)
{
	struct full_name full = { .name = name };

	hosts_each(path, full_name_match, &full);
	return full.found;
}
