/*
 * sinklog.c - the records that the tests compare with what was sent.  Never
 * changes an octet of a body.
 * Read next: ../sinksmtp.c (who calls), ../parts.py (class Sink, who reads).
 */
#include "tests/lab/lib/sinklog.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

/* Octets above 126 as if they were Latin-1: the reader gets them back whole. */
static void
text(FILE *f, const char *s)
{
	putc('"', f);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			fprintf(f, "\\%c", c);
		else if (c < 32 || c > 126)
			fprintf(f, "\\u%04x", c);
		else
			putc(c, f);
	}
	putc('"', f);
}

void
sink_log(FILE *f, const struct sink_transaction *t)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	fprintf(f, "{\"time\":%lld.%03ld,\"listen\":\"%s\",\"session\":%lu",
	    (long long)now.tv_sec, now.tv_nsec / 1000000, t->listen,
	    t->session);
	fputs(",\"helo\":", f);
	text(f, t->helo);
	fputs(",\"sender\":", f);
	text(f, t->sender);
	fputs(",\"params\":", f);
	text(f, t->params);
	fputs(",\"rcpts\":[", f);
	for (size_t i = 0; i < t->nrcpts; i++) {
		if (i)
			putc(',', f);
		text(f, t->rcpts[i]);
	}
	fprintf(f, "],\"size\":%llu,\"crc32\":\"%08x\",\"taken\":%s,\"file\":\"%s\"}\n",
	    (unsigned long long)t->size, t->crc, t->taken ? "true" : "false",
	    t->file);
}

void
sink_keep(const char *dir, const void *body, size_t len, char *name,
    size_t size)
{
	static unsigned long serial;
	char path[4096];
	int fd;

	snprintf(name, size, "%lu.eml", ++serial);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd == -1 || write(fd, body, len) != (ssize_t)len)
		perror(path);
	if (fd != -1)
		close(fd);
}
