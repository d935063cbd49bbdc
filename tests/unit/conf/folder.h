/*
 * folder.h - a test runs in a folder of its own, so that the names in error
 * lines are short and fixed.  For tcase_add_checked_fixture().
 */
#pragma once

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/conf.h"

static char folder_path[64];

static void
folder_enter(void)
{
	strcpy(folder_path, "/tmp/relayd-conf-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder_path));
	ck_assert_int_eq(chdir(folder_path), 0);
}

static void
folder_leave(void)
{
	char *remove = xasprintf("rm -rf %s", folder_path);

	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(system(remove), 0);
	free(remove);
}

static inline void
folder_file(const char *name, const char *text)
{
	FILE *file = fopen(name, "w");

	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
}

/* What makes a load independent of the machine. */
#define FOLDER_HEAD "hostname=\"relay.example.com\";resolv_conf=\"/dev/null\";" \
	"resolvers={system={servers=\"192.0.2.53\";};};"

/* Loads text as t.conf; errors_r is given, "" when there are none. */
static inline struct conf *
folder_load(const char *text, char **errors_r)
{
	struct buf errors = { 0 };
	struct conf *c;

	folder_file("t.conf", text);
	c = conf_load("t.conf", &errors);
	*errors_r = xstrdup(buf_cstr(&errors));
	buf_free(&errors);
	return c;
}
