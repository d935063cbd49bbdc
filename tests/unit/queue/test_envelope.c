/*
 * test_envelope.c - ids as text, envelopes through their wire form, domains.
 */
#include "queue/envelope.h"

#include <string.h>

#include "tests/unit/check_main.h"

START_TEST(id_text_and_back)
{
	struct msgid id, back;
	char text[MSGID_TEXT_MAX];

	for (int i = 0; i < 2000; i++) {
		msgid_mint(&id, 1700000000000 + i);
		ck_assert_uint_eq(strlen(msgid_text(&id, text)), MSGID_TEXT_MAX - 1);
		ck_assert(msgid_parse(text, &back));
		ck_assert_mem_eq(&id, &back, sizeof(id));
		ck_assert_int_eq(msgid_wall_ms(&id), 1700000000000 + i);
	}
}
END_TEST

START_TEST(id_known_text)
{
	struct msgid id;
	char text[MSGID_TEXT_MAX];

	memset(&id, 0, sizeof(id));
	ck_assert_str_eq(msgid_text(&id, text), "00000000000000000000000000");
	memset(&id, 0xff, sizeof(id));
	ck_assert_str_eq(msgid_text(&id, text), "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
	ck_assert(msgid_parse("0000000000000000000000001a", &id));
	ck_assert_uint_eq(id.b[15], 42);
}
END_TEST

START_TEST(id_orders_by_time)
{
	struct msgid a, b;
	char ta[MSGID_TEXT_MAX], tb[MSGID_TEXT_MAX];

	msgid_mint(&a, 1700000000000);
	msgid_mint(&b, 1700000000001);
	ck_assert_int_lt(memcmp(&a, &b, sizeof(a)), 0);
	ck_assert_int_lt(strcmp(msgid_text(&a, ta), msgid_text(&b, tb)), 0);
}
END_TEST

START_TEST(id_nonsense)
{
	static const char *const texts[] = {
		"", "0", "0000000000000000000000000", "000000000000000000000000000",
		"8ZZZZZZZZZZZZZZZZZZZZZZZZZ", "0000000000000000000000000U",
		"0000000000000 000000000000",
	};
	struct msgid id;

	for (size_t i = 0; i < COUNT_OF(texts); i++)
		ck_assert_msg(!msgid_parse(texts[i], &id), "%s", texts[i]);
}
END_TEST

START_TEST(id_tail)
{
	struct msgid id;

	ck_assert(msgid_parse("01HZXW5T6Y7ABCDEFGHJKMNPQR", &id));
	ck_assert(msgid_has_tail(&id, "R"));
	ck_assert(msgid_has_tail(&id, "mnpqr"));
	ck_assert(msgid_has_tail(&id, "01hzxw5t6y7abcdefghjkmnpqr"));
	ck_assert(!msgid_has_tail(&id, "Q"));
	ck_assert(!msgid_has_tail(&id, ""));
	ck_assert(!msgid_has_tail(&id, "001HZXW5T6Y7ABCDEFGHJKMNPQR"));
}
END_TEST

static struct recipient two[] = {
	{ .address = "b@x.example", .notify = NOTIFY_DELAY },
	{ .address = "c@y.example", .orcpt = "rfc822;c@z.example" },
};
static const struct envelope sample = {
	.sender = "", .envid = "E1", .listener = "*:25", .client = "192.0.2.7",
	.helo = "h.example", .ret = 2, .body_8bit = true, .arrival_wall_ms = 1700000000123,
	.recipients = two, .nrecipients = 2,
};

START_TEST(envelope_there_and_back)
{
	struct buf b = { NULL, 0, 0 };
	struct envelope e;
	struct rd r;

	envelope_encode(&sample, &b);
	r = rd_of(b.data, b.len);
	ck_assert(envelope_decode(&e, &r));
	ck_assert_uint_eq(rd_left(&r), 0);
	ck_assert_str_eq(e.sender, "");
	ck_assert_str_eq(e.envid, "E1");
	ck_assert_str_eq(e.listener, "*:25");
	ck_assert_str_eq(e.client, "192.0.2.7");
	ck_assert_str_eq(e.helo, "h.example");
	ck_assert_uint_eq(e.ret, 2);
	ck_assert(e.body_8bit && !e.smtputf8);
	ck_assert_int_eq(e.arrival_wall_ms, 1700000000123);
	ck_assert_uint_eq(e.nrecipients, 2);
	ck_assert_str_eq(e.recipients[0].address, "b@x.example");
	ck_assert_ptr_null(e.recipients[0].orcpt);
	ck_assert_uint_eq(e.recipients[0].notify, NOTIFY_DELAY);
	ck_assert_str_eq(e.recipients[1].orcpt, "rfc822;c@z.example");
	envelope_free(&e);
	ck_assert_uint_eq(e.nrecipients, 0);
	envelope_free(&e);
	buf_free(&b);
}
END_TEST

/* Every shorter form is nonsense, and leaves nothing behind. */
START_TEST(envelope_cut_short)
{
	struct buf b = { NULL, 0, 0 };

	envelope_encode(&sample, &b);
	for (size_t n = 0; n < b.len; n++) {
		struct envelope e = { .nrecipients = 9 };
		struct rd r = rd_of(b.data, n);

		ck_assert(!envelope_decode(&e, &r));
		ck_assert_uint_eq(e.nrecipients, 0);
		ck_assert_ptr_null(e.sender);
	}
	buf_free(&b);
}
END_TEST

/* A count of recipients that the rest cannot hold must not allocate for them. */
START_TEST(envelope_lying_count)
{
	struct envelope none = { .sender = "" }, e;
	struct buf b = { NULL, 0, 0 };
	struct rd r;

	envelope_encode(&none, &b);
	buf_set_u32(&b, b.len - 4, 0xffffffffu);
	r = rd_of(b.data, b.len);
	ck_assert(!envelope_decode(&e, &r));
	buf_free(&b);
}
END_TEST

static const struct {
	const char *address, *domain;
} domains[] = {
	{ "a@B.Example", "b.example" },
	{ "a@b.example.", "b.example" },
	{ "\"x@y\"@b.example", "b.example" },
	{ "a@[192.0.2.1]", "[192.0.2.1]" },
	{ "a@[IPv6:2001:DB8::1]", "[ipv6:2001:db8::1]" },
	{ "", NULL },
	{ "a", NULL },
	{ "a@", NULL },
	{ "\"x@y\"", NULL },
};

START_TEST(domain_of)
{
	char buf[DOMAIN_MAX] = "poison";
	bool ok = address_domain(domains[_i].address, buf);

	ck_assert(ok == (domains[_i].domain != NULL));
	ck_assert_str_eq(buf, ok ? domains[_i].domain : "");
}
END_TEST

START_TEST(domain_too_long)
{
	char address[DOMAIN_MAX + 10], buf[DOMAIN_MAX];

	memset(address, 'a', sizeof(address));
	address[1] = '@';
	address[2 + DOMAIN_MAX] = '\0';
	ck_assert(!address_domain(address, buf));
	address[2 + DOMAIN_MAX - 1] = '\0';
	ck_assert(address_domain(address, buf));
}
END_TEST

static Suite *
envelope_suite(void)
{
	Suite *s = suite_create("queue/envelope");
	TCase *tc = tcase_create("envelope");

	tcase_add_test(tc, id_text_and_back);
	tcase_add_test(tc, id_known_text);
	tcase_add_test(tc, id_orders_by_time);
	tcase_add_test(tc, id_nonsense);
	tcase_add_test(tc, id_tail);
	tcase_add_test(tc, envelope_there_and_back);
	tcase_add_test(tc, envelope_cut_short);
	tcase_add_test(tc, envelope_lying_count);
	tcase_add_loop_test(tc, domain_of, 0, COUNT_OF(domains));
	tcase_add_test(tc, domain_too_long);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(envelope_suite)
