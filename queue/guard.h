/*
 * guard.h - the spool's directory: made, checked, locked.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"
#include "mta/base/fault.h"
#include "queue/segment.h"

/*
 * By path; afterwards all is relative to *dirs.  *exit_code on failure: 73 not
 * writable, 75 locked by another, 78 ephemeral, wrong owner or mode, newer format.
 */
MUST_CHECK bool guard_open(struct spool_dirs *dirs, uint8_t uuid[16], const struct conf_spool *conf,
    int *exit_code, struct fault *f);
void guard_close(struct spool_dirs *dirs);	/* unlocks */
