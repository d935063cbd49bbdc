/*
 * endpoint.c - addresses and listening sockets of the test programs.
 * Must never use the daemon's own code: a shared mistake would hide itself.
 * Read next: faultdns.c and sinksmtp.c, which open them.
 */
#include "tests/lab/lib/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

bool
endpoint_parse(const char *text, struct endpoint *e)
{
	char host[ENDPOINT_TEXT];
	const char *colon = strrchr(text, ':');
	struct sockaddr_in *v4 = (struct sockaddr_in *)&e->addr;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&e->addr;
	size_t n;

	memset(e, 0, sizeof(*e));
	if (!colon || (size_t)(colon - text) >= sizeof(host))
		return false;
	n = (size_t)(colon - text);
	memcpy(host, text, n);
	host[n] = '\0';
	if (n > 2 && host[0] == '[' && host[n - 1] == ']') {
		host[n - 1] = '\0';
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)atoi(colon + 1));
		e->len = sizeof(*v6);
		return inet_pton(AF_INET6, host + 1, &v6->sin6_addr) == 1;
	}
	v4->sin_family = AF_INET;
	v4->sin_port = htons((uint16_t)atoi(colon + 1));
	e->len = sizeof(*v4);
	return inet_pton(AF_INET, host, &v4->sin_addr) == 1;
}

int
endpoint_bind(const struct endpoint *e, int type)
{
	int one = 1;
	int fd = socket(e->addr.ss_family, type | SOCK_CLOEXEC, 0);

	if (fd == -1)
		return -1;
	if (type == SOCK_STREAM)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (const struct sockaddr *)&e->addr, e->len) == -1 ||
	    (type == SOCK_STREAM && listen(fd, 4096) == -1)) {
		int saved = errno;

		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

int
endpoint_control(const char *path)
{
	struct sockaddr_un u = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(u.sun_path)) {
		fprintf(stderr, "%s: path too long\n", path);
		exit(64);
	}
	strcpy(u.sun_path, path);
	unlink(path);
	if (fd == -1 || bind(fd, (struct sockaddr *)&u, sizeof(u)) == -1 ||
	    listen(fd, 16) == -1) {
		perror(path);
		exit(71);
	}
	return fd;
}

int64_t
endpoint_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void
endpoint_many_files(void)
{
	struct rlimit files;

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}
