"""How long the data path waits for clients and endpoints: the settings of these names, and what is not for settings."""

from proxy.clock cimport monotonic_ns

# How long an unwanted body is read and thrown away so that the client gets to see our answer.
cdef double LINGER_SECONDS = 2.0
# How long an HTTP/2 connection is silent before it is asked whether it is alive (ztunnel: 10 s, given up after 20).
cdef double PING_SECONDS = 10.0
cdef double FOREVER = 1e8
# How long a client may ask for nothing before it rests (proxy/relay/resting.pyx): less would cost more than it gives.
cdef double REST_SECONDS = 0.5
# How often it is looked whether those who are waited for are there at all.
cdef int64_t LOOK_NS = 1_000_000_000


cdef class Timeouts:
    """In seconds; 0 means for ever. Streams that wait stand in one list for each (wire.stream's Deadlines)."""

    def __init__(self, *, double idle_timeout, double request_headers_timeout, double stream_idle_timeout,
                 double protocol_detection_timeout, double endpoint_idle_timeout):
        self.idle_timeout = Deadlines(idle_timeout or FOREVER)      # a list in any case: draining ends what is in it
        self.before_rest = self.resting = self.idle_timeout
        if not 0 < idle_timeout < 2 * REST_SECONDS:
            self.before_rest, self.resting = Deadlines(REST_SECONDS), Deadlines((idle_timeout or FOREVER) - REST_SECONDS)
        self.tunnel_idle_timeout = Deadlines(idle_timeout)
        self.request_headers_timeout = Deadlines(request_headers_timeout)
        self.stream_idle_timeout = Deadlines(stream_idle_timeout)
        self.protocol_detection_timeout = Deadlines(protocol_detection_timeout)
        self.endpoint_idle_timeout = Deadlines(endpoint_idle_timeout)
        self.linger = Deadlines(LINGER_SECONDS)
        self.ping_interval = Deadlines(PING_SECONDS)
        self.handshake_seconds = request_headers_timeout or FOREVER
        self.stream_idle_seconds = stream_idle_timeout

    cdef int tick(self) except -1:
        """Ends the waits that are over; to be called a few times a second."""
        self.idle_timeout.tick()
        self.before_rest.tick()
        self.resting.tick()
        self.request_headers_timeout.tick()
        self.stream_idle_timeout.tick()
        self.linger.tick()
        self.tunnel_idle_timeout.tick()
        self.endpoint_idle_timeout.tick()
        self.ping_interval.tick()
        self.protocol_detection_timeout.tick()
        self.look_for_the_lost(monotonic_ns())
        return 0

    def end_idle(self) -> None:
        """Ends the waits of all clients without a request, due or not: the worker drains."""
        self.idle_timeout.end_all()
        self.before_rest.end_all()
        self.resting.end_all()

    cdef int look_for_the_lost(self, int64_t now) except -1:
        """Requests and connections whose peers vanished without a word; HTTP/2 connections to endpoints are trunk.pyx's."""
        if now - self.looked >= LOOK_NS:
            self.looked = now
            self.stream_idle_timeout.end_unheard(now)
            self.tunnel_idle_timeout.end_unheard(now)
        return 0
