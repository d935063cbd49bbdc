/*
 * listen.h - the sockets that relayd listens on, made by the parent.
 */
#pragma once

#include <stdbool.h>

#include "conf/conf.h"
#include "mta/base/fault.h"
#include "mta/proc/sandbox.h"

/* A bound, listening TCP socket.  The caller closes it. */
MUST_CHECK bool listen_tcp(const struct conf_listener *l, int *fd_r, struct fault *f);

/* Both would be the same socket. */
bool listen_same(const struct conf_listener *a, const struct conf_listener *b);

/* "*:25" or the address with its port. */
const char *listen_text(const struct conf_listener *l, char buf[64]);

/*
 * The control socket, mode 0660, owned by owner unless NULL.  What stands in
 * its place is replaced only if it is a socket and nobody answers there.
 */
MUST_CHECK bool listen_control(const char *path, const struct sandbox_user *owner, int *fd_r,
    struct fault *f);
