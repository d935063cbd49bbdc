/*
 * test_received.c - our trace line, and the count of the others.
 */
#include "mta/rx/received.h"

#include <string.h>

#include "conf/conf.h"
#include "tests/unit/check_main.h"

static const struct {
	const char *helo, *client, *recipient;
	bool esmtp;
	const char *want;
} cases[] = {
	{ "h.example", "192.0.2.7", "a@b", true,
	  "Received: from h.example ([192.0.2.7])\r\n\tby mx.example with ESMTP id ID\r\n"
	  "\tfor <a@b>;\r\n\tDATE\r\n" },
	{ "h.example", "2001:db8::1", NULL, false,
	  "Received: from h.example ([IPv6:2001:db8::1])\r\n\tby mx.example with SMTP id ID;\r\n"
	  "\tDATE\r\n" },
	{ "", "192.0.2.7", NULL, true,
	  "Received: from unknown ([192.0.2.7])\r\n\tby mx.example with ESMTP id ID;\r\n"
	  "\tDATE\r\n" },
	{ "a (b) <c>;\"d\\\r\nX: y", "192.0.2.7", NULL, true,
	  "Received: from a??b???c???d???X:?y ([192.0.2.7])\r\n\tby mx.example with ESMTP id ID;"
	  "\r\n\tDATE\r\n" },
	{ "[192.0.2.1]", "192.0.2.7", NULL, true,
	  "Received: from [192.0.2.1] ([192.0.2.7])\r\n\tby mx.example with ESMTP id ID;\r\n"
	  "\tDATE\r\n" },
};

START_TEST(ours)
{
	struct buf b = { NULL, 0, 0 };
	struct conf_addr client;

	ck_assert(conf_addr_parse(cases[_i].client, &client));
	received_write(&b, &(struct rx_received){ .helo = cases[_i].helo, .client = &client,
	    .hostname = "mx.example", .esmtp = cases[_i].esmtp, .id = "ID",
	    .recipient = cases[_i].recipient, .date = "DATE" });
	ck_assert_str_eq(buf_cstr(&b), cases[_i].want);
	buf_free(&b);
}
END_TEST

static const struct {
	const char *content;
	unsigned n;
} counts[] = {
	{ "", 0 },
	{ "Received: a\r\n\r\n", 1 },
	{ "Received: a\r\n\tb\r\nreceived:c\r\nRECEIVED: d\r\nSubject: x\r\n\r\n", 3 },
	{ "Subject: Received: a\r\n\r\n", 0 },
	{ " Received: a\r\n\r\n", 0 },
	{ "X-Received: a\r\n\r\n", 0 },
	{ "Received-SPF: a\r\nReceive: b\r\n\r\n", 0 },
	{ "\r\nReceived: a\r\n", 0 },
	{ "Received: a\r\n\r\nReceived: b\r\n", 1 },
	{ "Receive\r\nReceived: b\r\n\r\n", 1 },
};

START_TEST(theirs)
{
	const uint8_t *s = (const uint8_t *)counts[_i].content;
	size_t n = strlen(counts[_i].content);

	for (size_t cut = 0; cut <= n; cut++) {
		struct received_count c = { .n = 0 };

		received_count(&c, s, cut);
		received_count(&c, s + cut, n - cut);
		ck_assert_uint_eq(c.n, counts[_i].n);
	}
}
END_TEST

static Suite *
received_suite(void)
{
	Suite *s = suite_create("rx/received");
	TCase *tc = tcase_create("received");

	tcase_add_loop_test(tc, ours, 0, COUNT_OF(cases));
	tcase_add_loop_test(tc, theirs, 0, COUNT_OF(counts));
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(received_suite)
