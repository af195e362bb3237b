"""What a route's rule has done beside sending a request on: CORS, faults that are asked for, mirrors. Made once, with
the rule; the exchange acts on it (relay/exchange/affected.pyx)."""

from proxy.policy.cors import CorsPolicy, allows, answer_fields, preflight_fields
from proxy.relay.routing.patterns import Pattern

cdef enum:
    MOST_KNOWN = 64         # of what is made for an origin and kept for the next request


cdef class Mirror:
    """As a snapshot's MirrorForm says."""

    def __init__(self, dict form):
        self.cluster = form["cluster"]
        self.numerator, self.denominator = form["numerator"], form["denominator"]


cdef class CrossOrigin:
    """As a snapshot's CorsForm says."""

    def __init__(self, dict form):
        self.forward_unmatched = form["forward_unmatched"]
        self.known = {}
        self.policy = CorsPolicy(
            exact=frozenset([each.encode() for each in form["exact"]]),
            like=tuple([Pattern(each).matches for each in form["like"]]),
            methods=",".join(form["methods"]).encode(),
            headers=",".join(form["headers"]).encode(),
            expose=",".join(form["expose"]).encode(),
            credentials=form["credentials"],
            max_age=form["max_age_s"],
        )

    def allows(self, bytes origin) -> bool:
        return allows(self.policy, origin)

    def preflight(self, bytes origin, bytes method, bytes headers) -> bytes:
        """The lines of the answer to a preflight of an origin that is allowed, without the end of the last one."""
        fields = preflight_fields(self.policy, origin, method, headers)
        return b"\r\n".join([b"%s: %s" % field for field in fields])

    def edits(self, bytes origin, Edits edits) -> Edits:
        return self.answering(origin, edits)

    cdef Edits answering(self, bytes origin, Edits edits):
        """What is changed of an answer for that origin, which is allowed: what a route's `edits` (None: nothing) change,
        and then the fields of CORS, in place of any that are there."""
        cdef tuple key = (origin, edits)
        cdef Edits made = self.known.get(key)
        if made is None:
            made = with_fields(edits, answer_fields(self.policy, origin))
            if len(self.known) >= MOST_KNOWN:
                self.known.clear()
            self.known[key] = made
        return made


cdef Edits with_fields(Edits edits, list fields):
    """These edits (None: none), and these fields in place of any others of their names. Where that is too much for a head,
    the edits alone: a browser then keeps the answer from the page, which is no harm."""
    cdef set names = {name for name, _ in fields}
    cdef list lines = []
    if edits is not None:
        kept = [line.split(b": ", 1) for line in edits.lines.split(b"\r\n") if line]
        lines = [(name, value) for name, value in kept if name not in names]
    try:
        return Edits(names if edits is None else names.union(edits.gone), lines + fields)
    except ValueError:
        return edits


cdef class Effects:
    """As a snapshot's RouteRuleForm says."""

    def __init__(self, dict form):
        fault = form.get("fault") or {}
        self.delay = fault.get("delay_ms", 0) * 1_000_000
        self.delay_ppm, self.abort_ppm = fault.get("delay_ppm", 0), fault.get("abort_ppm", 0)
        self.abort_status, self.abort_grpc = fault.get("abort_status", 0), fault.get("abort_grpc", -1)
        self.cors = CrossOrigin(form["cors"]) if "cors" in form else None
        self.mirrors = [Mirror(each) for each in form.get("mirrors", ())]


cdef Effects effects_of(dict form):
    """None: there are none."""
    return Effects(form) if "fault" in form or "cors" in form or "mirrors" in form else None
