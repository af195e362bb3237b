"""The wall clock, for the log and the Date field alone: no decision uses it."""

from libc.time cimport gmtime_r, strftime, tm
from posix.time cimport CLOCK_REALTIME, clock_gettime, timespec

cdef extern from "time.h" nogil:
    int CLOCK_REALTIME_COARSE


cdef int64_t wall_ns() noexcept:
    cdef timespec now
    clock_gettime(CLOCK_REALTIME, &now)
    return <int64_t>now.tv_sec * 1_000_000_000 + now.tv_nsec


cdef class Date:
    """The Date field of answers, written once in a second."""

    def __cinit__(self):
        self.second = -1

    cdef const char* line(self) noexcept:
        """The time it is: `date: Sun, 06 Nov 1994 08:49:37 GMT` with its line end: 37 bytes."""
        cdef timespec now       # as of the kernel's last tick: seconds need no more
        cdef tm parts
        clock_gettime(CLOCK_REALTIME_COARSE, &now)
        if now.tv_sec != self.second:
            gmtime_r(&now.tv_sec, &parts)
            strftime(self.text, sizeof(self.text), "date: %a, %d %b %Y %H:%M:%S GMT\r\n", &parts)
            self.second = now.tv_sec
        return self.text
