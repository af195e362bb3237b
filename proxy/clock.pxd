# The clock of all times on the scoreboard and of all waits; no wall clock decides anything.
from libc.stdint cimport int64_t
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

cdef extern from "time.h" nogil:
    int CLOCK_MONOTONIC_COARSE

cdef enum:
    COARSE_NS = 10_000_000      # how late the coarse clock may be: a tick of the kernel, with CONFIG_HZ=100


cdef inline int64_t monotonic_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <int64_t>now.tv_sec * 1_000_000_000 + now.tv_nsec


cdef inline int64_t coarse_ns() noexcept nogil:
    """The same clock as it was at the kernel's last tick, less than COARSE_NS ago: a quarter of the price."""
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now)
    return <int64_t>now.tv_sec * 1_000_000_000 + now.tv_nsec
