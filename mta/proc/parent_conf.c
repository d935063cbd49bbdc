/*
 * parent_conf.c - a new configuration while everything runs.  Either all of
 * it is taken or nothing changes: addresses and the log file are opened before
 * the old configuration is let go.
 *
 * Read next: parent_state.h, listen.h, role.c (on_conf, the roles' side).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mta/base/log.h"
#include "mta/base/loop.h"
#include "mta/proc/channel.h"
#include "mta/proc/listen.h"
#include "mta/proc/logger.h"
#include "mta/proc/parent_state.h"

#define TAKEN_MS 5000		/* for every process to confirm */

/* ---- what a reload cannot change ---- */

static void
same_text(const char *key, const char *was, const char *is, const char *file,
    struct buf *errors)
{
	if (strcmp(was == NULL ? "" : was, is == NULL ? "" : is) != 0)
		buf_printf(errors, "%s: %s: cannot change while relayd runs, "
		    "was \"%s\": restart relayd\n", file, key, was);
}

static void
same_number(const char *key, unsigned was, unsigned is, const char *file,
    struct buf *errors)
{
	if (was != is)
		buf_printf(errors, "%s: %s: cannot change while relayd runs, "
		    "was %u: restart relayd\n", file, key, was);
}

static bool
only_changeable(const struct conf *was, const struct conf *is, struct buf *errors)
{
	struct buf found = { 0 };
	const char *file = is->file == NULL ? "configuration" : is->file;
	bool good;

	same_text("user", was->user, is->user, file, &found);
	same_text("root", was->root, is->root, file, &found);
	same_text("spool.path", was->spool.path, is->spool.path, file, &found);
	same_text("control.path", was->control.path, is->control.path, file,
	    &found);
	same_number("processes.rx", was->rx_processes, is->rx_processes, file,
	    &found);
	same_number("processes.tx", was->tx_processes, is->tx_processes, file,
	    &found);
	good = found.len == 0;
	buf_add(errors, found.data, found.len);
	buf_free(&found);
	return good;
}

/* ---- listeners ---- */

/* The socket that already listens there, taken out of the old list; -1: none. */
static int
take_socket(struct parent *p, const struct conf_listener *l)
{
	for (size_t i = 0; i < p->nsockets; i++) {
		const int fd = p->sockets[i].fd;

		if (fd != -1 && listen_same(&p->sockets[i].at, l)) {
			p->sockets[i].fd = -1;
			return fd;
		}
	}
	return -1;
}

static void
close_sockets(struct listen_socket *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (v[i].fd != -1)
			(void)close(v[i].fd);
	}
	free(v);
}

static bool
already_there(const struct parent *p, const struct conf_listener *l)
{
	for (size_t i = 0; i < p->nsockets; i++) {
		if (listen_same(&p->sockets[i].at, l))
			return true;
	}
	return false;
}

/* Opens what is new, leaves the others of v at -1. */
static bool
open_new(struct parent *p, const struct conf *conf, struct listen_socket *v,
    struct buf *errors)
{
	for (size_t i = 0; i < conf->nlisteners; i++) {
		struct fault f;

		if (already_there(p, &v[i].at) || listen_tcp(&v[i].at, &v[i].fd, &f))
			continue;
		buf_printf(errors, "%s%s\n", f.text, f.err != EADDRINUSE ? "" :
		    " (if relayd itself listens there under another address: "
		    "restart relayd)");
		return false;
	}
	return true;
}

/* v has a new socket or -1 for each listener of conf; given. */
static void
take_sockets(struct parent *p, struct listen_socket *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (v[i].fd == -1)
			v[i].fd = take_socket(p, &v[i].at);
	}
	close_sockets(p->sockets, p->nsockets);		/* those that are gone */
	p->sockets = v;
	p->nsockets = n;
}

/* ---- the log ---- */

static bool
change_log(struct parent *p, const struct conf *conf, struct buf *errors)
{
	const struct conf_log *was = &p->conf->log;
	const struct conf_log *is = &conf->log;
	struct fault f;

	if (was->to == is->to && strcmp(was->file == NULL ? "" : was->file,
	    is->file == NULL ? "" : is->file) == 0)
		return true;
	if (logger_change(p->logger, is, &f))
		return true;
	buf_printf(errors, "%s\n", f.text);
	return false;
}

/* ---- reload ---- */

static void
answer_ctl(struct parent *p, uint16_t type, bool good, struct buf *text)
{
	struct proc *ctl = proc_find(p, ROLE_CTL, 0);
	struct buf *b;

	if (ctl == NULL || ctl->channel == NULL)
		return;
	b = channel_begin(ctl->channel, type);
	buf_u8(b, good);
	buf_str(b, buf_cstr(text));
	channel_end(ctl->channel, -1);
}

static void
reload_done(struct parent *p)
{
	if (!p->reload_waits)
		return;
	p->reload_waits = false;
	loop_timer_clear(p->reload);
	log_event("reloaded", "generation=%llu listeners=%zu",
	    (unsigned long long)p->conf->generation, p->nsockets);
	if (p->reload_asked)
		answer_ctl(p, PF_RELOAD_DONE, true, &p->reload_text);
	p->reload_asked = false;
	p->reload_text.len = 0;
}

void
parent_conf_taken(struct parent *p)
{
	if (!p->reload_waits)
		return;
	for (size_t i = 0; i < p->nprocs; i++) {
		const struct proc *pr = &p->procs[i];

		if (pr->pid != 0 && pr->conf_taken < p->conf->generation)
			return;
	}
	reload_done(p);
}

void
on_reload_late(void *ctx)
{
	struct parent *p = ctx;

	for (size_t i = 0; i < p->nprocs; i++) {
		const struct proc *pr = &p->procs[i];

		if (pr->pid == 0 || pr->conf_taken >= p->conf->generation)
			continue;
		log_warn("reload_slow", "role=%s", pr->name);
		buf_printf(&p->reload_text, "%s has not confirmed yet\n", pr->name);
	}
	reload_done(p);
}

/* Whatever can fail comes before the first thing that cannot be undone. */
static struct conf *
load(struct parent *p, struct buf *text)
{
	struct conf *conf = conf_load(p->conf_path, text);
	struct listen_socket *v;

	if (conf == NULL)
		return NULL;
	v = xcalloc(conf->nlisteners, sizeof *v);
	for (size_t i = 0; i < conf->nlisteners; i++)
		v[i] = (struct listen_socket){ .at = conf->listeners[i], .fd = -1 };
	if (!only_changeable(p->conf, conf, text) ||
	    !open_new(p, conf, v, text) || !change_log(p, conf, text))
		goto fail;
	take_sockets(p, v, conf->nlisteners);
	return conf;
fail:
	close_sockets(v, conf->nlisteners);
	conf_unref(&conf);
	return NULL;
}

void
parent_reload(struct parent *p, bool asked_by_ctl)
{
	struct buf text = { 0 };
	struct conf *conf;

	reload_done(p);		/* one that still waits is overtaken */
	conf = load(p, &text);
	if (conf == NULL) {
		parent_log_lines("reload_failed", &text);
		if (asked_by_ctl)
			answer_ctl(p, PF_RELOAD_DONE, false, &text);
		buf_free(&text);
		return;
	}
	parent_log_lines("conf_warning", &text);
	conf->generation = p->conf->generation + 1;
	conf_unref(&p->conf);
	p->conf = conf;
	parent_stamp_files(p);
	log_set_trace(conf->log.trace);
	buf_free(&p->reload_text);
	p->reload_text = text;
	p->reload_waits = true;
	p->reload_asked = asked_by_ctl;
	loop_timer_set(p->reload, TAKEN_MS);
	for (size_t i = 0; i < p->nprocs; i++)
		proc_send_conf(&p->procs[i]);
}

/* ---- files that are read along with the configuration ---- */

static struct file_stamp
stamp(const char *path)
{
	struct stat st;

	if (path == NULL || stat(path, &st) == -1)
		return (struct file_stamp){ 0 };
	return (struct file_stamp){
		.mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec,
		.size = st.st_size, .inode = st.st_ino,
	};
}

static bool
changed(struct file_stamp *was, const char *path)
{
	const struct file_stamp is = stamp(path);
	const bool other = memcmp(was, &is, sizeof is) != 0;

	*was = is;
	return other;
}

void
parent_stamp_files(struct parent *p)
{
	p->conf_stamp = stamp(p->conf_path);
	p->read_along[0] = stamp(p->conf->resolv_conf);
	p->read_along[1] = stamp(p->conf->hosts_file);
}

/*
 * An administrator may be in the middle of editing relayd.conf: a change of
 * resolv.conf must not put half an edit into force, so then it only says so.
 */
void
parent_watch_files(struct parent *p)
{
	const bool resolv = changed(&p->read_along[0], p->conf->resolv_conf);
	const bool hosts = changed(&p->read_along[1], p->conf->hosts_file);
	const struct file_stamp conf = stamp(p->conf_path);

	if (!resolv && !hosts)
		return;
	log_event("file_changed", "file=%s", resolv ? p->conf->resolv_conf : p->conf->hosts_file);
	if (memcmp(&conf, &p->conf_stamp, sizeof conf) != 0)
		log_warn("file_changed", "text=\"%s was edited too and waits for relayctl reload\"", p->conf_path);
	else
		parent_reload(p, false);
}

void
parent_check(struct parent *p, struct rd *payload)
{
	char *path = rd_str(payload);
	struct buf text = { 0 };
	struct conf *conf = conf_load(path == NULL ? p->conf_path : path, &text);

	answer_ctl(p, PF_CHECK_DONE, conf != NULL, &text);
	conf_unref(&conf);
	buf_free(&text);
	free(path);
}
