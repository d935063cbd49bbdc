/*
 * test_rights.c - who may do what on the control socket.
 * Must never depend on the users of the machine.
 * Read next: mta/ctl/rights.c.
 */
#include "tests/unit/check_main.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf/conf.h"
#include "mta/ctl/rights.h"

#define OWN 900

static bool
lookup(const char *name, bool group, uint32_t *number_r)
{
	if (group)
		*number_r = 50;
	else
		*number_r = 1001;
	return strcmp(name, group ? "mailops" : "anna") == 0;
}

static char *look[] = { "anna", "7", "nobody-such" }, *reads[] = { "@60" };
static char *act[] = { "@mailops", "anna" };
static const struct conf_control control = {
	.look = look, .nlook = 3, .read = reads, .nread = 1, .act = act, .nact = 2,
};

static const struct { uid_t uid; gid_t gids[2]; unsigned right; } people[] = {
	{ 0, { 0, 0 }, RIGHT_ALL },
	{ OWN, { 1, 1 }, RIGHT_ALL },
	{ 1001, { 1, 1 }, RIGHT_LOOK | RIGHT_ACT },
	{ 7, { 1, 1 }, RIGHT_LOOK },
	{ 8, { 1, 60 }, RIGHT_LOOK | RIGHT_READ },
	{ 8, { 50, 60 }, RIGHT_ALL },
	{ 8, { 1, 1 }, 0 },
	{ 50, { 1, 7 }, 0 },		/* a user is no group */
};

START_TEST(rights_by_credentials)
{
	struct peer_ids ids = { .uid = people[_i].uid, .ngids = 2 };
	struct rights r = { 0 };
	struct buf unknown = { 0 };

	ids.gids = (gid_t[]){ people[_i].gids[0], people[_i].gids[1] };
	rights_take(&r, &control, OWN, lookup, &unknown);
	ck_assert_str_eq(buf_cstr(&unknown), "nobody-such\n");
	ck_assert_uint_eq(rights_of(&r, &ids), people[_i].right);
	buf_free(&unknown);
	rights_free(&r);
}
END_TEST

/* After the role closed itself in, names cannot be looked up any more. */
START_TEST(a_reload_remembers_names)
{
	static char *now_act[] = { "anna", "berta" };
	const struct conf_control later = { .act = now_act, .nact = 2 };
	struct peer_ids anna = { .uid = 1001 }, seven = { .uid = 7 };
	struct rights r = { 0 };
	struct buf unknown = { 0 };

	rights_take(&r, &control, OWN, lookup, &unknown);
	unknown.len = 0;
	rights_take(&r, &later, OWN, NULL, &unknown);
	ck_assert_str_eq(buf_cstr(&unknown), "berta\n");
	ck_assert_uint_eq(rights_of(&r, &anna), RIGHT_LOOK | RIGHT_ACT);
	ck_assert_uint_eq(rights_of(&r, &seven), 0);
	buf_free(&unknown);
	rights_free(&r);
}
END_TEST

START_TEST(the_kernel_tells_who_is_there)
{
	struct peer_ids ids;
	struct fault f;
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	ck_assert(peer_ids_read(&ids, pair[0], &f));
	ck_assert_uint_eq(ids.uid, geteuid());
	ck_assert_uint_ge(ids.ngids, 1);
	ck_assert_uint_eq(ids.gids[0], getegid());
	peer_ids_free(&ids);
	close(pair[0]);
	close(pair[1]);
}
END_TEST

static Suite *
suite(void)
{
	Suite *s = suite_create("ctl/rights");
	TCase *tc = tcase_create("rights");

	tcase_add_loop_test(tc, rights_by_credentials, 0, COUNT_OF(people));
	tcase_add_test(tc, a_reload_remembers_names);
	tcase_add_test(tc, the_kernel_tells_who_is_there);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(suite)
