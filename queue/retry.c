/*
 * retry.c - the schedules of conf_retry, applied.  Never reads a clock and keeps
 * nothing.  Read next: queue/sched.h (who waits), mta/qm/settle.c (who asks).
 */
#include "queue/retry.h"

#include "conf/conf.h"

int64_t
retry_wait_ms(const struct conf_retry *p, enum reason reason, unsigned failures, uint32_t random)
{
	const bool dns = reason_is_dns(reason) && p->ndns > 0;
	const int64_t *step = dns ? p->dns_ms : p->schedule_ms;
	const size_t n = dns ? p->ndns : p->nschedule;
	size_t at = failures > 0 ? failures - 1 : 0;
	int64_t wait;

	if (n == 0)
		return 60000;
	if (at >= n)
		at = n - 1;
	wait = step[at];
	return wait - wait / 10 * (random % 1000) / 1000;
}

int64_t
retry_longest_ms(const struct conf_retry *p)
{
	int64_t longest = 60000;

	for (size_t i = 0; i < p->nschedule; i++)
		if (p->schedule_ms[i] > longest)
			longest = p->schedule_ms[i];
	for (size_t i = 0; i < p->ndns; i++)
		if (p->dns_ms[i] > longest)
			longest = p->dns_ms[i];
	return longest;
}

bool
retry_expired(const struct conf_retry *p, int64_t arrival_wall_ms, int64_t began_wall_ms)
{
	return began_wall_ms >= arrival_wall_ms + p->expire_ms;
}

bool
retry_notice_due(const struct conf_retry *p, int64_t arrival_wall_ms, int64_t now_wall_ms)
{
	return p->notice_ms > 0 && now_wall_ms >= arrival_wall_ms + p->notice_ms;
}
