/*
 * endpoint.h - "127.0.0.1:5301", "[::1]:2525": addresses with ports for the
 * test programs, which share nothing with the daemon that they test.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define ENDPOINT_TEXT 64

struct endpoint {
	struct sockaddr_storage	addr;
	socklen_t		len;
};

bool endpoint_parse(const char *text, struct endpoint *e);
int endpoint_bind(const struct endpoint *e, int type);	/* listening when a stream; -1: errno */
int endpoint_control(const char *path);			/* a listening unix socket; exits when it cannot */

int64_t endpoint_now_ms(void);				/* monotonic */
void endpoint_many_files(void);				/* as many descriptors as the machine lets us */
