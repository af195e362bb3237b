"""The lines of a request's headers that a decision goes by, whether it is a route's or an access rule's: both see the same.

What Connection takes out does not go on, and is not looked at; what is added to the request is. Host is what goes on as
Host: where the target is an absolute URI, its authority (RFC 9112 3.2.2).
"""

cimport cython
from libc.stdlib cimport calloc, free

from proxy.wire.http.head cimport HOST, MAX_FIELDS, NOMINATED, Field
from proxy.wire.http.names cimport is_called


@cython.final
cdef class Lines:
    """Of headers of these names."""

    def __init__(self, list headers):
        self.headers = headers
        self.lines = <Line*>calloc(MAX_FIELDS, sizeof(Line))
        if self.lines == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.lines)

    cdef int find(self, Head head, const char* text, list added) except -1:
        """How many there are in the head at `text`, and among the fields that are `added` to it (None: nothing is)."""
        cdef Field* field
        cdef bytes name, value
        cdef int at, number, found = 0
        for at in range(head.count):
            field = &head.fields[at]
            if field.kind == NOMINATED:
                continue
            for number in range(len(self.headers)):
                name = <bytes>self.headers[number]
                if is_called(text, field, name, len(name)):
                    if field.kind == HOST:
                        self.put(found, number, text + head.authority.at, head.authority.length)
                    else:
                        self.put(found, number, text + field.value, field.value_length)
                    found += 1
                    break
        for name, value in added or ():
            if found < MAX_FIELDS and name in self.headers:
                self.put(found, self.headers.index(name), value, len(value))
                found += 1
        return found

    cdef void put(self, int at, int header, const char* value, Py_ssize_t length) noexcept:
        self.lines[at].header, self.lines[at].length = header, <int>length
        self.lines[at].at = <const unsigned char*>value
