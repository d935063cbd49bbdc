/*
 * main.c - the program relayd: the parent, a role when the parent says so, or
 * a check of the configuration.  Never does anything itself.
 *
 *
 * Read next: mta/proc/parent.h, mta/proc/role.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "conf/conf.h"
#include "mta/base/fault.h"
#include "mta/proc/parent.h"
#include "mta/proc/role.h"

#ifndef RELAYD_VERSION
#define RELAYD_VERSION "0.1"
#endif

#define DEFAULT_CONF "/etc/relayd/relayd.conf"

static const char usage_text[] =
    "usage: relayd [-FtV] [-f FILE]\n"
    "  -f FILE  configuration, default " DEFAULT_CONF "\n"
    "  -t       check the configuration and exit: 0 good, 78 not\n"
    "  -F       stay in the foreground (always so)\n"
    "  -V       print the version\n";

static int
check(const char *path)
{
	struct buf text = { 0 };
	struct conf *conf = conf_load(path, &text);
	const int code = conf == NULL ? EX_CONFIG : EX_OK;

	(void)fprintf(stderr, "%s", buf_cstr(&text));
	if (conf != NULL)
		(void)printf("%s: ok\n", path);
	conf_unref(&conf);
	buf_free(&text);
	return code;
}

/* Only the parent starts relayd this way, with the descriptors it needs. */
static int
run_role(const char *name, const char *number)
{
	const unsigned index = (unsigned)strtoul(number, NULL, 10);
	enum role role;

	if (!role_by_name(name, &role))
		return EX_USAGE;
	switch (role) {
	case ROLE_RX:
		return role_main(role, index, &rx_role_ops, rx_role_ctx);
	case ROLE_QUEUE:
		return role_main(role, index, &queue_role_ops, queue_role_ctx);
	case ROLE_TX:
		return role_main(role, index, &tx_role_ops, tx_role_ctx);
	case ROLE_CTL:
		return role_main(role, index, &ctl_role_ops, ctl_role_ctx);
	case ROLE_PARENT:
	case ROLE_COUNT:
		break;
	}
	return EX_USAGE;
}

int
main(int argc, char **argv)
{
	const char *path = DEFAULT_CONF;
	bool only_check = false;
	int c;

	/* A role's memory ends with it: nothing is freed on the way out. */
	if (argc == 4 && strcmp(argv[1], "--role") == 0)
		_exit(run_role(argv[2], argv[3]));
	while ((c = getopt(argc, argv, "f:tFV")) != -1) {
		switch (c) {
		case 'f':
			path = optarg;
			break;
		case 't':
			only_check = true;
			break;
		case 'F':
			break;
		case 'V':
			(void)printf("relayd %s\n", RELAYD_VERSION);
			return EX_OK;
		default:
			(void)fputs(usage_text, stderr);
			return EX_USAGE;
		}
	}
	if (optind != argc) {
		(void)fputs(usage_text, stderr);
		return EX_USAGE;
	}
	return only_check ? check(path) : parent_main(path);
}
