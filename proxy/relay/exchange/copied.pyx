"""A copy of a request's body, as text of HTTP/1.1, made while it moves on: for mirrors.

An attempt that is begun anew begins it anew. What is longer than MOST is not copied, nor what never came whole.
"""

cimport cython

from gevent.event import Event

from proxy.wire.http.head cimport PIECES

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

    cdef int take(self, Stream source, Py_ssize_t length, Body body) except -1:
        """So much of the body moves on out of the source's buffer."""
        cdef bytes chunk
        if body.framing != PIECES:
            return self.add(source.buffer + source.start, length, body.done)
        chunk = self.chunk_of(source, length, body.done)
        return self.add(chunk, len(chunk), body.done)

    cdef bytes chunk_of(self, Stream source, Py_ssize_t length, bint last):
        """A piece, as it would be put to HTTP/1.1."""
        cdef bytes chunk = b""
        cdef const char* tail = NULL
        cdef Py_ssize_t tail_length = 0
        if length:
            chunk = b"%x\r\n%b\r\n" % (length, (source.buffer + source.start)[:length])
        if not last:
            return chunk
        return chunk + (b"0\r\n\r\n" if source.trailers(&tail, &tail_length) is None else tail[:tail_length])

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
