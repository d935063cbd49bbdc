/*
 * conf_keys.c - prints the key table, for docs_check.py.
 * Must never grow options: one table, one print.
 * Read next: conf/keys.c, docs_check.py.
 */
#include "conf/keys.h"

int
main(void)
{
	conf_print_keys(stdout);
	return 0;
}
