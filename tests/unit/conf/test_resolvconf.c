/*
 * test_resolvconf.c - the files of the machine: resolv.conf and hosts.
 * Must never read the machine's own.
 * Read next: conf/resolvconf.c, conf/hosts.c.
 */
#include "tests/unit/check_main.h"

#include "conf/load.h"
#include "conf/value.h"
#include "tests/unit/conf/folder.h"

static const struct { const char *text, *servers, *warnings; } files[] = {
	{ "nameserver 192.0.2.1\n", "192.0.2.1:53 ", "" },
	{ "# x\nsearch a.example\noptions timeout:1\n nameserver\t192.0.2.1  # y\n"
	  "nameserver 2001:db8::1\nnameserver\n", "192.0.2.1:53 [2001:db8::1]:53 ", "" },
	{ "nameserver 127.0.0.1:5353", "127.0.0.1:5353 ", "" },
	{ "nameserver fe80::1%eth0\nnameserver 192.0.2.2\n", "192.0.2.2:53 ",
	  "resolv:1: warning: nameserver: \"fe80::1%eth0\" is not used, wanted an address without "
	  "interface scope\n" },
	{ "", "127.0.0.1:53 ", "resolv: warning: has no usable nameserver line; the set \"system\" "
	  "is 127.0.0.1\n" },
	{ "nameservers 192.0.2.1\n;nameserver 192.0.2.3\n", "127.0.0.1:53 ", "resolv: warning: has "
	  "no usable nameserver line; the set \"system\" is 127.0.0.1\n" },
};

START_TEST(resolv_conf)
{
	struct conf_resolvers set = { 0 };
	struct buf warnings = { 0 }, servers = { 0 };
	struct report r;
	char text[64];

	folder_file("resolv", files[_i].text);
	report_begin(&r, "t.conf", &warnings);
	resolvconf_load("resolv", &set, &r);
	for (size_t i = 0; i < set.nservers; i++)
		buf_printf(&servers, "%s ", conf_addr_text(&set.servers[i], text));
	ck_assert_str_eq(buf_cstr(&servers), files[_i].servers);
	ck_assert_str_eq(buf_cstr(&warnings), files[_i].warnings);
	ck_assert_uint_eq(r.errors, 0);
	report_end(&r);
	section_clear(&conf_section_resolvers, &set);
	buf_free(&servers);
	buf_free(&warnings);
}
END_TEST

static const struct { const char *name, *full; } names[] = {
	{ "box", "box.example.com" },
	{ "BOX", "box.example.com" },
	{ "bo", NULL },
	{ "late", "late.example.com" },
	{ "alias", NULL },		/* on the line, but the full name is another's */
	{ "lone", NULL },
	{ "none", NULL },
};

START_TEST(full_name)
{
	char *full;

	folder_file("hosts", "127.0.0.1 localhost\n127.0.1.1\tbox.example.com box alias\n"
	    "10.0.0.1 lone\n::1 late late.example.com # late.example.net\nlate\n");
	full = hosts_full_name("hosts", names[_i].name);
	if (names[_i].full == NULL)
		ck_assert_ptr_null(full);
	else
		ck_assert_str_eq(full, names[_i].full);
	free(full);
	ck_assert_ptr_null(hosts_full_name("nowhere", "box"));
}
END_TEST

static Suite *
suite(void)
{
	Suite *s = suite_create("conf/resolvconf");
	TCase *tc = tcase_create("files");

	tcase_add_checked_fixture(tc, folder_enter, folder_leave);
	tcase_add_loop_test(tc, resolv_conf, 0, COUNT_OF(files));
	tcase_add_loop_test(tc, full_name, 0, COUNT_OF(names));
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(suite)
