/*
 * sinkscript.h - how sinksmtp departs from saying 250 to everything.  Lines:
 *
 *   at STAGE [CONDITION...] ACTION [once | times=N]
 *   off STAGE                         forget the rules of a stage
 *
 * STAGE: connect ehlo helo mail rcpt data dot rset quit.  CONDITION: domain=D
 * (of the recipient: the one at hand, or any so far), rcpt=A, sender=A,
 * listen=ADDR:PORT.  The last rule that matches wins.  ACTION:
 *
 *   reply "TEXT"      say this ("\n" parts lines, each sent with CRLF)
 *   close             close, saying nothing     reset   with a TCP reset
 *   silence           never answer              delay MS  the usual reply, late
 *   garbage           a line that is no reply
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum sink_stage { AT_CONNECT = 0, AT_EHLO, AT_HELO, AT_MAIL, AT_RCPT, AT_DATA, AT_DOT, AT_RSET, AT_QUIT, AT_COUNT };

enum sink_act { SINK_USUAL = 0, SINK_REPLY, SINK_CLOSE, SINK_RESET, SINK_SILENCE, SINK_DELAY, SINK_GARBAGE };

struct sink_rule {
	enum sink_stage	stage;
	enum sink_act	act;
	unsigned	delay_ms;
	bool		counted;
	unsigned	left;
	char		domain[256], rcpt[320], sender[320], listen[64];
	char		reply[512];
};

#define SINK_RULES_MAX 256

struct sink_script {
	struct sink_rule rules[SINK_RULES_MAX];
	size_t		 nrules;
};

/* What a rule is held against. */
struct sink_facts {
	const char	*listen, *sender, *rcpt;
	char *const	*rcpts;		/* all so far */
	size_t		 nrcpts;
};

bool sink_script_line(struct sink_script *s, const char *line, char *why, size_t size);
bool sink_script_load(struct sink_script *s, const char *path, char *why, size_t size);

/* NULL: the usual reply.  Counts the use. */
const struct sink_rule *sink_script_find(struct sink_script *s, enum sink_stage stage, const struct sink_facts *facts);

/* The address between < and > of a MAIL or RCPT argument, cut out in place; *rest: its parameters. */
const char *sink_cut_path(char *arg, char **rest);	/* NULL: no path */
