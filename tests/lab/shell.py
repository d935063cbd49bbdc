"""shell.py - "make lab-shell": the deferral, left standing to be looked at and
cured by hand; ends with Enter or Ctrl-C and takes everything with it.
Read next: stage.py (what stands there), story.py (the cures in a row)."""

import signal
import sys

import parts
import stage as names

HELP = """
   100 messages for far.test wait; all other mail goes.  In another terminal:

     export RELAYCTL_SOCKET={control}
     alias relayctl={relayctl}

     relayctl queue                          what waits
     relayctl explain far.test --all-sets    why, and what would help
     relayctl resolve far.test --compare internal,external
     dig -p {internal} @127.0.0.1 mx.far.test AAAA     the internal resolver
     dig -p {external} @127.0.0.1 mx.far.test AAAA     the external one

   cures, each alone:
     relayctl retry --with resolvers=external far.test
     edit {conf} and then: relayctl reload
     {tell}     repairs the name server,
       then: {flush}
             relayctl dns flush

   more mail:  swaks --server 127.0.0.1:{port} --from me@here.test --to you@far.test
   the log:    tail -f {log}
"""


def play(teller, stage):
    stage.relayd.set_conf(stage.conf())
    stage.relayd.start()
    stage.send(names.FAR, 100)
    parts.wait_until(stage.deferred, 10, "100 messages are deferred")
    print(HELP.format(
        control=stage.relayd.control, relayctl=parts.program("relayctl"), internal=stage.internal.port,
        external=stage.external.port, conf=stage.relayd.conf_path, port=stage.relayd.port,
        log=stage.relayd.process.err_path,
        tell="sed -i /SERVFAIL/d %s && kill -HUP %d" % (stage.dns.script_path, stage.dns.process.pid),
        flush="LD_LIBRARY_PATH=%s %s -c %s flush mx.far.test" % (
            parts.foreign("library_path"), parts.foreign("unbound-control"), stage.internal.conf)))
    if sys.stdin.isatty():
        print("   Enter ends it all.", flush=True)
        sys.stdin.readline()
    else:
        print("   SIGTERM ends it all.", flush=True)
        while True:
            signal.pause()
    return 0
