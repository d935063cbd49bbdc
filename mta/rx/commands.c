/*
 * commands.c - the commands of SMTP as rows: where allowed, with what, and
 * one function each that answers and returns the next state.
 * Never moves a session itself, never looks at content.
 * Sources: RFC 5321 4.1 and 4.2, 1870 (SIZE), 6152 (8BITMIME), 2034, 2920.
 * Read next: session.h; admit.h for who may relay; data.c for DATA.
 */
#include <stdlib.h>
#include <string.h>

#include "mta/base/counters.h"
#include "mta/base/log.h"
#include "mta/base/str.h"
#include "mta/rx/admit.h"
#include "mta/rx/rx.h"
#include "mta/rx/session.h"
#include "mta/smtp/address.h"

#define IN(state) (1u << (state))
#define ANYWHERE (IN(RX_GREETED) | IN(RX_READY) | IN(RX_MAIL) | IN(RX_RCPT))
#define HELO_MAX 512

static const char bad_arg[] = "501 5.5.4 syntax error in argument";

/* EHLO and HELO forget the transaction (RFC 5321 4.1.4). */
static bool
greet(struct rx_session *s, const struct smtp_command *c)
{
	if (c->arg_len > HELO_MAX) {
		rx_say(s, bad_arg);
		return false;
	}
	rx_transaction_reset(s);
	free(s->helo);
	s->helo = xstrndup(c->arg, c->arg_len);
	str_safe(s->helo, c->arg_len + 1, c->arg, c->arg_len);
	s->esmtp = c->verb == SMTP_EHLO;
	return true;
}

static enum rx_state
run_ehlo(struct rx_session *s, const struct smtp_command *c)
{
	if (!greet(s, c))
		return s->state;
	rx_sayf(s, "250-%s\r\n"
	    "250-PIPELINING\r\n"
	    "250-SIZE %llu\r\n"
	    "250-8BITMIME\r\n"
	    "250-ENHANCEDSTATUSCODES\r\n"
	    "250 HELP",
	    rx_hostname(s), (unsigned long long)s->cl->size_bytes);
	return RX_READY;
}

static enum rx_state
run_helo(struct rx_session *s, const struct smtp_command *c)
{
	if (!greet(s, c))
		return s->state;
	rx_sayf(s, "250 %s", rx_hostname(s));
	return RX_READY;
}

static bool
too_big(const struct rx_session *s, uint64_t n)
{
	return s->cl->size_bytes != 0 && n > s->cl->size_bytes;
}

/* Parameters of MAIL.  False: answered. */
static bool
mail_params(struct rx_session *s, const char *at, const char *end)
{
	enum smtp_param_result more;
	struct smtp_param p;

	while ((more = smtp_param_next(&at, end, &p)) == SMTP_PARAM_ONE) {
		if (smtp_param_is(&p, "SIZE")) {
			if (!smtp_param_number(&p, &s->declared)) {
				rx_say(s, "501 5.5.4 SIZE wants a number");
				return false;
			}
		} else if (smtp_param_is(&p, "BODY")) {
			s->envelope.body_8bit = smtp_param_value_is(&p, "8BITMIME");
			if (!s->envelope.body_8bit && !smtp_param_value_is(&p, "7BIT")) {
				rx_say(s, "501 5.5.4 BODY wants 7BIT or 8BITMIME");
				return false;
			}
		} else {
			rx_say(s, "555 5.5.4 parameter not recognized");
			return false;
		}
	}
	if (more == SMTP_PARAM_BAD) {
		rx_say(s, "501 5.5.4 syntax error in parameters");
		return false;
	}
	if (too_big(s, s->declared)) {
		rx_sayf(s, "552 5.3.4 more than the %llu octets taken here",
		    (unsigned long long)s->cl->size_bytes);
		return false;
	}
	return true;
}

/* what: "5.1.7 … sender" or "5.1.3 … recipient".  False: answered. */
static bool
path_of(struct rx_session *s, const struct smtp_command *c, struct smtp_path *path,
    size_t *used, const char *what)
{
	switch (smtp_path_parse(c->arg, c->arg_len, path, used)) {
	case SMTP_PATH_OK:
		return true;
	case SMTP_PATH_NON_ASCII:
		rx_say(s, "553 5.6.7 SMTPUTF8 is not offered here");
		return false;
	case SMTP_PATH_SYNTAX:
	case SMTP_PATH_LONG:
		break;
	}
	rx_sayf(s, "501 %s address", what);
	return false;
}

/* "postmaster" alone is the one here (RFC 5321 4.5.1). */
static char *
address_of(const struct rx_session *s, const struct smtp_path *path)
{
	if (path->len == path->local_len && path->len != 0)
		return xasprintf("%.*s@%s", (int)path->len, path->address,
		    rx_hostname(s));
	return xstrndup(path->address, path->len);
}

static enum rx_state
run_mail(struct rx_session *s, const struct smtp_command *c)
{
	struct smtp_path path;
	size_t used;

	if (!rx_session_adopt(s)) {
		rx_say(s, "421 4.3.2 this listener is closed");
		return RX_CLOSING;
	}
	s->declared = 0;
	s->envelope.body_8bit = false;
	if (!path_of(s, c, &path, &used, "5.1.7 bad sender") ||
	    !mail_params(s, c->arg + used, c->arg + c->arg_len))
		return s->state;
	s->envelope.sender = address_of(s, &path);
	rx_say(s, "250 2.1.0 ok");
	return RX_MAIL;
}

static void
recipient_add(struct rx_session *s, char *address)
{
	struct envelope *e = &s->envelope;

	if (e->nrecipients == s->recipients_cap) {
		s->recipients_cap = s->recipients_cap == 0 ? 2 : s->recipients_cap * 2;
		e->recipients = xrealloc(e->recipients,
		    s->recipients_cap * sizeof(*e->recipients));
	}
	e->recipients[e->nrecipients++] = (struct recipient){ .address = address };
}

static void
refused(const struct rx_session *s, const char *address, enum rx_admission why)
{
	char quoted[512];

	counter_add(C_rx_refused_total, 1);
	log_event("refused", "client=%s rcpt=%s why=%s listener=%s", s->client_text,
	    log_quote(quoted, sizeof(quoted), address), admit_name(why), s->cl->name);
}

static enum rx_state
run_rcpt(struct rx_session *s, const struct smtp_command *c)
{
	const char *end = c->arg + c->arg_len, *at;
	enum smtp_param_result more;
	enum rx_admission admission;
	struct smtp_param p;
	struct smtp_path path;
	char *address;
	size_t used;

	if (!path_of(s, c, &path, &used, "5.1.3 bad recipient"))
		return s->state;
	at = c->arg + used;
	more = smtp_param_next(&at, end, &p);
	if (path.len == 0 || more != SMTP_PARAM_END) {
		rx_say(s, path.len == 0 ? "501 5.1.3 bad recipient address" :
		    more == SMTP_PARAM_ONE ? "555 5.5.4 parameter not recognized" :
		    "501 5.5.4 syntax error in parameters");
		return s->state;
	}
	address = address_of(s, &path);
	admission = admit_recipient(s->network, s->conf->router, address);
	if (admission != ADMIT_OK || s->envelope.nrecipients >= s->cl->recipients) {
		if (admission != ADMIT_OK)
			refused(s, address, admission);
		rx_say(s, admission != ADMIT_OK ? admit_reply(admission) :
		    "452 4.5.3 too many recipients");
		/* A client of ours may well have a list with many stale domains in it. */
		if (admission == ADMIT_NO_ROUTE)
			s->errors--;
		free(address);
		return s->state;
	}
	recipient_add(s, address);
	rx_say(s, admit_reply(ADMIT_OK));
	return RX_RCPT;
}

static enum rx_state
run_data(struct rx_session *s, const struct smtp_command *c)
{
	(void)c;
	return rx_data_begin(s);
}

static enum rx_state
run_rset(struct rx_session *s, const struct smtp_command *c)
{
	(void)c;
	rx_transaction_reset(s);
	rx_say(s, "250 2.0.0 ok");
	return s->state == RX_GREETED ? RX_GREETED : RX_READY;
}

static enum rx_state
run_noop(struct rx_session *s, const struct smtp_command *c)
{
	(void)c;
	rx_say(s, "250 2.0.0 ok");
	return s->state;
}

/* RFC 5321 3.5.3: a relay cannot tell; 7.3: and would not. */
static enum rx_state
run_vrfy(struct rx_session *s, const struct smtp_command *c)
{
	(void)c;
	rx_say(s, "252 2.5.0 cannot verify, send and see");
	return s->state;
}

static enum rx_state
run_expn(struct rx_session *s, const struct smtp_command *c)
{
	(void)c;
	rx_say(s, "502 5.5.1 no lists here");
	return s->state;
}

static enum rx_state
run_help(struct rx_session *s, const struct smtp_command *c)
{
	(void)c;
	rx_say(s, "214 2.0.0 EHLO HELO MAIL RCPT DATA RSET NOOP VRFY EXPN HELP QUIT");
	return s->state;
}

static enum rx_state
run_quit(struct rx_session *s, const struct smtp_command *c)
{
	(void)c;
	rx_say(s, "221 2.0.0 bye");
	return RX_CLOSING;
}

enum arg { ARG_NONE = 0, ARG_MAY, ARG_MUST };

static const struct rx_command {
	unsigned	 allowed_in;
	enum arg	 arg;
	enum rx_state	(*run)(struct rx_session *, const struct smtp_command *);
} commands[] = {
	[SMTP_UNKNOWN] = { 0, ARG_MAY, NULL },
	[SMTP_EHLO] = { ANYWHERE, ARG_MUST, run_ehlo },
	[SMTP_HELO] = { ANYWHERE, ARG_MUST, run_helo },
	[SMTP_MAIL] = { IN(RX_READY), ARG_MUST, run_mail },
	[SMTP_RCPT] = { IN(RX_MAIL) | IN(RX_RCPT), ARG_MUST, run_rcpt },
	[SMTP_DATA] = { IN(RX_RCPT), ARG_NONE, run_data },
	[SMTP_RSET] = { ANYWHERE, ARG_NONE, run_rset },
	[SMTP_NOOP] = { ANYWHERE, ARG_MAY, run_noop },
	[SMTP_VRFY] = { ANYWHERE, ARG_MUST, run_vrfy },
	[SMTP_EXPN] = { ANYWHERE, ARG_MUST, run_expn },
	[SMTP_HELP] = { ANYWHERE, ARG_MAY, run_help },
	[SMTP_QUIT] = { ANYWHERE, ARG_NONE, run_quit },
};
_Static_assert(COUNT_OF(commands) == SMTP_VERB_COUNT, "one row per smtp_verb");

static enum rx_state
run_line(struct rx_session *s, const char *line, size_t n)
{
	const struct rx_command *row;
	struct smtp_command c;

	smtp_command_parse(line, n, &c);
	row = &commands[c.verb];
	if (row->run == NULL) {
		rx_say(s, "500 5.5.1 command not recognized");
		return s->state;
	}
	if ((row->allowed_in & IN(s->state)) == 0) {
		rx_say(s, s->state == RX_GREETED ? "503 5.5.1 say EHLO first" :
		    "503 5.5.1 bad sequence of commands");
		return s->state;
	}
	if (c.bad_form || (row->arg == ARG_MUST && c.arg_len == 0) ||
	    (row->arg == ARG_NONE && c.arg_len != 0)) {
		rx_say(s, bad_arg);
		return s->state;
	}
	return row->run(s, &c);
}

size_t
rx_commands_input(struct rx_session *s, const uint8_t *data, size_t n)
{
	const uint8_t *lf = memchr(data, '\n', n);
	size_t len;

	if (lf == NULL) {
		if (!s->skipping && n < SMTP_COMMAND_MAX)
			return 0;
		s->skipping = true;	/* answered at its end */
		return n;
	}
	len = (size_t)(lf - data);
	if (s->skipping || len >= SMTP_COMMAND_MAX) {
		s->skipping = false;
		rx_say(s, "500 5.5.2 line too long");
		return len + 1;
	}
	if (len > 0 && data[len - 1] == '\r')
		rx_move(s, run_line(s, (const char *)data, len - 1));
	else
		rx_move(s, run_line(s, (const char *)data, len));
	return (size_t)(lf - data) + 1;
}
