/*
 * test_session.c - whole dialogues with the receiving side, each in one burst,
 * line by line and octet by octet; limits; what happens when the queue says
 * no, the client leaves, or the role drains.
 */
// LINK-FAKE: queue
#include "mta/rx/session.h"

#include <fcntl.h>
#include <stdlib.h>

#include "mta/base/counters.h"
#include "tests/unit/check_main.h"
#include "tests/unit/rx/rx_harness.h"

#define EHLO "EHLO c.example\r\n"
#define MAIL "MAIL FROM:<a@s.example>\r\n"
#define RCPT "RCPT TO:<b@x.example>\r\n"
#define BODY "Subject: x\r\n\r\nhello\r\n.\r\n"
#define E_OK "220|250|"

static const struct {
	const char *name, *send, *want;
} dialogues[] = {
	{ "one message", EHLO MAIL RCPT "DATA\r\n" BODY "QUIT\r\n",
	  E_OK "250 2.1.0|250 2.1.5|354|250 2.0.0|221 2.0.0!" },
	{ "helo", "HELO c\r\n" MAIL RCPT "DATA\r\n" BODY "QUIT\r\n",
	  E_OK "250 2.1.0|250 2.1.5|354|250 2.0.0|221 2.0.0!" },
	{ "two messages", EHLO MAIL RCPT "DATA\r\n" BODY MAIL RCPT "DATA\r\n" BODY "QUIT\r\n",
	  E_OK "250 2.1.0|250 2.1.5|354|250 2.0.0|250 2.1.0|250 2.1.5|354|250 2.0.0|221 2.0.0!" },
	{ "lower case", "ehlo c\r\nmail from:<a@b>\r\nrcpt to:<b@x.example>\r\nquit\r\n",
	  E_OK "250 2.1.0|250 2.1.5|221 2.0.0!" },
	{ "line ends by LF", "EHLO c\nMAIL FROM:<a@b>\nQUIT\n", E_OK "250 2.1.0|221 2.0.0!" },
	{ "null sender", EHLO "MAIL FROM:<>\r\n" RCPT "DATA\r\n" BODY,
	  E_OK "250 2.1.0|250 2.1.5|354|250 2.0.0" },
	{ "no helo", MAIL RCPT "DATA\r\nQUIT\r\n",
	  "220|503 5.5.1|503 5.5.1|503 5.5.1|221 2.0.0!" },
	{ "nested mail", EHLO MAIL MAIL, E_OK "250 2.1.0|503 5.5.1" },
	{ "rcpt first", EHLO RCPT, E_OK "503 5.5.1" },
	{ "data first", EHLO "DATA\r\n", E_OK "503 5.5.1" },
	{ "data without rcpt", EHLO MAIL "DATA\r\n", E_OK "250 2.1.0|503 5.5.1" },
	{ "mail after rcpt", EHLO MAIL RCPT MAIL, E_OK "250 2.1.0|250 2.1.5|503 5.5.1" },
	{ "rset", EHLO MAIL RCPT "RSET\r\n" RCPT MAIL,
	  E_OK "250 2.1.0|250 2.1.5|250 2.0.0|503 5.5.1|250 2.1.0" },
	{ "rset before ehlo", "RSET\r\n" MAIL, "220|250 2.0.0|503 5.5.1" },
	{ "ehlo resets", EHLO MAIL RCPT EHLO "DATA\r\n",
	  E_OK "250 2.1.0|250 2.1.5|250|503 5.5.1" },
	{ "anywhere", "NOOP\r\nHELP\r\nVRFY a\r\nEXPN a\r\n" EHLO "NOOP x y\r\n" MAIL
	  "NOOP\r\nVRFY b\r\n" RCPT "HELP me\r\nEXPN x\r\n",
	  "220|250 2.0.0|214 2.0.0|252 2.5.0|502 5.5.1|250|250 2.0.0|250 2.1.0|250 2.0.0|"
	  "252 2.5.0|250 2.1.5|214 2.0.0|502 5.5.1" },
	{ "unknown", "XYZZY\r\n\r\n" EHLO "STARTTLS\r\nAUTH PLAIN x\r\nBDAT 3\r\n",
	  "220|500 5.5.1|500 5.5.1|250|500 5.5.1|500 5.5.1|500 5.5.1" },
	{ "arguments", "EHLO\r\nHELO \r\n" EHLO "VRFY\r\nRSET x\r\nQUIT x\r\nMAIL\r\n"
	  "MAIL <a@b>\r\n" MAIL "RCPT\r\nRCPT <b@x.example>\r\n" RCPT "DATA x\r\n",
	  "220|501 5.5.4|501 5.5.4|250|501 5.5.4|501 5.5.4|501 5.5.4|501 5.5.4|501 5.5.4|"
	  "250 2.1.0|501 5.5.4|501 5.5.4|250 2.1.5|501 5.5.4" },
	{ "bad addresses", EHLO "MAIL FROM:a@b\r\nMAIL FROM:<a@>\r\nMAIL FROM:<\xc3\xa4@b>\r\n" MAIL
	  "RCPT TO:<>\r\nRCPT TO:x@x.example\r\nRCPT TO:<x@-x.example>\r\n",
	  E_OK "501 5.1.7|501 5.1.7|553 5.6.7|250 2.1.0|501 5.1.3|501 5.1.3|501 5.1.3" },
	{ "blank after colon", EHLO "MAIL FROM: <a@b>\r\nRCPT TO: <b@x.example>\r\n",
	  E_OK "250 2.1.0|250 2.1.5" },
	{ "parameters", EHLO "MAIL FROM:<a@b> SIZE=100 BODY=8BITMIME\r\nRSET\r\n"
	  "MAIL FROM:<a@b> body=7bit size=5000\r\nRSET\r\nMAIL FROM:<a@b> SIZE=5001\r\n"
	  "MAIL FROM:<a@b> SIZE=x\r\nMAIL FROM:<a@b> SIZE\r\nMAIL FROM:<a@b> BODY=BINARYMIME\r\n"
	  "MAIL FROM:<a@b> RET=FULL\r\nMAIL FROM:<a@b> =\r\nMAIL FROM:<a@b>x\r\n" MAIL
	  "RCPT TO:<b@x.example> NOTIFY=NEVER\r\nRCPT TO:<b@x.example>,<c@x.example>\r\n",
	  E_OK "250 2.1.0|250 2.0.0|250 2.1.0|250 2.0.0|552 5.3.4|501 5.5.4|501 5.5.4|501 5.5.4|"
	  "555 5.5.4|501 5.5.4|555 5.5.4|250 2.1.0|555 5.5.4|501 5.5.4" },
	{ "no route", EHLO MAIL "RCPT TO:<b@y.example>\r\nRCPT TO:<b@[192.0.2.1]>\r\n" RCPT,
	  E_OK "250 2.1.0|550 5.7.1|550 5.7.1|250 2.1.5" },
	{ "too many recipients", EHLO MAIL RCPT RCPT RCPT RCPT RCPT RCPT "DATA\r\n" BODY,
	  E_OK "250 2.1.0|250 2.1.5|250 2.1.5|250 2.1.5|250 2.1.5|250 2.1.5|452 4.5.3|354|"
	  "250 2.0.0" },
	{ "bare LF in content", EHLO MAIL RCPT "DATA\r\na\nb\r\n.\r\n" MAIL,
	  E_OK "250 2.1.0|250 2.1.5|354|550 5.6.11|250 2.1.0" },
	{ "bare CR in content", EHLO MAIL RCPT "DATA\r\na\rb\r\n.\r\nQUIT\r\n",
	  E_OK "250 2.1.0|250 2.1.5|354|550 5.6.11|221 2.0.0!" },
	{ "smuggling", EHLO MAIL RCPT "DATA\r\na\n.\r\n" MAIL RCPT "DATA\r\nb\r\n.\r\nQUIT\r\n",
	  E_OK "250 2.1.0|250 2.1.5|354|550 5.6.11|221 2.0.0!" },
	{ "dots", EHLO MAIL RCPT "DATA\r\n..a\r\n...\r\n.\r\n",
	  E_OK "250 2.1.0|250 2.1.5|354|250 2.0.0" },
	{ "empty content", EHLO MAIL RCPT "DATA\r\n.\r\n",
	  E_OK "250 2.1.0|250 2.1.5|354|250 2.0.0" },
	{ "commands after quit", EHLO "QUIT\r\nNOOP\r\n" MAIL, E_OK "221 2.0.0!" },
};

START_TEST(in_one_burst)
{
	int fd = h_client(true);

	ck_assert_str_eq(h_talk(fd, dialogues[_i].send), dialogues[_i].want);
	close(fd);
}
END_TEST

/* Splits the text into pieces that end in LF, or of one octet. */
static void
in_pieces(int i, bool octets)
{
	const char *s = dialogues[i].send;
	int fd = h_client(true);

	while (*s != '\0') {
		size_t n = octets ? 1 : strcspn(s, "\n") + 1;

		h_send(fd, s, n);
		h_pump(octets && *s != '\n' ? 2 : TURNS);
		s += n;
	}
	ck_assert_str_eq(h_talk(fd, ""), dialogues[i].want);
	close(fd);
}

START_TEST(line_by_line)
{
	in_pieces(_i, false);
}
END_TEST

START_TEST(octet_by_octet)
{
	in_pieces(_i, true);
}
END_TEST

START_TEST(what_the_queue_gets)
{
	const struct fake_message *m = &fake_queue.messages[0];
	char id[MSGID_TEXT_MAX], by[200];
	int fd = h_client(true);

	h_talk(fd, EHLO "MAIL FROM:<a@s.example> BODY=8BITMIME\r\n" RCPT
	    "RCPT TO:<@r.example:c@X.Example>\r\nRCPT TO:<bad@y.example>\r\n"
	    "DATA\r\nSubject: x\r\n\r\n..dot\r\n\xc3\xa4\r\n.\r\n");
	ck_assert_uint_eq(fake_queue.nmessages, 1);
	ck_assert_str_eq(m->sender, "a@s.example");
	ck_assert_str_eq(m->recipients, "b@x.example c@X.Example");
	ck_assert_str_eq(m->listener, "in");
	ck_assert_str_eq(m->client, "192.0.2.7");
	ck_assert_str_eq(m->helo, "c.example");
	ck_assert(m->body_8bit && m->crc_ok && !m->body_file);
	snprintf(by, sizeof(by), "Received: from c.example ([192.0.2.7])\r\n\tby mx.example"
	    " with ESMTP id %s;\r\n\t", msgid_text(&m->id, id));
	ck_assert_int_eq(strncmp(m->body, by, strlen(by)), 0);
	ck_assert_str_eq(strstr(m->body, "\r\nSubject"),
	    "\r\nSubject: x\r\n\r\n.dot\r\n\xc3\xa4\r\n");
	ck_assert_uint_eq(m->size, strlen(m->body));
	close(fd);
}
END_TEST

/* What a transaction began must not show in the next one. */
static const char *const resets[] = { "RSET\r\n", EHLO, "HELO c\r\n" };

START_TEST(nothing_is_left_of_a_reset_transaction)
{
	const struct fake_message *m = &fake_queue.messages[0];
	int fd = h_client(true);

	h_talk(fd, EHLO "MAIL FROM:<old@s.example> BODY=8BITMIME SIZE=9\r\n"
	    "RCPT TO:<old@x.example>\r\n");
	h_talk(fd, resets[_i]);
	ck_assert_str_eq(h_talk(fd, MAIL RCPT "DATA\r\n" BODY),
	    "250 2.1.0|250 2.1.5|354|250 2.0.0");
	ck_assert_str_eq(m->sender, "a@s.example");
	ck_assert_str_eq(m->recipients, "b@x.example");
	ck_assert(!m->body_8bit);
	close(fd);
}
END_TEST

/* Nor what a refused MAIL said. */
START_TEST(refused_mail_leaves_nothing)
{
	int fd = h_client(true);

	ck_assert_str_eq(h_talk(fd, EHLO "MAIL FROM:<old@s.example> BODY=8BITMIME X=1\r\n"
	    MAIL RCPT "DATA\r\n" BODY),
	    E_OK "555 5.5.4|250 2.1.0|250 2.1.5|354|250 2.0.0");
	ck_assert(!fake_queue.messages[0].body_8bit);
	ck_assert_str_eq(fake_queue.messages[0].sender, "a@s.example");
	close(fd);
}
END_TEST

START_TEST(postmaster_is_ours)
{
	int fd = h_client(true);

	ck_assert_str_eq(h_talk(fd, EHLO MAIL "RCPT TO:<Postmaster>\r\n"),
	    E_OK "250 2.1.0|550 5.7.1");	/* mx.example has no connector */
	h_domains[0] = h_host;
	rx_reload(&h_rx, &h_conf);
	ck_assert_str_eq(h_talk(fd, "RSET\r\n" MAIL "RCPT TO:<Postmaster>\r\nDATA\r\n" BODY),
	    "250 2.0.0|250 2.1.0|250 2.1.5|354|250 2.0.0");
	ck_assert_str_eq(fake_queue.messages[0].recipients, "Postmaster@mx.example");
	close(fd);
}
END_TEST

START_TEST(stranger)
{
	int fd = h_client(false);

	ck_assert_str_eq(h_talk(fd, EHLO MAIL RCPT "RCPT TO:<b@y.example>\r\nDATA\r\nQUIT\r\n"),
	    E_OK "250 2.1.0|550 5.7.1|550 5.7.1|503 5.5.1|221 2.0.0!");
	close(fd);
}
END_TEST

START_TEST(ehlo_keywords)
{
	char text[1000];
	bool eof;
	int fd = h_client(true);

	h_read(fd, text, sizeof(text), &eof);
	ck_assert_str_eq(text, "220 mx.example ESMTP relayd\r\n");
	h_send(fd, EHLO, strlen(EHLO));
	h_pump(TURNS);
	h_read(fd, text, sizeof(text), &eof);
	ck_assert_str_eq(text, "250-mx.example\r\n250-PIPELINING\r\n250-SIZE 5000\r\n"
	    "250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 HELP\r\n");
	close(fd);
}
END_TEST

START_TEST(long_command_lines)
{
	char line[20000];
	int fd = h_client(true);

	memset(line, 'x', sizeof(line));
	memcpy(line, "NOOP ", 5);
	memcpy(line + SMTP_COMMAND_MAX - 2, "\r\n", 3);	/* as long as may be */
	ck_assert_str_eq(h_talk(fd, line), "220|250 2.0.0");
	memset(line + SMTP_COMMAND_MAX - 2, 'x', 3);
	memcpy(line + SMTP_COMMAND_MAX - 1, "\r\n", 3);
	ck_assert_str_eq(h_talk(fd, line), "500 5.5.2");
	memset(line + SMTP_COMMAND_MAX - 2, 'x', 10);
	memcpy(line + sizeof(line) - 3, "\r\n", 3);
	ck_assert_str_eq(h_talk(fd, line), "500 5.5.2");
	ck_assert_str_eq(h_talk(fd, "NOOP\r\n"), "250 2.0.0");
	close(fd);
}
END_TEST

START_TEST(nul_in_a_command)
{
	int fd = h_client(true);

	h_talk(fd, EHLO);
	h_send(fd, "NOOP \0\r\n", 8);
	ck_assert_str_eq(h_talk(fd, "NOOP\r\n"), "501 5.5.4|250 2.0.0");
	close(fd);
}
END_TEST

START_TEST(too_many_errors)
{
	int fd = h_client(true);

	for (int i = 0; i < 20; i++)
		ck_assert_str_eq(h_talk(fd, "X\r\n"), i == 0 ? "220|500 5.5.1" : "500 5.5.1");
	ck_assert_str_eq(h_talk(fd, "X\r\nNOOP\r\n"), "500 5.5.1|421 4.7.0!");
	close(fd);
}
END_TEST

/* A body of n octets in lines, then the dot. */
static char *
body_of(size_t n)
{
	char *s = malloc(n + 10);

	for (size_t i = 0; i < n; i++)
		s[i] = i % 70 == 69 ? '\n' : i % 70 == 68 ? '\r' : 'x';
	memcpy(s + n - 2, "\r\n.\r\n", 6);
	return s;
}

START_TEST(size_limit_is_exact)
{
	char *fits = body_of(5000 / 70 * 70 + 2), *big = body_of(5002 / 70 * 70 + 70);
	int fd = h_client(true);

	h_conf.spool.large_bytes = 100000;
	h_listener.size_bytes = strlen(fits) - 3;
	ck_assert_str_eq(h_talk(fd, EHLO MAIL RCPT "DATA\r\n"), E_OK "250 2.1.0|250 2.1.5|354");
	ck_assert_str_eq(h_talk(fd, fits), "250 2.0.0");
	ck_assert_str_eq(h_talk(fd, MAIL RCPT "DATA\r\n"), "250 2.1.0|250 2.1.5|354");
	ck_assert_str_eq(h_talk(fd, big), "552 5.3.4");
	ck_assert_str_eq(h_talk(fd, MAIL RCPT "DATA\r\n"), "250 2.1.0|250 2.1.5|354");
	ck_assert_str_eq(h_talk(fd, fits), "250 2.0.0");
	ck_assert_uint_eq(h_rx.body_bytes, 0);
	free(fits);
	free(big);
	close(fd);
}
END_TEST

START_TEST(too_many_hops)
{
	char *s = malloc(60 * 20);
	int fd = h_client(true);

	for (int hops = 50; hops <= 51; hops++) {
		s[0] = '\0';
		for (int i = 0; i < hops; i++)
			strcat(s, "Received: x\r\n");
		strcat(s, "\r\n.\r\n");
		h_talk(fd, EHLO MAIL RCPT "DATA\r\n");
		ck_assert_str_eq(h_talk(fd, s), hops == 50 ? "250 2.0.0" : "554 5.4.6");
	}
	free(s);
	close(fd);
}
END_TEST

static const struct {
	enum queue_result result;
	uint8_t class_, subject, detail;
	unsigned reply;
	const char *want;
} answers[] = {
	{ QUEUE_DONE, 0, 0, 0, 0, "250 2.0.0" },
	{ QUEUE_REFUSED, 4, 3, 1, 0, "452 4.3.1" },
	{ QUEUE_REFUSED, 4, 3, 0, 0, "451 4.3.0" },
	{ QUEUE_REFUSED, 5, 3, 0, 0, "554 5.3.0" },
	{ QUEUE_REFUSED, 4, 3, 0, 450, "450 4.3.0" },
	{ QUEUE_UNKNOWN, 0, 0, 0, 0, "451 4.3.0" },
};

START_TEST(answers_of_the_queue)
{
	int fd = h_client(true);

	fake_queue.result = answers[_i].result;
	status_set(&fake_queue.status, answers[_i].class_, answers[_i].subject,
	    answers[_i].detail, STAGE_queue, REASON_local, "because");
	fake_queue.status.reply = (uint16_t)answers[_i].reply;
	h_talk(fd, EHLO MAIL RCPT "DATA\r\n");
	ck_assert_str_eq(h_talk(fd, BODY), answers[_i].want);
	fake_queue.result = QUEUE_DONE;		/* and the session goes on */
	ck_assert_str_eq(h_talk(fd, MAIL RCPT "DATA\r\n" BODY),
	    "250 2.1.0|250 2.1.5|354|250 2.0.0");
	ck_assert_uint_eq(h_rx.body_bytes, 0);
	close(fd);
}
END_TEST

START_TEST(client_waits_for_the_queue)
{
	int fd = h_client(true);

	fake_queue.hold = true;
	ck_assert_str_eq(h_talk(fd, EHLO MAIL RCPT "DATA\r\n" BODY MAIL "QUIT\r\n"),
	    E_OK "250 2.1.0|250 2.1.5|354");
	ck_assert_str_eq(h_talk(fd, ""), "");
	fake_queue_release();
	ck_assert_str_eq(h_talk(fd, ""), "250 2.0.0|250 2.1.0|221 2.0.0!");
	close(fd);
}
END_TEST

/* A list with stale domains in it is no attack: the good recipient is still taken. */
START_TEST(many_unroutable_recipients)
{
	int fd = h_client(true);

	h_talk(fd, EHLO MAIL);
	for (unsigned i = 0; i < 60; i++)
		ck_assert_str_eq(h_talk(fd, "RCPT TO:<c@stale.example>\r\n"), "550 5.7.1");
	ck_assert_str_eq(h_talk(fd, RCPT), "250 2.1.5");
	close(fd);
}
END_TEST

/* "nc -N": all at once, then the write side is closed. */
START_TEST(half_closed_client_is_answered)
{
	int fd = h_client(true);

	fake_queue.hold = true;
	h_talk(fd, EHLO MAIL RCPT "DATA\r\n" BODY "QUIT\r\n");
	shutdown(fd, SHUT_WR);
	h_pump(TURNS);
	fake_queue_release();
	ck_assert_str_eq(h_talk(fd, ""), "250 2.0.0|221 2.0.0!");
	ck_assert_uint_eq(fake_queue.nmessages, 1);
	close(fd);
}
END_TEST

static const char *const leave_at[] = {
	"", EHLO, EHLO MAIL, EHLO MAIL RCPT, EHLO MAIL RCPT "DATA\r\n",
	EHLO MAIL RCPT "DATA\r\nhalf a li", EHLO MAIL RCPT "DATA\r\n" BODY, EHLO MAIL "RCPT T",
};

START_TEST(client_leaves)
{
	int64_t open = counter_sum(C_rx_sessions_open);
	int fd = h_client(true);

	ck_assert_int_eq(counter_sum(C_rx_sessions_open), open + 1);
	h_talk(fd, leave_at[_i]);
	close(fd);
	h_pump(TURNS);
	ck_assert_int_eq(counter_sum(C_rx_sessions_open), open);
	ck_assert(list_empty(&h_rx.sessions));
	ck_assert_uint_eq(h_l->sessions, 0);
	ck_assert_uint_eq(h_rx.body_bytes, 0);
}
END_TEST

START_TEST(freed_while_the_queue_works)
{
	int fd = h_client(true);

	fake_queue.hold = true;
	h_talk(fd, EHLO MAIL RCPT "DATA\r\n" BODY);
	rx_session_free(LIST_OWNER(h_rx.sessions.next, struct rx_session, node));
	ck_assert_uint_eq(fake_queue.cancelled, 1);
	fake_queue_release();
	h_pump(TURNS);
	ck_assert_uint_eq(fake_queue.nmessages, 0);
	close(fd);
}
END_TEST

START_TEST(silence)
{
	int fd;

	h_listener.idle_ms = 1;
	fd = h_client(true);
	nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	ck_assert_str_eq(h_talk(fd, ""), "220|421 4.4.2!");
	close(fd);
}
END_TEST

START_TEST(drain_idle_and_busy)
{
	int idle = h_client(true), mail = h_client(true), busy = h_client(true),
	    data = h_client(true);

	h_talk(idle, EHLO);
	h_talk(mail, EHLO MAIL RCPT);
	h_talk(data, EHLO MAIL RCPT "DATA\r\nx\r\n");
	fake_queue.hold = true;
	h_talk(busy, EHLO MAIL RCPT "DATA\r\n" BODY);
	rx_drain(&h_rx);
	ck_assert_str_eq(h_talk(idle, ""), "421 4.3.2!");
	ck_assert_str_eq(h_talk(mail, ""), "421 4.3.2!");
	ck_assert_str_eq(h_talk(busy, ""), "");
	fake_queue_release();
	ck_assert_str_eq(h_talk(busy, ""), "250 2.0.0|421 4.3.2!");
	ck_assert_str_eq(h_talk(data, "y\r\n.\r\n"), "250 2.0.0|421 4.3.2!");
	close(idle);
	close(mail);
	close(busy);
	close(data);
	h_pump(TURNS);
	ck_assert(list_empty(&h_rx.sessions));
}
END_TEST

START_TEST(drain_runs_out_of_time)
{
	int busy = h_client(true), data = h_client(true);

	fake_queue.hold = true;
	h_talk(busy, EHLO MAIL RCPT "DATA\r\n" BODY);
	h_talk(data, EHLO MAIL RCPT "DATA\r\nx\r\n");
	rx_drain(&h_rx);
	rx_drain_over(&h_rx);
	ck_assert_str_eq(h_talk(data, ""), "421 4.3.2!");
	ck_assert_str_eq(h_talk(busy, ""), "421 4.3.2!");
	ck_assert_uint_eq(fake_queue.cancelled, 1);
	fake_queue_release();
	h_pump(TURNS);
	close(busy);
	close(data);
}
END_TEST

START_TEST(pressure_stops_reading)
{
	int a = h_client(true), b = h_client(true);

	fake_queue.pressure = QUEUE_PRESSURE + 1;
	ck_assert_str_eq(h_talk(a, EHLO MAIL RCPT "DATA\r\n" BODY),
	    E_OK "250 2.1.0|250 2.1.5|354|250 2.0.0");
	ck_assert_str_eq(h_talk(a, "NOOP\r\n"), "");
	ck_assert_str_eq(h_talk(b, EHLO), "220");
	fake_queue_relief();
	ck_assert_str_eq(h_talk(a, ""), "250 2.0.0");
	ck_assert_str_eq(h_talk(b, ""), "250");
	close(a);
	close(b);
}
END_TEST

/* Replies that nobody reads: input stops, and all come when they are wanted. */
START_TEST(client_does_not_read)
{
	enum { N = 40000 };
	static char text[N * 20];
	size_t sent = 0, got = 0;
	char *s = malloc(N * 6 + 1);
	int fd = h_client(true);
	bool eof;

	for (int i = 0; i < N; i++)
		memcpy(s + i * 6, "NOOP\r\n", 7);
	for (int i = 0; i < 200 && sent < N * 6; i++) {
		ssize_t n = send(fd, s + sent, N * 6 - sent, MSG_NOSIGNAL);

		sent += n > 0 ? (size_t)n : 0;
		h_pump(4);
	}
	for (int i = 0; i < 2000 && got < 29 + N * 14; i++) {
		ssize_t n = send(fd, s + sent, N * 6 - sent, MSG_NOSIGNAL);

		sent += n > 0 ? (size_t)n : 0;
		got += h_read(fd, text, sizeof(text), &eof);
		h_pump(4);
	}
	ck_assert_uint_eq(got, strlen("220 mx.example ESMTP relayd\r\n") + N * 14);
	free(s);
	close(fd);
}
END_TEST

START_TEST(reload_reaches_open_sessions)
{
	static struct conf_cidr other = { AF_INET, 32, { 203, 0, 113, 1 } };
	static struct conf newer;
	static struct conf_listener l;
	int fd = h_client(true);

	h_talk(fd, EHLO MAIL RCPT);
	l = h_listener;
	l.clients = &other;
	newer = h_conf;
	newer.listeners = &l;
	rx_reload(&h_rx, &newer);
	ck_assert_str_eq(h_talk(fd, RCPT "DATA\r\n" BODY), "250 2.1.5|354|250 2.0.0");
	ck_assert_str_eq(h_talk(fd, MAIL RCPT), "250 2.1.0|550 5.7.1");
	newer.nlisteners = 0;		/* the listener goes */
	rx_reload(&h_rx, &newer);
	ck_assert(list_empty(&h_rx.listeners));
	ck_assert_str_eq(h_talk(fd, "RSET\r\n" MAIL), "250 2.0.0|421 4.3.2!");
	close(fd);
}
END_TEST

/* ---- bodies that go to a file ---- */

static bool
one_message(void)
{
	return fake_queue.nmessages == 1;
}

static bool
nothing_in_memory(void)
{
	return h_rx.body_bytes == 0;
}

START_TEST(large_body)
{
	size_t n = 70 * 10000;
	char *s = body_of(n);
	const struct fake_message *m = &fake_queue.messages[0];
	int fd = h_client(true);

	h_listener.size_bytes = 10 << 20;
	h_talk(fd, EHLO MAIL RCPT "DATA\r\n");
	h_send(fd, s, strlen(s));
	ck_assert(h_until(one_message));
	ck_assert_str_eq(h_talk(fd, "NOOP\r\n"), "250 2.0.0|250 2.0.0");
	ck_assert(m->body_file && m->crc_ok);
	s[n] = '\0';
	ck_assert_str_eq(strstr(m->body, "\r\nxxxx") + 2, s);
	ck_assert_uint_eq(m->size, strlen(m->body));
	ck_assert_uint_eq(h_rx.body_bytes, 0);
	ck_assert_uint_eq(fake_queue.dropped, 0);
	free(s);
	close(fd);
}
END_TEST

START_TEST(large_body_waits_for_its_file)
{
	char *s = body_of(7000);
	int fd = h_client(true);

	h_listener.size_bytes = 10 << 20;
	fake_queue.hold_files = true;
	h_talk(fd, EHLO MAIL RCPT "DATA\r\n");
	ck_assert_str_eq(h_talk(fd, s), "");
	fake_queue_release();
	ck_assert(h_until(one_message));
	ck_assert(fake_queue.messages[0].body_file && fake_queue.messages[0].crc_ok);
	free(s);
	close(fd);
}
END_TEST

START_TEST(memory_of_all_is_bounded)
{
	int fd = h_client(true);

	h_rx.body_budget = 100;		/* a small body, but no memory left */
	h_talk(fd, EHLO MAIL RCPT "DATA\r\n" BODY);
	ck_assert(h_until(one_message));
	ck_assert(fake_queue.messages[0].body_file && fake_queue.messages[0].crc_ok);
	close(fd);
}
END_TEST

START_TEST(no_room_for_a_file)
{
	char *s = body_of(4900);
	int fd = h_client(true);

	fake_queue.no_files = true;
	h_talk(fd, EHLO MAIL RCPT "DATA\r\n");
	ck_assert_str_eq(h_talk(fd, s), "452 4.3.1");
	ck_assert_str_eq(h_talk(fd, MAIL), "250 2.1.0");
	ck_assert_uint_eq(h_rx.body_bytes, 0);
	free(s);
	close(fd);
}
END_TEST

static int the_fd;
static char the_reply[100];

static bool
replied(void)
{
	const char *codes = h_talk(the_fd, "");

	if (codes[0] == '\0')
		return false;
	snprintf(the_reply, sizeof(the_reply), "%s", codes);
	return true;
}

START_TEST(disk_full)
{
	char *s = body_of(4900);

	the_fd = h_client(true);
	fake_queue.bad_fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	ck_assert_int_ne(fake_queue.bad_fd, -1);
	h_talk(the_fd, EHLO MAIL RCPT "DATA\r\n");
	h_send(the_fd, s, strlen(s));
	ck_assert(h_until(replied));
	ck_assert_str_eq(the_reply, "452 4.3.1");
	ck_assert_uint_eq(fake_queue.dropped, 1);
	ck_assert_uint_eq(h_rx.body_bytes, 0);
	free(s);
	close(the_fd);
}
END_TEST

START_TEST(client_leaves_a_large_body)
{
	char *s = body_of(70 * 5000);
	int fd = h_client(true);

	h_listener.size_bytes = 10 << 20;
	h_talk(fd, EHLO MAIL RCPT "DATA\r\n");
	h_send(fd, s, strlen(s) - 5);
	close(fd);
	ck_assert(h_until(nothing_in_memory));
	h_pump(TURNS);
	ck_assert(list_empty(&h_rx.sessions));
	ck_assert_uint_eq(fake_queue.dropped, 1);
	free(s);
}
END_TEST

START_TEST(too_big_after_its_file_was_opened)
{
	char *s = body_of(70 * 5000);
	int fd = h_client(true);

	h_listener.size_bytes = 100000;
	h_talk(fd, EHLO MAIL RCPT "DATA\r\n");
	ck_assert_str_eq(h_talk(fd, s), "552 5.3.4");
	ck_assert(h_until(nothing_in_memory));
	ck_assert_uint_eq(fake_queue.opened, 1);
	ck_assert_uint_eq(fake_queue.dropped, 1);
	free(s);
	close(fd);
}
END_TEST

START_TEST(states_have_names)
{
	for (int st = RX_GREETED; st < RX_STATE_COUNT; st++)
		ck_assert_ptr_nonnull(rx_state_name((enum rx_state)st));
}
END_TEST

static Suite *
session_suite(void)
{
	Suite *s = suite_create("rx/session");
	TCase *tc = tcase_create("session");

	tcase_add_checked_fixture(tc, h_setup, h_teardown);
	tcase_add_loop_test(tc, in_one_burst, 0, COUNT_OF(dialogues));
	tcase_add_loop_test(tc, line_by_line, 0, COUNT_OF(dialogues));
	tcase_add_loop_test(tc, octet_by_octet, 0, COUNT_OF(dialogues));
	tcase_add_test(tc, what_the_queue_gets);
	tcase_add_loop_test(tc, nothing_is_left_of_a_reset_transaction, 0, COUNT_OF(resets));
	tcase_add_test(tc, refused_mail_leaves_nothing);
	tcase_add_test(tc, postmaster_is_ours);
	tcase_add_test(tc, stranger);
	tcase_add_test(tc, ehlo_keywords);
	tcase_add_test(tc, long_command_lines);
	tcase_add_test(tc, nul_in_a_command);
	tcase_add_test(tc, too_many_errors);
	tcase_add_test(tc, size_limit_is_exact);
	tcase_add_test(tc, too_many_hops);
	tcase_add_loop_test(tc, answers_of_the_queue, 0, COUNT_OF(answers));
	tcase_add_test(tc, client_waits_for_the_queue);
	tcase_add_test(tc, many_unroutable_recipients);
	tcase_add_test(tc, half_closed_client_is_answered);
	tcase_add_loop_test(tc, client_leaves, 0, COUNT_OF(leave_at));
	tcase_add_test(tc, freed_while_the_queue_works);
	tcase_add_test(tc, silence);
	tcase_add_test(tc, drain_idle_and_busy);
	tcase_add_test(tc, drain_runs_out_of_time);
	tcase_add_test(tc, pressure_stops_reading);
	tcase_add_test(tc, client_does_not_read);
	tcase_add_test(tc, reload_reaches_open_sessions);
	tcase_add_test(tc, large_body);
	tcase_add_test(tc, large_body_waits_for_its_file);
	tcase_add_test(tc, memory_of_all_is_bounded);
	tcase_add_test(tc, no_room_for_a_file);
	tcase_add_test(tc, disk_full);
	tcase_add_test(tc, client_leaves_a_large_body);
	tcase_add_test(tc, too_big_after_its_file_was_opened);
	tcase_add_test(tc, states_have_names);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(session_suite)
