"""What a client asks for and what becomes of it, as far as HTTP and TCP have it in common: attempts on endpoints of one
cluster until one is answered, and the counters. http_exchange.pyx and tcp_exchange.pyx are the two kinds.

This is the only place that decides whether another endpoint is tried.
"""

from proxy.clock cimport monotonic_ns
from proxy.policy.facts cimport ANOTHER, ANSWERED, EXHAUSTED, REFUSED
from proxy.policy.retry cimport again, pause_before
from proxy.relay.endpoints.cluster cimport Endpoint
from proxy.scoreboard.buckets cimport bucket_of

from random import randrange

import gevent

from proxy.relay.exchange import faults


cdef class Exchange:
    """Holds the client's request and the latest attempt to have it answered."""

    cdef int forget(self) except -1:
        """Lets go of what it was about."""
        self.cluster = None
        self.tried = None
        self.fault = None
        self.flags = None
        self.wanted = None
        self.retries = 0
        self.key = 0
        return self.attempt.forget()

    cdef bint make_attempts(self) except -1:
        """Tries endpoints until one answers or there is no sense in going on; leaves a fault unless one answered."""
        cdef bint answered = self.try_endpoints()
        if self.retrying:
            self.retry_no_more()
        return answered

    cdef bint try_endpoints(self) except -1:
        cdef Attempt attempt = self.attempt
        cdef Endpoint endpoint = self.first_endpoint()
        while endpoint is not None:
            attempt.begin(self.cluster, endpoint, self.retries, self.tried is not None
                          and attempt.ending.how != ANSWERED and endpoint in self.tried)
            if not attempt.make():
                if not self.goes_on():
                    return False
            elif not self.request.retry_rule.named or not self.answered_in_vain():
                self.fault = None
                return True
            self.turn_to_another()
            if self.request.patience and monotonic_ns() - self.request.started >= self.request.patience:
                self.fault = self.request.overtime()
                return False
            endpoint = self.next_endpoint()
        if self.fault is None:
            self.fault = faults.NO_HEALTHY_ENDPOINT
        return False

    cdef bint goes_on(self) except -1:
        """Whether another attempt follows the one that failed; else the fault is what the client is told."""
        cdef Attempt attempt = self.attempt
        cdef int ruling
        attempt.end()
        ruling = again(self.request.retry_rule, &attempt.ending)
        self.fault = attempt.fault(ruling == EXHAUSTED)
        if ruling != ANOTHER:
            return False
        if self.cluster.limited and not self.may_retry():
            self.fault = faults.overflowed(self.fault)
            return False
        return True

    cdef bint answered_in_vain(self) except -1:
        """Whether another attempt follows the one that was answered, which is over then. No answer: no."""
        return False

    cdef inline Endpoint first_endpoint(self):
        if self.wanted is None:
            return self.cluster.pick(None, self.key)
        return self.cluster.pick_wanted(self.wanted, self.key)

    cdef Endpoint next_endpoint(self):
        """The one that is tried now. Where none is left, one that was will do again after a refusal, over another
        connection, or if a route has named what is tried again; then rather not the latest."""
        cdef Endpoint endpoint = self.cluster.pick(self.tried, self.key)
        if endpoint is None and self.request.retry_rule.named:
            self.tried = [self.attempt.endpoint]
            endpoint = self.cluster.pick(self.tried, self.key)
        if endpoint is None and (self.attempt.ending.how == REFUSED or self.request.retry_rule.named):
            endpoint = self.cluster.pick(None, self.key)
        return endpoint

    cdef int turn_to_another(self) except -1:
        """The endpoint has been tried in vain."""
        if self.tried is None:
            self.tried = []
        self.tried.append(self.attempt.endpoint)
        self.retries += 1
        self.cluster.counters.retries += 1
        return self.pause()

    cdef int pause(self) except -1:
        """Before the next attempt; no longer than the client waits."""
        cdef int64_t pause = pause_before(self.request.retry_rule, self.retries, randrange(65536))
        if self.request.patience:
            pause = min(pause, self.request.started + self.request.patience - monotonic_ns())
        gevent.sleep(max(pause, 0) / 1e9)
        return 0

    cdef bint may_retry(self) except -1:
        """Whether the cluster may have one more retry at once; the one before is over."""
        if self.retrying:
            self.retry_no_more()
        self.retrying = self.cluster.breaker.allowance.begin_retry()
        return self.retrying

    cdef int retry_no_more(self) except -1:
        self.retrying = False
        self.cluster.breaker.allowance.end_retry()
        return 0

    cdef int add_flag(self, bytes flag) except -1:
        self.flags = flag if self.flags is None else self.flags + b"," + flag
        return 0

    cdef int64_t count(self, int status) except -1:
        """All is over: lets go of the endpoint and counts, once; how many milliseconds it took."""
        if self.flags is not None and self.fault is not None and self.fault.flags != b"-":
            self.add_flag(self.fault.flags)
        self.context.row.requests += 1
        return self.count_in_cluster(status)

    cdef int64_t count_in_cluster(self, int status) except -1:
        """The same, of what is no client's."""
        cdef int64_t duration_ms = (monotonic_ns() - self.request.started) // 1_000_000
        self.attempt.end()
        if self.cluster is not None:
            self.cluster.counters.requests[status // 100 if status < 600 else 5] += 1
            self.cluster.counters.duration_ms += duration_ms
            self.cluster.counters.buckets[bucket_of(duration_ms)] += 1
        return duration_ms
