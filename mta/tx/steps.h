/*
 * steps.h - private to session.c and steps.c: what a session does in each
 * state.  An enter function only writes; a reply function returns the state
 * that comes next and never moves by itself.
 */
#pragma once

#include "mta/tx/session.h"

void ehlo_enter(struct tx_session *s);
void helo_enter(struct tx_session *s);
void idle_enter(struct tx_session *s);
void mail_enter(struct tx_session *s);
void rcpt_enter(struct tx_session *s);
void data_enter(struct tx_session *s);
void dot_enter(struct tx_session *s);
void rset_enter(struct tx_session *s);
void quit_enter(struct tx_session *s);

enum tx_state greeting_reply(struct tx_session *s, const struct smtp_reply *r);
enum tx_state ehlo_reply(struct tx_session *s, const struct smtp_reply *r);
enum tx_state helo_reply(struct tx_session *s, const struct smtp_reply *r);
enum tx_state mail_reply(struct tx_session *s, const struct smtp_reply *r);
enum tx_state rcpt_reply(struct tx_session *s, const struct smtp_reply *r);
enum tx_state skip_reply(struct tx_session *s, const struct smtp_reply *r);
enum tx_state data_reply(struct tx_session *s, const struct smtp_reply *r);
enum tx_state dot_reply(struct tx_session *s, const struct smtp_reply *r);
enum tx_state rset_reply(struct tx_session *s, const struct smtp_reply *r);
enum tx_state quit_reply(struct tx_session *s, const struct smtp_reply *r);

/* The next piece of a body from a file: TX_DOT after the last, TX_CLOSED: unreadable. */
enum tx_state body_piece(struct tx_session *s);
/* What the session does when it has nothing in hand. */
enum tx_state next_job(struct tx_session *s);

/* The verdict ended the session: settles its job or sends it to another connection. */
void step_broken(struct tx_session *s, const struct verdict *v);
void step_trace(struct tx_session *s, enum stage stage, const char *text);
