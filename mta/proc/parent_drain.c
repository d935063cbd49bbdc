/*
 * parent_drain.c - the end, in order: who takes mail in stops first, who keeps
 * it stops last but one.  Never waits longer than the last row says; what is
 * killed then loses nothing, the spool is safe at any moment.
 *
 * Read next: parent_state.h, role.h (drain).
 */
#include <signal.h>
#include <sysexits.h>
#include <unistd.h>

#include "mta/base/clock.h"
#include "mta/base/log.h"
#include "mta/base/loop.h"
#include "mta/proc/parent_state.h"

#define KILLED_MS 5000		/* a killed process stuck in the kernel */

/* Each stage ends when its role's processes are gone, or at until_ms. */
static const struct drain_row {
	enum role	role;
	int64_t		until_ms;	/* since the drain began */
} drain_rows[] = {
	{ ROLE_RX,	 5000 },
	{ ROLE_TX,	20000 },
	{ ROLE_QUEUE,	28000 },
	{ ROLE_CTL,	30000 },
};

static void
end_now(struct parent *p)
{
	p->step = PARENT_KILLING;
	for (size_t i = 0; i < p->nprocs; i++) {
		loop_timer_clear(p->procs[i].restart);
		if (p->procs[i].pid != 0)
			(void)kill(p->procs[i].pid, SIGKILL);
	}
	if (procs_any_alive(p, ROLE_PARENT))
		loop_timer_set(p->drain, KILLED_MS);
	else
		loop_stop(p->loop);
}

static void
tell_stage(struct parent *p)
{
	const enum role role = drain_rows[p->drain_stage].role;

	for (size_t i = 0; i < p->nprocs; i++) {
		if (p->procs[i].role == role)
			proc_send(&p->procs[i], PF_DRAIN);
	}
}

static void
drain_on(struct parent *p)
{
	const int64_t spent = clock_mono_ms() - p->drain_from_mono_ms;

	while (p->drain_stage < COUNT_OF(drain_rows)) {
		const struct drain_row *row = &drain_rows[p->drain_stage];

		if (spent < row->until_ms && procs_any_alive(p, row->role)) {
			loop_timer_set(p->drain, row->until_ms - spent);
			return;
		}
		if (++p->drain_stage < COUNT_OF(drain_rows))
			tell_stage(p);
	}
	end_now(p);
}

void
parent_drain(struct parent *p)
{
	if (p->step >= PARENT_DRAINING)
		return;
	log_event("drain", "pid=%d", (int)getpid());
	p->step = PARENT_DRAINING;
	p->drain_from_mono_ms = clock_mono_ms();
	p->drain_stage = 0;
	for (size_t i = 0; i < p->nprocs; i++)
		loop_timer_clear(p->procs[i].restart);
	tell_stage(p);
	drain_on(p);
}

void
parent_kill(struct parent *p, int exit_code)
{
	if (p->exit_code == EX_OK)
		p->exit_code = exit_code;
	if (p->step != PARENT_KILLING)
		end_now(p);
}

void
parent_one_exited(struct parent *p)
{
	if (p->step == PARENT_DRAINING)
		drain_on(p);
	else if (!procs_any_alive(p, ROLE_PARENT))
		loop_stop(p->loop);
}

void
on_drain_late(void *ctx)
{
	struct parent *p = ctx;

	if (p->step == PARENT_DRAINING)
		drain_on(p);
	else
		loop_stop(p->loop);
}
