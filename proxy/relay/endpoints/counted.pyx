"""What is counted, beside Istio's metrics, of requests for a cluster: who got in, by which policy, with what token, within
which limit, and what became of retries; and of routes, how their requests ended. The names that this has for people are in
proxy/admin/metrics/counted.py. Only what configuration names is a label, so that no client makes series.
"""

cdef tuple CLASSES = (b"none", b"1xx", b"2xx", b"3xx", b"4xx", b"5xx")


cdef class Counted:
    """Of one cluster in one worker."""

    def __init__(self, Scoreboard scoreboard, int worker, str cluster):
        self.scoreboard, self.worker, self.cluster = scoreboard, worker, cluster.encode()

    cdef int64_t* of(self, bytes kind, tuple values) except NULL:
        return self.scoreboard.counts.of(self.worker, b"\0".join([kind, self.cluster, *values]))

    cdef int access(self, bytes rule) except -1:
        """Who gets in; `rule`: by what it does not, None: it does."""
        if rule is not None:
            self.of(b"rbac", (b"denied", rule))[0] += 1
            return 0
        if self.allowed == NULL:
            self.allowed = self.of(b"rbac", (b"allowed", b""))
        self.allowed[0] += 1
        return 0

    cdef int shadow(self, bytes result, bytes rule) except -1:
        """What policies without a say would have."""
        self.of(b"rbac", (result, rule))[0] += 1
        return 0

    cdef int token(self, Verdict verdict) except -1:
        """Of a request that has one, or is refused for want of one."""
        if verdict.refusal is None:
            self.of(b"jwt", (b"success", b""))[0] += 1
        else:
            self.of(b"jwt", (b"denied", verdict.refusal.encode()))[0] += 1
        return 0

    cdef int limit(self, Limiter limiter) except -1:
        """`limiter`: the limit that is used up, None: there is room in all of them."""
        if limiter is not None:
            self.of(b"limit", (b"limited", limiter.text))[0] += 1
            return 0
        if self.within == NULL:
            self.within = self.of(b"limit", (b"allowed", b""))
        self.within[0] += 1
        return 0

    cdef int retried(self, bint answered) except -1:
        """A request that was tried more than once is over; whether one of its attempts was good."""
        self.of(b"retried", (b"success" if answered else b"exhausted",))[0] += 1
        return 0


cdef int64_t* count_of_route(Scoreboard scoreboard, int worker, bytes route, int code_class) except NULL:
    """Where it is counted how a route's requests end."""
    return scoreboard.counts.of(worker, b"\0".join([b"route", route, CLASSES[code_class]]))
