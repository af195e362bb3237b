"""A copy of a request's body, framed as it came, made while it moves on: for mirrors.

An attempt that is begun anew begins it anew. What is longer than MOST is not copied, nor what never came whole.
"""

cimport cython

from gevent.event import Event

cdef enum:
    MOST = 131072


@cython.final
cdef class Copied:
    """Whoever wants it waits for `over`."""

    def __init__(self):
        self.text = bytearray()
        self.over = Event()

    cdef int begin(self) except -1:
        """The body is about to move, from its beginning."""
        if not self.over.is_set():
            self.text.clear()
        return 0

    cdef int add(self, const char* data, Py_ssize_t length, bint last) except -1:
        if self.over.is_set():
            return 0
        if len(self.text) + length > MOST:
            return self.end()
        self.text += data[:length]
        if last:
            self.whole = True
            self.over.set()
        return 0

    cdef int end(self) except -1:
        """No more of it comes."""
        self.over.set()
        return 0
