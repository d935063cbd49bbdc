/*
 * rights.c - the three rights of the control socket.  Never grants by a name
 * it could not look up; never reads a file after the role has closed itself in.
 * Read next: server.c (who asks), verbs.c (what each verb needs).
 */
#include "mta/ctl/rights.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "conf/conf.h"

bool
rights_lookup(const char *name, bool group, uint32_t *number_r)
{
	if (group) {
		const struct group *g = getgrnam(name);

		if (g == NULL)
			return false;
		*number_r = g->gr_gid;
	} else {
		const struct passwd *p = getpwnam(name);

		if (p == NULL)
			return false;
		*number_r = p->pw_uid;
	}
	return true;
}

static bool
is_number(const char *s, uint32_t *number_r)
{
	uint64_t n = 0;

	if (*s == '\0')
		return false;
	for (; *s != '\0'; s++) {
		if (*s < '0' || *s > '9')
			return false;
		n = n * 10 + (uint64_t)(*s - '0');
		if (n >= UINT32_MAX)
			return false;
	}
	*number_r = (uint32_t)n;
	return true;
}

static struct rights_entry *
remembered(struct rights *r, const char *name)
{
	for (size_t i = 0; i < r->n; i++) {
		if (strcmp(r->entries[i].name, name) == 0)
			return &r->entries[i];
	}
	return NULL;
}

static void
grant(struct rights *r, const char *name, unsigned right, rights_lookup_fn *lookup,
    struct buf *unknown)
{
	const bool group = name[0] == '@';
	struct rights_entry *e = remembered(r, name);

	if (e == NULL) {
		r->entries = xrealloc(r->entries, (r->n + 1) * sizeof *r->entries);
		e = &r->entries[r->n++];
		*e = (struct rights_entry){ .name = xstrdup(name), .group = group };
	}
	e->right |= right;
	if (e->known)
		return;
	e->known = is_number(name + group, &e->number) ||
	    (lookup != NULL && lookup(name + group, group, &e->number));
	if (!e->known)
		buf_printf(unknown, "%s\n", name);
}

void
rights_take(struct rights *r, const struct conf_control *conf, uid_t own,
    rights_lookup_fn *lookup, struct buf *unknown)
{
	r->own = own;
	for (size_t i = 0; i < r->n; i++)
		r->entries[i].right = 0;
	for (size_t i = 0; i < conf->nlook; i++)
		grant(r, conf->look[i], RIGHT_LOOK, lookup, unknown);
	for (size_t i = 0; i < conf->nread; i++)
		grant(r, conf->read[i], RIGHT_READ | RIGHT_LOOK, lookup, unknown);
	for (size_t i = 0; i < conf->nact; i++)
		grant(r, conf->act[i], RIGHT_ACT | RIGHT_LOOK, lookup, unknown);
}

void
rights_free(struct rights *r)
{
	for (size_t i = 0; i < r->n; i++)
		free(r->entries[i].name);
	free(r->entries);
	*r = (struct rights){ 0 };
}

static bool
is_member(const struct peer_ids *ids, uint32_t gid)
{
	for (size_t i = 0; i < ids->ngids; i++) {
		if (ids->gids[i] == gid)
			return true;
	}
	return false;
}

unsigned
rights_of(const struct rights *r, const struct peer_ids *ids)
{
	unsigned right = 0;

	if (ids->uid == 0 || ids->uid == r->own)
		return RIGHT_ALL;
	for (size_t i = 0; i < r->n; i++) {
		const struct rights_entry *e = &r->entries[i];

		if (!e->known)
			continue;
		if (e->group ? is_member(ids, e->number) : e->number == ids->uid)
			right |= e->right;
	}
	return right;
}

bool
peer_ids_read(struct peer_ids *ids, int fd, struct fault *f)
{
	struct ucred cred;
	socklen_t len = sizeof cred;
	gid_t *more;

	*ids = (struct peer_ids){ 0 };
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == -1) {
		fault_sys(f, errno, "control socket", "who is there");
		return false;
	}
	ids->uid = cred.uid;
	ids->gids = xcalloc(1, sizeof *ids->gids);
	ids->gids[0] = cred.gid;
	ids->ngids = 1;
	/* The supplementary groups at the time of connect; fails with the size wanted. */
	len = 0;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &len) == 0 || errno != ERANGE)
		return true;
	more = xmalloc(len);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, more, &len) == 0) {
		const size_t n = len / sizeof *more;

		ids->gids = xrealloc(ids->gids, (n + 1) * sizeof *ids->gids);
		memcpy(ids->gids + 1, more, n * sizeof *more);
		ids->ngids = n + 1;
	}
	free(more);
	return true;
}

void
peer_ids_free(struct peer_ids *ids)
{
	free(ids->gids);
	*ids = (struct peer_ids){ 0 };
}
