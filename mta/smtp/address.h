/*
 * address.h - paths and mailboxes as they stand in MAIL and RCPT (RFC 5321
 * 4.1.2), and the names that clients call themselves.
 *
 * Nothing is copied: results point into the text that was read.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define SMTP_PATH_MAX 4096	/* far above RFC 5321 4.5.3.1.3: Exchange sends 1,860 */

struct smtp_path {
	const char	*address;	/* without <> and source route; borrowed */
	size_t		 len;		/* 0: the null path "<>" */
	size_t		 local_len;	/* of the local part; == len: no domain */
};

enum smtp_path_result {
	SMTP_PATH_OK = 0,
	SMTP_PATH_SYNTAX,
	SMTP_PATH_NON_ASCII,	/* would need SMTPUTF8 */
	SMTP_PATH_LONG,
};

/*
 * Reads a path from s[0..n): blanks, then "<…>".  *used_r: octets up to behind
 * the ">".  A source route ("<@a,@b:c@d>") is stripped (RFC 5321 appendix C).
 * Without a domain only "postmaster" is taken (4.5.1).  Quoted local parts and
 * address literals stay as given.
 */
enum smtp_path_result smtp_path_parse(const char *s, size_t n, struct smtp_path *path,
    size_t *used_r);

/* A domain name: labels of letters, digits, "-" and "_", at most 255 octets in all. */
bool smtp_domain_ok(const char *s, size_t n);
/* "[192.0.2.1]" or "[IPv6:2001:db8::1]". */
bool smtp_literal_ok(const char *s, size_t n);
