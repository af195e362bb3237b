"""Decisions about access as they are compiled, over arrays that a Gate has made of a form."""

from proxy.policy cimport access, paths
from proxy.policy.facts cimport TEXTS, Asked, Line
from proxy.relay.endpoints.gate cimport Gate
from proxy.relay.endpoints.verdict cimport Verdict


cdef class CompiledAccess:
    cdef Gate gate
    cdef Verdict token

    def __init__(self, dict form):
        self.gate = Gate(form, 0)

    def decide(self, asked) -> int:
        cdef Asked made
        cdef int at
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
        return access.decide(&self.gate.access, &made)


def normalised(bytes path) -> bytes | None:
    """None: it is refused."""
    cdef bytearray text = bytearray(path)
    cdef int length = paths.normalise(text, len(text))
    return None if length < 0 else bytes(text[:length])
