# A way through the kernel for bytes that nobody need look at; theory in passage.pyx.
cimport cython
from libc.stdint cimport int64_t

cdef enum:
    NO_WAY = -2                 # of take_in: there is no pipe now; nothing has moved


@cython.final
cdef class Passage:
    cdef int way_in, way_out    # a pipe's ends, while there is something in it; -1
    cdef Py_ssize_t offered     # bytes that may come in next; 0: none, they are read
    cdef Py_ssize_t inside      # bytes that have, and are not out yet
    cdef bint used              # the latest that came, came in here

    cdef void offer(self, int64_t length) noexcept
    cdef Py_ssize_t take_in(self, int fd) noexcept
    cdef Py_ssize_t let_out(self, int fd) noexcept
    cdef int find_pipe(self) noexcept
    cdef void give_back(self) noexcept
    cdef void drop(self) noexcept
