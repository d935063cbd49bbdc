/*
 * test_server.c - whole control sessions over a real unix socket, with the
 * queue, tx and parent played by functions of the test.
 * Must never wait by the clock: the loop runs until relayctl's end is closed.
 * Read next: tests/fake/inspect.h, mta/ctl/client.c, mta/ctl/explain.c.
 */
// LINK-FAKE: inspect
// LINK-FAKE: clock
#include "tests/unit/check_main.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "mta/base/clock.h"
#include "mta/base/loop.h"
#include "mta/ctl/client.h"
#include "mta/ctl/ctl.h"
#include "mta/proc/role.h"
#include "queue/trace.h"
#include "tests/fake/inspect.h"
#include "tests/unit/conf/folder.h"

#define CONF "hostname=\"relay.example.com\";resolv_conf=\"/dev/null\";" \
	"resolvers={system={servers=\"192.0.2.53\";};internal={servers=\"10.0.0.53\";};external={servers=\"192.0.2.1\";};};" \
	"listeners=({address=\"127.0.0.1:2525\";});" \
	"connectors=({name=\"internet\";domains=\"*\";resolve={resolvers=\"internal\";" \
	"order=\"aaaa-first\";on_failure=\"strict\";};}," \
	"{name=\"exchange\";domains=[\"corp.test\"];smarthosts=[\"192.0.2.9\"];});"

static struct loop *loop;
static struct conf *conf;
static struct sockaddr_un address = { .sun_family = AF_UNIX };

/* What the played roles saw and will say. */
static struct {
	struct buf	asked;		/* a line a question */
	bool		held;		/* a held inspect: answered by nobody */
	struct inspect	*inspect;
	unsigned	dests;		/* rows of INSPECT_QUEUE and INSPECT_DEST */
	uint64_t	acted;
	bool		paused;
	uint64_t	rows_sent;
	bool		silent_tx;	/* tx never answers … */
	struct ask	*ask;		/* … this */
} play;

static struct ctl *
the_ctl(void)
{
	return ctl_role_ctx;
}

/* ---- the queue ---- */

static void
question(struct buf *trace, const char *set, const char *name, uint16_t qtype, uint16_t outcome)
{
	struct trace_entry e = { .kind = TRACE_QUESTION };

	snprintf(e.u.question.set, sizeof e.u.question.set, "%s", set);
	snprintf(e.u.question.server, sizeof e.u.question.server, "10.0.0.53:53");
	snprintf(e.u.question.name, sizeof e.u.question.name, "%s", name);
	e.u.question.qtype = qtype;
	e.u.question.outcome = outcome;
	e.u.question.ms = 2;
	trace_add(trace, &e);
}

/* far.test, deferred because AAAA got SERVFAIL: the founding story. */
static void
dest_row(struct inspect *i, bool with_trace)
{
	struct inspect_dest d = { .state = STATE_RETRY, .count = 3, .messages = 2,
	    .failures = 4, .deferred = true };
	struct buf b = { 0 }, trace = { 0 };

	snprintf(d.connector, sizeof d.connector, "internet");
	snprintf(d.domain, sizeof d.domain, "far.test");
	d.oldest_wall_ms = clock_wall_ms() - 3600000;
	d.since_wall_ms = clock_wall_ms() - 3500000;
	d.next_wall_ms = clock_wall_ms() + 120000;
	d.expires_wall_ms = clock_wall_ms() + 86400000;
	status_set(&d.status, 4, 4, 3, STAGE_dns, REASON_dns_servfail,
	    "AAAA mx.far.test: SERVFAIL");
	if (with_trace) {
		question(&trace, "internal", "far.test", 15, OUT_NOERROR);
		question(&trace, "internal", "mx.far.test", 28, OUT_SERVFAIL);
		d.ntraces = 1;
		d.traces[0].wall_ms = clock_wall_ms() - 60000;
		d.traces[0].status = d.status;
		d.traces[0].trace = trace.data;
		d.traces[0].trace_len = (uint32_t)trace.len;
	}
	inspect_dest_encode(&d, &b);
	fake_inspect_row(i, &b);
	buf_free(&b);
	buf_free(&trace);
}

static void
status_row(struct inspect *i)
{
	const struct inspect_status s = { .messages = 2, .recipients = 3, .room = true,
	    .oldest_wall_ms = clock_wall_ms() - 3600000, .retry = 3 };
	struct buf b = { 0 };

	inspect_status_encode(&s, &b);
	fake_inspect_row(i, &b);
	buf_free(&b);
}

static void
message_row(struct inspect *i)
{
	struct inspect_message m = { .size = 812, .nrcpts = 1 };
	struct inspect_rcpt r = { .address = (char[]){ "b@far.test" },
	    .connector = (char[]){ "internet" }, .domain = (char[]){ "far.test" },
	    .word = "queued", .state = STATE_RETRY, .attempts = 4, .nhistory = 1 };
	struct recipient rcpt = { .address = (char[]){ "b@far.test" } };
	struct buf b = { 0 };

	m.envelope = (struct envelope){ .sender = (char[]){ "a@corp.test" },
	    .listener = (char[]){ "l" }, .client = (char[]){ "10.0.0.5" },
	    .helo = (char[]){ "exch" }, .recipients = &rcpt, .nrecipients = 1,
	    .arrival_wall_ms = clock_wall_ms() - 3600000 };
	r.history[0].outcome = OUTCOME_RETURNED;
	r.history[0].wall_ms = clock_wall_ms() - 60000;
	status_set(&r.history[0].status, 4, 4, 3, STAGE_dns, REASON_dns_servfail, "SERVFAIL");
	m.rcpts = &r;
	inspect_message_encode(&m, &b);
	fake_inspect_row(i, &b);
	buf_free(&b);
}

static void
cat_rows(struct inspect *i)
{
	const struct buf octets = { .data = (uint8_t[]){ 'a', 0, 0xff, '\r', '\n' }, .len = 5 };

	fake_inspect_row(i, &octets);
	fake_inspect_row(i, &octets);
}

/* Rows without end, until ctl asks for a pause. */
static void
flood(void *ctx)
{
	struct inspect *i = ctx;

	while (play.rows_sent < 20000 && !fake_inspect_paused(i)) {
		dest_row(i, false);
		play.rows_sent++;
	}
	if (play.rows_sent == 20000) {
		fake_inspect_end(i, true, play.rows_sent, "");
		return;
	}
	play.paused = true;
	loop_post(loop, flood, i);
}

static void
queue_answers(struct inspect *i, const struct inspect_request *q)
{
	const struct inspect_filter *f = &q->filter;

	buf_printf(&play.asked, "q%d flags=%u%s%s%s%s%s%s%s%s%s\n", q->verb, q->flags,
	    f->all ? " all" : "", f->domain ? " domain=" : "", f->domain ? f->domain : "",
	    f->connector ? " connector=" : "", f->connector ? f->connector : "",
	    f->id ? " id=" : "", f->id ? f->id : "", q->with ? " with=" : "",
	    q->with ? q->with : "");
	if (play.held) {
		play.inspect = i;
		loop_stop(loop);
		return;
	}
	if (q->verb == INSPECT_QUEUE && play.dests > 100) {
		flood(i);
		return;
	}
	switch (q->verb) {
	case INSPECT_STATUS:
		status_row(i);
		break;
	case INSPECT_QUEUE:
	case INSPECT_DEST:
		for (unsigned n = 0; n < play.dests; n++)
			dest_row(i, q->verb == INSPECT_DEST);
		break;
	case INSPECT_SHOW:
		message_row(i);
		break;
	case INSPECT_CAT:
		cat_rows(i);
		break;
	default:
		break;
	}
	fake_inspect_end(i, true, q->verb >= INSPECT_RETRY ? play.acted : play.dests, "");
}

/* ---- tx ---- */

/* external knows that there is no AAAA; a-first finds the A with internal too. */
static void
tx_answers(struct ask *k, unsigned tx, const struct ask_request *q)
{
	struct ask_answer *a = xcalloc(1, sizeof *a);
	const char *with = q->with != NULL ? q->with : "";
	struct buf b = { 0 }, trace = { 0 };

	buf_printf(&play.asked, "t%u.%d flags=%u %s %s kept=%d %s\n", tx, q->verb, q->flags,
	    q->connector ? q->connector : "-", q->domain ? q->domain : "-",
	    q->kept_len > 0, with);
	if (play.silent_tx) {
		play.ask = k;
		free(a);
		loop_stop(loop);
		return;
	}
	if (q->verb == ASK_DNS_CACHE) {
		buf_text(&b, "internal\tfar.test\tMX\tNOERROR\t90000\t10 mx.far.test");
		fake_ask_row(k, &b);
		b.len = 0;
		buf_text(&b, "internal\tmx.far.test\tAAAA\tSERVFAIL\t0\t");
		fake_ask_row(k, &b);
	} else if (q->verb == ASK_RESOLVE || q->verb == ASK_PROBE) {
		const bool outside = strstr(with, "external") != NULL && q->flags == 0;
		const bool good = outside || strstr(with, "a-first") != NULL;

		a->verdict = good ? 2 : strstr(with, "internal") != NULL &&
		    strstr(with, "prefer") != NULL ? 5 : 4;
		if (!good)
			status_set(&a->status, 4, 4, 3, STAGE_dns, REASON_dns_servfail,
			    "AAAA mx.far.test: SERVFAIL");
		question(&trace, outside ? "external" : "internal", "mx.far.test", 28,
		    outside ? OUT_NODATA : OUT_SERVFAIL);
		if (good) {
			a->ntargets = 1;
			snprintf(a->targets[0].host, sizeof a->targets[0].host, "mx.far.test");
			snprintf(a->targets[0].peer, sizeof a->targets[0].peer, "192.0.2.7:25");
		}
		a->trace = trace.data;
		a->trace_len = (uint32_t)trace.len;
		ask_answer_encode(a, &b);
		fake_ask_row(k, &b);
	}
	fake_ask_end(k, true, q->verb == ASK_DNS_FLUSH ? 7 : 1, "");
	buf_free(&b);
	buf_free(&trace);
	free(a);
}

/* ---- the parent ---- */

static bool
parent_answers(uint16_t type, struct rd *payload, struct buf *out)
{
	if (type == PF_ROLES) {
		buf_u32(out, 2);
		for (unsigned i = 0; i < 2; i++) {
			buf_str(out, i == 0 ? "parent" : "rx0");
			buf_u32(out, 100 + i);
			buf_u32(out, i);
			buf_i64(out, clock_wall_ms() - 7200000);
		}
		return true;
	}
	if (type == PF_CHECK) {
		char *path = rd_str(payload);

		buf_printf(&play.asked, "check %s\n", path == NULL ? "-" : path);
		free(path);
	}
	buf_u8(out, type == PF_RELOAD);
	buf_str(out, type == PF_RELOAD ? "" : "t.conf:3: x: unknown key\n");
	return true;
}

/* ---- relayctl's end ---- */

struct talk {
	int		fd;
	struct loop_io	*io;
	struct buf	in, out, err;
	int		code;		/* -1: none came */
	bool		slow;		/* reads only when the rows are paused */
};

static void
frames_take(struct talk *t)
{
	struct rd r = rd_of(t->in.data, t->in.len);

	for (;;) {
		const size_t left = rd_left(&r);
		const uint32_t len = left >= 4 ? rd_u32(&r) : 0;
		const uint8_t *p;
		uint8_t type;

		if (left < 4 || rd_left(&r) < len) {
			memmove(t->in.data, t->in.data + t->in.len - left, left);
			t->in.len = left;
			return;
		}
		type = rd_u8(&r);
		p = rd_raw(&r, len - 1);
		if (type == 'x')
			t->code = p[0];
		else
			buf_add(type == 'e' ? &t->err : &t->out, p, len - 1);
	}
}

static void
on_talk(void *ctx, bool readable, bool writable)
{
	struct talk *t = ctx;
	ssize_t n;

	(void)readable;
	(void)writable;
	if (t->slow && !play.paused)
		return;
	n = read(t->fd, buf_room(&t->in, 65536), 65536);
	if (n <= 0) {
		loop_io_want(t->io, false, false);
		loop_stop(loop);
		return;
	}
	t->in.len += (size_t)n;
	frames_take(t);
}

static void
talk_connect(struct talk *t)
{
	*t = (struct talk){ .code = -1 };
	t->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(t->fd, (struct sockaddr *)&address, sizeof address), 0);
	t->io = loop_io_new(loop, t->fd, on_talk, t);
	loop_io_want(t->io, true, false);
}

static void
talk_send(struct talk *t, unsigned flags, const char *line)
{
	struct wire_request q = { .flags = (uint8_t)flags, .cwd = (char[]){ "/home/anna" } };
	char *copy = xstrdup(line), *at = copy, *argv[16];
	struct buf b = { 0 };

	for (char *w; (w = strsep(&at, " ")) != NULL;) {
		if (*w != '\0')
			argv[q.argc++] = w;
	}
	q.argv = argv;
	wire_request_encode(&q, &b);
	ck_assert_int_eq(write(t->fd, b.data, b.len), (ssize_t)b.len);
	buf_free(&b);
	free(copy);
}

static void
talk_close(struct talk *t)
{
	loop_io_free(&t->io);
	close(t->fd);
	buf_free(&t->in);
	buf_free(&t->out);
	buf_free(&t->err);
}

/* One command from connect to close. */
static void
talk_run(struct talk *t, unsigned flags, const char *line)
{
	talk_connect(t);
	talk_send(t, flags, line);
	loop_run(loop);
}

static void
has(struct buf *b, const char *what)
{
	ck_assert_msg(strstr(buf_cstr(b), what) != NULL, "no \"%s\" in:\n%s", what, buf_cstr(b));
}

static void
has_not(struct buf *b, const char *what)
{
	ck_assert_msg(strstr(buf_cstr(b), what) == NULL, "\"%s\" in:\n%s", what, buf_cstr(b));
}

/* ---- the fixture ---- */

static void
setup(void)
{
	static const struct fake_answers answers = { queue_answers, tx_answers, parent_answers };
	struct fault f;
	char *errors;
	int fd;

	folder_enter();
	conf = folder_load(CONF, &errors);
	ck_assert_msg(conf != NULL, "%s", errors);
	free(errors);
	memset(&play, 0, sizeof play);
	play.dests = 1;
	play.acted = 3;
	fake_cancelled = 0;
	fake_role_exited = false;
	loop = loop_new();
	fake_answers_set(&answers, loop);
	ck_assert(ctl_role_ops.open(ctl_role_ctx, conf, &f));
	ctl_role_ops.start(ctl_role_ctx, loop, conf);
	snprintf(address.sun_path, sizeof address.sun_path, "%s/control", folder_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	ck_assert_int_eq(listen(fd, 8), 0);
	ctl_role_ops.listen(ctl_role_ctx, 0, fd);
}

static void
teardown(void)
{
	buf_free(&play.asked);
	folder_leave();
}

/* ---- looking ---- */

START_TEST(queue_is_a_table)
{
	struct talk t;

	talk_run(&t, 0, "queue");
	ck_assert_str_eq(buf_cstr(&t.out),
	    "NextHop   Connector  Status  Count  Oldest  NextRetry  Reason        LastError\n"
	    "far.test  internet   Retry       3   1h00m   in 2m00s  dns_servfail  "
	    "4.4.3 AAAA mx.far.test: SERVFAIL\n");
	ck_assert_int_eq(t.code, 0);
	talk_close(&t);
}
END_TEST

START_TEST(queue_is_json)
{
	struct talk t;

	talk_run(&t, WIRE_JSON, "queue far.test");
	has(&t.out, "{\"v\":1,\"next_hop\":\"far.test\",\"connector\":\"internet\","
	    "\"domain\":\"far.test\",\"status\":\"Retry\",\"count\":3,");
	has(&t.out, "\"oldest_s\":1799996400,\"age_s\":3600,");
	has(&t.out, "\"next_retry\":\"2027-01-15T08:02:00.000Z\",\"next_retry_s\":1800000120,");
	has(&t.out, "\"reason\":\"dns_servfail\",\"code\":\"4.4.3\"");
	has(&play.asked, "q2 flags=0 domain=far.test\n");
	talk_close(&t);
}
END_TEST

START_TEST(an_empty_queue_is_no_failure)
{
	struct talk t;

	play.dests = 0;
	talk_run(&t, 0, "queue");
	ck_assert_int_eq(t.code, 0);
	has(&t.out, "empty");
	talk_close(&t);
	talk_run(&t, 0, "queue near.test");
	ck_assert_int_eq(t.code, 1);
	has(&t.err, "relayctl: nothing matched\n");
	talk_close(&t);
}
END_TEST

START_TEST(status_names_roles_and_alarms)
{
	struct talk t;

	talk_run(&t, WIRE_JSON, "status");
	ck_assert_int_eq(t.code, 0);
	has(&t.out, "\"roles\":[{\"name\":\"parent\",\"pid\":100,");
	has(&t.out, "{\"name\":\"rx0\",\"pid\":101,\"restarts\":1,");
	has(&t.out, "\"uptime_s\":7200,");
	has(&t.out, "\"alarms_count\":1,\"alarms\":[{\"next_hop\":\"far.test\"");
	talk_close(&t);
	talk_run(&t, 0, "status");
	has(&t.out, "up 2h00m");
	has(&t.out, "Alarm     far.test (internet): 3 wait, the oldest for 1h00m, dns_servfail\n");
	has(&t.out, "rx0");
	talk_close(&t);
	talk_run(&t, 0, "health");
	ck_assert_int_eq(t.code, 1);
	has(&t.out, "RELAYD WARNING - 1 destination late; far.test");
	talk_close(&t);
}
END_TEST

START_TEST(show_and_cat_take_an_id)
{
	struct talk t;

	talk_run(&t, 0, "show 7K2M9");
	has(&t.out, "Sender    <a@corp.test>\n");
	has(&t.out, "  b@far.test  queued (Retry), connector internet, 4 tries");
	has(&t.out, "returned");
	talk_close(&t);
	talk_run(&t, 0, "cat 7K2M9");
	ck_assert_int_eq(t.code, 0);
	ck_assert_uint_eq(t.out.len, 10);
	ck_assert_int_eq(memcmp(t.out.data, "a\0\xff\r\na\0\xff\r\n", 10), 0);
	talk_close(&t);
	talk_run(&t, 0, "cat far.test");
	ck_assert_int_eq(t.code, 2);
	talk_close(&t);
}
END_TEST

/* The queue waits while relayctl does not read, and every row comes in the end. */
START_TEST(rows_wait_for_the_reader)
{
	struct talk t;
	size_t lines = 0;

	play.dests = 1000;
	talk_connect(&t);
	t.slow = true;
	talk_send(&t, WIRE_JSON, "queue");
	loop_run(loop);
	ck_assert(play.paused);
	for (size_t i = 0; i < t.out.len; i++)
		lines += t.out.data[i] == '\n';
	ck_assert_uint_eq(lines, 20000);
	ck_assert_int_eq(t.code, 0);
	talk_close(&t);
}
END_TEST

/* ---- acting ---- */

static const struct { const char *line; int code; const char *asked, *said; } acts[] = {
	{ "retry far.test", 0, "q7 flags=0 domain=far.test\n", "3 recipients will be tried now\n" },
	{ "retry --with resolvers=external --with ipv6=false far.test", 0,
	  "q7 flags=0 domain=far.test with=resolvers=external ipv6=false\n", "" },
	{ "retry --dry-run --all", 0, "q7 flags=1 all\n", "would be tried" },
	{ "hold --connector internet", 0, "q8 flags=0 connector=internet\n", "later mail" },
	{ "release far.test", 0, "q9 flags=0 domain=far.test\n", "released" },
	{ "remove far.test", 0, "q10 flags=2 domain=far.test\n", "senders are told" },
	{ "remove --silent 7K2M9", 0, "q10 flags=0 id=7K2M9\n", "nobody is told" },
	{ "dns flush", 0, "t0.4 flags=0 - - kept=0 \nq11 flags=0 all\n",
	  "7 cache entries forgotten, 3 recipients that waited for DNS woken\n" },
	{ "dns flush Far.Test", 0, "t0.4 flags=0 - far.test kept=0 \n", "" },
	{ "reload", 0, "", "reloaded\n" },
	{ "check new.conf", 1, "check /home/anna/new.conf\n", "t.conf:3: x: unknown key\n" },
	{ "check /etc/x.conf", 1, "check /etc/x.conf\n", "" },
	{ "retry", 2, "", "" },
	{ "remove", 2, "", "" },
	{ "retry --with resolvers=nowhere far.test", 2, "", "" },
	{ "dns", 2, "", "" },
	{ "dns servers x", 2, "", "" },
	{ "explian far.test", 2, "", "" },
	{ "help retry", 0, "", "usage: relayctl retry" },
	{ "retry --help", 0, "", "usage: relayctl retry" },
};

START_TEST(acting_verbs_ask_and_report)
{
	struct talk t;

	talk_run(&t, 0, acts[_i].line);
	ck_assert_msg(t.code == acts[_i].code, "exit %d: %s", t.code, buf_cstr(&t.err));
	has(&play.asked, acts[_i].asked);
	has(&t.out, acts[_i].said);
	if (acts[_i].code == 2)
		ck_assert_uint_eq(play.asked.len, 0);
	talk_close(&t);
}
END_TEST

START_TEST(nothing_acted_on_is_exit_1)
{
	struct talk t;

	play.acted = 0;
	talk_run(&t, 0, "retry far.test");
	ck_assert_int_eq(t.code, 1);
	has(&t.err, "nothing matched");
	talk_close(&t);
	talk_run(&t, 0, "hold far.test");	/* stands for later mail */
	ck_assert_int_eq(t.code, 0);
	talk_close(&t);
}
END_TEST

/* ---- lookups ---- */

START_TEST(resolve_tells_the_verdict)
{
	struct talk t;

	talk_run(&t, 0, "resolve far.test");
	ck_assert_int_eq(t.code, 10);
	has(&t.out, "far.test by connector internet: defer");
	has(&t.out, "asked now  internal 10.0.0.53:53 udp AAAA mx.far.test SERVFAIL 2 ms\n");
	talk_close(&t);
	talk_run(&t, WIRE_JSON, "resolve --with resolvers=external far.test");
	ck_assert_int_eq(t.code, 0);
	has(&t.out, "\"verdict\":\"deliver\"");
	has(&t.out, "\"targets\":[{\"pref\":0,\"host\":\"mx.far.test\",\"peer\":\"192.0.2.7:25\"}]");
	talk_close(&t);
	talk_run(&t, 0, "resolve --with prefer=ipv4 --with resolvers=internal far.test");
	ck_assert_int_eq(t.code, 11);
	talk_close(&t);
	talk_run(&t, 0, "resolve --connector nobody far.test");
	ck_assert_int_eq(t.code, 2);
	talk_close(&t);
}
END_TEST

START_TEST(resolve_compares_sets)
{
	struct talk t;

	talk_run(&t, 0, "resolve --compare internal,external far.test");
	ck_assert_int_eq(t.code, 10);
	has(&t.out, "AAAA     mx.far.test  SERVFAIL  NODATA    <- differ\n");
	has(&t.out, "verdict  far.test     defer     deliver");
	has(&play.asked, "resolvers=internal\n");
	has(&play.asked, "resolvers=external\n");
	talk_close(&t);
	talk_run(&t, 0, "resolve --compare internal,nowhere far.test");
	ck_assert_int_eq(t.code, 2);
	talk_close(&t);
}
END_TEST

START_TEST(dns_cache_is_listed)
{
	struct talk t;

	talk_run(&t, 0, "dns cache");
	has(&t.out, "internal  far.test     MX    NOERROR   1m30s  10 mx.far.test\n");
	has(&t.out, "internal  mx.far.test  AAAA  SERVFAIL      -  -\n");
	talk_close(&t);
	talk_run(&t, WIRE_JSON, "dns cache far.test");
	has(&t.out, "{\"v\":1,\"set\":\"internal\",\"name\":\"far.test\",\"type\":\"MX\","
	    "\"outcome\":\"NOERROR\",\"ttl_ms\":90000,\"answer\":\"10 mx.far.test\"}\n");
	talk_close(&t);
}
END_TEST

/* ---- explain ---- */

START_TEST(explain_tells_the_story)
{
	struct talk t;

	talk_run(&t, 0, "explain --all-sets far.test");
	ck_assert_int_eq(t.code, 0);
	has(&t.out, "far.test (connector internet, Retry): 3 recipients of 2 messages wait\n");
	has(&t.out, "4.4.3 AAAA mx.far.test: SERVFAIL\n");
	has(&t.out, "resolvers=internal ipv6=true order=aaaa-first on_failure=strict");
	has(&t.out, "    kept       internal 10.0.0.53:53 udp AAAA mx.far.test SERVFAIL 2 ms\n");
	has(&t.out, "    asked now  external 10.0.0.53:53 udp AAAA mx.far.test NODATA 2 ms\n");
	has(&t.out, "our DNS: resolver set internal says SERVFAIL to AAAA mx.far.test, "
	    "set external answers it");
	has(&t.out, "would deliver: order=a-first                 relayctl retry --with "
	    "order=a-first far.test   (or set resolve.order in connector \"internet\" and "
	    "relayctl reload)\n");
	has(&t.out, "would deliver: resolvers=external            relayctl retry --with "
	    "resolvers=external far.test");
	has(&t.out, "would not help: ipv6=false ");
	has(&t.out, "it would be deferred again");
	has(&play.asked, "t0.1 flags=0 internet far.test kept=0 \n");
	has(&play.asked, "kept=1 resolvers=internal,external\n");
	talk_close(&t);
}
END_TEST

START_TEST(explain_asks_only_named_sets)
{
	struct talk t;

	talk_run(&t, 0, "explain far.test");
	has(&play.asked, "t0.1 flags=1 internet far.test kept=1 resolvers=external\n");
	has(&t.out, "unknown (one resolver set)");
	has(&t.out, "not known: resolvers=external    the connector does not name this "
	    "set; explain --all-sets asks it\n");
	has_not(&t.out, "external 10.0.0.53");
	talk_close(&t);
	play.asked.len = 0;
	talk_run(&t, 0, "explain --no-ask far.test");
	has_not(&play.asked, "flags=0 internet");
	talk_close(&t);
}
END_TEST

START_TEST(explain_takes_ids_and_addresses)
{
	struct talk t;

	talk_run(&t, WIRE_JSON, "explain 7K2M9");
	ck_assert_int_eq(t.code, 0);
	has(&play.asked, "q5 flags=0 id=7K2M9\n");
	has(&play.asked, "domain=far.test connector=internet\n");
	has(&t.out, "{\"v\":1,\"word\":\"7K2M9\",\"next_hop\":\"far.test\"");
	has(&t.out, "\"blame\":\"unknown\"");
	has(&t.out, "\"would_help\":[{\"change\":\"ipv6=false\",\"delivers\":false,");
	has(&t.out, "{\"change\":\"order=a-first\",\"delivers\":true,");
	talk_close(&t);
	play.asked.len = 0;
	talk_run(&t, 0, "explain b@Far.test");
	has(&play.asked, "domain=far.test\n");
	talk_close(&t);
}
END_TEST

START_TEST(explain_finds_smarthost_destinations)
{
	struct talk t;

	play.dests = 0;
	talk_run(&t, 0, "explain corp.test");
	ck_assert_int_eq(t.code, 1);
	has(&play.asked, "domain=corp.test\n");
	has(&play.asked, "connector=exchange\n");
	has(&t.err, "nothing waits for corp.test");
	talk_close(&t);
}
END_TEST

/* A tx that says nothing does not hold the explanation back. */
START_TEST(explain_does_not_wait_for_ever)
{
	struct client *c;
	struct talk t;

	play.silent_tx = true;
	talk_run(&t, 0, "explain far.test");	/* stops at the first question to tx */
	c = LIST_OWNER(the_ctl()->clients.next, struct client, node);
	ck_assert_ptr_nonnull(c->on_time);
	c->on_time(c);
	loop_run(loop);
	ck_assert_int_eq(t.code, 0);
	has(&t.out, "4.4.3 AAAA mx.far.test: SERVFAIL");
	has(&t.out, "not known: ipv6=false            no answer within 3 s\n");
	ck_assert_uint_gt(fake_cancelled, 0);
	talk_close(&t);
}
END_TEST

/* ---- leaving and refusing ---- */

START_TEST(leaving_cancels_what_is_under_way)
{
	struct talk t;

	play.held = true;
	talk_run(&t, 0, "queue");	/* stops when the question has come */
	ck_assert_ptr_nonnull(play.inspect);
	ck_assert_uint_eq(the_ctl()->nclients, 1);
	talk_close(&t);
	/* Another session is served, by when the first is gone. */
	play.held = false;
	talk_run(&t, 0, "queue");
	ck_assert_int_eq(t.code, 0);
	ck_assert_uint_eq(fake_cancelled, 1);
	fake_inspect_end(play.inspect, true, 0, "");	/* reaches nobody */
	talk_close(&t);
}
END_TEST

START_TEST(rights_are_checked)
{
	struct client *c;
	struct talk t;

	talk_connect(&t);
	while (list_empty(&the_ctl()->clients)) {
		loop_post(loop, (loop_fn *)loop_stop, loop);
		loop_run(loop);
	}
	c = LIST_OWNER(the_ctl()->clients.next, struct client, node);
	c->rights = RIGHT_LOOK;
	talk_send(&t, 0, _i == 0 ? "retry far.test" : _i == 1 ? "cat 7K2M9" : "dns flush");
	loop_run(loop);
	ck_assert_int_eq(t.code, 1);
	has(&t.err, _i == 1 ? "right \"read\"" : "right \"act\"");
	ck_assert_uint_eq(play.asked.len, 0);
	talk_close(&t);
}
END_TEST

static const struct { const char *bytes; size_t n; const char *said; } nonsense[] = {
	{ "\xff\xff\xff\xff", 4, "too long" },
	{ "\1\0\0\0\x09", 5, "version" },
	{ "\x09\0\0\0\1\0\0\0\0\0\0\0\0", 13, "not understood" },
};

START_TEST(nonsense_is_answered)
{
	struct talk t;

	talk_connect(&t);
	ck_assert_int_eq(write(t.fd, nonsense[_i].bytes, nonsense[_i].n),
	    (ssize_t)nonsense[_i].n);
	loop_run(loop);
	ck_assert_int_eq(t.code, 2);
	has(&t.err, nonsense[_i].said);
	talk_close(&t);
}
END_TEST

START_TEST(draining_ends_the_role)
{
	struct talk t;

	talk_run(&t, 0, "queue");
	talk_close(&t);
	ctl_role_ops.drain(ctl_role_ctx);
	ck_assert(fake_role_exited);
	t.fd = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_eq(connect(t.fd, (struct sockaddr *)&address, sizeof address), -1);
	close(t.fd);
}
END_TEST

static Suite *
suite(void)
{
	Suite *s = suite_create("ctl/server");
	TCase *tc = tcase_create("server");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, queue_is_a_table);
	tcase_add_test(tc, queue_is_json);
	tcase_add_test(tc, an_empty_queue_is_no_failure);
	tcase_add_test(tc, status_names_roles_and_alarms);
	tcase_add_test(tc, show_and_cat_take_an_id);
	tcase_add_test(tc, rows_wait_for_the_reader);
	tcase_add_loop_test(tc, acting_verbs_ask_and_report, 0, COUNT_OF(acts));
	tcase_add_test(tc, nothing_acted_on_is_exit_1);
	tcase_add_test(tc, resolve_tells_the_verdict);
	tcase_add_test(tc, resolve_compares_sets);
	tcase_add_test(tc, dns_cache_is_listed);
	tcase_add_test(tc, explain_tells_the_story);
	tcase_add_test(tc, explain_asks_only_named_sets);
	tcase_add_test(tc, explain_takes_ids_and_addresses);
	tcase_add_test(tc, explain_finds_smarthost_destinations);
	tcase_add_test(tc, explain_does_not_wait_for_ever);
	tcase_add_test(tc, leaving_cancels_what_is_under_way);
	tcase_add_loop_test(tc, rights_are_checked, 0, 3);
	tcase_add_loop_test(tc, nonsense_is_answered, 0, COUNT_OF(nonsense));
	tcase_add_test(tc, draining_ends_the_role);
	suite_add_tcase(s, tc);
	return s;
}

CHECK_MAIN(suite)
