/*
 * server.c - the health of one DNS server: silence to three different names in
 * a row puts it on cooldown, one question probes it afterwards.
 * Never asks anything; any packet that answers a question, whatever its rcode,
 * is life.  One silent domain is no evidence against a server.
 * Read next: question.c.
 */
#include <string.h>

#include "mta/base/str.h"
#include "mta/dns/resolver.h"

void
server_alive(struct dns_server *sv)
{
	sv->nsilent = 0;
	sv->cooldown_until_ms = 0;
	sv->probing = false;
}

void
server_silent(struct dns_server *sv, const char *name, int64_t cooldown_ms,
    int64_t now_ms)
{
	sv->probing = false;
	for (unsigned i = 0; i < sv->nsilent; i++) {
		if (str_eq_nocase(sv->silent[i], name)) {
			/* known: but a probe that failed begins it anew */
			if (sv->nsilent == SILENT_NAMES)
				sv->cooldown_until_ms = now_ms + cooldown_ms;
			return;
		}
	}
	if (sv->nsilent < SILENT_NAMES)
		str_copy(sv->silent[sv->nsilent++], sizeof sv->silent[0], name);
	if (sv->nsilent == SILENT_NAMES)
		sv->cooldown_until_ms = now_ms + cooldown_ms;
}

bool
server_ready(const struct dns_server *sv, int64_t now_ms)
{
	return sv->cooldown_until_ms == 0 ||
	    (sv->cooldown_until_ms <= now_ms && !sv->probing);
}
