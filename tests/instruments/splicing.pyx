"""Passages as Python objects, between any two descriptors that the kernel splices."""

import os

from libc.errno cimport errno

from proxy.wire.passage cimport NO_WAY, Passage


cdef class Way:
    """A Passage. Raises OSError where that has an errno."""

    cdef Passage passage

    def __init__(self):
        self.passage = Passage()

    @property
    def inside(self):
        return self.passage.inside

    def take_in(self, int fd, Py_ssize_t offered):
        """How many bytes; 0 at the end; None: there is no pipe."""
        self.passage.offer(offered)
        cdef Py_ssize_t n = self.passage.take_in(fd)
        cdef int why = errno
        if n == -1:
            raise OSError(why, os.strerror(why))
        return None if n == NO_WAY else n

    def let_out(self, int fd):
        cdef Py_ssize_t n = self.passage.let_out(fd)
        cdef int why = errno
        if n < 0:
            raise OSError(why, os.strerror(why))
        return n
