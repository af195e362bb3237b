"""A lease for a request that may take only so long, and is one of so many that the cluster may have at once."""

from libc.stdint cimport int64_t

from proxy.clock cimport monotonic_ns
from proxy.wire.stream cimport get_hub

from proxy.relay.exchange import faults


cdef class Bounded(Lease):
    """An attempt as far as its connection, and what ends it from outside."""

    cdef int keep_times(self) except -1:
        """The client has said how long it waits (grpc-timeout), or the cluster how long a request may take, for all
        attempts and for all of the answer; and one attempt may take only so long until it is answered."""
        cdef int64_t left
        if self.request.patience:
            left = self.request.started + self.request.patience - monotonic_ns()
            self.timer = get_hub().loop.timer(max(left, 0) / 1e9)
            self.timer.start(self._time_is_up)
        if self.request.retry_rule.attempt:
            self.own_timer = get_hub().loop.timer(self.request.retry_rule.attempt / 1e9)
            self.own_timer.start(self._own_time_is_up)
        return 0

    def _time_is_up(self) -> None:
        """Nobody waits any longer: the endpoint is told so, at once."""
        if self.client_fault is None:
            self.client_fault = self.request.overtime()
        self._give_up()

    def _own_time_is_up(self) -> None:
        self.overdue = True
        self._give_up()

    def _give_up(self) -> None:
        if self.stream is not None:
            self.stream.close()
        if self.waiter is not None:
            self.waiter.end()

    cdef int stop_own_timer(self) except -1:
        """It is answered, or over."""
        if self.own_timer is not None:
            self.own_timer.stop()
            self.own_timer.close()
            self.own_timer = None
        return 0

    cdef int end(self) except -1:
        if self.timer is not None:
            self.timer.stop()
            self.timer.close()
            self.timer = None
        self.stop_own_timer()
        if self.counted:
            self.count_no_more()
        return Lease.end(self)

    cdef bint may_be_sent(self) except -1:
        """Whether the cluster may have one more request; else the connection is for others."""
        if not self.counted:
            self.counted = self.cluster.breaker.allowance.begin_request()
        if not self.counted and not self.stream.http2:
            self.endpoint.give(self.stream)
            self.stream = None
        return self.counted

    cdef int count_no_more(self) except -1:
        """The endpoint is done with it."""
        self.counted = False
        self.cluster.breaker.allowance.end_request()
        return 0

    cdef bint gave_up(self) except -1:
        if self.request.left and self.client_fault is None:
            self.client_fault = faults.CLIENT_LEFT
        return self.client_fault is not None or self.overdue
