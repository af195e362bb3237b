# Where in a request tokens are; theory in places.pyx.
from proxy.wire.http.head cimport Head
from proxy.wire.stream cimport Stream

cdef class Place:
    cdef int kind
    cdef bytes name, prefix

    cdef int find(self, Head head, const char* text, list found) except -1
    cdef int find_in_header(self, Head head, const char* text, list found) except -1
    cdef bint may_be_in(self, const char* path, size_t length) noexcept
    cdef int find_in_query(self, Head head, const char* text, list found) except -1
    cdef int find_in_cookies(self, Head head, const char* text, list found) except -1
    cdef int take_out(self, Head head, Stream client) except -1

cdef bint has(Head head, const char* text, bytes name) noexcept
cdef int take_out_header(Head head, const char* text, bytes name) noexcept
cdef int take_out_alike(Head head, const char* text, bytes name) noexcept
