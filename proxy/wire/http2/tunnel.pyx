# distutils: libraries = nghttp2
"""CONNECT streams as byte streams (RFC 9113 8.5), as ztunnels open them towards us and we towards endpoints.

HBONE: `:authority` is all a CONNECT needs; `forwarded` and `baggage` are kept, other fields ignored. Nothing here decides
whether a tunnel is opened: the server's side is answered with `respond`, the client's waits in `await_answer`.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.stdio cimport snprintf
from libc.string cimport memcmp

from proxy.wire.http2.frames cimport body_of
from proxy.wire.http2.nghttp2 cimport *
from proxy.wire.http2.stream cimport Http2Stream
from proxy.wire.http2.session cimport Session
from proxy.wire.stream cimport CONNECTION_ENDED, FAILED, RAISED, READY, TIMED_OUT, TUNNEL_ENDED, get_hub

cdef enum:
    MAX_NOTE = 1024                 # of `forwarded` and `baggage`; longer ones are not kept


cdef class Tunnel(Http2Stream):
    """One tunnel. `target` is its authority, on the server's side as soon as the head has come."""

    cdef int on_field(self, const char* name, size_t name_length, const char* value, size_t value_length) except -1:
        if name_length == 7 and memcmp(name, b":method", 7) == 0:
            self.method = value[:min(value_length, <size_t>MAX_METHOD)]
        elif name_length == 10 and memcmp(name, b":authority", 10) == 0:
            self.authority = value[:min(value_length, <size_t>MAX_AUTHORITY)]
        elif name_length == 7 and memcmp(name, b":status", 7) == 0:
            self.status = int(value[:value_length])
        elif value_length > MAX_NOTE:
            return 0
        elif name_length == 9 and memcmp(name, b"forwarded", 9) == 0:
            self.forwarded = value[:value_length]
        elif name_length == 7 and memcmp(name, b"baggage", 7) == 0:
            self.baggage = value[:value_length]
        return 0

    cdef int on_head(self, int category, bint last) except -1:
        if category == NGHTTP2_HCAT_REQUEST:
            self.local = self.target = (self.authority or b"").lower()
        elif self.status >= 200:
            self.answered = True
            self.session.touch(self)
        return 0

    def let_go(self) -> None:
        """`close`, for a callback: nghttp2 sends no answer that is still waiting when a reset is asked for."""
        self.close()

    cdef bint reads_as_broken(self, uint32_t code) noexcept:
        """A ztunnel that has lost interest resets like this, and takes it for an end itself."""
        return code != NGHTTP2_NO_ERROR and code != NGHTTP2_CANCEL

    cdef int how_it_ended(self) noexcept:
        return CONNECTION_ENDED if self.session.h2 == NULL else TUNNEL_ENDED

    cdef int respond(self, int status) except -1:
        """The server's answer: 200 opens the tunnel, any other ends it. May be called while nghttp2 is at work."""
        cdef nghttp2_nv field
        cdef nghttp2_data_provider body = body_of(self)
        cdef char[4] digits
        snprintf(digits, sizeof(digits), b"%03d", status)
        field.name, field.namelen = <uint8_t*>b":status", 7
        field.value, field.valuelen = <uint8_t*>digits, 3
        field.flags = NGHTTP2_NV_FLAG_NONE
        self.status = status
        if status != 200:
            self.end_wanted = self.end_sent = True
        nghttp2_submit_response(self.session.h2, self.id, &field, 1, &body if status == 200 else NULL)
        return self.session.pull()

    cdef int await_answer(self, double seconds) except? RAISED:
        """The client's side: the status that came, FAILED, or TIMED_OUT after `seconds`."""
        cdef object timer = get_hub().loop.timer(seconds)
        cdef int waited
        timer.start(self.time_out)
        try:
            while not self.answered:
                if self.eof or self.closed:
                    return FAILED
                waited = self.wait_readable()
                if waited != READY and not self.answered:
                    return TIMED_OUT if waited == TIMED_OUT and not self.closed else FAILED
            return self.status
        finally:
            timer.stop()
            timer.close()
            self.timed_out = False


cdef Tunnel open_tunnel(Session session, bytes authority, bytes forwarded):
    """Asks the peer for a tunnel to `authority`; None if the connection takes no more streams."""
    cdef Tunnel tunnel = Tunnel()
    cdef nghttp2_nv[3] fields
    cdef nghttp2_data_provider body = body_of(tunnel)
    cdef int32_t id
    set_field(&fields[0], b":method", b"CONNECT")
    set_field(&fields[1], b":authority", authority)
    set_field(&fields[2], b"forwarded", forwarded)
    if session.h2 == NULL or not nghttp2_session_check_request_allowed(session.h2):
        return None
    id = nghttp2_submit_request(session.h2, NULL, fields, 3 if forwarded else 2, &body, <void*>tunnel)
    if id < 0:
        return None
    session.attach(tunnel, id)
    session.pull()
    return tunnel


cdef void set_field(nghttp2_nv* field, bytes name, bytes value) noexcept:
    """The bytes must live until the request is submitted: nghttp2 copies them then."""
    field.name, field.namelen = <uint8_t*><char*>name, len(name)
    field.value, field.valuelen = <uint8_t*><char*>value, len(value)
    field.flags = NGHTTP2_NV_FLAG_NONE
