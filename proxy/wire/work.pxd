# What is done in a greenlet of its own; theory in work.pyx.

cdef class Work:
    cdef int run(self) except -1
    cdef int end(self) except -1

cdef int spawn(Work work) except -1
