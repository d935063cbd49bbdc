/*
 * clock.c - time that moves only when a test says so.  Starts at a round wall
 * time, so that forgotten zeros show; never asks the kernel.
 *
 *
 * Read next: tests/fake/clock.h, mta/base/clock.h.
 */
#include "tests/fake/clock.h"

#include "mta/base/clock.h"

static int64_t wall = 1800000000000;	/* 2027-01-15T08:00:00Z */
static int64_t mono = 1000000;

void
fake_clock_set(int64_t wall_ms, int64_t mono_ms)
{
	wall = wall_ms;
	mono = mono_ms;
}

void
fake_clock_advance(int64_t ms)
{
	wall += ms;
	mono += ms;
}

void
fake_clock_step_wall(int64_t ms)
{
	wall += ms;
}

int64_t
clock_wall_ms(void)
{
	return wall;
}

int64_t
clock_mono_ms(void)
{
	return mono;
}

int64_t
clock_mono_us(void)
{
	return mono * 1000;
}
