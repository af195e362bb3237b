"""Which of its four forms a request's target has (RFC 9112 3.2), and from it and Host the authority and the path.

An absolute form is cut down to what the endpoint gets; where its URI has no path (RFC 3986 6.2.3: that is `/`, for
OPTIONS of a server `*`) there is room for the missing octet in front of the authority. An empty Host is what a target
without authority has; it selects nothing. An authority may end in a colon: a port left out, which is no part of
`authority`, nor of the Host that rules see and the endpoint gets: a blank takes its place.
"""

from libc.stdint cimport uint32_t
from libc.string cimport memcmp, memmove

from proxy.wire.http.authority cimport is_authority
from proxy.wire.http.head cimport HOST, M_CONNECT, M_OPTIONS, Span
from proxy.wire.http.names cimport span_of
from proxy.wire.http.octets cimport SP, same


cdef int place_target(Head head, char* data) noexcept nogil:
    cdef const char* target = data + head.target.at
    if head.hosts > 1 or head.hosts == 0 and head.minor > 0:
        return head.bad(b"no host, or two")
    if head.host.length > 0 and not is_authority(data + head.host.at, head.host.length, False):
        return head.bad(b"host")
    if head.host.length > 0 and data[head.host.at + head.host.length - 1] == c":":
        end_before_colon(head, data)
    head.authority = head.host
    if head.method == M_CONNECT:
        head.authority = head.target
        return 0 if is_authority(target, head.target.length, True) else head.bad(b"target")
    if target[0] == c"/" or head.method == M_OPTIONS and target[0] == c"*" and head.target.length == 1:
        return 0
    return cut_absolute_form(head, data)


cdef void end_before_colon(Head head, char* data) noexcept nogil:
    """Of the Host."""
    cdef int index
    head.host.length -= 1
    data[head.host.at + head.host.length] = SP
    for index in range(head.count):
        if head.fields[index].kind == HOST:
            head.fields[index].value_length = head.host.length


cdef inline Span without_empty_port(const char* data, uint32_t at, uint32_t length) noexcept nogil:
    return span_of(at, length - 1 if length > 0 and data[at + length - 1] == c":" else length)


cdef int cut_absolute_form(Head head, char* data) noexcept nogil:
    cdef uint32_t start = head.target.at
    cdef uint32_t end = start + head.target.length
    cdef uint32_t slashes = 4
    cdef uint32_t at
    if head.target.length < 8 or not same(data + start, b"http", 4):
        return head.bad(b"target")
    if data[start + 4] == c"s" or data[start + 4] == c"S":
        slashes = 5
    at = start + slashes
    if memcmp(data + at, b"://", 3) != 0:
        return head.bad(b"target")
    at += 3
    head.absolute_form, head.https = True, slashes == 5
    start = at
    while at < end and data[at] != c"/" and data[at] != c"?":
        at += 1
    if not is_authority(data + start, at - start, False):
        return head.bad(b"target")
    if at < end and data[at] == c"?":       # the authority moves, and leaves a slash behind it
        memmove(data + start - 1, data + start, at - start)
        at -= 1
        start -= 1
        data[at] = c"/"
    head.authority = without_empty_port(data, start, at - start)
    head.path = span_of(at, end - at)
    if at == end:                           # the slash before the authority serves as the path
        head.path = span_of(start - 1, 1)
        if head.method == M_OPTIONS:
            data[start - 1] = c"*"
    return 0
