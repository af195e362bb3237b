# Answers that HTTP/2 clients do not read; see unread.pyx.
cimport cython

from proxy.scoreboard.layout cimport WorkerRow

@cython.final
cdef class Unread:
    cdef set sessions                   # HTTP/2 connections of clients

    cdef int look(self, WorkerRow* row) except -1
