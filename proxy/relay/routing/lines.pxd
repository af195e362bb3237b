# The lines of headers that decisions go by; theory in lines.pyx.
cimport cython

from proxy.policy.facts cimport Line
from proxy.wire.http.head cimport Head


@cython.final
cdef class Lines:
    cdef list headers                   # their names, in lower case, by number
    cdef Line* lines                    # those of the latest request

    cdef int find(self, Head head, const char* text, list added) except -1
    cdef void put(self, int at, int header, const char* value, Py_ssize_t length) noexcept
