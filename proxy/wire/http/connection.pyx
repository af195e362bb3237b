"""The options of Connection, the fields it names, and TE (RFC 9110 7.6.1, 10.1.4).

A client may not have fields taken out that frame or route its request, nor what other proxies attest: that is refused.
A response that names such a field means the same as one that does not: framing is for one connection anyway. An option
that is none in a response is ignored, and the connection not used again: it may have meant `close`.
"""

from libc.stdint cimport uint32_t

from proxy.wire.http.head cimport (
    CONNECTION, CONTENT_LENGTH, DATE, MAX_FIELDS, NOMINATED, SERVER, TE, TRANSFER_ENCODING, UPGRADE, Field,
)
from proxy.wire.http.names cimport is_text, is_token, may_nominate, next_member
from proxy.wire.http.octets cimport equal_fold


cdef int read_connection(Head head, const char* data, Span value) noexcept nogil:
    cdef uint32_t at = value.at
    cdef Span option
    while next_member(data, &at, value.at + value.length, &option):
        head.options += 1
        if head.options > MAX_FIELDS:
            return head.bad(b"connection")
        if not is_token(data + option.at, option.length):
            if not head.lenient:
                return head.bad(b"connection")
            head.close = True
        elif is_text(data, option, b"close", 5):
            head.close = True
        elif is_text(data, option, b"keep-alive", 10):
            head.keep_alive = True
        elif is_text(data, option, b"upgrade", 7):
            head.upgrade = True
        elif head.lenient or may_nominate(data + option.at, option.length):
            head.nominates = True
        else:
            return head.bad(b"connection names an end-to-end field")
    return 0


cdef void read_te(Head head, const char* data, Span value) noexcept nogil:
    cdef uint32_t at = value.at
    cdef Span coding
    while next_member(data, &at, value.at + value.length, &coding):
        if is_text(data, coding, b"trailers", 8):
            head.te_trailers = True


cdef void nominate_all(Head head, const char* data) noexcept nogil:
    """Mark the fields that Connection names as hop-by-hop."""
    cdef int index
    cdef uint32_t at, end
    cdef Span option
    for index in range(head.count):
        if head.fields[index].kind == CONNECTION:
            at = head.fields[index].value
            end = at + head.fields[index].value_length
            while next_member(data, &at, end, &option):
                nominate(head, data, option)


cdef void nominate(Head head, const char* data, Span option) noexcept nogil:
    cdef Field* field
    cdef int index
    for index in range(head.count):
        field = head.fields + index
        if field.name_length == option.length and equal_fold(data + field.name, data + option.at, option.length):
            if field.kind == DATE:
                head.has_date = False
            elif field.kind == SERVER:
                head.has_server = False
            if not stays(field.kind):
                field.kind = NOMINATED


cdef inline bint stays(int kind) noexcept nogil:
    """What has a meaning of its own to a proxy keeps it."""
    return kind == CONNECTION or kind == TE or kind == UPGRADE or kind == CONTENT_LENGTH or kind == TRANSFER_ENCODING
