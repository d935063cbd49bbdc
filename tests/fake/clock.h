/*
 * clock.h - the settable clock that tests link in place of mta/base/clock.c.
 */
#pragma once

#include <stdint.h>

void fake_clock_set(int64_t wall_ms, int64_t mono_ms);
void fake_clock_advance(int64_t ms);		/* both clocks */
void fake_clock_step_wall(int64_t ms);		/* somebody set the wall clock */
