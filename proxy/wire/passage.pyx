"""A way through the kernel for bytes that nobody need look at: from a socket into a pipe, and out of it into another
socket, by splice(2). What moves are references to pages, so a large body costs no copy of ours.

Pipes are this process's, not a connection's: one is taken when bytes are there to go in, and is free again when the
last of them is out. So there are as many as readers that stall, no more than MOST, with no more than AT_ONCE bytes in
each. Who finds none left, or a kernel that refuses (too many open files, no splice), is told NO_WAY and copies; why is
said once. A pipe that still has something in it when its bytes are given up is closed: nobody may get what is in it.
"""

import logging
import os

cimport cython
from libc.errno cimport EACCES, EINVAL, ENOMEM, ENOSYS, EOPNOTSUPP, EPERM, errno
from libc.stdint cimport int64_t
from posix.fcntl cimport O_NONBLOCK
from posix.unistd cimport close as close_fd

cdef extern from "fcntl.h" nogil:
    int O_CLOEXEC
    int F_SETPIPE_SZ
    int F_GETPIPE_SZ
    unsigned SPLICE_F_MOVE
    unsigned SPLICE_F_NONBLOCK
    ssize_t splice(int, void*, int, void*, size_t, unsigned)
    int fcntl(int, int, ...)

cdef extern from "unistd.h" nogil:
    int pipe2(int*, int)

cdef enum:
    MOST = 64                   # pipes of a process
    SPARE = 8                   # that are kept for the next bodies
    AT_ONCE = 1048576           # bytes that a pipe has room for: the fewer turns a body takes, the fewer wake-ups of its peers
    OFTEN = 524288              # ... that those have which are not kept: the kernel gives a user so many pages for pipes
    LEAST = 65536               # ... that do, if there are fewer (fs.pipe-user-pages-soft)

log = logging.getLogger("worker")

cdef int[SPARE] spare_in
cdef int[SPARE] spare_out
cdef int spares = 0
cdef int pipes = 0                  # that there are, in use or spare
cdef bint told = False


@cython.final
cdef class Passage:
    """For what one socket says: `offer`, take_in, let_out until nothing is inside."""

    def __cinit__(self):
        self.way_in = self.way_out = -1

    def __dealloc__(self):
        self.drop()

    cdef void offer(self, int64_t length) noexcept:
        """The next that come may be so many; 0: none."""
        self.offered = min(length, AT_ONCE)

    cdef Py_ssize_t take_in(self, int fd) noexcept:
        """What has come on the socket, as much as is offered, once: how many bytes; 0 at its end; -1 with errno; NO_WAY."""
        cdef Py_ssize_t n
        cdef int why
        if self.way_in < 0 and self.find_pipe() < 0:
            return NO_WAY
        n = splice(fd, NULL, self.way_in, NULL, self.offered, SPLICE_F_MOVE | SPLICE_F_NONBLOCK)
        if n > 0:
            self.inside, self.offered, self.used = n, 0, True
            return n
        why = errno
        self.give_back()
        if n < 0 and why in (EINVAL, ENOSYS, EPERM, EACCES, EOPNOTSUPP, ENOMEM):
            tell(b"splice", why)
            return NO_WAY
        return n

    cdef Py_ssize_t let_out(self, int fd) noexcept:
        """As much of what is inside as the socket takes: how many bytes, or -1 with errno."""
        cdef Py_ssize_t n = splice(self.way_out, NULL, fd, NULL, self.inside, SPLICE_F_MOVE | SPLICE_F_NONBLOCK)
        if n > 0:
            self.inside -= n
            if self.inside == 0:
                self.give_back()
        return n

    cdef int find_pipe(self) noexcept:
        """0, or -1: there is none."""
        global spares, pipes
        cdef int[2] ends
        if spares:
            spares -= 1
            self.way_in, self.way_out = spare_in[spares], spare_out[spares]
            return 0
        if pipes >= MOST:
            return -1
        if pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0:
            tell(b"pipe2", errno)
            return -1
        if (pipes >= SPARE or fcntl(ends[1], F_SETPIPE_SZ, <int>AT_ONCE) < 0) \
                and fcntl(ends[1], F_SETPIPE_SZ, <int>OFTEN) < 0 and fcntl(ends[1], F_GETPIPE_SZ) < LEAST:
            close_fd(ends[0])
            close_fd(ends[1])
            tell(b"F_SETPIPE_SZ", EPERM)
            return -1
        self.way_out, self.way_in = ends[0], ends[1]
        pipes += 1
        return 0

    cdef void give_back(self) noexcept:
        """The pipe is empty."""
        global spares
        if spares == SPARE:
            self.drop()
            return
        spare_in[spares], spare_out[spares] = self.way_in, self.way_out
        spares += 1
        self.way_in = self.way_out = -1

    cdef void drop(self) noexcept:
        """Gives up what is inside."""
        global pipes
        if self.way_in >= 0:
            close_fd(self.way_in)
            close_fd(self.way_out)
            pipes -= 1
        self.way_in = self.way_out = -1
        self.inside = 0


cdef void tell(const char* call, int why) noexcept:
    """Why bodies are copied, once."""
    global told
    if not told:
        told = True
        log.warning("%s: %s: bodies are copied where there is no pipe for them, which costs more CPU; "
                    "see the limits of open files (ulimit -n) and of pipes (fs.pipe-user-pages-soft)",
                    call.decode(), os.strerror(why))
