/*
 * test_load.c - files to structs, and bad files to exact error lines.
 * Must never depend on the machine's resolv.conf, hosts file or name, except
 * where a test is about them.
 * Read next: conf/load.c, conf/check.c.
 */
#include "tests/unit/check_main.h"

#include "conf/conf.h"
#include "tests/unit/conf/folder.h"

#define L1 "listeners=({address=\"*:25\";});"
#define HEAD FOLDER_HEAD "\n"

static char *sample;

static const struct { const char *text, *errors; } bad[] = {
	/* the top */
	{ HEAD, "t.conf: listeners: is missing, wanted a list of groups ( { … }, { … } )\n" },
	{ HEAD "listeners=();", "t.conf:2: listeners: has 0 groups, wanted 1 to 64\n" },
	{ HEAD "listeners=[\"*:25\"];",
	  "t.conf:2: listeners: is a list, wanted a list of groups ( { … }, { … } )\n" },
	{ HEAD "listeners=(\"*:25\");", "t.conf:2: listeners[0]: is not a group, "
	  "wanted a list of groups ( { … }, { … } )\n" },
	{ HEAD L1 "\nspol={};", "t.conf:3: spol: unknown key, did you mean \"spool\"?\n" },
	{ HEAD L1 "\nxyzzyx=1;", "t.conf:3: xyzzyx: unknown key, wanted one of hostname, user, "
	  "root, resolv_conf, hosts, own_addresses, soft_bounce, processes, spool, log, control, "
	  "alarm, listeners, resolvers, connectors\n" },
	{ HEAD L1 "\ngrace=\"1s\";", "t.conf:3: grace: unknown key here, wanted inside "
	  "connectors.resolve\n" },
	{ HEAD L1 "\nspool={user=\"x\";};", "t.conf:3: spool.user: unknown key here, wanted at the "
	  "top of the file\n" },
	{ HEAD L1 "\nspool=\"x\";", "t.conf:3: spool: \"x\" is text, wanted a group { … }\n" },
	{ HEAD L1 "\nroot=\"var\";", "t.conf:3: root: \"var\" does not begin with /, wanted an "
	  "absolute path such as \"/var/spool/relayd\"\n" },
	{ HEAD L1 "\nuser=\"\";", "t.conf:3: user: \"\" is empty, wanted a quoted text\n" },
	{ HEAD L1 "\nown_addresses=\"192.0.2.1:25\";", "t.conf:3: own_addresses: \"192.0.2.1:25\" "
	  "has a port, wanted the address alone\n" },
	{ "hostname=\"a_b..c\";\nresolvers={system={servers=\"192.0.2.53\";};};" L1,
	  "t.conf:1: hostname: \"a_b..c\" is not a host name, wanted a host name such as "
	  "\"mail.example.com\"\n" },
	/* kinds */
	{ HEAD L1 "\nalarm={age=15;};", "t.conf:3: alarm.age: 15 has no unit, wanted a quoted "
	  "duration such as \"15m\"\n" },
	{ HEAD L1 "\nalarm={age=\"15\";};", "t.conf:3: alarm.age: \"15\" has no unit, wanted a "
	  "quoted duration such as \"15m\"\n" },
	{ HEAD L1 "\nalarm={age=\"15x\";};", "t.conf:3: alarm.age: \"15x\" is not a duration, "
	  "wanted a quoted duration such as \"15m\"\n" },
	{ HEAD L1 "\nalarm={age=\"40d\";};", "t.conf:3: alarm.age: \"40d\" is too large, wanted "
	  "\"1ms\" to \"30d\"\n" },
	{ HEAD L1 "\nalarm={age=true;};", "t.conf:3: alarm.age: true is no text, wanted a quoted "
	  "duration such as \"15m\"\n" },
	{ HEAD L1 "\nalarm={age=1.5;};", "t.conf:3: alarm.age: 1.5 is a fraction, wanted a quoted "
	  "duration such as \"15m\"\n" },
	{ HEAD L1 "\nalarm={age=[\"15m\"];};", "t.conf:3: alarm.age: is a list, wanted a quoted "
	  "duration such as \"15m\"\n" },
	{ HEAD L1 "\nspool={segment=16;};", "t.conf:3: spool.segment: 16 has no unit, wanted a "
	  "quoted size such as \"16M\"\n" },
	{ HEAD L1 "\nspool={segment=\"16MB\";};", "t.conf:3: spool.segment: \"16MB\" is not a size, "
	  "wanted a quoted size such as \"16M\"\n" },
	{ HEAD L1 "\nspool={segment=\"1k\";};", "t.conf:3: spool.segment: \"1k\" is too small, "
	  "wanted \"64k\" to \"1G\"\n" },
	{ HEAD L1 "\nprocesses={rx=17;};", "t.conf:3: processes.rx: 17 is too large, wanted a "
	  "number from 1 to 16\n" },
	{ HEAD L1 "\nprocesses={rx=\"1\";};", "t.conf:3: processes.rx: \"1\" is text, wanted a "
	  "number from 1 to 16 without quotes\n" },
	{ HEAD L1 "\nlog={trace=\"true\";};", "t.conf:3: log.trace: \"true\" is text, wanted true or "
	  "false without quotes\n" },
	{ HEAD L1 "\nlog={trace=1;};", "t.conf:3: log.trace: 1 is a number, wanted true or false\n" },
	{ HEAD L1 "\nlog={to=\"sysylog\";};", "t.conf:3: log.to: \"sysylog\" is not known, wanted "
	  "\"stderr\", \"syslog\" or \"file\"\n" },
	{ HEAD L1 "\nlog={to=\"file\";};", "t.conf:3: log.file: is missing, wanted a path because to "
	  "is \"file\"\n" },
	{ HEAD L1 "\nspool={max_bytes=\"10M\";};", "t.conf:3: spool.max_bytes: is too small, wanted "
	  "at least four times segment\n" },
	{ HEAD L1 "\nspool={large_body=\"16M\";};", "t.conf:3: spool.large_body: is too large, "
	  "wanted less than segment\n" },
	/* listeners */
	{ HEAD "listeners=({name=\"x\";});", "t.conf:2: listeners[0](x).address: is missing, wanted "
	  "an address and port such as \"*:25\"\n" },
	{ HEAD "listeners=({address=\"localhost:25\";});", "t.conf:2: listeners[0].address: "
	  "\"localhost:25\" is not an address, wanted an address and port such as \"*:25\"\n" },
	{ HEAD "listeners=({address=\"*:0\";});", "t.conf:2: listeners[0].address: \"*:0\" is not an "
	  "address, wanted an address and port such as \"*:25\"\n" },
	{ HEAD "listeners=({address=\"*:25\";},\n{address=\"10.0.0.1\";});", "t.conf:3: listeners[1]"
	  ".address: is also taken by the listener of t.conf:2, wanted another address or port\n" },
	{ HEAD "listeners=({name=\"a\";address=\"*:25\";},\n{name=\"a\";address=\"*:26\";});",
	  "t.conf:3: listeners[1](a).name: \"a\" is also the name of the listener of t.conf:2, "
	  "wanted another\n" },
	{ HEAD "listeners=({address=\"*:25\";clients=[\"10.0.0.0/8\",\n\"10.1.2.3/16\"];});",
	  "t.conf:3: listeners[0].clients[1]: \"10.1.2.3/16\" has bits set beyond its length, "
	  "wanted \"10.1.0.0/16\"\n" },
	{ HEAD "listeners=({address=\"*:25\";clients=[];});", "t.conf:2: listeners[0].clients: is "
	  "empty, wanted an address or a network such as \"10.0.0.0/8\" or \"2001:db8::/32\"\n" },
	{ HEAD "listeners=({address=\"*:25\";name=\"a b\";});", "t.conf:2: listeners[0](a b).name: "
	  "\"a b\" has other characters, wanted a name of letters, digits, \".\", \"_\" and \"-\"\n" },
	/* resolvers */
	{ "hostname=\"r.example\";" L1 "resolvers={system={};};", "t.conf:1: resolvers.system.servers: "
	  "is missing, wanted an address such as \"192.0.2.53\" or \"[2001:db8::53]:5353\"\n" },
	{ "hostname=\"r.example\";" L1 "resolvers={system={servers=\"fe80::1%eth0\";};};",
	  "t.conf:1: resolvers.system.servers: \"fe80::1%eth0\" has an interface scope, wanted an "
	  "address such as \"192.0.2.53\" or \"[2001:db8::53]:5353\"\n" },
	{ "hostname=\"r.example\";" L1 "resolvers={system={servers=\"fe80::1\";};};",
	  "t.conf:1: resolvers.system.servers: \"fe80::1\" is link-local, wanted a global address\n" },
	{ "hostname=\"r.example\";" L1 "resolvers={system={servers=[\"192.0.2.1\",\n\"192.0.2.1:53\"];};};",
	  "t.conf:2: resolvers.system.servers[1]: is listed twice, wanted each server once\n" },
	{ "hostname=\"r.example\";" L1 "resolvers={system={servers=\"192.0.2.53\";};b=\"192.0.2.1\";};",
	  "t.conf:1: resolvers.b: is not a group, wanted NAME = { … }\n" },
	/* connectors */
	{ HEAD L1 "connectors=({domains=\"*\";});", "t.conf:2: connectors[0].name: is missing, "
	  "wanted a quoted name\n" },
	{ HEAD L1 "connectors=({name=\"x\";});", "t.conf:2: connectors[0](x).domains: is missing, "
	  "wanted \"example.com\", \"*.example.com\" or \"*\"\n" },
	{ HEAD L1 "connectors=({name=\"x\";domains=\"*\";},\n{name=\"x\";domains=\"a.example\";});",
	  "t.conf:3: connectors[1](x).name: \"x\" is also the name of the connector of t.conf:2, "
	  "wanted another\n" },
	{ HEAD L1 "connectors=({name=\"x\";domains=[\"*\",\n\"A.example\"];},\n"
	  "{name=\"y\";domains=[\"a.example.\"];});", "t.conf:4: connectors[1](y).domains[0]: "
	  "\"a.example\" is also at t.conf:3, wanted it once\n" },
	{ HEAD L1 "connectors=({name=\"x\";domains=[\"*\",\".a.example\",\"*b.example\","
	  "\"u@c.example\",\"d..example\",\"m\xc3\xbcller.example\"];});",
	  "t.conf:2: connectors[0](x).domains[1]: \".a.example\" begins with a dot, wanted "
	  "\"*.a.example\"\n"
	  "t.conf:2: connectors[0](x).domains[2]: \"*b.example\" has no dot after the star, wanted "
	  "\"*.b.example\"\n"
	  "t.conf:2: connectors[0](x).domains[3]: \"u@c.example\" is an address, wanted the domain "
	  "\"c.example\"\n"
	  "t.conf:2: connectors[0](x).domains[4]: \"d..example\" is not a domain, wanted "
	  "\"example.com\", \"*.example.com\" or \"*\"\n"
	  "t.conf:2: connectors[0](x).domains[5]: \"m\xc3\xbcller.example\" is not ASCII, wanted its "
	  "form in DNS, beginning with \"xn--\"\n" },
	{ HEAD L1 "connectors=({name=\"i\";domains=\"*\";\nresolve={\ngrace=20;\ngrce=\"1s\";};});",
	  "t.conf:4: connectors[0](i).resolve.grace: 20 has no unit, wanted a quoted duration such "
	  "as \"200ms\"\n"
	  "t.conf:5: connectors[0](i).resolve.grce: unknown key, did you mean \"grace\"?\n" },
	{ HEAD L1 "connectors=({name=\"i\";domains=\"*\";resolve={resolvers=[\"system\",\n"
	  "\"sytem\"];};});", "t.conf:3: connectors[0](i).resolve.resolvers[1]: \"sytem\" is not a "
	  "set of resolvers, did you mean \"system\"?\n" },
	{ HEAD L1 "connectors=({name=\"i\";domains=\"*\";resolve={resolvers=\"far\";};});",
	  "t.conf:2: connectors[0](i).resolve.resolvers: \"far\" is not a set of resolvers, wanted "
	  "\"system\" or one defined in resolvers\n" },
	{ HEAD L1 "connectors=({name=\"i\";domains=\"*\";resolve={resolvers=[\"system\",\"system\"];};});",
	  "t.conf:2: connectors[0](i).resolve.resolvers[1]: \"system\" is listed twice, wanted each "
	  "set once\n" },
	{ HEAD "hosts=\"/dev/null\";" L1 "connectors=({name=\"i\";domains=\"*\";smarthosts=\"exch\";});",
	  "t.conf:2: connectors[0](i).smarthosts: \"exch\" has no domain and is not in /dev/null, "
	  "wanted a full name or an address\n" },
	{ HEAD L1 "connectors=({name=\"i\";domains=\"*\";smarthosts=[\"2001:db8::1\",\"a b\","
	  "\"h.example:0\"];});",
	  "t.conf:2: connectors[0](i).smarthosts[0]: \"2001:db8::1\" has no brackets, wanted "
	  "\"[2001:db8::1]\"\n"
	  "t.conf:2: connectors[0](i).smarthosts[1]: \"a b\" is not a host, wanted "
	  "\"mail.example.com\", \"[mail.example.com]:587\" or \"192.0.2.1\"\n"
	  "t.conf:2: connectors[0](i).smarthosts[2]: \"h.example:0\" is not a host, wanted "
	  "\"mail.example.com\", \"[mail.example.com]:587\" or \"192.0.2.1\"\n" },
	{ HEAD L1 "connectors=({name=\"i\";domains=\"*\";retry={schedule=\"1m 2x\";};});",
	  "t.conf:2: connectors[0](i).retry.schedule: \"2x\" is not a duration, wanted durations in "
	  "one quoted text such as \"1m 2m 5m\"\n" },
	{ HEAD L1 "connectors=({name=\"i\";domains=\"*\";retry={schedule=\"\";};});",
	  "t.conf:2: connectors[0](i).retry.schedule: \"\" is empty, wanted durations in one quoted "
	  "text such as \"1m 2m 5m\"\n" },
	{ HEAD L1 "connectors=({name=\"i\";domains=\"*\";retry={notice=\"never\";\nexpire=\"30s\";};});",
	  "t.conf:3: connectors[0](i).retry.expire: mail expires after \"30s\", before its first "
	  "retry after \"1m\" of schedule, wanted a longer expire\n" },
	{ HEAD L1 "connectors=({name=\"i\";domains=\"*\";retry={notice=\"soon\";};});",
	  "t.conf:2: connectors[0](i).retry.notice: \"soon\" is not a duration, wanted a quoted "
	  "duration such as \"4h\", or \"never\"\n" },
	{ HEAD L1 "connectors=({name=\"i\";domains=\"*\";port=65536;});",
	  "t.conf:2: connectors[0](i).port: 65536 is too large, wanted a number from 1 to 65535\n" },
	{ HEAD L1 "connectors=({name=\"i\";domains=\"*\";allow_addresses=\"::1/129\";});",
	  "t.conf:2: connectors[0](i).allow_addresses: \"::1/129\" is not a network, wanted an "
	  "address or a network such as \"10.0.0.0/8\" or \"2001:db8::/32\"\n" },
	/* taken by libconfig in silence */
	{ HEAD "listeners=({address=\"*:25\";\nclients=[\"10.0.0.1\" \"10.0.0.2\"];});",
	  "t.conf:3: syntax: \"clients=[\"10.0.0.1\" \"10.0.0.2\"];});\": a comma is missing between "
	  "two quoted texts\n" },
};

START_TEST(load_bad)
{
	char *errors;
	struct conf *c = folder_load(bad[_i].text, &errors);

	ck_assert_ptr_null(c);
	ck_assert_str_eq(errors, bad[_i].errors);
	free(errors);
}
END_TEST

static const struct { const char *text, *errors; } doubtful[] = {
	{ HEAD L1, "" },
	{ HEAD "listeners={address=\"127.0.0.1\";};", "" },
	{ HEAD "listeners=({address=\"*:25\";clients=[\"::1\",\"0.0.0.0/0\"];});",
	  "t.conf:2: listeners[0].clients[1]: warning: everyone may send through us: an open relay\n" },
	{ HEAD L1 "connectors=({name=\"x\";domains=\"a.example\";});",
	  "t.conf:2: connectors: warning: no connector has \"*\", so mail for other domains is not "
	  "taken\n" },
	{ HEAD L1 "connectors=({name=\"x\";domains=\"*\";retry={expire=\"1h\";};});",
	  "t.conf:2: connectors[0](x).retry.expire: warning: mail expires before a notice is sent; "
	  "say notice = \"never\" when none is wanted\n" },
	{ HEAD L1 "connectors=({name=\"x\";domains=\"*\";resolve={ipv6=false;order=\"aaaa-first\";};});",
	  "t.conf:2: connectors[0](x).resolve.order: warning: \"aaaa-first\" has no meaning with "
	  "ipv6 = false\n" },
	{ HEAD L1 "connectors=({name=\"x\";domains=\"*\";resolve={lookup_deadline=\"1s\";};});",
	  "t.conf:2: connectors[0](x).resolve.lookup_deadline: warning: is below the timeout of set "
	  "\"system\", which is never reached\n" },
	{ "hostname=\"box\";resolvers={system={servers=\"192.0.2.53\";};};" L1,
	  "t.conf:1: hostname: warning: \"box\" is not a full name, and servers may refuse it in "
	  "EHLO; wanted one such as \"mail.example.com\"\n" },
	{ "hostname=\"r.example\";resolv_conf=\"/nowhere\";" L1, "/nowhere: warning: cannot be read: "
	  "No such file or directory; the set \"system\" is 127.0.0.1\n" },
	{ HEAD L1 "log={file=\"/x\";};", "t.conf:2: log.file: warning: is not used because to is not "
	  "\"file\"\n" },
};

START_TEST(load_doubtful)
{
	char *errors;
	struct conf *c = folder_load(doubtful[_i].text, &errors);

	ck_assert_str_eq(errors, doubtful[_i].errors);
	ck_assert_ptr_nonnull(c);
	conf_unref(&c);
	free(errors);
}
END_TEST

START_TEST(one_line_is_complete)
{
	struct buf errors = { 0 };
	struct conf *c;
	char *text;

	folder_file("resolv", "nameserver 192.0.2.1\n");
	text = xasprintf("resolv_conf=\"%s/resolv\";listeners = ( { address = "
	    "\"*:25\"; clients = [ \"10.0.0.5\" ]; } );", folder_path);
	folder_file("t.conf", text);
	free(text);
	c = conf_load("t.conf", &errors);	/* may warn of our name */
	buf_free(&errors);
	ck_assert_ptr_nonnull(c);
	ck_assert_uint_eq(c->nlisteners, 1);
	ck_assert(c->listeners[0].any);
	ck_assert_uint_eq(c->listeners[0].address.port, 25);
	ck_assert_str_eq(c->listeners[0].name, "*:25");
	ck_assert_str_eq(c->listeners[0].hostname, c->hostname);
	ck_assert_uint_eq(c->listeners[0].nclients, 1);
	ck_assert_uint_eq(c->listeners[0].size_bytes, 50u << 20);
	ck_assert_uint_eq(c->nsets, 1);
	ck_assert_str_eq(c->sets[0].name, "system");
	ck_assert_uint_eq(c->sets[0].servers[0].port, 53);
	ck_assert_uint_eq(c->nconnectors, 1);
	ck_assert_str_eq(c->connectors[0].name, "internet");
	ck_assert_str_eq(c->connectors[0].domains[0], "*");
	ck_assert_str_eq(c->connectors[0].helo, c->hostname);
	ck_assert(c->connectors[0].enabled && c->connectors[0].resolve.ipv6);
	ck_assert_int_eq(c->connectors[0].resolve.grace_ms, 200);
	ck_assert_uint_eq(c->connectors[0].resolve.sets[0], 0);
	ck_assert_uint_eq(c->connectors[0].retry.nschedule, 6);
	ck_assert_int_eq(c->connectors[0].retry.dns_ms[0], 15000);
	ck_assert_str_eq(c->spool.path, "/var/spool/relayd");
	ck_assert_ptr_null(c->log.file);
	conf_unref(&c);
	ck_assert_ptr_null(c);
}
END_TEST

START_TEST(connectors_of_the_design)
{
	char *errors;
	struct conf *c = folder_load("hostname=\"r.example\"; soft_bounce = true;" L1
	    "resolvers={internal={servers=\"10.0.0.53\";};external={servers="
	    "[\"192.0.2.53\",\"[2001:db8::53]:5353\"];protocol=\"tcp\";};"
	    "system={servers=\"192.0.2.1\";};};"
	    "connectors=({name=\"exchange\";domains=\"corp.example\";smarthosts="
	    "\"[Exch1.corp.example]:26\";resolve={resolvers=\"internal\";};},"
	    "{name=\"internet\";domains=\"*\";resolve={resolvers=[\"internal\","
	    "\"external\"];order=\"a-first\";};retry={notice=\"never\";};});",
	    &errors);
	const struct conf_connector *k;

	ck_assert_str_eq(errors, "");
	ck_assert_uint_eq(c->nsets, 3);
	ck_assert_str_eq(c->sets[0].name, "system");
	ck_assert_int_eq(conf_set_index(c, "external"), 2);
	ck_assert_int_eq(conf_set_index(c, "nobody"), -1);
	ck_assert_int_eq(c->sets[2].protocol, PROTOCOL_TCP);
	ck_assert_uint_eq(c->sets[2].servers[1].port, 5353);
	k = conf_connector(c, "exchange");
	ck_assert_str_eq(k->smarthosts[0].host, "exch1.corp.example");
	ck_assert(!k->smarthosts[0].mx);
	ck_assert_uint_eq(k->smarthosts[0].address.port, 26);
	ck_assert(k->soft_bounce);
	k = conf_connector(c, "internet");
	ck_assert_uint_eq(k->resolve.nresolvers, 2);
	ck_assert_uint_eq(k->resolve.sets[0], 1);
	ck_assert_uint_eq(k->resolve.sets[1], 2);
	ck_assert_int_eq(k->resolve.order, ORDER_A_FIRST);
	ck_assert_int_eq(k->retry.notice_ms, 0);
	ck_assert_ptr_null(conf_connector(c, "none"));
	conf_unref(&c);
	free(errors);
}
END_TEST

START_TEST(included_files_are_named)
{
	struct buf errors = { 0 };

	ck_assert_int_eq(system("mkdir d"), 0);
	folder_file("d/more.conf", "alarm = {\n  age = 5;\n};\n");
	folder_file("d/main.conf", HEAD L1 "\n@include \"more.conf\"\nusr = \"x\";\n");
	ck_assert_ptr_null(conf_load("d/main.conf", &errors));
	ck_assert_str_eq(buf_cstr(&errors),
	    "d/more.conf:2: alarm.age: 5 has no unit, wanted a quoted duration "
	    "such as \"15m\"\n"
	    "d/main.conf:4: usr: unknown key, did you mean \"user\"?\n");
	buf_free(&errors);
}
END_TEST

START_TEST(not_a_file)
{
	struct buf errors = { 0 };

	ck_assert_ptr_null(conf_load("none.conf", &errors));
	ck_assert_ptr_null(conf_load(".", &errors));
	ck_assert_str_eq(buf_cstr(&errors),
	    "none.conf: cannot be read: No such file or directory\n"
	    ".: cannot be read: Is a directory\n");
	buf_free(&errors);
}
END_TEST

START_TEST(sample_loads)
{
	struct buf errors = { 0 };
	struct conf *c = conf_load(sample, &errors);

	ck_assert_msg(c != NULL, "%s", buf_cstr(&errors));
	conf_unref(&c);
	buf_free(&errors);
}
END_TEST

static Suite *
suite(void)
{
	Suite *s = suite_create("conf/load");
	TCase *tc = tcase_create("load");
	char *top = getcwd(NULL, 0);

	sample = xasprintf("%s/conf/relayd.conf", top);
	free(top);
	tcase_add_checked_fixture(tc, folder_enter, folder_leave);
	tcase_add_loop_test(tc, load_bad, 0, COUNT_OF(bad));
	tcase_add_loop_test(tc, load_doubtful, 0, COUNT_OF(doubtful));
	tcase_add_test(tc, one_line_is_complete);
	tcase_add_test(tc, connectors_of_the_design);
	tcase_add_test(tc, included_files_are_named);
	tcase_add_test(tc, not_a_file);
	tcase_add_test(tc, sample_loads);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(suite)
