"""The wall clock, for the log and the Date field alone: no decision uses it."""

from libc.time cimport gmtime_r, strftime, time_t, tm
from posix.time cimport CLOCK_REALTIME, clock_gettime, timespec


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
        cdef time_t second = wall_ns() // 1_000_000_000
        cdef tm parts
        if second != self.second:
            gmtime_r(&second, &parts)
            strftime(self.text, sizeof(self.text), "date: %a, %d %b %Y %H:%M:%S GMT\r\n", &parts)
            self.second = second
        return self.text
