"""Writes the heads that go on: what a proxy takes out (passing.pxd), puts in, and leaves alone.

Fields are copied as they came, in as few pieces as possible. Taken out: everything hop-by-hop (RFC 9110, 7.6.1) and the
framing, which is written anew, but for a length that is written as we would; from requests Envoy's control fields and
`x-forwarded-client-cert`, which only a proxy may set. Put in: what Istio's waypoint adds (x-forwarded-proto,
x-request-id; server, date, x-envoy-upstream-service-time); the length 0 of a request without a body whose method gives
one a meaning (RFC 9110, 8.6: HTTP/2 clients leave it out, and HTTP/1.1 servers answer 411). Besides, what routes change
(edits.pyx), with the path and Host that were there in Envoy's fields.
"""

from libc.stdint cimport uint64_t
from libc.stdio cimport snprintf
from libc.string cimport memcpy

from http.client import responses

from proxy.wire.http.edits cimport OWN_DATE, OWN_PROTO, OWN_REQUEST_ID, OWN_SERVER, OWN_SERVICE_TIME
from proxy.wire.http.head cimport CHUNKED, M_OTHER, M_PATCH, M_POST, M_PUT, Field
from proxy.wire.http.octets cimport CR
from proxy.wire.http.passing cimport (
    SWITCHING_PROTOCOLS, UPGRADE_REQUIRED, drop_edited, drop_from_request, drop_from_response, has_length, says_nothing,
)


cdef inline char* put(char* out, const char* text, Py_ssize_t length) noexcept:
    memcpy(out, text, length)
    return out + length


cdef Py_ssize_t write_request(
        char* out, const char* source, Head head, bint upgrade, const char* request_id, Edits edits, bytes path) noexcept:
    """The request head for an endpoint. `request_id` is used if the client sent none; `path` takes the place of the one
    that came. None: nothing is changed."""
    cdef char* start = out
    cdef Field* field
    cdef int index
    cdef bint changed = edits is not None or path is not None
    cdef Py_ssize_t run = head.fields_at       # where the fields not yet copied begin
    out = put(out, source + head.method_text.at, head.method_text.length)
    out = put(out, b" ", 1)
    if path is None:
        out = put(out, source + head.path.at, head.path.length)
    else:
        out = put(out, path, len(path))
    out = put(out, b" HTTP/1.1\r\n", 11)
    if head.absolute_form and (edits is None or edits.host is None):
        out = put_span(put(out, b"host: ", 6), source, head.authority.at, head.authority.length)
    for index in range(head.count):
        field = head.fields + index
        if drop_from_request(field.kind, head, upgrade) or changed and drop_edited(source, field, edits, path):
            out = put(out, source + run, field.name - run)
            run = field.line_end
    out = put(out, source + run, head.size - 2 - run)
    if upgrade:
        out = put(out, b"connection: upgrade\r\n", 21)
    if head.framing == CHUNKED:
        out = put(out, b"transfer-encoding: chunked\r\n", 28)
    if edits is not None and edits.host is not None:
        out = put_span(put(out, b"host: ", 6), edits.host, 0, len(edits.host))
    out = put_request_lines(out, source, head, request_id, edits, path, False)
    return put(out, b"\r\n", 2) - start


cdef Py_ssize_t write_request_lines(
        char* out, const char* source, Head head, const char* request_id, Edits edits, bytes path) noexcept:
    """What goes on in HTTP/2 behind the fields that came: lines of what the endpoint is told by us, and by routes. How
    long they are."""
    return put_request_lines(out, source, head, request_id, edits, path, True) - out


cdef char* put_request_lines(
        char* out, const char* source, Head head, const char* request_id, Edits edits, bytes path, bint http2) noexcept:
    cdef int named = 0 if edits is None else edits.named
    if head.te_trailers:
        out = put(out, b"te: trailers\r\n", 14)
    if head.framing != CHUNKED and not (http2 and says_nothing(head)):
        if head.own_length:
            out = put_length(out, head.content_length)
        elif head.content_length == -1 and head.method in (M_POST, M_PUT, M_PATCH, M_OTHER):
            out = put_length(out, 0)
    if head.forwarded_proto.length == 0 and not named & OWN_PROTO:
        out = put(out, b"x-forwarded-proto: https\r\n", 26) if head.secured else put(out, b"x-forwarded-proto: http\r\n", 25)
    if head.request_id.length == 0 and not named & OWN_REQUEST_ID:
        out = put(out, b"x-request-id: ", 14)
        out = put_span(out, request_id, 0, REQUEST_ID)
    if path is not None:
        out = put_span(put(out, b"x-envoy-original-path: ", 23), source, head.path.at, head.path.length)
    if edits is None:
        return out
    if edits.host is not None:      # what was there before, as Envoy names it
        out = put_span(put(out, b"x-envoy-original-host: ", 23), source, head.authority.at, head.authority.length)
    return put(out, edits.lines, len(edits.lines))


cdef inline char* put_span(char* out, const char* source, Py_ssize_t at, Py_ssize_t length) noexcept:
    return put(put(out, source + at, length), b"\r\n", 2)


cdef inline char* put_length(char* out, int64_t length) noexcept:
    out = put_decimal(put(out, b"content-length: ", 16), length)
    return put(out, b"\r\n", 2)


cdef inline char* put_decimal(char* out, uint64_t number) noexcept:
    """What printf would take a twentieth of a request for."""
    cdef char[20] digits
    cdef int at = 20
    while number >= 10:
        at -= 1
        digits[at] = c"0" + <char>(number % 10)
        number //= 10
    at -= 1
    digits[at] = c"0" + <char>number
    return put(out, digits + at, 20 - at)


cdef char* write_status_and_fields(char* out, const char* source, Head head, Edits edits) noexcept:
    cdef Field* field
    cdef int index
    cdef Py_ssize_t run = head.fields_at
    out = put_decimal(put(out, b"HTTP/1.1 ", 9), head.status)   # three digits, or it would not have been taken
    out = put(out, b" ", 1)
    out = put(out, source + head.reason.at, head.reason.length)
    out = put(out, b"\r\n", 2)
    for index in range(head.count):
        field = head.fields + index
        if drop_from_response(field.kind, head, False) or edits is not None and edits.drops(source, field):
            out = put(out, source + run, field.name - run)
            run = field.line_end
        elif head.bare_lf and source[field.line_end - 2] != CR:
            out = put(out, source + run, field.line_end - 1 - run)
            out = put(out, b"\r\n", 2)
            run = field.line_end
    return put(out, source + run, head.fields_end - run)


cdef Py_ssize_t write_response(
        char* out, const char* source, Head head, bint rechunk, bint close, int64_t service_ms,
        const char* date_line, Edits edits) noexcept:
    """The final response head for a client. `rechunk`: the body ends with the connection there, and with a chunk here.
    `edits` None: nothing else is changed."""
    cdef char* start = out
    out = write_status_and_fields(out, source, head, edits)
    if head.framing == CHUNKED or rechunk:
        out = put(out, b"transfer-encoding: chunked\r\n", 28)
    if head.status == SWITCHING_PROTOCOLS or head.status == UPGRADE_REQUIRED and head.upgrade_to.length > 0:
        out = put(out, b"connection: upgrade\r\n", 21)     # RFC 9110 7.8
    if close and head.status != SWITCHING_PROTOCOLS:
        out = put(out, b"connection: close\r\n", 19)
    out = put_response_lines(out, head, service_ms, date_line, False, edits)
    return put(out, b"\r\n", 2) - start


cdef Py_ssize_t write_response_lines(
        char* out, Head head, int64_t service_ms, const char* date_line, Edits edits) noexcept:
    """The same, of what a client is told."""
    return put_response_lines(out, head, service_ms, date_line, True, edits) - out


cdef char* put_response_lines(
        char* out, Head head, int64_t service_ms, const char* date_line, bint http2, Edits edits) noexcept:
    cdef int named = 0 if edits is None else edits.named
    if head.own_length and head.content_length != -1 and has_length(head, http2) and not (http2 and says_nothing(head)):
        out = put_length(out, head.content_length)
    if not head.has_date and not named & OWN_DATE:
        out = put(out, date_line, 37)
    if not named & OWN_SERVICE_TIME:
        out = put_decimal(put(out, b"x-envoy-upstream-service-time: ", 31), service_ms)
        out = put(out, b"\r\n", 2)
    if edits is not None:
        out = put(out, edits.lines, len(edits.lines))
    if not named & OWN_SERVER:
        out = put(out, b"server: waypointd\r\n", 19)
    return out


cdef bytes edited(bytes reply, Edits edits):
    """A whole response of our own (`local_reply`, `grpc_reply`) with these edits."""
    head, end, body = reply.partition(b"\r\n\r\n")
    return edits.kept(head + b"\r\n") + edits.lines + b"\r\n" + body


cdef Py_ssize_t add_field(char* head, Py_ssize_t length, bytes line) noexcept:
    """One more line, "name: value" and its end, for a head of that length, whose length then is."""
    cdef char* end = put(head + length - 2, line, len(line))
    return put(end, b"\r\n", 2) - head


cdef Py_ssize_t add_line(char* lines, Py_ssize_t length, bytes line) noexcept:
    """The same, for lines with no empty one behind them."""
    return put(lines + length, line, len(line)) - lines


cdef Py_ssize_t write_interim(char* out, const char* source, Head head) noexcept:
    """A 1xx response head, passed on as it is but for hop-by-hop fields."""
    cdef char* start = out
    out = write_status_and_fields(out, source, head, None)
    return put(out, b"\r\n", 2) - start


cdef Py_ssize_t write_chunk_size(char* out, Py_ssize_t size, bint first) noexcept:
    """The line before a chunk of `size` bytes (0: the end of the body), with the line feed that ends the chunk before
    it."""
    if size == 0:
        return snprintf(out, 32, b"%s0\r\n\r\n", b"" if first else b"\r\n")
    return snprintf(out, 32, b"%s%zx\r\n", b"" if first else b"\r\n", size)


cdef bytes local_reply(int status, bytes body, bint head_only, bint close, const char* date_line):
    """A whole response of our own, shaped like Envoy's local replies."""
    lines = [b"HTTP/1.1 %d %s\r\n" % (status, responses.get(status, "").encode())]
    lines.append(b"content-length: %d\r\n" % len(body))
    if body:
        lines.append(b"content-type: text/plain\r\n")
    lines.append(date_line[:37])
    if close:
        lines.append(b"connection: close\r\n")
    lines.append(b"server: waypointd\r\n\r\n")
    if not head_only:
        lines.append(body)
    return b"".join(lines)


cdef dict GRPC_STATUS_OF = {400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14}
cdef enum:
    GRPC_UNKNOWN = 2


cdef int grpc_status_for(int status, int grpc_status) except -1:
    """What a gRPC client is told; `grpc_status` -1: what the HTTP status stands for (Envoy's httpToGrpcStatus)."""
    return grpc_status if grpc_status >= 0 else GRPC_STATUS_OF.get(status, GRPC_UNKNOWN)


cdef bytes grpc_reply(int grpc_status, bytes body, bint close, const char* date_line):
    """What `local_reply` would say, as gRPC says it: 200, and trailers alone."""
    lines = [b"HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\n"]
    lines.append(b"grpc-status: %d\r\n" % grpc_status)
    if body:
        lines.append(b"grpc-message: %s\r\n" % b"".join(
            b"%c" % octet if 0x20 <= octet < 0x7F and octet != 0x25 else b"%%%02X" % octet for octet in body))
    lines.append(b"content-length: 0\r\n")
    lines.append(date_line[:37])
    if close:
        lines.append(b"connection: close\r\n")
    lines.append(b"server: waypointd\r\n\r\n")
    return b"".join(lines)
