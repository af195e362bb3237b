# distutils: libraries = nghttp2
"""Extended CONNECT, which makes one stream of HTTP/2 a WebSocket (RFC 8441): what of it is not in the streams themselves.

A client's is read as the request for an Upgrade that it stands for in HTTP/1.1, GET with `upgrade` and `connection`, as
Envoy has it: so routes, access rules and the log meet it as they meet the other, and only once. Which protocols there are
is not decided here. Towards an endpoint it is made of such a request again.
"""

from libc.string cimport memcmp, memmove

from proxy.wire.http2.fields cimport fields, set_field
from proxy.wire.http2.nghttp2 cimport nghttp2_nv


cdef bint is_for_http1(const char* name, size_t length) noexcept:
    """Whether a field is part of a handshake that HTTP/2 does not have: whoever translates has one of its own."""
    return length == 17 and memcmp(name, b"sec-websocket-key", 17) == 0 or \
        length == 20 and memcmp(name, b"sec-websocket-accept", 20) == 0


cdef size_t extend_fields(size_t count) noexcept:
    """Makes the `count` fields of a request, the first of which is its :method, those of an extended CONNECT: how many
    there are then."""
    memmove(fields + 2, fields + 1, (count - 1) * sizeof(nghttp2_nv))
    set_field(&fields[0], b":method", 7, b"CONNECT", 7)
    set_field(&fields[1], b":protocol", 9, b"websocket", 9)
    return count + 1
