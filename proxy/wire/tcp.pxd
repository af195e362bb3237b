# TCP sockets as streams; theory in tcp.pyx.
from libc.stdint cimport int64_t

from proxy.wire.passage cimport Passage
from proxy.wire.stream cimport RAISED, Stream

cdef extern from "sys/socket.h" nogil:
    int MSG_NOSIGNAL
    int MSG_MORE
    ssize_t recv(int, void*, size_t, int)
    ssize_t send(int, const void*, size_t, int)

cdef class TcpStream(Stream):
    cdef readonly int fd
    cdef object watcher                 # level-triggered read watcher, kept for the stream's life
    cdef bint watching, more
    cdef bint watch_due                 # will be watched in a moment
    cdef bint last_words                # what is put next is the last, or was
    cdef Py_ssize_t burst               # bytes read in a row without letting others run
    cdef Passage passage                # where what comes may pass by the buffer; None: it never did
    cdef Py_ssize_t sip                 # bytes that the next read is to bring at most; 0: as many as there is room for
    cdef bint sipped                    # the latest did, and more is there
    cdef object writer_watcher
    cdef object writer                  # the greenlet that waits to write
    cdef int writer_result
    cdef int64_t stall_ns               # how long one wait to write may take; 0: for ever

    cdef Py_ssize_t read_once(self, Py_ssize_t* room) except? RAISED
    cdef int start_watching(self) except -1
    cdef int stop_watching(self) except -1
    cdef int close_watchers(self) except -1
    cdef int wait_writable(self, double seconds) except? RAISED

cdef int end_follows(Stream stream) except -1
