/*
 * resolvconf.c - the servers of resolv.conf, as set "system".
 * Must never obey anything else in that file: search domains and options are
 * for programs that mean the machine, not for mail routing.
 * Read next: load.c (who calls).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "conf/addr.h"
#include "conf/load.h"
#include "conf/value.h"

#define SERVERS_MAX 16

static void
server_add(struct conf_resolvers *set, const struct conf_addr *a)
{
	struct conf_addr *server = array_add((void **)&set->servers,
	    &set->nservers, sizeof(*server));

	*server = *a;
	if (server->port == 0)
		server->port = 53;
}

static void
server_line(struct conf_resolvers *set, const char *text, const char *path,
    unsigned line, struct report *r)
{
	struct conf_addr a;

	if (set->nservers >= SERVERS_MAX)
		return;
	if (conf_addr_parse(text, &a) && !conf_addr_link_local(&a) &&
	    !conf_addr_any(&a))
		server_add(set, &a);
	else
		report_file_warn(r, path, line, "nameserver: \"%.60s\" is not "
		    "used, wanted an address without interface scope", text);
}

static void
lines_read(FILE *file, const char *path, struct conf_resolvers *set,
    struct report *r)
{
	char *line = NULL;
	size_t cap = 0;

	for (unsigned n = 1; getline(&line, &cap, file) != -1; n++) {
		char *next = NULL;
		char *key = strtok_r(line, " \t\r\n", &next);
		char *address = strtok_r(NULL, " \t\r\n", &next);

		if (key != NULL && address != NULL &&
		    strcmp(key, "nameserver") == 0)
			server_line(set, address, path, n, r);
	}
	free(line);
}

void
resolvconf_load(const char *path, struct conf_resolvers *set, struct report *r)
{
	static const struct conf_addr local = {
		.family = AF_INET, .ip = { 127, 0, 0, 1 },
	};
	FILE *file = fopen(path, "re");

	if (file == NULL) {
		report_file_warn(r, path, 0, "cannot be read: %s; the set "
		    "\"system\" is 127.0.0.1", strerror(errno));
	} else {
		lines_read(file, path, set, r);
		fclose(file);
		if (set->nservers == 0)
			report_file_warn(r, path, 0, "has no usable nameserver "
			    "line; the set \"system\" is 127.0.0.1");
	}
	if (set->nservers == 0)		/* as resolv.conf(5) has it */
		server_add(set, &local);
}
