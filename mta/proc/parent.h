/*
 * parent.h - the first process: opens ports, starts the roles, watches them.
 *
 * What it does, in order: reads the configuration; makes the spool folder,
 * the empty root, the listeners, the control socket, the shared counters and
 * the log thread; starts every role process by executing itself; then serves
 *
 *   a role that died     waits for the exit, restarts it (at once if it lived
 *                        10 s, else after 100 ms doubling to 10 s), and hands
 *                        it and its peers new socket pairs
 *   a role that is silent for 30 s      kills it (six pings unanswered)
 *   SIGHUP, PF_RELOAD    reads the configuration anew; nothing changes on error
 *   SIGUSR1              opens the log file anew
 *   SIGTERM, SIGINT      drains: rx, then tx, then queue, then ctl; 30 s at
 *                        most.  A second SIGINT ends at once.
 *   PF_FATAL             ends everything with the role's exit code
 *
 * Exit codes are those of sysexits(3): 0 drained; 69 an address cannot be
 * listened on; 71 the system refused something (processes, sockets); 73 the
 * spool, the empty root, the control socket or the log file cannot be made;
 * 78 the configuration is wrong, or its user does not exist.
 */
#pragma once

int parent_main(const char *conf_path);
