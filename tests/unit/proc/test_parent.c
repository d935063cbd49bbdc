/*
 * test_parent.c - the parent with real processes: this program stands in for
 * relayd, so "--role NAME NUMBER" makes it a role that only tells what it is
 * told.  All of them log to one pipe, and the tests wait for lines there.
 */
#include <errno.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "conf/conf.h"
#include "mta/base/clock.h"
#include "mta/base/counters.h"
#include "mta/base/log.h"
#include "mta/base/loop.h"
#include "mta/proc/channel.h"
#include "mta/proc/parent.h"
#include "mta/proc/role.h"
#include "tests/unit/check_main.h"

/* ---- the role that tells ---- */

static struct channel *peers[ROLE_COUNT];

static void
on_signal_reload(void *ctx)
{
	(void)ctx;
	(void)role_parent_begin(PF_RELOAD);
	role_parent_end(-1);
}

static bool
told_open(void *ctx, const struct conf *conf, struct fault *f)
{
	(void)ctx;
	if (role_self()->role == ROLE_QUEUE &&
	    strcmp(conf->hostname, "fatal.example") == 0) {
		fault_set(f, "no such spool");
		return false;
	}
	log_event("t_open", "spool=%d root=%d",
	    access(conf->spool.path, R_OK) == 0, geteuid() == 0);
	return true;
}

static void
told_start(void *ctx, struct loop *loop, struct conf *conf)
{
	(void)ctx;
	counter_set(C_rx_sessions_open, 7);
	if (role_self()->role == ROLE_CTL)
		loop_signal(loop, SIGUSR2, on_signal_reload, NULL);
	log_event("t_start", "pid=%d host=%s", (int)getpid(), conf->hostname);
	role_ready();
}

static void
told_reload(void *ctx, struct conf *conf)
{
	(void)ctx;
	log_event("t_reload", "host=%s n=%zu", conf->hostname, conf->nlisteners);
}

static void
told_listen(void *ctx, uint32_t number, int fd)
{
	int listening = 0;
	socklen_t size = sizeof listening;

	(void)ctx;
	(void)getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size);
	log_event("t_listen", "number=%u listening=%d", number, listening);
	close(fd);
}

static void
on_peer_frame(void *ctx, uint16_t type, struct rd *payload, int fd)
{
	(void)fd;
	(void)payload;
	log_event("t_hi", "from=%s type=%u", role_name((enum role)(intptr_t)ctx),
	    type);
}

static void
on_peer_gone(void *ctx)
{
	const intptr_t role = (intptr_t)ctx;

	log_event("t_peer_gone", "peer=%s", role_name((enum role)role));
	channel_free(&peers[role]);
}

static void
told_peer(void *ctx, enum role role, unsigned index, uint32_t generation, int fd)
{
	(void)ctx;
	(void)index;
	(void)generation;
	/* The old one was closed by a death that came before. */
	if (peers[role] != NULL)
		log_event("t_peer_twice", "peer=%s", role_name(role));
	channel_free(&peers[role]);
	peers[role] = channel_new(role_self()->loop, fd, on_peer_frame,
	    on_peer_gone, (void *)(intptr_t)role);
	(void)channel_begin(peers[role], 77);
	channel_end(peers[role], -1);
}

static void
told_drain(void *ctx)
{
	(void)ctx;
	log_event("t_drain", "us=%lld", (long long)clock_mono_us());
	role_exit();
}

static void
told_frame(void *ctx, uint16_t type, struct rd *payload)
{
	char text[200];

	(void)ctx;
	if (type != PF_RELOAD_DONE)
		return;
	const uint8_t ok = rd_u8(payload);

	rd_copy_str(payload, text, sizeof text);
	log_event("t_reload_done", "ok=%u text=%s", ok, text);
}

static const struct role_ops told_ops = {
	.open = told_open, .start = told_start, .reload = told_reload,
	.listen = told_listen, .peer = told_peer, .drain = told_drain,
	.frame = told_frame,
};

/* ---- the test's side ---- */

static char dir[64], conf_path[96], spool[96], control[96], root[96];
static pid_t parent_pid;
static int log_pipe[2];
static char seen[1 << 18];		/* everything logged so far */
static size_t seen_len, mark;		/* lines before mark are done with */

static uint16_t
free_port(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	socklen_t size = sizeof in;
	const int fd = socket(AF_INET, SOCK_STREAM, 0);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &size), 0);
	close(fd);
	return ntohs(in.sin_port);
}

static void
write_conf(const char *host, const char *more, uint16_t port_a, uint16_t port_b)
{
	FILE *f = fopen(conf_path, "w");

	ck_assert_ptr_nonnull(f);
	fprintf(f, "hostname = \"%s\";\nuser = \"nobody\";\nroot = \"%s\";\n"
	    "spool = { path = \"%s\"; };\ncontrol = { path = \"%s\"; };\n%s\n"
	    "listeners = ( { address = \"127.0.0.1:%u\"; }", host, root, spool,
	    control, more, port_a);
	if (port_b != 0)
		fprintf(f, ", { address = \"127.0.0.1:%u\"; }", port_b);
	fprintf(f, " );\n");
	fclose(f);
}

static void
start_parent(void)
{
	ck_assert_int_eq(pipe(log_pipe), 0);
	seen_len = mark = 0;
	parent_pid = fork();
	ck_assert_int_ne(parent_pid, -1);
	if (parent_pid == 0) {
		dup2(log_pipe[1], STDERR_FILENO);
		close(log_pipe[0]);
		close(log_pipe[1]);
		exit(parent_main(conf_path));
	}
	close(log_pipe[1]);
}

/* One read into seen; false at the end of the pipe. */
static bool
read_more(void)
{
	struct pollfd p = { .fd = log_pipe[0], .events = POLLIN };
	ssize_t n;

	if (poll(&p, 1, 15000) != 1)
		ck_abort_msg("nothing more came, so far:\n%s", seen);
	n = read(log_pipe[0], seen + seen_len, sizeof seen - 1 - seen_len);
	ck_assert_int_ge(n, 0);
	seen_len += (size_t)n;
	seen[seen_len] = '\0';
	return n > 0;
}

/* Waits for the text to be logged since the mark. */
static const char *
await(const char *fmt, ...) PRINTF_LIKE(1, 2);
static const char *
await(const char *fmt, ...)
{
	char text[200];
	const char *at;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	/* Up to the end of its line. */
	while ((at = strstr(seen + mark, text)) == NULL ||
	    strchr(at, '\n') == NULL) {
		if (!read_more())
			ck_abort_msg("never came: %s, only:\n%s", text, seen);
	}
	return at;
}

static pid_t
await_pid(const char *role)
{
	const char *at = await(" %s info t_start pid=", role);

	return (pid_t)atoi(strstr(at, "pid=") + 4);
}

static int
await_exit(void)
{
	int status;

	while (read_more())
		continue;
	ck_assert_int_eq(waitpid(parent_pid, &status, 0), parent_pid);
	parent_pid = 0;
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
setup(void)
{
	strcpy(dir, "/tmp/test_parent.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chmod(dir, 0755), 0);
	snprintf(conf_path, sizeof conf_path, "%s/conf", dir);
	snprintf(spool, sizeof spool, "%s/spool", dir);
	snprintf(control, sizeof control, "%s/run/control", dir);
	snprintf(root, sizeof root, "%s/empty", dir);
}

static void
teardown(void)
{
	char command[128];

	if (parent_pid != 0)
		kill(parent_pid, SIGKILL);
	snprintf(command, sizeof command, "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
}

START_TEST(starts_and_drains_in_order)
{
	static const char *const order[] = { "rx", "tx", "queue", "ctl" };
	struct stat st;
	long long last = 0;

	write_conf("a.example", "", free_port(), free_port());
	start_parent();
	await("parent info relayd_ready pid=%d listeners=2", (int)parent_pid);
	await(" rx info t_listen number=0 listening=1");
	await(" rx info t_listen number=1 listening=1");
	await(" ctl info t_listen number=0 listening=1");
	await(" queue info t_open spool=1 root=0");
	await(" queue info t_hi from=rx type=77");
	await(" rx info t_hi from=queue type=77");
	await(" tx info t_hi from=ctl type=77");
	ck_assert_int_eq(stat(control, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0660);
	ck_assert_int_eq(stat(spool, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0700);

	ck_assert_int_eq(kill(parent_pid, SIGTERM), 0);
	ck_assert_int_eq(await_exit(), EX_OK);
	/* By their clock: lines of several processes are not in order. */
	for (size_t i = 0; i < COUNT_OF(order); i++) {
		char text[64];
		const char *at;
		long long us;

		snprintf(text, sizeof text, " %s info t_drain us=", order[i]);
		at = strstr(seen, text);
		ck_assert_msg(at != NULL, "%s never drained:\n%s", order[i], seen);
		us = atoll(at + strlen(text));
		ck_assert_msg(us > last, "%s is not in its place", order[i]);
		last = us;
	}
	ck_assert_ptr_null(strstr(seen, "role_died"));
	ck_assert_int_eq(stat(control, &st), -1);
}
END_TEST

START_TEST(restarts_what_dies)
{
	pid_t rx, queue;

	write_conf("a.example", "", free_port(), 0);
	start_parent();
	await("relayd_ready");
	rx = await_pid("rx");
	queue = await_pid("queue");
	mark = seen_len;

	ck_assert_int_eq(kill(rx, SIGKILL), 0);
	await("parent warn role_died role=rx pid=%d status=signal_9", (int)rx);
	await(" queue info t_peer_gone peer=rx");
	ck_assert_int_ne(await_pid("rx"), rx);
	await(" rx info t_listen number=0 listening=1");
	await(" queue info t_hi from=rx");
	await(" rx info t_hi from=ctl");
	mark = seen_len;

	ck_assert_int_eq(kill(queue, SIGABRT), 0);
	await("role_died role=queue pid=%d status=signal_6", (int)queue);
	await(" queue info t_hi from=rx");
	await(" queue info t_hi from=tx");
	await(" queue info t_hi from=ctl");
	ck_assert_ptr_null(strstr(seen, "t_peer_twice"));

	ck_assert_int_eq(kill(parent_pid, SIGINT), 0);
	ck_assert_int_eq(await_exit(), EX_OK);
}
END_TEST

START_TEST(reloads)
{
	const uint16_t a = free_port(), b = free_port();
	pid_t ctl;

	write_conf("a.example", "", a, 0);
	start_parent();
	await("relayd_ready");
	ctl = await_pid("ctl");
	mark = seen_len;

	write_conf("b.example", "", b, a);	/* one more, another order */
	ck_assert_int_eq(kill(parent_pid, SIGHUP), 0);
	await(" rx info t_reload host=b.example n=2");
	await(" rx info t_listen number=1 listening=1");
	await("parent info reloaded generation=2 listeners=2");
	mark = seen_len;

	write_conf("c.example", "processes = { rx = 2; };", b, 0);
	ck_assert_int_eq(kill(ctl, SIGUSR2), 0);
	await("parent warn reload_failed text=");
	await("processes.rx: cannot change while relayd runs, was 1");
	await(" ctl info t_reload_done ok=0 text=");
	mark = seen_len;

	write_conf("c.example", "nonsense = 3;", b, 0);
	ck_assert_int_eq(kill(parent_pid, SIGHUP), 0);
	await("parent warn reload_failed text=");
	mark = seen_len;

	write_conf("d.example", "", b, 0);
	ck_assert_int_eq(kill(ctl, SIGUSR2), 0);
	await(" tx info t_reload host=d.example n=1");
	await("reloaded generation=3 listeners=1");
	await(" ctl info t_reload_done ok=1");
	ck_assert_ptr_null(strstr(seen, "c.example"));

	ck_assert_int_eq(kill(parent_pid, SIGTERM), 0);
	ck_assert_int_eq(await_exit(), EX_OK);
}
END_TEST

START_TEST(fatal_role_ends_all)
{
	write_conf("fatal.example", "", free_port(), 0);
	start_parent();
	ck_assert_int_eq(await_exit(), EX_CANTCREAT);
	ck_assert_ptr_nonnull(strstr(seen, "parent fatal role_fatal role=queue "
	    "exit=73 text=\"no such spool\""));
}
END_TEST

START_TEST(nothing_outlives_a_killed_parent)
{
	int status;

	write_conf("a.example", "processes = { rx = 2; tx = 2; };",
	    free_port(), 0);
	start_parent();
	await("relayd_ready");
	await(" rx1 info t_start");
	await(" tx1 info t_start");
	ck_assert_int_eq(kill(parent_pid, SIGKILL), 0);
	/* The pipe ends when the last of them has. */
	while (read_more())
		continue;
	ck_assert_int_eq(waitpid(parent_pid, &status, 0), parent_pid);
	parent_pid = 0;
}
END_TEST

START_TEST(address_in_use)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	socklen_t size = sizeof in;
	const int fd = socket(AF_INET, SOCK_STREAM, 0);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &size), 0);
	write_conf("a.example", "", ntohs(in.sin_port), 0);
	start_parent();
	ck_assert_int_eq(await_exit(), EX_UNAVAILABLE);
	ck_assert_ptr_nonnull(strstr(seen, "Address already in use"));
	ck_assert_ptr_eq(strchr(seen, '\n'), seen + seen_len - 1);
	close(fd);
}
END_TEST

/* What lies in the control socket's place: 1 stale socket, 2 live, 3 a file. */
START_TEST(control_socket_in_the_way)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char run[96];

	snprintf(run, sizeof run, "%s/run", dir);
	ck_assert_int_eq(mkdir(run, 0755), 0);
	strcpy(sun.sun_path, control);
	if (_i == 3) {
		close(open(control, O_CREAT | O_WRONLY, 0600));
	} else {
		ck_assert_int_eq(bind(fd, (struct sockaddr *)&sun, sizeof sun), 0);
		if (_i == 2)
			ck_assert_int_eq(listen(fd, 1), 0);
		else
			close(fd);
	}
	write_conf("a.example", "", free_port(), 0);
	start_parent();
	if (_i == 1) {
		await("relayd_ready");
		ck_assert_int_eq(kill(parent_pid, SIGTERM), 0);
		ck_assert_int_eq(await_exit(), EX_OK);
	} else {
		ck_assert_int_eq(await_exit(), EX_CANTCREAT);
		ck_assert_ptr_nonnull(strstr(seen, control));
	}
}
END_TEST

START_TEST(wrong_configuration)
{
	write_conf("a.example", "nonsense = 3;", free_port(), 0);
	start_parent();
	ck_assert_int_eq(await_exit(), EX_CONFIG);
	ck_assert_ptr_nonnull(strstr(seen, conf_path));
}
END_TEST

static Suite *
parent_suite(void)
{
	Suite *s = suite_create("parent");
	TCase *tc = tcase_create("parent");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 40);
	tcase_add_test(tc, starts_and_drains_in_order);
	tcase_add_test(tc, restarts_what_dies);
	tcase_add_test(tc, reloads);
	tcase_add_test(tc, fatal_role_ends_all);
	tcase_add_test(tc, nothing_outlives_a_killed_parent);
	tcase_add_test(tc, address_in_use);
	tcase_add_loop_test(tc, control_socket_in_the_way, 1, 4);
	tcase_add_test(tc, wrong_configuration);
	suite_add_tcase(s, tc);
	return s;
}

int
main(int argc, char **argv)
{
	SRunner *runner;
	enum role role;
	int failed;

	if (argc == 4 && strcmp(argv[1], "--role") == 0 &&
	    role_by_name(argv[2], &role))
		_exit(role_main(role, (unsigned)atoi(argv[3]), &told_ops, NULL));
	runner = srunner_create(parent_suite());
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
