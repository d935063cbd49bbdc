/*
 * listen.c - opens the sockets that relayd listens on.  Never accepts, and
 * never takes a control socket away from a relayd that still answers.
 *
 *
 * Read next: listen.h, parent_conf.c (listeners that change at a reload).
 */
#include "mta/proc/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "mta/base/str.h"

#define BACKLOG		4096	/* the kernel cuts it to net.core.somaxconn */
#define SMTP_PORT	25

static uint16_t
port_of(const struct conf_listener *l)
{
	return l->address.port != 0 ? l->address.port : SMTP_PORT;
}

const char *
listen_text(const struct conf_listener *l, char buf[64])
{
	struct conf_addr a = l->address;

	a.port = port_of(l);
	if (l->any)
		(void)snprintf(buf, 64, "*:%u", a.port);
	else
		(void)conf_addr_text(&a, buf);
	return buf;
}

bool
listen_same(const struct conf_listener *a, const struct conf_listener *b)
{
	const size_t n = a->address.family == AF_INET ? 4 : 16;

	if (port_of(a) != port_of(b) || a->any != b->any)
		return false;
	return a->any || (a->address.family == b->address.family &&
	    memcmp(a->address.ip, b->address.ip, n) == 0);
}

static socklen_t
sockaddr_of(const struct conf_listener *l, sa_family_t family,
    struct sockaddr_storage *sa)
{
	struct sockaddr_in *in4 = (struct sockaddr_in *)sa;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)sa;

	memset(sa, 0, sizeof *sa);
	sa->ss_family = family;
	if (family == AF_INET) {
		in4->sin_port = htons(port_of(l));
		if (!l->any)
			memcpy(&in4->sin_addr, l->address.ip, 4);
		return sizeof *in4;
	}
	in6->sin6_port = htons(port_of(l));
	if (!l->any)
		memcpy(&in6->sin6_addr, l->address.ip, 16);
	return sizeof *in6;
}

/* 0, or the errno of what failed. */
static int
try_family(const struct conf_listener *l, sa_family_t family, int *fd_r)
{
	const int on = 1;
	const int v6only = !l->any;
	struct sockaddr_storage sa;
	const socklen_t size = sockaddr_of(l, family, &sa);
	const int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int err;

	if (fd == -1)
		return errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only,
		    sizeof v6only);
	if (bind(fd, (const struct sockaddr *)&sa, size) == 0 &&
	    listen(fd, BACKLOG) == 0) {
		*fd_r = fd;
		return 0;
	}
	err = errno;
	(void)close(fd);
	return err;
}

bool
listen_tcp(const struct conf_listener *l, int *fd_r, struct fault *f)
{
	char text[64];
	int err;

	err = try_family(l, l->any ? AF_INET6 : l->address.family, fd_r);
	/* A machine without IPv6 has no wildcard that takes both. */
	if (l->any && (err == EAFNOSUPPORT || err == EADDRNOTAVAIL))
		err = try_family(l, AF_INET, fd_r);
	if (err == 0)
		return true;
	fault_sys(f, err, listen_text(l, text), "listen");
	if (err == EACCES && port_of(l) < 1024)
		fault_set(f, "%s: listen: %s (ports below 1024 need root)",
		    text, strerror(err));
	return false;
}

/* Removes what a dead relayd left behind. */
static bool
clear_stale(const struct sockaddr_un *sun, struct fault *f)
{
	struct stat st;
	int fd, err;

	if (lstat(sun->sun_path, &st) == -1) {
		if (errno == ENOENT)
			return true;
		fault_sys(f, errno, sun->sun_path, "control socket");
		return false;
	}
	if (!S_ISSOCK(st.st_mode)) {
		fault_set(f, "%s: control socket: something else is in its "
		    "place", sun->sun_path);
		return false;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	err = fd == -1 || connect(fd, (const struct sockaddr *)sun,
	    sizeof *sun) == -1 ? errno : 0;
	if (fd != -1)
		(void)close(fd);
	if (err != ECONNREFUSED && err != ENOENT) {
		fault_set(f, "%s: another relayd answers on this control socket",
		    sun->sun_path);
		return false;
	}
	if (unlink(sun->sun_path) == -1 && errno != ENOENT) {
		fault_sys(f, errno, sun->sun_path, "remove stale control socket");
		return false;
	}
	return true;
}

static void
make_folder(const char *path)
{
	char copy[sizeof ((struct sockaddr_un *)0)->sun_path];

	/* /run is empty after a boot.  What fails shows in bind(). */
	if (str_copy(copy, sizeof copy, path))
		(void)mkdir(dirname(copy), 0755);
}

bool
listen_control(const char *path, const struct sandbox_user *owner, int *fd_r,
    struct fault *f)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	mode_t mask;
	int fd, bound;

	if (!str_copy(sun.sun_path, sizeof sun.sun_path, path)) {
		fault_set(f, "%s: control socket: path longer than %zu", path,
		    sizeof sun.sun_path - 1);
		return false;
	}
	make_folder(path);
	if (!clear_stale(&sun, f))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1) {
		fault_sys(f, errno, path, "control socket");
		return false;
	}
	mask = umask(0117);	/* never wider than 0660, not even for a moment */
	bound = bind(fd, (const struct sockaddr *)&sun, sizeof sun);
	(void)umask(mask);
	if (bound == -1) {
		fault_sys(f, errno, path, "bind control socket");
		goto fail;
	}
	if (owner != NULL && lchown(path, owner->uid, owner->gid) == -1) {
		fault_sys(f, errno, path, "chown control socket");
		goto fail;
	}
	if (listen(fd, 64) == -1) {
		fault_sys(f, errno, path, "listen on control socket");
		goto fail;
	}
	*fd_r = fd;
	return true;
fail:
	(void)close(fd);
	return false;
}
