/*
 * logger.c - the log thread.  Only this thread writes the log, so a slow disk
 * stops nobody else.  Never calls log_event() and the like (it would talk to
 * itself), never touches the loop; meets the parent in struct orders alone.
 *
 * Read next: logger.h, logsink.h (where lines go), mta/base/log.c.
 */
#include "mta/proc/logger.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mta/base/clock.h"
#include "mta/base/log.h"
#include "mta/base/mem.h"
#include "mta/base/str.h"
#include "mta/proc/logsink.h"

#define SOURCES_MAX	64
#define LINE_MAX_BYTES	8192	/* a longer line is cut */
#define LAST_MS		1000	/* for what is left at the end */

/* One process. */
struct source {
	int	fd;			/* owned */
	char	name[16];
	char	line[LINE_MAX_BYTES];
	size_t	len;
	bool	cut;			/* the rest of this line is dropped */
};

/* What the parent wants; taken by the thread at its next turn. */
struct orders {
	pthread_mutex_t	 lock;
	struct source	*attach[SOURCES_MAX];
	size_t		 nattach;
	struct logsink	*sink;		/* new one, given; NULL: none */
	bool		 reopen;
	bool		 stop;
};

struct logger {
	pthread_t	 thread;
	int		 wake;		/* eventfd */
	struct orders	 orders;
	/* The thread's own: */
	struct logsink	*sink;
	struct source	*sources[SOURCES_MAX];
	size_t		 nsources;
};

static void
source_free(struct source **s)
{
	(void)close((*s)->fd);
	free(*s);
	*s = NULL;
}

/* "<digit>ROLE EVENT …": the name is ours, not what the process says it is. */
static void
pass_on(struct logger *lg, struct source *s)
{
	enum log_severity severity = LOG_SEV_WARN;
	const char *text = s->line;
	const char *blank;

	s->line[s->len] = '\0';
	if (*text >= '0' && *text <= '0' + LOG_SEV_TRACE) {
		severity = (enum log_severity)(*text - '0');
		blank = strchr(text, ' ');
		text = blank == NULL ? text + 1 : blank + 1;
	}
	logsink_line(lg->sink, severity, clock_wall_ms(), s->name, text);
	s->len = 0;
	s->cut = false;
}

static void
take_bytes(struct logger *lg, struct source *s, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] == '\n')
			pass_on(lg, s);
		else if (s->len == sizeof s->line - 1)
			s->cut = true;
		else if (!s->cut)
			s->line[s->len++] = p[i];
	}
}

/* False: the process is gone and everything it said was passed on. */
static bool
source_read(struct logger *lg, struct source *s)
{
	char bytes[16384];
	const ssize_t n = read(s->fd, bytes, sizeof bytes);

	if (n > 0) {
		take_bytes(lg, s, bytes, (size_t)n);
		return true;
	}
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (s->len > 0)
		pass_on(lg, s);
	return false;
}

/* True: the end was ordered. */
static bool
follow_orders(struct logger *lg)
{
	struct orders *o = &lg->orders;
	struct logsink *old = NULL;
	uint64_t calls;
	bool stop, reopen;

	if (read(lg->wake, &calls, sizeof calls) == -1 && errno != EAGAIN)
		abort();
	(void)pthread_mutex_lock(&o->lock);
	for (size_t i = 0; i < o->nattach; i++) {
		if (lg->nsources < SOURCES_MAX)
			lg->sources[lg->nsources++] = o->attach[i];
		else
			source_free(&o->attach[i]);
	}
	o->nattach = 0;
	if (o->sink != NULL) {
		old = lg->sink;
		lg->sink = o->sink;
		o->sink = NULL;
	}
	stop = o->stop;
	reopen = o->reopen;
	o->reopen = false;
	(void)pthread_mutex_unlock(&o->lock);
	if (old != NULL)
		logsink_free(&old);
	if (reopen)
		logsink_reopen(lg->sink);
	return stop;
}

/* One turn: waits at most ms.  False: nothing came. */
static bool
turn(struct logger *lg, int ms)
{
	struct pollfd p[SOURCES_MAX + 1];
	const size_t n = lg->nsources;
	size_t kept = 0;
	int ready;

	p[n] = (struct pollfd){ .fd = lg->wake, .events = POLLIN };
	for (size_t i = 0; i < n; i++)
		p[i] = (struct pollfd){ .fd = lg->sources[i]->fd, .events = POLLIN };
	ready = poll(p, n + 1, ms);
	for (size_t i = 0; i < n; i++) {
		if (ready > 0 && p[i].revents != 0 &&
		    !source_read(lg, lg->sources[i]))
			source_free(&lg->sources[i]);
		else
			lg->sources[kept++] = lg->sources[i];
	}
	lg->nsources = kept;
	logsink_flush(lg->sink);
	return ready > 0;
}

static void *
logger_thread(void *arg)
{
	struct logger *lg = arg;
	int64_t end;

	while (!follow_orders(lg))
		(void)turn(lg, -1);
	/* Last words: the wake-up is read, so a turn ends when all is silent. */
	end = clock_mono_ms() + LAST_MS;
	while (lg->nsources > 0 && clock_mono_ms() < end && turn(lg, 0))
		continue;
	while (lg->nsources > 0)
		source_free(&lg->sources[--lg->nsources]);
	return NULL;
}

static void
wake(struct logger *lg)
{
	const uint64_t one = 1;
	const ssize_t n = write(lg->wake, &one, sizeof one);

	(void)n;	/* full: awake already */
}

bool
logger_start(struct logger **out, const struct conf_log *conf, struct fault *f)
{
	struct logger *lg = xcalloc(1, sizeof *lg);
	int err;

	if (!logsink_open(&lg->sink, conf, f)) {
		free(lg);
		return false;
	}
	(void)pthread_mutex_init(&lg->orders.lock, NULL);
	lg->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	err = lg->wake == -1 ? errno :
	    pthread_create(&lg->thread, NULL, logger_thread, lg);
	if (err != 0) {
		fault_sys(f, err, "log thread", "start");
		if (lg->wake != -1)
			(void)close(lg->wake);
		logsink_free(&lg->sink);
		free(lg);
		return false;
	}
	*out = lg;
	return true;
}

void
logger_stop(struct logger **lg_p)
{
	struct logger *lg = *lg_p;

	if (lg == NULL)
		return;
	*lg_p = NULL;
	(void)pthread_mutex_lock(&lg->orders.lock);
	lg->orders.stop = true;
	(void)pthread_mutex_unlock(&lg->orders.lock);
	wake(lg);
	(void)pthread_join(lg->thread, NULL);
	logsink_free(&lg->sink);
	(void)close(lg->wake);
	(void)pthread_mutex_destroy(&lg->orders.lock);
	free(lg);
}

bool
logger_change(struct logger *lg, const struct conf_log *conf, struct fault *f)
{
	struct logsink *sink, *unused;

	if (!logsink_open(&sink, conf, f))
		return false;
	(void)pthread_mutex_lock(&lg->orders.lock);
	unused = lg->orders.sink;	/* ordered a moment ago, not yet taken */
	lg->orders.sink = sink;
	(void)pthread_mutex_unlock(&lg->orders.lock);
	if (unused != NULL)
		logsink_free(&unused);
	wake(lg);
	return true;
}

void
logger_reopen(struct logger *lg)
{
	(void)pthread_mutex_lock(&lg->orders.lock);
	lg->orders.reopen = true;
	(void)pthread_mutex_unlock(&lg->orders.lock);
	wake(lg);
}

bool
logger_attach(struct logger *lg, const char *name, int *fd_r, struct fault *f)
{
	struct source *s;
	int pair[2];
	bool room;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
	    pair) == -1) {
		fault_sys(f, errno, name, "log socket");
		return false;
	}
	s = xcalloc(1, sizeof *s);
	s->fd = pair[0];
	(void)str_copy(s->name, sizeof s->name, name);
	(void)pthread_mutex_lock(&lg->orders.lock);
	room = lg->orders.nattach < SOURCES_MAX;
	if (room)
		lg->orders.attach[lg->orders.nattach++] = s;
	(void)pthread_mutex_unlock(&lg->orders.lock);
	if (!room) {
		/* The disk holds the thread up: better no process than no log. */
		fault_set(f, "%s: the log thread does not answer", name);
		source_free(&s);
		(void)close(pair[1]);
		return false;
	}
	wake(lg);
	*fd_r = pair[1];
	return true;
}
