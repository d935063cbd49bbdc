/*
 * command.h - command lines of SMTP (RFC 5321 4.1.1): verb, argument,
 * parameters.  Form only: what is allowed when is rx's business.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Octets of a line, its end included; RFC 5321 4.5.3.1.4 asks for 512. */
#define SMTP_COMMAND_MAX 4096

enum smtp_verb {
	SMTP_UNKNOWN = 0,
	SMTP_EHLO, SMTP_HELO, SMTP_MAIL, SMTP_RCPT, SMTP_DATA, SMTP_RSET,
	SMTP_NOOP, SMTP_VRFY, SMTP_EXPN, SMTP_HELP, SMTP_QUIT,
	SMTP_VERB_COUNT
};

struct smtp_command {
	enum smtp_verb	 verb;
	const char	*arg;		/* after "FROM:" / "TO:" for MAIL and RCPT; borrowed */
	size_t		 arg_len;	/* blanks around it are gone; 0: none */
	bool		 bad_form;	/* no "FROM:" / "TO:"; an octet no command can hold */
};

const char *smtp_verb_name(enum smtp_verb v);	/* "EHLO"; "" for unknown */

/* line: without its end.  Case of verbs is ignored. */
void smtp_command_parse(const char *line, size_t n, struct smtp_command *c);

/* One "KEYWORD" or "KEYWORD=VALUE" of MAIL and RCPT (RFC 5321 4.1.2 esmtp-param). */
struct smtp_param {
	const char	*key;		/* borrowed */
	size_t		 key_len;
	const char	*value;		/* NULL: none given */
	size_t		 value_len;
};

enum smtp_param_result { SMTP_PARAM_END = 0, SMTP_PARAM_ONE, SMTP_PARAM_BAD };

/* Reads the next from *at, which it moves on; end is one past the text. */
enum smtp_param_result smtp_param_next(const char **at, const char *end, struct smtp_param *p);
bool smtp_param_is(const struct smtp_param *p, const char *key);	/* case ignored */
bool smtp_param_value_is(const struct smtp_param *p, const char *value);
/* Decimal, 1 to 20 digits, in range (RFC 1870 3). */
bool smtp_param_number(const struct smtp_param *p, uint64_t *n_r);
