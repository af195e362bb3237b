"""What a peer has said, without the peer: all of it is here, and what is put goes nowhere."""

cimport cython
from libc.string cimport memcpy

from proxy.wire.http.edits cimport Edits
from proxy.wire.http.head cimport Head
from proxy.wire.stream cimport END, RAISED


@cython.final
cdef class Recorded(Stream):
    """Reads as far as it has been given; never fails."""

    cdef int hold(self, bytes text, Stream like) except -1:
        """From here on it says `text`, as the peer of `like` would have."""
        self.local, self.peer, self.identity = like.local, like.peer, like.identity
        self.baggage, self.target, self.http2 = like.baggage, like.target, like.http2
        self.make_room(len(text))
        memcpy(self.buffer + self.end, <const char*>text, len(text))
        self.end += len(text)
        return 0

    cdef Py_ssize_t fill(self) except? RAISED:
        return END

    cdef int put(self, const char* data, Py_ssize_t length) except? RAISED:
        self.written += length
        return 0

    cdef int put_two(
            self, const char* volatile_head, Py_ssize_t head_length, const char* data, Py_ssize_t length) except? RAISED:
        self.written += head_length + length
        return 0

    cdef int put_response(
            self, const char* source, Head head, bint rechunk, Edits edits, const char* lines, Py_ssize_t lines_length,
            const char* data, Py_ssize_t length, Stream giver, bint last) except? RAISED:
        self.written += length
        return 0

    cdef int put_piece(self, const char* data, Py_ssize_t length, Stream ending) except? RAISED:
        self.written += length
        return 0

    cdef int finish(self) except? RAISED:
        return 0

    cdef int close(self) except -1:
        self.closed = True
        return 0

    cdef int watch(self) except -1:
        return 0
