/*
 * syntax.h - what libconfig does not say: why a file is no configuration, and
 * what it takes in silence although nobody can have meant it.
 */
#pragma once

#include "conf/report.h"

/*
 * After config_read_file() failed: one error, "file:line: syntax: "<line>": hint".
 * The line is where the mistake is, which may be before the one where
 * libconfig stumbled.
 */
void syntax_explain(struct report *r, const config_t *tree);

/*
 * For each file that was read: strings that libconfig glues together (a
 * missing comma), strings over several lines (a missing quote) and numbers
 * that it cuts to 32 bits.
 */
void syntax_lint(struct report *r, const char *file);
