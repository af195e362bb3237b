"""WebSocket between the two versions of HTTP: an Upgrade (RFC 6455) at one end, an extended CONNECT (RFC 8441) at the other, or
the same at both.

HTTP/1.1 has a key and what answers it, HTTP/2 has neither. So an endpoint that is asked over HTTP/1.1 for a client of
HTTP/2 gets a key of ours, and its answer is held against that; a client of HTTP/1.1 whose endpoint is asked over HTTP/2 is
answered by us. Between two ends of HTTP/1.1 all of it passes as it is.
"""

from base64 import b64encode
from os import urandom

from proxy.wire.http.head cimport CONTENT_LENGTH, NOMINATED
from proxy.wire.http.websocket cimport accept_of, key_of, withhold

cdef enum:
    KEY_OCTETS = 16


cdef class Handshake:
    """Of one request; its attempts may go to endpoints of either version."""

    cdef bint prepare(self, Head head, Stream client, bint http2) except -1:
        """What one attempt says, over HTTP/2 or not. False: a key of the client's is needed, and there is none."""
        cdef bint withheld = http2 or client.extended
        self.key = self.line = None
        if withheld != self.withheld:
            self.withheld = withheld
            withhold(head, client.buffer, b"sec-websocket-key", 17, withheld)
        if not http2 and client.extended:
            self.key = b64encode(urandom(KEY_OCTETS))
            self.line = b"sec-websocket-key: " + self.key + b"\r\n"
        if http2 and not client.extended:
            self.asked = key_of(head, client.buffer)
            return self.asked is not None
        return True

    cdef int take(self, Head answer, const char* text, Stream client, Stream stream) except -1:
        """The endpoint has agreed: its answer, the head at `text`, becomes the one that the client understands."""
        cdef int index
        if not client.extended and not stream.extended:
            return 0
        answer.status = 200 if client.extended else 101
        answer.own_length = False
        withhold(answer, text, b"sec-websocket-accept", 20, True)
        for index in range(answer.count):
            if answer.fields[index].kind == CONTENT_LENGTH:
                answer.fields[index].kind = NOMINATED
        return 0

    cdef bytes lines(self):
        """What a client of HTTP/1.1 is told by us."""
        return b"upgrade: websocket\r\nsec-websocket-accept: %s\r\n" % accept_of(self.asked)
