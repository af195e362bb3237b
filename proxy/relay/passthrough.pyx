"""Tunnels that do not carry HTTP: bytes both ways to one endpoint, balanced, with the line of a TCP connection in the
log. And how to tell, on a port that does not say what it speaks, whether a client speaks HTTP.

A connection that cannot be made is tried on other endpoints, as a request would be; once it is made, nothing is tried
again, for nobody knows what the bytes have done.
"""

from libc.string cimport memchr, memcmp

from proxy.policy.retry cimport may_retry
from proxy.relay.exchange.attempting cimport Attempting
from proxy.relay.endpoints.cluster cimport Cluster, Endpoint
from proxy.relay.context cimport wall_ns
from proxy.relay.exchange.line cimport log_line
from proxy.relay.pipe cimport run_pipe
from proxy.relay.endpoints.pool cimport own_shortage, reach
from proxy.clock cimport monotonic_ns
from proxy.wire.http.head cimport NO_BODY
from proxy.wire.http.octets cimport TOKEN, is_a
from proxy.wire.stream cimport Deadlines, Stream

from proxy.relay.exchange import faults

cdef enum:
    MAX_METHOD = 32
    MAX_LINE = 8192             # a request line that is longer is no request line
cdef const char* PREFACE = b"PRI * HTTP/2.0\r\n"
cdef enum:
    PREFACE_LENGTH = 16


cdef class Passthrough(Attempting):
    """One connection; not reusable."""

    cdef int carry(self, Stream client, Cluster cluster) except -1:
        """Carries the client's bytes to an endpoint of the cluster and back, to the end."""
        self.client, self.cluster = client, cluster
        self.raw = True
        self.service_ms = -1
        self.started_wall, self.started = wall_ns(), monotonic_ns()
        self.request_body.start(NO_BODY, 0)
        self.response_body.start(NO_BODY, 0)
        try:
            if self.connect_to_some():
                run_pipe(client, self.upstream, self.context.tunnel, &self.request_body.data_bytes,
                         &self.response_body.data_bytes)
            else:
                client.abort()
        finally:
            log_line(self, self.count())
        return 0

    cdef bint connect_to_some(self) except -1:
        cdef Endpoint endpoint
        while True:
            endpoint = self.cluster.pick(self.tried)
            if endpoint is None:
                if self.fault is None:
                    self.fault = faults.NO_HEALTHY_ENDPOINT
                return False
            if self.connect_to(endpoint):
                self.fault = None
                return True
            if not may_retry(self.retries, False, True, False) or not self.turn_to_another():
                return False

    cdef bint connect_to(self, Endpoint endpoint) except -1:
        cdef list reasons = []
        self.dispatch(endpoint)
        self.upstream = reach(endpoint, self.cluster, self.context, self.client, &self.connect_error, reasons)
        if self.upstream is None:
            if not own_shortage(self.connect_error):
                self.report_failure(0)
            self.fault = faults.connect_failed(self.connect_error, self.retries > 0, self.exhausted(), reasons)
            self.withdraw()
            return False
        self.endpoint_local = self.upstream.local
        self.report_success()
        return True


cdef bint sniff_http(Stream client, Deadlines patience) except? -1:
    """Whether the client begins to speak HTTP/1.1 or HTTP/2. One that is silent for too long waits for the server to
    speak first, which no HTTP client does."""
    cdef int looks = -1
    cdef Py_ssize_t got
    client.arm(patience)
    while looks < 0:
        got = client.fill()
        if got <= 0:
            looks = 0
        else:
            looks = looks_like_http(client.buffer + client.start, client.end - client.start)
    client.disarm()
    return looks


cdef int looks_like_http(const char* data, Py_ssize_t length) noexcept:
    """1: these bytes begin an HTTP/1.1 request or an HTTP/2 connection; 0: they do not; -1: there must be more."""
    cdef const char* line_end = <const char*>memchr(data, c"\n", length)
    cdef Py_ssize_t at = 0
    if memcmp(data, PREFACE, min(length, PREFACE_LENGTH)) == 0:
        return 1 if length >= PREFACE_LENGTH else -1
    while at < length and at < MAX_METHOD and is_a(data[at], TOKEN):
        at += 1
    if at < length and (at == 0 or data[at] != c" "):
        return 0
    if line_end == NULL:
        return -1 if length < MAX_LINE else 0
    length = line_end - data
    return length > 12 and memcmp(line_end - 10, b" HTTP/1.1\r", 10) == 0
