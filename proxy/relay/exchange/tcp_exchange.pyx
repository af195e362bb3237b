"""A connection that does not carry HTTP: bytes both ways to one endpoint, balanced, with the line of a TCP connection
in the log.

A connection that cannot be made is tried on other endpoints, as a request would be; once it is made, nothing is tried
again, for nobody knows what the bytes have done.
"""

from random import getrandbits

from libc.stdint cimport int64_t

from proxy.relay.exchange.counting cimport count_connection
from proxy.relay.exchange.line cimport log_line
from proxy.relay.exchange.request cimport Request
from proxy.relay.exchange.tcp_attempt cimport TcpAttempt
from proxy.relay.routing.rule cimport Backend, Rule
from proxy.scoreboard.layout cimport ConnectionTally
from proxy.wire.http.head cimport Head, Span
from proxy.wire.http.names cimport span_of
from proxy.wire.pipe cimport run_pipe
from proxy.wire.stream cimport get_hub

from proxy.relay.exchange import faults


# What nobody has sent: of a connection only who asks, and for which address, is known.
cdef Head no_head = Head(1)


cdef Span host_of(bytes target) noexcept:
    """The address in `ip:port`."""
    return span_of(0, max(target.rfind(b":"), 0))


cdef class TcpExchange(Exchange):
    """One connection; not reusable."""

    def __init__(self, Context context):
        self.context = context
        self.request = Request()
        self.attempt = TcpAttempt(context, self.request)

    cdef int carry(self, Stream client, Cluster cluster, dict clusters) except -1:
        """Carries the client's bytes to an endpoint of the cluster, or of where its routes say, and back, to the end.
        `clusters` are the worker's."""
        cdef int64_t sent = 0
        cdef ConnectionTally* counted = NULL
        self.cluster = cluster
        self.request.begin(client, 0)
        self.request.retry_rule = &cluster.retry_rule
        try:
            if self.gets_in() and self.follow(clusters) and self.make_attempts():
                counted = count_connection(self)
                self.keep_time()
                run_pipe(client, self.attempt.stream, self.idle(),
                         &self.request.body.data_bytes, &sent,
                         &counted.received if counted != NULL else NULL, &counted.sent if counted != NULL else NULL)
            else:
                counted = count_connection(self)
                client.abort()
        finally:
            if self.timer is not None:
                self.timer.stop()
                self.timer.close()
            if counted != NULL:
                counted.closed += 1
            log_line(self, None, sent, self.count(0))
        return 0

    cdef bint gets_in(self) except -1:
        cdef bytes rule = None
        if self.cluster.tcp_shadows is not None:
            self.request.shadow = self.cluster.tcp_shadows.told(None, self.request.client, None, self.cluster.counted)
        if self.cluster.tcp_gate is not None:
            rule = self.cluster.tcp_gate.refuses(None, self.request.client, None)
            self.cluster.counted.access(rule)
        if rule is not None:
            self.fault = faults.denied(rule)
        return rule is None

    cdef bint follow(self, dict clusters) except -1:
        """Goes where a VirtualService's `tcp` says; False, with the fault: that is nowhere."""
        cdef Stream client = self.request.client
        cdef bytes target
        cdef Rule rule
        cdef Backend backend = None
        cdef Cluster cluster = self.cluster
        if cluster.plan is not None:
            target = client.target or b""
            no_head.authority = host_of(target)
            rule = cluster.plan.find(no_head, target, client.identity, [], NULL, 0)
            if rule is not None:
                self.request.route = rule.name
                backend = rule.pick(getrandbits(32))
            cluster = None if backend is None else clusters.get(backend.cluster)
            if cluster is None:
                self.fault = faults.NO_WAY
                return False
            self.cluster = cluster
        if cluster.hash_key is not None:
            self.key = cluster.hash_key.of_client(client)
        return True

    cdef Deadlines idle(self):
        """How long nothing may move."""
        cdef Deadlines own = self.cluster.breaker.lifetimes.bytes_idle if self.cluster.limited else None
        return own if own is not None else self.context.timeouts.tunnel_idle_timeout

    cdef int keep_time(self) except -1:
        """It may last only so long (maxConnectionDuration)."""
        if self.cluster.limited and self.cluster.breaker.lifetimes.duration:
            self.timer = get_hub().loop.timer(self.cluster.breaker.lifetimes.duration / 1e9)
            self.timer.start(self._time_is_up)
        return 0

    def _time_is_up(self) -> None:
        self.fault = faults.LASTED_TOO_LONG
        self.request.client.close()
        self.attempt.stream.close()
