"""Decisions about access as they are compiled, over arrays that a Gate has made of a form."""

from time import perf_counter

from libc.string cimport memcpy, memset

from proxy.policy cimport access, paths
from proxy.policy.facts cimport PATHS_NORMAL, TEXTS, Asked, Line
from proxy.relay.endpoints.gate cimport Gate
from proxy.relay.endpoints.verdict cimport Verdict
from proxy.wire.http.head cimport Head
from proxy.wire.recorded cimport Recorded


cdef class CompiledAccess:
    cdef Gate gate
    cdef Verdict token

    def __init__(self, dict form):
        self.gate = Gate(form, 0)

    def decide(self, asked) -> int:
        cdef Asked made
        cdef int[64] memo
        cdef int at
        memset(memo, 0, sizeof(memo))
        cdef bytes source = asked.source, destination = asked.destination, octets
        for at in range(<int>TEXTS):
            octets = asked.texts[at].at
            made.texts[at].at, made.texts[at].length = octets, asked.texts[at].length
        for at in range(asked.line_count):
            octets = asked.lines[at].at
            self.gate.lines.put(at, asked.lines[at].header, octets, asked.lines[at].length)
        claims = [(each.header, each.at) for each in asked.claims]
        self.token = Verdict(claims, [], 0.0)
        made.claims, made.claim_count = self.token.claims, self.token.claim_count
        made.lines = NULL if self.gate.lines is None else self.gate.lines.lines
        made.line_count, made.port = asked.line_count, asked.port
        made.source, made.destination = source, destination
        return access.decide(&self.gate.access, &made, memo)


def normalised(bytes path, int mode=PATHS_NORMAL) -> bytes | None:
    """None: it is refused."""
    cdef bytearray text = bytearray(path)
    cdef int length = paths.normalise(text, len(text), mode)
    return None if length < 0 else bytes(text[:length])


cdef class Judge:
    """What an exchange would do with requests of a client that has dialled `port` of a Service."""

    cdef Gate gate
    cdef Recorded client
    cdef Head head

    def __init__(self, dict form, int port):
        self.gate, self.client, self.head = Gate(form, port), Recorded(), Head()

    def refuses(self, bytes request, bytes identity, bytes peer, bytes target, list claims, int mode=PATHS_NORMAL) -> str:
        """The rule that refuses it, or `none`; "" lets it in, "400" cannot tell which path is meant. Empty `request`: a
        connection that carries none. `claims` of its token, by number."""
        cdef Head head = self.head if request else None
        if head is not None and not self.read(request, mode):
            return "400"
        self.client.identity, self.client.peer, self.client.target = identity, peer, target
        rule = self.gate.refuses(head, self.client, Verdict(claims, [], 0.0))
        return "" if rule is None else rule.decode()

    cdef bint read(self, bytes request, int mode) except -1:
        cdef int length
        self.client.start = self.client.end = 0
        self.client.make_room(len(request) + 1)
        memcpy(self.client.buffer, <const char*>request, len(request))
        assert self.head.parse_request(self.client.buffer, len(request)) == 0
        if self.gate.by_path:
            length = paths.normalise(<unsigned char*>self.client.buffer + self.head.path.at, self.head.path.length, mode)
            if length < 0:
                return False
            self.head.path.length = length
        return True

    def seconds(self, bytes request, bytes identity, int times) -> float:
        """How long judging a request so often takes."""
        self.read(request, PATHS_NORMAL)
        self.client.identity, self.client.peer, self.client.target = identity, b"10.0.0.9:40000", b"10.1.0.1:80"
        begun = perf_counter()
        for _ in range(times):
            self.gate.refuses(self.head, self.client, None)
        return perf_counter() - begun
