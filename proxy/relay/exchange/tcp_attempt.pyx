"""An attempt of a TCP connection. Where the cluster's rule has a `tunnel`, its endpoints are HTTP proxies: one is asked
first for what the rule names, by CONNECT in HTTP/1.1 (RFC 9110, 9.3.6), and what goes on is what lies behind its 200.

All of that together has the cluster's connect timeout, and an endpoint that says anything else was not reached.
"""

from libc.errno cimport ECONNRESET, ETIMEDOUT

from proxy.clock cimport monotonic_ns
from proxy.policy.facts cimport NO_PROTOCOL, TUNNEL_STATUS
from proxy.wire.stream cimport get_hub

cdef enum:
    LONGEST = 16384             # a head
    OK = 200
    FIRST_FINAL = 200
    NO_HTTP = -2


cdef class TcpAttempt(Attempt):

    cdef bint connect(self) except -1:
        if not Attempt.connect(self):
            return False
        cdef str target = self.cluster.body.get("tunnel")
        return target is None or self.ask_through(target.encode())

    cdef bint ask_through(self, bytes target) except -1:
        """False: there is no way there by this endpoint."""
        cdef bytes head = b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (target, target)
        cdef int status
        self.timer = get_hub().loop.timer(max((self.deadline - monotonic_ns()) / 1e9, 0.001))
        self.timer.start(self._too_late)
        try:
            status = 0 if self.stream.put(head, len(head)) != 0 else self.await_head()
            while 0 < status < FIRST_FINAL:
                status = self.await_head()
        finally:
            self.timer.stop()
            self.timer.close()
            self.timer = None
        return OK <= status < OK + 100 or self.go_on_without(status)

    def _too_late(self) -> None:
        self.stream.close()

    cdef int await_head(self) except -1:
        """Reads one: its status; 0: none came, NO_HTTP: what came is none. What is behind it stays for the client."""
        cdef Py_ssize_t at
        cdef bytes text
        while True:
            text = self.stream.buffer[self.stream.start:self.stream.end]
            at = text.find(b"\r\n\r\n")
            if at >= 0:
                break
            if len(text) > LONGEST:
                return NO_HTTP
            if self.stream.fill() <= 0:
                return 0
        self.stream.start += at + 4
        cdef list words = text[:at].split(b"\r\n")[0].split(b" ")
        if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit() or len(words[1]) != 3:
            return NO_HTTP
        return int(words[1])

    cdef bint go_on_without(self, int status) except -1:
        """It was not reached: why is in `connect_error` and `reasons`."""
        if status > 0:
            self.connect_error = TUNNEL_STATUS + status
            self.reasons.append("tunnel_response:%d" % status)
        elif status < 0:
            self.connect_error = NO_PROTOCOL
            self.reasons.append("tunnel_response:no_HTTP")
        else:
            self.connect_error = ETIMEDOUT if monotonic_ns() >= self.deadline else self.stream.error or ECONNRESET
        self.drop_stream()
        return False
