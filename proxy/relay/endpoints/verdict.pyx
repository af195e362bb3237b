"""What has come of a request's token: a refusal, or what it says to access rules and to endpoints."""

from libc.stdlib cimport calloc, free

cdef enum:
    OWN_SIZE = 1024             # of the objects without what they hold
    UNAUTHORIZED = 401

cdef Verdict NOTHING = Verdict([], [], 0.0)


cdef class Verdict:
    """`claims`: number and value of each that access rules ask for; `fields`: headers for endpoints."""

    def __init__(self, list claims, list fields, double until):
        self.until, self.fields, self.status = until, fields, UNAUTHORIZED
        self.size = OWN_SIZE + sum(len(value) for _, value in claims) + 2 * sum(len(value) for _, value in fields)
        if fields:
            self.lines = b"".join(name + b": " + value + b"\r\n" for name, value in fields)
        self.put_claims(claims)

    def __dealloc__(self):
        free(self.claims)

    cdef int put_claims(self, list found) except -1:
        cdef int at
        cdef bytes octets
        self.kept = [value for _, value in found]
        self.claims = <Line*>calloc(max(1, len(found)), sizeof(Line))
        if self.claims == NULL:
            raise MemoryError
        self.claim_count = len(found)
        for at in range(self.claim_count):
            octets = self.kept[at]
            self.claims[at].header, self.claims[at].length = found[at][0], len(octets)
            self.claims[at].at = octets
        return 0


cdef Verdict refused(str text, int status, double until):
    cdef Verdict made = Verdict([], [], until)
    made.refusal, made.status = text, status
    return made


cdef Verdict joined(list verdicts):
    """Of several tokens that are all good: what access rules ask for is the first's."""
    cdef Verdict first = verdicts[0]
    if len(verdicts) == 1:
        return first
    found = [(first.claims[at].header, first.kept[at]) for at in range(first.claim_count)]
    return Verdict(found, [field for each in verdicts for field in (<Verdict>each).fields], first.until)
