"""A transport in memory: for tests, never on the path of a request."""

import gevent

from libc.string cimport memcpy

from proxy.wire.stream cimport CANCELLED, END, FAILED, RAISED, READY


cdef class Memory(Stream):
    """The transport: what is fed is read, what is written is in `output`. `room` is how much of that it takes before
    writers wait; None: all."""

    def __init__(self):
        self.output = bytearray()
        self.incoming = []
        self.local, self.peer = b"127.0.0.1:1", b"127.0.0.1:2"

    def feed(self, bytes data):
        self.incoming.append(data)
        self.end_read(READY)

    def end_input(self):
        self.eof = True
        self.end_read(READY)

    @property
    def is_closed(self):
        return self.closed

    cdef Py_ssize_t fill(self) except? RAISED:
        cdef bytes data
        cdef int woken
        while True:
            if self.closed:
                return FAILED
            if self.incoming:
                data = self.incoming.pop(0)
                self.make_room(len(data))
                if data:  # without any there may be no buffer yet
                    memcpy(self.buffer + self.end, <const char*>data, len(data))
                self.end += len(data)
                return len(data)
            if self.eof:
                return END
            woken = self.wait_readable()
            if woken != READY:
                return woken

    cdef int put(self, const char* data, Py_ssize_t length) except? RAISED:
        cdef Py_ssize_t taken
        while length:
            taken = self.put_now(data, length)
            if taken < 0:
                return FAILED
            data += taken
            length -= taken
            if taken == 0:
                gevent.sleep(0.001)
        return 0

    cdef int put_two(
            self, const char* volatile_head, Py_ssize_t head_length, const char* data, Py_ssize_t length) except? RAISED:
        return self.put(volatile_head, head_length) or self.put(data, length)

    cdef Py_ssize_t put_now(self, const char* data, Py_ssize_t length) except? RAISED:
        if self.closed:
            return FAILED
        if self.room is not None:
            length = min(length, max(0, self.room - len(self.output)))
        self.output += data[:length]
        self.written += length
        return length

    cdef int close(self) except -1:
        if not self.closed:
            self.closed = True
            self.end_read(CANCELLED)
        return 0
