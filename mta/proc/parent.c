/*
 * parent.c - the first process, from start to exit code.  Never reads a byte
 * from the network and never knows mail: it opens, starts, watches, restarts.
 *
 * Read next: parent.h (the story), parent_state.h (the walks), then
 * parent_spawn.c, parent_conf.c, parent_drain.c.
 */
#include "mta/proc/parent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "mta/base/clock.h"
#include "mta/base/counters.h"
#include "mta/base/log.h"
#include "mta/base/loop.h"
#include "mta/base/str.h"
#include "mta/proc/channel.h"
#include "mta/proc/frame.h"
#include "mta/proc/listen.h"
#include "mta/proc/logger.h"
#include "mta/proc/parent_state.h"

void
parent_log_lines(const char *event, const struct buf *lines)
{
	const char *at = (const char *)lines->data;
	const char *end = at + lines->len;

	while (at != NULL && at < end) {
		const char *eol = memchr(at, '\n', (size_t)(end - at));
		const size_t n = (size_t)((eol == NULL ? end : eol) - at);
		char text[1024], quoted[1100];

		str_safe(text, sizeof text, at, n);
		if (text[0] != '\0')
			log_warn(event, "text=%s",
			    log_quote(quoted, sizeof quoted, text));
		at += n + 1;
	}
}

/* ---- ready ---- */

/* Type=notify units wait for this; without systemd there is no such socket. */
static void
tell_systemd(const char *what)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd;

	if (path == NULL || !str_copy(sun.sun_path, sizeof sun.sun_path, path))
		return;
	if (sun.sun_path[0] == '@')
		sun.sun_path[0] = '\0';		/* abstract name */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return;
	(void)sendto(fd, what, strlen(what), MSG_NOSIGNAL,
	    (const struct sockaddr *)&sun, (socklen_t)(offsetof(
	    struct sockaddr_un, sun_path) + strlen(path)));
	(void)close(fd);
}

static void
one_ready(struct proc *pr)
{
	struct parent *p = pr->parent;

	pr->ready = true;
	if (p->step != PARENT_STARTING)
		return;
	for (size_t i = 0; i < p->nprocs; i++) {
		if (!p->procs[i].ready)
			return;
	}
	p->step = PARENT_UP;
	log_event("relayd_ready", "pid=%d listeners=%zu", (int)getpid(),
	    p->nsockets);
	tell_systemd("READY=1");
}

/* ---- what processes say ---- */

static void
said_hello(struct proc *pr, struct rd *payload)
{
	const uint32_t version = rd_u32(payload);
	const uint8_t role = rd_u8(payload);
	const uint8_t index = rd_u8(payload);

	if (!payload->bad && version == PROC_VERSION && role == pr->role &&
	    index == pr->index)
		return;
	log_fatal("hello_wrong", "role=%s version=%u", pr->name, version);
	parent_kill(pr->parent, EX_SOFTWARE);
}

static void
said_fatal(struct proc *pr, struct rd *payload)
{
	char text[1024];
	uint8_t code;

	if (pr->parent->step == PARENT_KILLING)
		return;		/* said once: the others only follow */
	rd_copy_str(payload, text, sizeof text);
	code = rd_u8(payload);
	/* The log may be a file: who started relayd by hand looks here. */
	if (pr->parent->conf->log.to != LOG_TO_STDERR)
		(void)fprintf(stderr, "relayd: %s: %s\n", pr->name, text);
	log_fatal("role_fatal", "role=%s exit=%u text=\"%s\"", pr->name, code,
	    text);
	parent_kill(pr->parent, code == 0 ? EX_SOFTWARE : code);
}

static void
tell_roles(struct proc *ctl)
{
	struct parent *p = ctl->parent;
	struct buf *b = channel_begin(ctl->channel, PF_ROLES_DONE);

	buf_u32(b, (uint32_t)p->nprocs);
	for (size_t i = 0; i < p->nprocs; i++) {
		const struct proc *pr = &p->procs[i];

		buf_str(b, pr->name);
		buf_u32(b, (uint32_t)pr->pid);
		buf_u32(b, pr->restarts);
		buf_i64(b, pr->started_wall_ms);
	}
	channel_end(ctl->channel, -1);
}

/* Only ctl may ask: rx and tx talk to strangers. */
static void
ctl_asks(struct proc *pr, uint16_t type, struct rd *payload)
{
	if (pr->role != ROLE_CTL) {
		log_warn("frame_refused", "role=%s type=%u", pr->name, type);
		return;
	}
	if (type == PF_RELOAD)
		parent_reload(pr->parent, true);
	else if (type == PF_CHECK)
		parent_check(pr->parent, payload);
	else
		tell_roles(pr);
}

void
parent_frame(struct proc *pr, uint16_t type, struct rd *payload, int fd)
{
	if (fd != -1)
		(void)close(fd);	/* no role gives the parent one */
	switch (type) {
	case PF_HELLO:
		said_hello(pr, payload);
		break;
	case PF_CONF_TAKEN:
		pr->conf_taken = rd_u64(payload);
		parent_conf_taken(pr->parent);
		break;
	case PF_PONG:
		break;
	case PF_READY:
		one_ready(pr);
		break;
	case PF_FATAL:
		said_fatal(pr, payload);
		break;
	case PF_RELOAD:
	case PF_CHECK:
	case PF_ROLES:
		ctl_asks(pr, type, payload);
		break;
	default:
		log_warn("frame_unknown", "role=%s type=%u", pr->name, type);
		break;
	}
}

/* ---- timers and signals ---- */

/*
 * Counted in pings, not in time: when this process itself was stopped for a
 * while, nobody else is to blame.
 */
static void
on_ping(void *ctx)
{
	struct parent *p = ctx;

	for (size_t i = 0; i < p->nprocs; i++) {
		struct proc *pr = &p->procs[i];

		if (pr->pid == 0 || pr->channel == NULL)
			continue;
		if (pr->role == ROLE_QUEUE && !pr->ready)
			continue;	/* a deep spool takes its time to recover */
		if (pr->unanswered++ >= PINGS_UNANSWERED_MAX) {
			log_warn("role_silent", "role=%s pid=%d", pr->name,
			    (int)pr->pid);
			(void)kill(pr->pid, SIGKILL);
			continue;
		}
		proc_send(pr, PF_PING);
	}
	if (p->step == PARENT_UP)
		parent_watch_files(p);
	loop_timer_set(p->ping, PING_MS);
}

static void
on_sigchld(void *ctx)
{
	proc_reap_all(ctx);
}

static void
on_sigterm(void *ctx)
{
	parent_drain(ctx);
}

static void
on_sigint(void *ctx)
{
	struct parent *p = ctx;

	/* The second ^C: the person at the terminal has waited enough. */
	if (p->step == PARENT_DRAINING)
		parent_kill(p, EX_OK);
	else
		parent_drain(p);
}

static void
on_sighup(void *ctx)
{
	struct parent *p = ctx;

	if (p->step == PARENT_STARTING || p->step == PARENT_UP)
		parent_reload(p, false);
}

static void
on_sigusr1(void *ctx)
{
	struct parent *p = ctx;

	logger_reopen(p->logger);
}

static void
watch_signals(struct parent *p)
{
	static const struct {
		int	 signo;
		loop_fn	*fn;
	} rows[] = {
		{ SIGCHLD, on_sigchld }, { SIGTERM, on_sigterm },
		{ SIGINT,  on_sigint },  { SIGHUP,  on_sighup },
		{ SIGUSR1, on_sigusr1 },
	};

	(void)signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		loop_signal(p->loop, rows[i].signo, rows[i].fn, p);
}

/* ---- start ---- */

static bool
find_user(struct parent *p, struct fault *f)
{
	p->root = getuid() == 0;
	return !p->root || sandbox_find_user(p->conf->user, &p->user, f);
}

static bool
make_root(struct parent *p, struct fault *f)
{
	struct stat st;

	if (!p->root)
		return true;
	if (mkdir(p->conf->root, 0755) == -1 && errno != EEXIST) {
		fault_sys(f, errno, p->conf->root, "make the empty root");
		return false;
	}
	if (stat(p->conf->root, &st) == -1 || !S_ISDIR(st.st_mode)) {
		fault_set(f, "%s: the empty root is not a directory",
		    p->conf->root);
		return false;
	}
	return true;
}

static bool
folder_is_empty(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *e;
	bool empty = dir != NULL;

	if (dir == NULL)
		return false;
	while (empty && (e = readdir(dir)) != NULL)
		empty = strcmp(e->d_name, ".") == 0 ||
		    strcmp(e->d_name, "..") == 0 ||
		    strcmp(e->d_name, "lost+found") == 0;
	(void)closedir(dir);
	return empty;
}

/*
 * The queue role works in the spool as the user, so the folder must be the
 * user's.  One that was made by root and is still empty is handed over; any
 * other owner means a wrong path, and is left alone.
 */
static bool
make_spool(struct parent *p, struct fault *f)
{
	const char *path = p->conf->spool.path;
	const bool made = mkdir(path, 0700) == 0;
	struct stat st;

	if (!made && errno != EEXIST) {
		fault_sys(f, errno, path, "make the spool");
		return false;
	}
	if (!p->root)
		return true;
	if (stat(path, &st) == -1) {
		fault_sys(f, errno, path, "spool");
		return false;
	}
	if (st.st_uid == p->user.uid)
		return true;
	if (!made && (st.st_uid != 0 || !folder_is_empty(path))) {
		fault_set(f, "%s: the spool belongs to user number %u, want %s "
		    "(chown -R %s %s)", path, (unsigned)st.st_uid,
		    p->conf->user, p->conf->user, path);
		return false;
	}
	if (chown(path, p->user.uid, p->user.gid) == -1 ||
	    chmod(path, 0700) == -1) {
		fault_sys(f, errno, path, "chown the spool");
		return false;
	}
	return true;
}

static bool
open_listeners(struct parent *p, struct fault *f)
{
	const struct conf *conf = p->conf;

	p->sockets = xcalloc(conf->nlisteners, sizeof *p->sockets);
	for (size_t i = 0; i < conf->nlisteners; i++) {
		struct listen_socket *s = &p->sockets[i];

		s->at = conf->listeners[i];
		if (!listen_tcp(&s->at, &s->fd, f))
			return false;
		p->nsockets = i + 1;
	}
	return true;
}

static bool
open_control(struct parent *p, struct fault *f)
{
	return listen_control(p->conf->control.path, p->root ? &p->user : NULL,
	    &p->control_fd, f);
}

static bool
open_counters(struct parent *p, struct fault *f)
{
	return counters_create(&p->counters_fd, f);
}

static bool
open_log(struct parent *p, struct fault *f)
{
	if (!logger_start(&p->logger, &p->conf->log, f))
		return false;
	if (!logger_attach(p->logger, "parent", &p->log_fd, f))
		return false;
	log_open(p->loop, p->log_fd, "parent");
	log_set_trace(p->conf->log.trace);
	return true;
}

static bool
start_procs(struct parent *p, struct fault *f)
{
	procs_make(p);
	for (size_t i = 0; i < p->nprocs; i++) {
		if (!proc_spawn(&p->procs[i], f))
			return false;
	}
	return true;
}

/* What is made before the loop runs, and the exit code when it cannot be. */
static const struct start_row {
	bool	(*make)(struct parent *, struct fault *);
	int	exit_code;
} start_rows[] = {
	{ find_user,		EX_CONFIG },
	{ open_listeners,	EX_UNAVAILABLE },
	{ open_control,		EX_CANTCREAT },
	{ make_root,		EX_CANTCREAT },
	{ make_spool,		EX_CANTCREAT },
	{ open_counters,	EX_OSERR },
	{ open_log,		EX_CANTCREAT },
	{ start_procs,		EX_OSERR },
};

static bool
start(struct parent *p)
{
	struct fault f = { 0 };

	for (size_t i = 0; i < COUNT_OF(start_rows); i++) {
		if (start_rows[i].make(p, &f))
			continue;
		(void)fprintf(stderr, "relayd: %s\n", f.text);
		p->exit_code = start_rows[i].exit_code;
		return false;
	}
	return true;
}

static struct conf *
first_conf(const char *path, struct buf *text)
{
	struct conf *conf = conf_load(path, text);

	if (conf == NULL)
		(void)fprintf(stderr, "%s", buf_cstr(text));
	else if (conf->generation == 0)
		conf->generation = 1;
	return conf;
}

static void
close_fd(int fd)
{
	if (fd != -1)
		(void)close(fd);
}

/* Also after half a start: then the processes that run are still to be ended. */
static void
finish(struct parent *p)
{
	if (procs_any_alive(p, ROLE_PARENT)) {
		parent_kill(p, p->exit_code);
		loop_run(p->loop);
	}
	procs_free(p);
	for (size_t i = 0; i < p->nsockets; i++)
		close_fd(p->sockets[i].fd);
	free(p->sockets);
	if (p->control_fd != -1)
		(void)unlink(p->conf->control.path);
	close_fd(p->control_fd);
	close_fd(p->counters_fd);
	if (p->logger != NULL) {
		log_event("relayd_end", "exit=%d", p->exit_code);
		log_flush();
	}
	log_open(NULL, -1, "parent");
	close_fd(p->log_fd);
	logger_stop(&p->logger);
	loop_timer_free(&p->ping);
	loop_timer_free(&p->drain);
	loop_timer_free(&p->reload);
	loop_free(&p->loop);
	buf_free(&p->reload_text);
	conf_unref(&p->conf);
}

/* A descriptor below 3 that is closed would be given to something of ours. */
static void
fill_low_fds(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	close_fd(fd);
}

int
parent_main(const char *conf_path)
{
	struct parent p = {
		.conf_path = conf_path,
		.log_fd = -1, .counters_fd = -1, .control_fd = -1,
	};
	struct buf text = { 0 };

	fill_low_fds();
	(void)umask(027);
	p.conf = first_conf(conf_path, &text);
	if (p.conf == NULL) {
		buf_free(&text);
		return EX_CONFIG;
	}
	p.loop = loop_new();
	parent_stamp_files(&p);
	p.ping = loop_timer_new(p.loop, on_ping, &p);
	p.drain = loop_timer_new(p.loop, on_drain_late, &p);
	p.reload = loop_timer_new(p.loop, on_reload_late, &p);
	watch_signals(&p);
	if (start(&p)) {
		parent_log_lines("conf_warning", &text);
		loop_timer_set(p.ping, PING_MS);
		loop_run(p.loop);
	}
	finish(&p);
	buf_free(&text);
	return p.exit_code;
}
