/*
 * relayctl.c - the command: finds the control socket, sends its arguments,
 * prints what comes back.  Never parses what stands after the verb, never
 * reads the spool or the configuration: relayd's ctl role does all that.
 * Read next: ctl/wire.h (what goes over the socket), ctl/commands.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "mta/base/mem.h"
#include "mta/ctl/verbs.h"
#include "mta/ctl/wire.h"

#ifndef RELAYD_VERSION
#define RELAYD_VERSION "0.1"
#endif

#define SOCKET_DEFAULT "/run/relayd/control"

struct call {
	const char	*socket;
	bool		 json;
	char		**argv;		/* the verb and what follows */
	int		 argc;
};

static bool
is_verb(const struct call *c, const char *verb)
{
	return c->argc > 0 && strcmp(c->argv[0], verb) == 0;
}

/* health has Nagios' codes: a daemon that is not there is critical. */
static int
no_daemon(const struct call *c, const char *what)
{
	if (is_verb(c, "health"))
		printf("RELAYD CRITICAL - %s: %s\n", c->socket, what);
	else
		fprintf(stderr, "relayctl: no relayd at %s: %s\n", c->socket, what);
	return is_verb(c, "health") ? EXIT_CRITICAL : EXIT_NO_DAEMON;
}

static const char *
connect_error(int err)
{
	switch (err) {
	case ENOENT:
		return "no such socket; is relayd running, is this its path?";
	case ECONNREFUSED:
		return "nobody listens; is relayd running?";
	case EACCES:
	case EPERM:
		return "permission denied; the socket is for root and its group";
	default:
		return strerror(err);
	}
}

/* -1 with errno. */
static int
control_connect(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof sun.sun_path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(sun.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd != -1 && connect(fd, (struct sockaddr *)&sun, sizeof sun) == -1) {
		const int err = errno;

		close(fd);
		errno = err;
		return -1;
	}
	return fd;
}

static bool
write_all(int fd, const void *p, size_t n)
{
	const char *at = p;

	while (n > 0) {
		const ssize_t did = write(fd, at, n);

		if (did == -1 && errno == EINTR)
			continue;
		if (did == -1)
			return false;
		at += did;
		n -= (size_t)did;
	}
	return true;
}

static bool
read_all(int fd, void *p, size_t n)
{
	char *at = p;

	while (n > 0) {
		const ssize_t did = read(fd, at, n);

		if (did == -1 && errno == EINTR)
			continue;
		if (did <= 0)
			return false;
		at += did;
		n -= (size_t)did;
	}
	return true;
}

static bool
send_request(const struct call *c, int fd)
{
	struct wire_request q = { .flags = c->json ? WIRE_JSON : 0 };
	const char *term = getenv("TERM");
	struct winsize size;
	struct buf b = { 0 };
	bool ok;

	if (isatty(STDOUT_FILENO)) {
		q.flags |= WIRE_TTY;
		q.columns = 80;
		if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
			q.columns = size.ws_col;
		if (getenv("NO_COLOR") == NULL && term != NULL && strcmp(term, "dumb") != 0)
			q.flags |= WIRE_COLOUR;
	}
	q.cwd = getcwd(NULL, 0);
	q.argv = c->argv;
	q.argc = (uint32_t)c->argc;
	wire_request_encode(&q, &b);
	ok = write_all(fd, b.data, b.len);
	buf_free(&b);
	free(q.cwd);
	return ok;
}

/* Prints frames until the exit code; -1: the other end went before it. */
static int
print_answer(int fd)
{
	uint8_t head[5];
	struct buf b = { 0 };
	int code = -1;

	while (code == -1 && read_all(fd, head, sizeof head)) {
		struct rd r = rd_of(head, sizeof head);
		const uint32_t len = rd_u32(&r);
		const size_t n = len > 0 ? len - 1 : 0;

		if (len == 0 || len > WIRE_FRAME_MAX)
			break;
		b.len = 0;
		if (!read_all(fd, buf_room(&b, n + 1), n))
			break;
		if (head[4] == 'x' && n == 1)
			code = b.data[0];
		else if (!write_all(head[4] == 'e' ? STDERR_FILENO : STDOUT_FILENO, b.data, n)) {
			fprintf(stderr, "relayctl: cannot write: %s\n", strerror(errno));
			code = EXIT_FAILED;
		}
	}
	buf_free(&b);
	return code;
}

static int
ask(const struct call *c)
{
	const int fd = control_connect(c->socket);
	int code;

	if (fd == -1)
		return no_daemon(c, connect_error(errno));
	/* Also after a failed write: relayd may have said why before it closed. */
	(void)send_request(c, fd);
	code = print_answer(fd);
	close(fd);
	return code == -1 ? no_daemon(c, "it closed the connection") : code;
}

static int
print_help(const char *verb)
{
	struct buf b = { 0 };
	const bool known = ctl_help(&b, verb);

	if (known)
		(void)write_all(STDOUT_FILENO, b.data, b.len);
	else
		fprintf(stderr, "relayctl: no verb %s; relayctl help lists them\n", verb);
	buf_free(&b);
	return known ? EXIT_DONE : EXIT_USAGE;
}

static int
print_verbs(void)
{
	for (size_t i = 0; i < VERB_COUNT; i++)
		puts(ctl_verbs[i].name);
	return EXIT_DONE;
}

static int
usage(const char *what, const char *arg)
{
	fprintf(stderr, "relayctl: %s%s; relayctl help tells more\n", what, arg);
	return EXIT_USAGE;
}

/* The options before the verb.  -1: go on; else the exit code. */
static int
parse(struct call *c, int argc, char **argv)
{
	const char *env = getenv("RELAYCTL_SOCKET");
	int i;

	c->socket = env != NULL && *env != '\0' ? env : SOCKET_DEFAULT;
	for (i = 1; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "--json") == 0)
			c->json = true;
		else if (strncmp(argv[i], "--socket=", 9) == 0)
			c->socket = argv[i] + 9;
		else if (strcmp(argv[i], "--socket") == 0 && i + 1 < argc)
			c->socket = argv[++i];
		else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return print_help(NULL);
		else if (strcmp(argv[i], "--verbs") == 0)
			return print_verbs();
		else if (strcmp(argv[i], "-V") == 0 || strcmp(argv[i], "--version") == 0)
			return printf("relayctl %s\n", RELAYD_VERSION) > 0 ? EXIT_DONE :
			    EXIT_FAILED;
		else
			return usage("no such option before the verb, or its value is missing: ",
			    argv[i]);
	}
	c->argv = argv + i;
	c->argc = argc - i;
	if (c->argc == 0) {
		(void)print_help(NULL);
		return EXIT_USAGE;
	}
	return c->argc > WIRE_ARGS_MAX ? usage("too many words", "") : -1;
}

int
main(int argc, char **argv)
{
	struct call c = { 0 };
	const int code = parse(&c, argc, argv);

	if (code != -1)
		return code;
	if (is_verb(&c, "help") && c.argc <= 2)		/* needs no relayd */
		return print_help(c.argc == 2 ? c.argv[1] : NULL);
	return ask(&c);
}
