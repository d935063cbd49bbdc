/*
 * commands.h - the functions behind the rows of verbs.h.  Each starts the
 * command of c and returns; see client.h for how it goes on.
 */
#pragma once

struct client;

/* Finds the verb, checks right and options, runs it. */
void command_run(struct client *c);

void cmd_status(struct client *c);	/* look.c */
void cmd_queue(struct client *c);
void cmd_list(struct client *c);
void cmd_show(struct client *c);
void cmd_cat(struct client *c);
void cmd_health(struct client *c);	/* status.c */
void cmd_explain(struct client *c);	/* explain.c */
void cmd_resolve(struct client *c);	/* lookup.c */
void cmd_probe(struct client *c);
void cmd_retry(struct client *c);	/* act.c */
void cmd_hold(struct client *c);
void cmd_release(struct client *c);
void cmd_remove(struct client *c);
void cmd_reload(struct client *c);
void cmd_check(struct client *c);
void cmd_dns(struct client *c);		/* dns.c */
void cmd_help(struct client *c);	/* commands.c */
