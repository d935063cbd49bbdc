/*
 * parent_spawn.c - starts role processes, joins them to their peers, and
 * notices their deaths.  Between fork and exec nothing runs but system calls:
 * the log thread may hold any lock.  Never reads what peers say to each other.
 *
 * Read next: parent_state.h, role.h (the story of one restart), role.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "mta/base/clock.h"
#include "mta/base/counters.h"
#include "mta/base/log.h"
#include "mta/base/loop.h"
#include "mta/proc/channel.h"
#include "mta/proc/frame.h"
#include "mta/proc/logger.h"
#include "mta/proc/parent_state.h"

#define BACKOFF_FIRST_MS	100
#define BACKOFF_MAX_MS		10000
#define LIVED_WELL_MS		10000	/* then it is restarted at once */
#define LIVED_LONG_MS		60000	/* then its past is forgotten */
#define ABOVE_ROLE_FDS		16

/* Who talks to whom: the door (queue), and ctl's questions. */
static const struct {
	enum role	a, b;
} wires[] = {
	{ ROLE_RX,  ROLE_QUEUE },
	{ ROLE_TX,  ROLE_QUEUE },
	{ ROLE_CTL, ROLE_QUEUE },
	{ ROLE_CTL, ROLE_TX },
	{ ROLE_CTL, ROLE_RX },
};

/* ---- the rows ---- */

static void
on_restart(void *ctx)
{
	struct proc *pr = ctx;
	struct fault f;

	if (proc_spawn(pr, &f))
		return;
	log_warn("role_not_started", "role=%s text=\"%s\"", pr->name, f.text);
	loop_timer_set(pr->restart, BACKOFF_MAX_MS);
}

static void
add_rows(struct parent *p, enum role role, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct proc *pr = &p->procs[p->nprocs++];

		pr->parent = p;
		pr->role = role;
		pr->index = i;
		if (i == 0)
			(void)snprintf(pr->name, sizeof pr->name, "%s",
			    role_name(role));
		else
			(void)snprintf(pr->name, sizeof pr->name, "%s%u",
			    role_name(role), i);
		pr->backoff_ms = BACKOFF_FIRST_MS;
		pr->restart = loop_timer_new(p->loop, on_restart, pr);
	}
}

static unsigned
within(unsigned n)
{
	return n < 1 ? 1 : n > ROLE_PROCESSES_MAX ? ROLE_PROCESSES_MAX : n;
}

void
procs_make(struct parent *p)
{
	const unsigned rx = within(p->conf->rx_processes);
	const unsigned tx = within(p->conf->tx_processes);

	p->procs = xcalloc(rx + tx + 2, sizeof *p->procs);
	/* The queue first: its recovery takes longest. */
	add_rows(p, ROLE_QUEUE, 1);
	add_rows(p, ROLE_TX, tx);
	add_rows(p, ROLE_RX, rx);
	add_rows(p, ROLE_CTL, 1);
}

void
procs_free(struct parent *p)
{
	for (size_t i = 0; i < p->nprocs; i++) {
		channel_free(&p->procs[i].channel);
		loop_timer_free(&p->procs[i].restart);
	}
	free(p->procs);
	p->procs = NULL;
	p->nprocs = 0;
}

struct proc *
proc_find(struct parent *p, enum role role, unsigned index)
{
	for (size_t i = 0; i < p->nprocs; i++) {
		if (p->procs[i].role == role && p->procs[i].index == index)
			return &p->procs[i];
	}
	return NULL;
}

bool
procs_any_alive(const struct parent *p, enum role role)
{
	for (size_t i = 0; i < p->nprocs; i++) {
		const struct proc *pr = &p->procs[i];

		if (pr->pid != 0 && (role == ROLE_PARENT || pr->role == role))
			return true;
	}
	return false;
}

/* ---- what a process is told ---- */

void
proc_send(struct proc *pr, uint16_t type)
{
	if (pr->channel == NULL)
		return;
	(void)channel_begin(pr->channel, type);
	channel_end(pr->channel, -1);
}

/* fd is borrowed: the process gets a copy. */
static void
send_listener(struct proc *pr, uint32_t number, int fd)
{
	const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (copy == -1) {
		log_warn("listener_not_sent", "role=%s text=\"%s\"", pr->name,
		    strerror(errno));
		return;
	}
	buf_u32(channel_begin(pr->channel, PF_LISTEN), number);
	channel_end(pr->channel, copy);
}

void
proc_send_conf(struct proc *pr)
{
	struct parent *p = pr->parent;

	if (pr->channel == NULL)
		return;
	conf_encode(p->conf, pr->role, channel_begin(pr->channel, PF_CONF));
	channel_end(pr->channel, -1);
	if (pr->role != ROLE_RX)
		return;
	for (size_t i = 0; i < p->nsockets; i++)
		send_listener(pr, (uint32_t)i, p->sockets[i].fd);
}

static void
send_peer(struct proc *pr, const struct proc *peer, uint32_t generation, int fd)
{
	struct buf *b = channel_begin(pr->channel, PF_PEER);

	buf_u8(b, (uint8_t)peer->role);
	buf_u8(b, (uint8_t)peer->index);
	buf_u32(b, generation);
	channel_end(pr->channel, fd);
}

static void
join(struct proc *a, struct proc *b)
{
	const uint32_t generation = ++a->parent->generation;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
	    pair) == -1) {
		/* Out of descriptors: a restart of one will try again. */
		log_warn("peers_not_joined", "role=%s peer=%s text=\"%s\"",
		    a->name, b->name, strerror(errno));
		return;
	}
	send_peer(a, b, generation, pair[0]);
	send_peer(b, a, generation, pair[1]);
}

static bool
are_wired(enum role a, enum role b)
{
	for (size_t i = 0; i < COUNT_OF(wires); i++) {
		if ((wires[i].a == a && wires[i].b == b) ||
		    (wires[i].a == b && wires[i].b == a))
			return true;
	}
	return false;
}

/* A new process meets every peer that lives; later ones meet it when they come. */
static void
join_peers(struct proc *pr)
{
	struct parent *p = pr->parent;

	for (size_t i = 0; i < p->nprocs; i++) {
		struct proc *peer = &p->procs[i];

		if (peer != pr && peer->channel != NULL &&
		    are_wired(pr->role, peer->role))
			join(pr, peer);
	}
}

/* ---- birth ---- */

static void
on_frame(void *ctx, uint16_t type, struct rd *payload, int fd)
{
	struct proc *pr = ctx;

	pr->unanswered = 0;
	parent_frame(pr, type, payload, fd);
}

/* The exit is what counts; a process that only went deaf is ended. */
static void
on_gone(void *ctx)
{
	struct proc *pr = ctx;

	channel_free(&pr->channel);
	if (pr->pid != 0)
		(void)kill(pr->pid, SIGKILL);
	proc_reap_all(pr->parent);
}

/* In the new process: system calls only. */
static _Noreturn void
become_role(const struct proc *pr, int channel_fd, int log_fd)
{
	const int from[] = { channel_fd, log_fd, pr->parent->counters_fd };
	const int to[] = { ROLE_FD_PARENT, ROLE_FD_LOG, ROLE_FD_COUNTERS };
	char index[4] = { 0 };
	char *argv[] = {
		(char *)"relayd", (char *)"--role",
		(char *)role_name(pr->role), index, NULL,
	};
	sigset_t none;
	int high[COUNT_OF(from)];

	index[0] = (char)('0' + pr->index / 10);
	index[1] = (char)('0' + pr->index % 10);
	/* First out of the way of each other, then to their places. */
	for (size_t i = 0; i < COUNT_OF(from); i++) {
		high[i] = fcntl(from[i], F_DUPFD_CLOEXEC, ABOVE_ROLE_FDS);
		if (high[i] == -1)
			_exit(EX_OSERR);
	}
	for (size_t i = 0; i < COUNT_OF(to); i++) {
		if (dup2(high[i], to[i]) == -1)
			_exit(EX_OSERR);
	}
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)execv("/proc/self/exe", argv);
	_exit(EX_OSERR);
}

bool
proc_spawn(struct proc *pr, struct fault *f)
{
	struct parent *p = pr->parent;
	int pair[2], log_fd;

	if (!logger_attach(p->logger, pr->name, &log_fd, f))
		return false;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
	    pair) == -1) {
		fault_sys(f, errno, pr->name, "socketpair");
		(void)close(log_fd);
		return false;
	}
	pr->pid = fork();
	if (pr->pid == 0)
		become_role(pr, pair[1], log_fd);
	(void)close(log_fd);
	(void)close(pair[1]);
	if (pr->pid == -1) {
		fault_sys(f, errno, pr->name, "fork");
		pr->pid = 0;
		(void)close(pair[0]);
		return false;
	}
	pr->channel = channel_new(p->loop, pair[0], on_frame, on_gone, pr);
	pr->started_wall_ms = clock_wall_ms();
	pr->started_mono_ms = clock_mono_ms();
	pr->unanswered = 0;
	pr->conf_taken = 0;
	pr->ready = false;
	proc_send_conf(pr);
	if (pr->role == ROLE_CTL)
		send_listener(pr, 0, p->control_fd);
	join_peers(pr);
	return true;
}

/* ---- death ---- */

static void
describe_exit(int status, char *buf, size_t size)
{
	if (WIFSIGNALED(status))
		(void)snprintf(buf, size, "signal_%d", WTERMSIG(status));
	else
		(void)snprintf(buf, size, "%d", WEXITSTATUS(status));
}

static void
plan_restart(struct proc *pr, int64_t lived_ms)
{
	int64_t wait_ms = pr->backoff_ms;

	if (lived_ms > LIVED_LONG_MS)
		pr->backoff_ms = BACKOFF_FIRST_MS;
	if (lived_ms > LIVED_WELL_MS) {
		wait_ms = 0;
	} else {
		pr->backoff_ms *= 2;
		if (pr->backoff_ms > BACKOFF_MAX_MS)
			pr->backoff_ms = BACKOFF_MAX_MS;
	}
	pr->restarts++;
	loop_timer_set(pr->restart, wait_ms);
}

static void
proc_died(struct proc *pr, int status)
{
	struct parent *p = pr->parent;
	const int64_t lived_ms = clock_mono_ms() - pr->started_mono_ms;
	const bool ending = p->step == PARENT_DRAINING || p->step == PARENT_KILLING;
	char how[24];

	describe_exit(status, how, sizeof how);
	if (!ending || (status != 0 && p->step == PARENT_DRAINING))
		log_warn("role_died", "role=%s pid=%d status=%s", pr->name,
		    (int)pr->pid, how);
	pr->pid = 0;
	pr->ready = false;
	channel_free(&pr->channel);
	counters_clear_gauges(role_column(pr->role, pr->index));
	if (ending) {
		parent_one_exited(p);
		return;
	}
	parent_conf_taken(p);	/* nobody waits for the dead */
	plan_restart(pr, lived_ms);
}

/*
 * What a process said last (PF_FATAL) may still be unread when its exit is
 * known.  So an exit is taken only once the channel is gone, too; whichever
 * of the two is noticed later comes here.
 */
void
proc_reap_all(struct parent *p)
{
	for (size_t i = 0; i < p->nprocs; i++) {
		struct proc *pr = &p->procs[i];
		int status;

		if (pr->pid != 0 && pr->channel == NULL &&
		    waitpid(pr->pid, &status, WNOHANG) == pr->pid)
			proc_died(pr, status);
	}
}
