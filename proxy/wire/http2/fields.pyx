# distutils: libraries = nghttp2
"""Heads and trailers as nghttp2 takes them: a table of names and values that lie where they came, or where we wrote them.

Of a head that came, in whichever protocol, the fields that go on (wire/http/passing.pxd) are put into the table as they
are; what we add and what routes change are a few lines of text (http1.pyx), which are split. So neither is a head
written to be parsed again, nor is there a second opinion of what goes on. nghttp2 copies all of it when it is submitted,
and lowers the case of names. Nothing here is checked: what came has been, by Head, what routes put in, by Edits.
"""

from libc.stdint cimport uint8_t
from libc.string cimport memchr

from proxy.wire.http.edits cimport MOST_LINES
from proxy.wire.http.head cimport (
    CONNECTION,
    CONTENT_LENGTH,
    HOST,
    HTTP2_SETTINGS,
    KEEP_ALIVE,
    MAX_FIELDS,
    NOMINATED,
    PROXY_CONNECTION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    X_REQUEST_ID,
    Field,
)
from proxy.wire.http.octets cimport LF, is_blank, same
from proxy.wire.http.passing cimport drop_edited, drop_from_request, drop_from_response, says_nothing
from proxy.wire.http2.nghttp2 cimport *

# A head as it was accepted, with what routes put into it (edits.pyx), what a proxy adds (http1.pyx), and pseudo-fields.
cdef enum:
    MOST = MAX_FIELDS + MOST_LINES + 32

cdef nghttp2_nv[MOST] table
fields = table


cdef void set_field(nghttp2_nv* field, const char* name, size_t name_length, const char* value, size_t length) noexcept:
    field.name, field.namelen = <uint8_t*>name, name_length
    field.value, field.valuelen = <uint8_t*>value, length
    field.flags = NGHTTP2_NV_FLAG_NONE


cdef bint connection_specific(int kind) noexcept:
    """What RFC 9113 8.2.2 forbids; `te` is put in again by those who mean it."""
    return kind in (CONNECTION, KEEP_ALIVE, PROXY_CONNECTION, TE, TRANSFER_ENCODING, UPGRADE, NOMINATED, HTTP2_SETTINGS)


cdef inline size_t add(size_t count, const char* text, Field* field) noexcept:
    set_field(&table[count], text + field.name, field.name_length, text + field.value, field.value_length)
    if field.kind == X_REQUEST_ID:      # never the same again: among those kept it would only push others out
        table[count].flags = NGHTTP2_NV_FLAG_NO_INDEX
    return count + 1


cdef size_t request_fields(
        const char* source, Head head, Edits edits, bytes path, const char* scheme, const char* lines, Py_ssize_t length,
        ) noexcept:
    """All of a request's head, as http1.write_request has it: how many. `lines` are http1.write_request_lines'."""
    cdef Field* field = head.fields
    cdef int index
    cdef bint changed = edits is not None or path is not None
    cdef size_t count = pseudo_fields(source, head, edits, path, scheme)
    for index in range(head.count):
        if field.kind == 0 and not changed or not (
                field.kind == HOST or field.kind == CONTENT_LENGTH and says_nothing(head) or
                drop_from_request(field.kind, head, False) or changed and drop_edited(source, field, edits, path)):
            count = add(count, source, field)
        field += 1
    return add_lines(count, lines, length)


cdef size_t pseudo_fields(const char* source, Head head, Edits edits, bytes path, const char* scheme) noexcept:
    """The three or four of a request. Never an empty :authority (RFC 9113 8.3.1)."""
    cdef const char* authority = source + head.authority.at
    cdef size_t length = head.authority.length, count = 2
    if edits is not None and edits.host is not None:
        authority, length = edits.host, len(edits.host)
        if authority[length - 1] == c":":       # a port left out
            length -= 1
    set_field(&table[0], b":method", 7, source + head.method_text.at, head.method_text.length)
    set_field(&table[1], b":scheme", 7, scheme, 5 if scheme[4] != 0 else 4)
    if length:
        set_field(&table[count], b":authority", 10, authority, length)
        count += 1
    if path is None:
        set_field(&table[count], b":path", 5, source + head.path.at, head.path.length)
    else:
        set_field(&table[count], b":path", 5, path, len(path))
    return count + 1


cdef size_t response_fields(
        const char* source, Head head, Edits edits, char* status, const char* lines, Py_ssize_t length) noexcept:
    """All of a final response's head, as http1.write_response has it: how many. `status` has room for its three digits,
    until they are submitted; `lines` are http1.write_response_lines'."""
    cdef Field* field = head.fields
    cdef int index
    cdef size_t count = 1
    status[0] = c"0" + <char>(head.status // 100)
    status[1] = c"0" + <char>(head.status // 10 % 10)
    status[2] = c"0" + <char>(head.status % 10)
    set_field(&table[0], b":status", 7, status, 3)
    for index in range(head.count):
        if field.kind == 0 and edits is None or not (
                connection_specific(field.kind) or field.kind == CONTENT_LENGTH and says_nothing(head) or
                drop_from_response(field.kind, head, True) or edits is not None and edits.drops(source, field)):
            count = add(count, source, field)
        field += 1
    return add_lines(count, lines, length)


cdef size_t reply_fields(const char* text, Head head) noexcept:
    """All of a response's head that we have written ourselves, or a 1xx: how many."""
    cdef Field* field = head.fields
    cdef int index
    cdef size_t count = 1
    set_field(&table[0], b":status", 7, text + 9, 3)
    for index in range(head.count):
        if not (connection_specific(field.kind) or field.kind == CONTENT_LENGTH and says_nothing(head)):
            count = add(count, text, field)
        field += 1
    return count


cdef size_t trailer_fields(const char* text, Head trailers) noexcept:
    """All trailers that came in fields, of which none was kept that may not go on: how many."""
    cdef int index
    cdef size_t count = 0
    for index in range(trailers.count):
        count = add(count, text, &trailers.fields[index])
    return count


cdef size_t add_lines(size_t count, const char* text, Py_ssize_t length) noexcept:
    """Adds field lines that are known to be such, up to an empty one or their end, to the `count` fields there are: how
    many are there then."""
    cdef const char* last = text + length
    cdef const char* end
    cdef const char* next_line
    cdef const char* colon
    cdef const char* value
    while last - text > 2 and count < MOST:
        next_line = <const char*>memchr(text, LF, last - text) + 1
        end = next_line - 2
        colon = <const char*>memchr(text, c":", end - text)
        value = colon + 1
        while value < end and is_blank(value[0]):
            value += 1
        while value < end and is_blank((end - 1)[0]):
            end -= 1
        set_field(&table[count], text, colon - text, value, end - value)
        if colon - text == 12 and same(text, b"x-request-id", 12):
            table[count].flags = NGHTTP2_NV_FLAG_NO_INDEX
        count += 1
        text = next_line
    return count
