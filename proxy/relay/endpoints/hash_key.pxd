# What of a request is hashed; theory in hash_key.pyx.
from libc.stdint cimport uint64_t

from proxy.wire.http.head cimport Head, Span
from proxy.wire.stream cimport Stream

cdef enum Kind:
    BY_HEADER, BY_COOKIE, BY_QUERY, BY_SOURCE_IP

cdef class HashKey:
    cdef int kind
    cdef bytes name
    cdef readonly bytes set_cookie       # what follows the value of a cookie that is missing; None: it stays so

    cdef uint64_t of_request(self, Head head, Stream client) noexcept
    cdef bytes new_cookie(self, uint64_t* number)
    cdef uint64_t of_client(self, Stream client) noexcept
    cdef uint64_t of_header(self, Head head, const char* text) noexcept
    cdef uint64_t of_cookie(self, Head head, const char* text) noexcept
    cdef uint64_t of_query(self, const char* text, Span path) noexcept

cdef uint64_t key_of(const char* octets, Py_ssize_t length) noexcept
