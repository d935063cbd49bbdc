"""stage.py - what the story is played with: two faulty name servers of the far
domain, an internal and an external Unbound that each reach one of them, the
sinks, and relayd with the resolution policy of the hour.
Read next: story.py (the acts), parts.py (how each part is started)."""

import parts

FAR = "far.test"
OTHERS = ("near.test", "shop.test", "club.test")
FAR_MX = "mx.far.test"
FAR_ADDRESS = "127.0.0.20"
OTHER_ADDRESS = "127.0.0.21"

# What Exchange 2010 does with its internal DNS servers.
EXCHANGE = dict(resolvers='"internal"', ipv6="true", order='"aaaa-first"', on_failure='"strict"')


def script(ns1, ns2):
    lines = []
    for domain in (FAR,) + OTHERS:
        address = FAR_ADDRESS if domain == FAR else OTHER_ADDRESS
        lines += ["zone %s ns1.%s ns2.%s" % (domain, domain, domain),
                  "on * %s MX answer 10 mx.%s" % (domain, domain),
                  "on * mx.%s A answer %s" % (domain, address)]
    lines.append("on %s %s AAAA rcode SERVFAIL" % (ns1, FAR_MX))
    return "\n".join(lines) + "\n"


class Stage:
    def __init__(self, world):
        self.world = world
        port = parts.free_port()
        self.ns1 = "127.0.0.1:%d" % port
        self.ns2 = "127.0.0.2:%d" % port
        self.dns = parts.FaultDns(world, [self.ns1, self.ns2], script(self.ns1, self.ns2))
        self.sink_port = parts.free_port()
        self.sink = parts.Sink(world, ["%s:%d" % (FAR_ADDRESS, self.sink_port),
                                       "%s:%d" % (OTHER_ADDRESS, self.sink_port)])
        self.internal = parts.Unbound(world, "internal", parts.free_port(), self.ns1)
        self.external = parts.Unbound(world, "external", parts.free_port(), self.ns2)
        self.relayd = parts.Relayd(world)
        self.sent = {}

    def conf(self, **policy):
        p = dict(EXCHANGE, **policy)
        return """
resolvers = {
  internal = { servers = "%s"; };
  external = { servers = "%s"; };
  system = { servers = "%s"; };     # this machine's own is the internal one
};
connectors = ( {
  name = "internet"; domains = "*"; port = %d;
  allow_addresses = [ "127.0.0.0/8", "::1/128" ];
  resolve = { resolvers = %s; ipv6 = %s; order = %s; on_failure = %s; };
  # Nothing happens by itself while the story is told: only commands cure.
  retry = { schedule = "10m"; dns = "10m"; };
} );
""" % (self.internal.address, self.external.address, self.internal.address, self.sink_port,
            p["resolvers"], p["ipv6"], p["order"], p["on_failure"])

    def break_ns(self, both=False):
        """ns1 fails for AAAA of the MX host; ns2 only on demand."""
        self.dns.tell("on %s %s AAAA rcode SERVFAIL" % (self.ns1, FAR_MX))
        self.dns.tell("on %s %s AAAA %s" % (self.ns2, FAR_MX, "rcode SERVFAIL" if both else "nodata"))
        for unbound in (self.internal, self.external):
            unbound.control("flush_zone", "test.")

    def repair_ns1(self):
        self.dns.tell("on %s %s AAAA nodata" % (self.ns1, FAR_MX))

    def send(self, domain, count):
        self.sent[domain] = self.sent.get(domain, 0) + count
        parts.smtp_source(self.world, self.relayd.port, count, "someone@" + domain)

    def waiting(self, domain=FAR):
        row = self.relayd.queue().get(domain)
        return row["count"] if row else 0

    def deferred(self, domain=FAR):
        """The row of the domain when it waits for a DNS reason, none on the way."""
        row = self.relayd.queue().get(domain)
        if row and str(row.get("reason") or "").startswith("dns_") and row.get("leased", 0) == 0:
            return row
        return None

    def delivered(self, domain):
        address = FAR_ADDRESS if domain == FAR else OTHER_ADDRESS
        return sum(1 for t in self.sink.log() if t["taken"] and t["listen"].startswith(address + ":") and
                   any(r.endswith("@" + domain) for r in t["rcpts"]))
