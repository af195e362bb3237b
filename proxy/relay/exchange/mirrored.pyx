"""Copies of requests, which go to other clusters too; whatever is answered is read and thrown away.

A copy is a request of its own, of a client that has said all there is to say and hears nothing (wire/recorded.pyx): so
it is balanced, sent and judged as others are. It is tried once. It is made beside the request, which neither waits for it
nor fails with it: what there is no room for is not copied, and counted (`Counters.unmirrored`): more than MOST copies at
once in a worker, bodies that are too long or do not come whole (copied.pyx), upgrades.

What it says is what the endpoint is told, but for `-shadow` in its Host, before a port, and two fields of Envoy's.
"""

from random import getrandbits

import gevent

from libc.stdint cimport int64_t

from proxy.policy.chance cimport falls_on
from proxy.policy.facts cimport RetryRule
from proxy.relay.context.context cimport Context
from proxy.relay.endpoints.cluster cimport Cluster
from proxy.relay.exchange.http_attempt cimport HttpAttempt
from proxy.relay.routing.effects cimport Mirror
from proxy.wire.http.head cimport Span
from proxy.wire.recorded cimport Recorded

cdef enum:
    MOST = 100
    LONGEST_HOST = 255

cdef int64_t LONGEST_NS = 60_000_000_000    # that a copy takes: nobody would notice if it took for ever
cdef RetryRule once                         # all zeros
cdef int _running = 0
cdef tuple IS_INTERNAL = (b"x-envoy-internal", b"true")
cdef Edits INTERNAL = Edits(set(), [IS_INTERNAL])


cdef int send_copies(Exchange exchange, list mirrors, dict clusters) except -1:
    """Of the request, which is about to go on, to each mirror that chance falls on. `clusters` are the worker's."""
    cdef Mirror mirror
    cdef Cluster cluster
    for mirror in mirrors:
        if falls_on(mirror.numerator, mirror.denominator, getrandbits(32)):
            cluster = clusters.get(mirror.cluster)
            if cluster is not None:
                send_copy(exchange, cluster)
    return 0


cdef int send_copy(Exchange exchange, Cluster cluster) except -1:
    global _running
    cdef Mirrored copy
    if _running >= MOST or exchange.request.upgrading:
        cluster.counters.unmirrored += 1
        return 0
    copy = Mirrored(exchange.context)
    copy.cluster = cluster
    copy.take(exchange.request)
    _running += 1
    gevent.spawn(copy.run)
    return 0


cdef bytes head_of(Request request, char* scratch):
    """What its endpoint is sent, for another host."""
    cdef bytes own = request.client.local.rpartition(b":")[0].strip(b"[]")
    cdef Py_ssize_t end = request.write_head(scratch, False) - 4    # without its blank line
    cdef list kept = [], forwarded = []
    for line in scratch[:end].split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"x-forwarded-for":
            forwarded.append(value.strip())
        else:
            kept.append(b"host: " + shadow(value.strip()) if name.lower() == b"host" else line)
    return b"\r\n".join([*kept, b"x-forwarded-for: " + b",".join([*forwarded, own]), b"", b""])


cdef bytes shadow(bytes host):
    """As Envoy names it."""
    cdef bytes name, colon, port
    name, colon, port = host.rpartition(b":")
    return name + b"-shadow:" + port if colon and port.isdigit() else host + b"-shadow"


cdef Edits edits_of(Request request):
    """What only a proxy may say, and would be taken from a client: the copy says it as we do."""
    cdef Span* host = &request.head.authority
    if request.edits is None or request.edits.host is None or host.length > LONGEST_HOST:
        return INTERNAL
    return Edits(set(), [IS_INTERNAL, (b"x-envoy-original-host", (request.client.buffer + host.at)[:host.length])])


cdef class Mirrored(Exchange):
    """One copy, which is sent once."""

    def __init__(self, Context context):
        cdef HttpAttempt attempt
        self.context = context
        self.request = Request()
        self.attempt = attempt = HttpAttempt(context, self.request)
        self.answer = Answer(context, self.request, attempt)

    cdef int take(self, Request original) except -1:
        """All that is to be known of the request, now; its body comes."""
        self.head, self.client = head_of(original, self.context.scratch), original.client
        self.edits, self.bare = edits_of(original), original.body.bare
        if original.has_body:
            if original.copied is None:
                original.copied = Copied()
            self.body = original.copied
        return 0

    def run(self) -> None:
        global _running
        try:
            if self.body is not None:
                self.body.over.wait()
            if self.body is None or self.body.whole:
                self.send()
            else:
                self.cluster.counters.unmirrored += 1
        finally:
            _running -= 1
            self.forget()

    cdef int send(self) except -1:
        cdef Request request = self.request
        cdef Recorded client = Recorded()
        client.hold(self.head if self.body is None else self.head + bytes(self.body.text), self.client)
        request.begin(client, len(self.head))
        request.body.bare = self.bare
        try:
            if request.accept(self.context.request_ids) < 0:    # what we add has made it too large
                self.cluster.counters.unmirrored += 1
            else:
                self.ask(request)
        finally:
            request.end()
        return 0

    cdef int ask(self, Request request) except -1:
        """Sends it, and hears the answer out."""
        request.edits, request.retry_rule = self.edits, &once
        request.bound(min(self.cluster.timeout or LONGEST_NS, LONGEST_NS))
        if self.cluster.hash_key is not None:
            self.key = self.cluster.hash_key.of_request(request.head, request.client)
        self.cluster.counters.mirrored += 1
        self.answer.begin()
        try:
            if self.make_attempts():
                self.answer.relay()
        finally:
            self.count_in_cluster(self.answer.status)
        return 0
