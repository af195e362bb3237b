"""Where in a request tokens are: a header, a query parameter, a cookie; and how they are taken out of it.

As Envoy's jwt_authn: what stands before a token in a header must be there exactly, or there is none; what is empty is
a token, and no good one. A header with several lines counts as one, joined by commas, which no token has: it is refused.
"""

from urllib.parse import unquote_to_bytes

from libc.stdint cimport uint32_t
from libc.string cimport memchr, memcpy

from proxy.wire.http.head cimport NOMINATED, Field
from proxy.wire.http.names cimport is_alike, is_called

cdef extern from "<string.h>" nogil:
    void* memmem(const void* text, size_t length, const void* wanted, size_t size)

cdef enum Where:
    IN_HEADER, IN_QUERY, IN_COOKIE

cdef dict KINDS = {"header": IN_HEADER, "param": IN_QUERY, "cookie": IN_COOKIE}


cdef class Place:
    """One of a TokenRuleForm's."""

    def __init__(self, str kind, str name, str prefix):
        self.kind, self.name, self.prefix = KINDS[kind], name.encode(), prefix.encode()

    cdef int find(self, Head head, const char* text, list found) except -1:
        """Adds what is there, with the place, to those `found`."""
        if self.kind == IN_HEADER:
            return self.find_in_header(head, text, found)
        if self.kind == IN_COOKIE:
            return self.find_in_cookies(head, text, found)
        return self.find_in_query(head, text, found) if self.may_be_in(text + head.path.at, head.path.length) else 0

    cdef bint may_be_in(self, const char* path, size_t length) noexcept:
        """Whether the query has this name, or a name that may stand for it: most have not."""
        cdef const char* query = <const char*>memchr(path, c"?", length)
        if query == NULL:
            return False
        length -= query - path
        return memchr(query, c"%", length) != NULL or memmem(query, length, <const char*>self.name, len(self.name)) != NULL

    cdef int find_in_header(self, Head head, const char* text, list found) except -1:
        cdef list values = lines(head, text, self.name)
        cdef bytes value
        if not values:
            return 0
        value = values[0] if len(values) == 1 else b",".join(values)
        if value.startswith(self.prefix):
            value = value[len(self.prefix):].strip(b" \t")
        elif not any(each.startswith(self.prefix) for each in values):
            return 0
        found.append((self, value))
        return 0

    cdef int find_in_query(self, Head head, const char* text, list found) except -1:
        cdef bytes path = text[head.path.at:head.path.at + head.path.length]
        for part in query_of(path).split(b"&"):
            name, _, value = part.partition(b"=")
            if unquote_to_bytes(name) == self.name:
                found.append((self, unquote_to_bytes(value)))
        return 0

    cdef int find_in_cookies(self, Head head, const char* text, list found) except -1:
        for line in lines(head, text, b"cookie"):
            for part in line.split(b";"):
                name, _, value = part.strip(b" \t").partition(b"=")
                if name == self.name:
                    found.append((self, value.strip(b'"')))
        return 0

    cdef int take_out(self, Head head, Stream client) except -1:
        """What was found here does not go on. Cookies do, as Envoy has it."""
        cdef bytes path, kept
        if self.kind == IN_HEADER:
            return take_out_header(head, client.buffer, self.name)
        if self.kind == IN_QUERY:
            path = client.buffer[head.path.at:head.path.at + head.path.length]
            kept = without(path, self.name)
            memcpy(client.buffer + head.path.at, <const char*>kept, len(kept))
            head.path.length = <uint32_t>len(kept)
        return 0


cdef list lines(Head head, const char* text, bytes name):
    """The values of a header, whose name is given in lower case."""
    cdef Field* field
    cdef int index
    cdef list found = None
    for index in range(head.count):
        field = &head.fields[index]
        if is_called(text, field, name, len(name)):
            if found is None:
                found = []
            found.append(text[field.value:field.value + field.value_length])
    return found or []


cdef bint has(Head head, const char* text, bytes name) noexcept:
    """Whether there is such a header, not empty."""
    cdef Field* field
    cdef int index
    for index in range(head.count):
        field = &head.fields[index]
        if field.value_length and is_called(text, field, name, len(name)):
            return True
    return False


cdef int take_out_header(Head head, const char* text, bytes name) noexcept:
    """No line of it goes on."""
    cdef Field* field
    cdef int index
    for index in range(head.count):
        field = &head.fields[index]
        if is_called(text, field, name, len(name)):
            field.kind = NOMINATED
    return 0


cdef int take_out_alike(Head head, const char* text, bytes name) noexcept:
    """The same, of all headers that an endpoint could take for this one."""
    cdef Field* field
    cdef int index
    for index in range(head.count):
        field = &head.fields[index]
        if field.name_length == <uint32_t>len(name) and is_alike(text + field.name, name, field.name_length):
            field.kind = NOMINATED
    return 0


cdef bytes query_of(bytes path):
    return path.partition(b"?")[2].partition(b"#")[0]


cdef bytes without(bytes path, bytes name):
    """The path without that parameter of its query."""
    before, _, rest = path.partition(b"?")
    query, mark, fragment = rest.partition(b"#")
    parts = [part for part in query.split(b"&") if unquote_to_bytes(part.partition(b"=")[0]) != name]
    return before + (b"?" + b"&".join(parts) if parts else b"") + mark + fragment
