"""Content-Length and Transfer-Encoding of a head, and the framing they come to (RFC 9112 6.3).

What two readers could take for two lengths is refused, in requests and responses alike. In a response that is less:
equal lengths are one length; codings of a body that is none matter to nobody; `identity` alone changes nothing. After
what a sender ought not to have sent the connection is not used again (`close`), since it may mean more by it than we
understand. Lengths that are not written as we write them go on as a field of ours (`own_length`).
"""

from libc.stdint cimport int64_t, uint32_t

from proxy.wire.http.head cimport (
    BAD, CHUNKED, CHUNKED_CODING, IDENTITY_CODING, LENGTH, M_CONNECT, M_HEAD, NO_BODY, NO_CODING, OTHER_CODING,
    UNTIL_CLOSE,
)
from proxy.wire.http.names cimport is_text, next_member
from proxy.wire.http.octets cimport CR, DIGIT, SP, is_a, skip

cdef enum:
    LENGTH_DIGITS = 18          # a Content-Length that fits an int64 whatever its digits are
    NO_CONTENT = 204
    NOT_MODIFIED = 304


cdef int read_content_length(Head head, const char* data, Span value) noexcept nogil:
    cdef uint32_t at = value.at, end = value.at + value.length
    cdef Span one = value
    if not head.lenient:
        return head.bad(b"content-length twice") if head.content_length != -1 else read_length(head, data, value)
    if skip(data, at, DIGIT) == end:        # nearly always
        return read_length(head, data, value)
    if not next_member(data, &at, end, &one):
        return head.bad(b"content-length")
    while read_length(head, data, one) == 0:
        if not next_member(data, &at, end, &one):
            return 0
    return BAD


cdef int read_length(Head head, const char* data, Span digits) noexcept nogil:
    """One length: zeros before it are no overflow. An equal one is read already."""
    cdef uint32_t at = digits.at, end = digits.at + digits.length
    cdef int64_t length = 0
    while at + 1 < end and data[at] == c"0":
        at += 1
    if at == end or end - at > LENGTH_DIGITS:
        return head.bad(b"content-length")
    head.own_length = head.own_length or head.content_length != -1 or at > digits.at or data[end] != CR or not (
        data[at - 1] == c":" or data[at - 1] == SP and data[at - 2] == c":")
    while at < end:
        if not is_a(data[at], DIGIT):
            return head.bad(b"content-length")
        length = length * 10 + (data[at] - c"0")
        at += 1
    if head.content_length != -1 and head.content_length != length:
        return head.bad(b"content-length twice")
    head.content_length = length
    return 0


cdef int read_transfer_encoding(Head head, const char* data, Span value) noexcept nogil:
    cdef uint32_t at = value.at, end = value.at + value.length
    cdef Span coding = value
    if not head.lenient:
        if head.coding != NO_CODING or value.length == 0:
            return head.bad(b"transfer-encoding empty or twice")
        head.coding = CHUNKED_CODING if is_text(data, value, b"chunked", 7) else OTHER_CODING
        return 0
    while next_member(data, &at, end, &coding):
        head.coding = (
            OTHER_CODING if head.coding != NO_CODING else
            CHUNKED_CODING if is_text(data, coding, b"chunked", 7) else
            IDENTITY_CODING if is_text(data, coding, b"identity", 8) else OTHER_CODING)
    return 0 if head.coding != NO_CODING else head.bad(b"transfer-encoding empty or twice")


cdef int frame_request(Head head) noexcept nogil:
    """RFC 9112 6.3 for requests."""
    if head.coding != NO_CODING and head.content_length != -1:
        return head.bad(b"content-length with transfer-encoding")
    if head.coding != NO_CODING and head.minor == 0:
        return head.bad(b"transfer-encoding in HTTP/1.0")
    if head.coding != NO_CODING:
        head.framing = CHUNKED
    elif head.content_length > 0:
        head.framing = LENGTH
    head.upgrade = head.upgrade and head.framing == NO_BODY     # else ignored: some begin the tunnel with the body
    if head.method == M_CONNECT and (head.coding != NO_CODING or head.content_length != -1):
        return head.bad(b"CONNECT with a body")
    return 0


cdef int frame_response(Head head, int request_method) noexcept nogil:
    """RFC 9112 6.3 for responses."""
    if head.minor == 0 and not head.keep_alive:
        head.close = True
    if head.status < 200 or head.status == NO_CONTENT or head.status == NOT_MODIFIED or request_method == M_HEAD \
            or request_method == M_CONNECT and head.status < 300:
        return frame_nothing(head)
    if head.coding != NO_CODING and head.content_length != -1 and not head.both_framings:
        return head.bad(b"content-length with transfer-encoding")
    if head.coding == OTHER_CODING:
        return head.bad(b"transfer-encoding")
    if head.coding == CHUNKED_CODING:
        head.framing = CHUNKED
        head.close = head.close or head.minor == 0      # RFC 9112 6.1
    elif head.content_length != -1:
        head.framing = LENGTH if head.content_length > 0 else NO_BODY
    else:
        head.framing = UNTIL_CLOSE
    return 0


cdef int frame_nothing(Head head) noexcept nogil:
    """A response that has no body, whatever it says. One that says so where none may (RFC 9110 8.6, RFC 9112 6.1) has
    perhaps one coming, which must not meet the next request."""
    head.framing = NO_BODY
    if head.coding != NO_CODING and head.content_length != -1:
        head.content_length = -1
        head.own_length = head.close = True
    if head.status < 200 or head.status == NO_CONTENT:
        head.close = head.close or head.coding != NO_CODING or head.content_length > 0
    return 0
